"""The demo's site, served by the web surface."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, cast

import anyio
import msgspec

from livelayer_bus.config import load_surface
from livelayer_bus.errors import LivelayerError, MisuseError, PluginNotFoundError
from livelayer_bus.messages import ALL
from livelayer_bus.surfaces import MountedSurface, Surface, SurfaceFunction

from .topics import NAME

SITE: Final = Path(__file__).parent / "site"
"""The folder of the site's pages: `index.html`, `pricing.html`, `docs.html`, `sign-up.html`."""

KEY: Final = "web"
"""The surface's entry point, and its key in the demo's session."""

PORT: Final = 8080
"""The port if it is free."""

START_SECONDS: Final = 5.0
"""How long starting the site may take."""

_HOST: Final = "127.0.0.1"
_DISTRIBUTION: Final = "livelayer-web"


class _WebSurface(Protocol):
    """The methods of the web surface that are used here."""

    async def wait_url(self) -> str: ...
    def viewers(self) -> Sequence[object]: ...


class Mountable(Protocol):
    """A session of this process, or of another one."""

    @property
    def agent_id(self) -> str: ...
    def mount(
        self, surface: Surface | SurfaceFunction, *, key: str, capabilities: Iterable[str] = ()
    ) -> MountedSurface: ...


class Site(msgspec.Struct, frozen=True):
    """The address of the site, or why there is none."""

    url: str | None
    """The address for a browser on this machine; None: the site is not served."""
    message: str
    """The same for a person, in one line."""
    viewers: Callable[[], Sequence[object]] = tuple
    """Returns the pages that are open now."""


async def mount_site(session: Mountable, port: int | None = None, **options: Any) -> Site:
    """Mount the web surface with the demo's site and every capability, on the loopback interface.

    Returns when the site is served. Never raises for a missing or broken web surface: the message
    says what is wrong, and the demo continues without the site.

    Args:
        session: The session that the site shows.
        port: TCP port; 0: a free one; None: 8080, or a free one if 8080 is in use.
        options: More options of the web surface.
    """
    try:
        factory = load_surface(KEY)
    except PluginNotFoundError:
        advice = f"pip install {_DISTRIBUTION} to see the agent on a page of this machine"
        return Site(None, f"no web page: {advice}")
    except LivelayerError as error:
        return Site(None, f"no web page: {error}")
    if port is None:
        port = PORT if is_free(PORT) else 0
    who = {"id": session.agent_id, "name": NAME, "role": "Guide"}
    surface = factory(host=_HOST, port=port, site=SITE, agents=(who,), **options)
    session.mount(surface, key=KEY, capabilities=ALL)
    web = cast(_WebSurface, surface)
    with anyio.move_on_after(START_SECONDS):
        url = f"{await web.wait_url()}/"
        message = f"on the web: {url} (say: go to pricing; scroll down)"
        return Site(url, message, web.viewers)
    return Site(None, f"no web page: the site did not start within {START_SECONDS:g} s")


def check_port(port: int | None) -> None:
    """Check that the wanted port is free; None and 0 always are.

    Raises:
        MisuseError: the port is in use.
    """
    if port and not is_free(port):
        raise MisuseError(f"port {port} is in use: omit --port to get a free one")


def is_free(port: int) -> bool:
    """Whether this port of the loopback interface is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections that are still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True
