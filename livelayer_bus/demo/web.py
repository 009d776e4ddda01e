"""The demo's site: served by the web surface, where its distribution is installed."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

import msgspec

from ..capabilities import ALL
from ..errors import LivelayerError, MisuseError, PluginNotFoundError
from ..plugins import load_surface
from ..session import Session

SITE: Final = Path(__file__).parent / "site"
"""The folder of the demo's pages: `index.html`, `pricing.html`, `docs.html`, `sign-up.html`."""

KEY: Final = "web"
"""The surface's name among the plugins, and its key in the demo's session."""

PORT: Final = 8080
"""The port to have if nobody has it yet."""

_HOST: Final = "127.0.0.1"
_DISTRIBUTION: Final = "livelayer-web"


class WebPlace(msgspec.Struct, frozen=True):
    """Where the site is, or why it is nowhere."""

    url: str | None
    """What to type into a browser on this machine."""
    message: str
    """The same for a person, in one line."""


def mount_site(session: Session, port: int | None = None) -> WebPlace:
    """Mount the web surface with the demo's site, allowed to do everything, on the loopback.

    What is missing or broken is told in the place's message; the demo goes on without the site.

    Args:
        session: whose surface it becomes.
        port: TCP port; None takes 8080, or a free one if somebody else has that.
    """
    try:
        factory = load_surface(KEY)
    except PluginNotFoundError:
        advice = f"pip install {_DISTRIBUTION} to see the agent on a page of this machine"
        return WebPlace(None, f"no web page: {advice}")
    except LivelayerError as error:
        return WebPlace(None, f"no web page: {error}")
    number = free_port() if port is None else check_port(port)
    surface = factory(host=_HOST, port=number, site=SITE)
    session.mount(surface, key=KEY, capabilities=ALL)
    url = f"http://{_HOST}:{number}/"
    return WebPlace(url, f"on the web: {url}  (say: go to pricing; scroll down; fill in my name)")


def free_port(first: int = PORT) -> int:
    """`first` if nobody listens there now, else a port that the system gives out."""
    return first if first and _is_free(first) else _given_out()


def check_port(port: int) -> int:
    """A port that was asked for; for 0, one that the system gives out.

    Raises:
        MisuseError: somebody listens there.
    """
    if port and not _is_free(port):
        raise MisuseError(f"port {port} is taken: leave --port out, and a free one is found")
    return port or _given_out()


def _is_free(port: int) -> bool:
    with _socket() as probe:
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True


def _given_out() -> int:
    with _socket() as probe:
        probe.bind((_HOST, 0))
        number: int = probe.getsockname()[1]
        return number


def _socket() -> socket.socket:
    probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # As servers do it: connections that are still closing do not count.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return probe
