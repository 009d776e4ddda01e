"""Ports, address and ICE servers of a surface: what pages are told, and when the range is full."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any, Final

import pytest
from livelayer_web import IceServer, MediaSettings, WebSurface
from livelayer_web.media.aiortc_private import host_addresses
from livelayer_web.media.network import MediaPorts

from livelayer_bus import MisuseError

from .scripted import Serve, code_of
from .test_media_routes import SDP, connect, peer

pytestmark = pytest.mark.anyio

PORT: Final = 15_000 + os.getpid() * 40 % 15_000 + 5
SERVER = IceServer(urls="turn:turn.example.com", username="someone", credential="not-to-be-logged")


async def test_a_full_range_is_refused_for_now_and_a_page_may_replace_its_own(serve: Serve) -> None:
    async with serve(media_ports=PORT) as web:
        first, second = await web.page(), await web.page()
        async with peer() as one, peer() as two, peer() as three:
            await connect(web, one, first)
            await two.setLocalDescription()
            offer = two.localDescription.sdp
            refused = await web.http.post("whep", headers=SDP | second.headers, content=offer)
            assert code_of(refused) == (503, "media_ports")
            assert float(refused.headers["retry-after"]) > 0
            assert f"{PORT} to {PORT}" in refused.json()["detail"]
            await connect(web, three, first)  # in place of its first one
            assert web.surface.statistics().media[0].connections == 1


async def test_pages_are_told_the_servers_and_no_log_is(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serve(ice_servers=["stun:stun.example.com", SERVER]) as web:
        page = await web.page()
        assert page.joined["ice_servers"] == [
            {"urls": ["stun:stun.example.com"]},
            {
                "urls": ["turn:turn.example.com"],
                "username": "someone",
                "credential": "not-to-be-logged",
            },
        ]
        assert "not-to-be-logged" not in repr(web.surface.statistics())
    assert "not-to-be-logged" not in caplog.text


def test_a_configuration_file_may_say_them() -> None:
    surface: Any = WebSurface(
        port=0,
        media_ports=[PORT, PORT + 1],  # type: ignore[arg-type]  # as TOML has it
        media_address="203.0.113.7",
        ice_servers=[{"urls": "turn:turn.example.com", "secret": "a-secret"}],
    )
    settings = surface._options.media
    assert settings.address == "203.0.113.7"
    assert settings.ice_servers == (IceServer(urls="turn:turn.example.com", secret="a-secret"),)
    beside = WebSurface(
        port=0, media=MediaSettings(max_connections=3), media_ports=f"{PORT}-{PORT + 10}"
    )
    assert beside._options.media.max_connections == 3
    with pytest.raises(MisuseError, match="media_ports is 1 to 2"):
        WebSurface(port=0, media_ports=(1, 2))
    with pytest.raises(MisuseError, match="ice_servers"):
        WebSurface(port=0, ice_servers=[{"urls": "turn:turn.example.com", "password": "x"}])


def test_a_port_that_another_program_has_is_left_out() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", PORT + 20))  # noqa: S104 - a port of this machine
        opened = MediaPorts((PORT + 20, PORT + 21)).open(host_addresses())
        try:
            assert {one.getsockname()[1] for one in opened} == {PORT + 21}
        finally:
            for one in opened:
                one.close()
