"""Where the demo's site is served: a free port, and one line if there is no site."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from livelayer_demo.web import check_port, is_free, mount_site

from livelayer_bus import LiteralToken, MisuseError, Session

pytestmark = pytest.mark.anyio


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another socket listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_that_is_taken_is_refused_by_name(taken: int) -> None:
    assert not is_free(taken)
    with pytest.raises(MisuseError, match=f"port {taken} is in use"):
        check_port(taken)
    check_port(None)
    check_port(0)


async def test_without_the_plugin_one_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("livelayer_demo.web.KEY", "a-surface-that-is-not-installed")
    async with Session("demo", tokens=LiteralToken("ws://127.0.0.1:1", "t")) as session:
        site = await mount_site(session)
        assert not session.state.surfaces
    assert site.url is None
    assert "pip install livelayer-web" in site.message
    assert "\n" not in site.message
