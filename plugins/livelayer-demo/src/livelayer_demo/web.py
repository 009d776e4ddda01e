"""The demo's site: served by the web surface, where its distribution is installed."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol, cast

import anyio
import msgspec

from livelayer_bus.config import load_surface
from livelayer_bus.errors import LivelayerError, MisuseError, PluginNotFoundError
from livelayer_bus.messages import ALL
from livelayer_bus.session import Session

from .topics import NAME

SITE: Final = Path(__file__).parent / "site"
"""The folder of the demo's pages: `index.html`, `pricing.html`, `docs.html`, `sign-up.html`."""

KEY: Final = "web"
"""The surface's name among the plugins, and its key in the demo's session."""

PORT: Final = 8080
"""The port to have if nobody has it yet."""

START_SECONDS: Final = 5.0
"""How long the site may take to be served."""

_HOST: Final = "127.0.0.1"
_DISTRIBUTION: Final = "livelayer-web"


class _Served(Protocol):
    """What is known here of the web surface."""

    async def wait_url(self) -> str: ...
    def viewers(self) -> Sequence[object]: ...


class WebPlace(msgspec.Struct, frozen=True):
    """Where the site is, or why it is nowhere."""

    url: str | None
    """What to type into a browser on this machine."""
    message: str
    """The same for a person, in one line."""
    viewers: Callable[[], Sequence[object]] = tuple
    """The pages that are open now."""


async def mount_site(session: Session, port: int | None = None) -> WebPlace:
    """Mount the web surface with the demo's site, allowed to do everything, on the loopback.

    Returns once it is served. What is missing or broken is told in the place's message; the demo
    goes on without the site.

    Args:
        session: whose surface it becomes.
        port: TCP port, 0 a free one; None takes 8080, or a free one if somebody else has that.
    """
    try:
        factory = load_surface(KEY)
    except PluginNotFoundError:
        advice = f"pip install {_DISTRIBUTION} to see the agent on a page of this machine"
        return WebPlace(None, f"no web page: {advice}")
    except LivelayerError as error:
        return WebPlace(None, f"no web page: {error}")
    if port is None:
        port = PORT if is_free(PORT) else 0
    who = {"id": session.agent_id, "name": NAME, "role": "Guide"}
    surface = factory(host=_HOST, port=port, site=SITE, agents=(who,))
    session.mount(surface, key=KEY, capabilities=ALL)
    served = cast(_Served, surface)
    with anyio.move_on_after(START_SECONDS):
        url = f"{await served.wait_url()}/"
        message = f"on the web: {url} (say: go to pricing; scroll down)"
        return WebPlace(url, message, served.viewers)
    return WebPlace(None, f"no web page: the site did not start within {START_SECONDS:g} s")


def check_port(port: int | None) -> None:
    """Refuse a port that was asked for and that somebody else listens on.

    Raises:
        MisuseError: it is taken.
    """
    if port and not is_free(port):
        raise MisuseError(f"port {port} is taken: leave --port out, and a free one is found")


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of the loopback now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do it: connections that are still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True
