"""Clients that send anything at all, and tokens that hold anything at all."""

from __future__ import annotations

import json
import logging
import random
import time
from typing import Any

import aiohttp
import anyio
import jwt
import pytest
from aiohttp import WSMsgType
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc
from livelayer_embedded import EmbeddedServer
from livelayer_embedded.auth import TokenAuthority
from livelayer_embedded.errors import AccessDeniedError

from livelayer_bus.testing import PATIENCE

from .conftest import Join

SOCKETS, FRAMES = 3, 1000
OFFER = """v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 00:11:22
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
a=mid:0
a=sctp-port:5000
m=audio 9 UDP/TLS/RTP/SAVPF 111 63
a=mid:1
a=sendonly
a=msid:- cid
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=ssrc:5 cname:x
m=video 9 UDP/TLS/RTP/SAVPF 96
a=mid:2
a=recvonly
a=rtpmap:96 VP8/90000
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:10/recvonly urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
a=rid:q send
a=simulcast:send q;h;f
""".replace("\n", "\r\n")


def _mutated(text: str, draw: random.Random) -> str:
    lines = text.split("\r\n")
    for _ in range(draw.randrange(4)):
        place = draw.randrange(len(lines))
        line = lines[place]
        at = draw.randrange(len(line) + 1)
        junk = draw.choice(["", " ", ":", "/", "=", "-1", "9" * 400, "\0", "\ud7ff", "x" * 2000])
        lines[place] = draw.choice(
            ["", line[:at], line[:at] + junk + line[at:], f"{line}\r\n{line}", junk]
        )
    return "\r\n".join(lines)


def _request(draw: random.Random) -> bytes:
    sid = draw.choice(["", "TR_x", "PA_x", "x" * 5000])
    number = draw.choice([0, 1, 65536, (1 << 32) - 1])
    text = rtc.SessionDescription(type="offer", sdp=_mutated(OFFER, draw), id=number)
    add = rtc.AddTrackRequest(
        cid=draw.choice(["cid", "", "x" * 5000]),
        type=draw.choice(models.TrackType.keys()),
        source=draw.choice(models.TrackSource.keys()),
    )
    quality = draw.choice(models.VideoQuality.keys())
    add.layers.add(quality=quality, width=number)
    add.simulcast_codecs.add(codec=draw.choice(["vp8", "", "/", "x" * 99]), cid="cid")
    settings = rtc.UpdateTrackSettings(track_sids=[sid], quality=quality, width=number)
    choices: list[dict[str, Any]] = [
        {"offer": text},
        {"answer": text},
        {"add_track": add},
        {"mute": rtc.MuteTrackRequest(sid=sid, muted=True)},
        {"subscription": rtc.UpdateSubscription(track_sids=[sid] * 9, subscribe=number > 0)},
        {"track_setting": settings},
        {"update_metadata": rtc.UpdateParticipantMetadata(attributes={sid: "x" * 70_000})},
        {"publish_data_track_request": rtc.PublishDataTrackRequest(pub_handle=number, name=sid)},
        {"unpublish_data_track_request": rtc.UnpublishDataTrackRequest(pub_handle=number)},
        {"subscription_permission": rtc.SubscriptionPermission(all_participants=number > 0)},
        {"sync_state": rtc.SyncState(track_sids_disabled=[sid])},
        {"trickle": rtc.TrickleRequest(candidateInit="{")},
        {"ping": number},
    ]
    data = rtc.SignalRequest(**draw.choice(choices)).SerializeToString()
    if draw.random() < 0.2:
        place = draw.randrange(len(data) + 1)
        data = data[:place] + draw.randbytes(draw.randrange(9)) + data[place + 1 :]
    return data


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/rtc", "/rtc/v1"])
async def test_a_hostile_client_harms_itself_only(
    embedded: EmbeddedServer,
    enter: Join,
    room_name: str,
    caplog: pytest.LogCaptureFixture,
    path: str,
) -> None:
    alice, bob = await enter("alice"), await enter("bob")
    await alice.sees("bob")
    draw = random.Random(11)
    query = {"access_token": embedded.token("eve", room_name)}
    if path == "/rtc/v1":
        query["join_request"] = "EgA="  # nothing but the protobuf field
    async with aiohttp.ClientSession() as client:
        for _ in range(SOCKETS):
            async with client.ws_connect(embedded.url + path, params=query) as socket:
                for _ in range(FRAMES):
                    if socket.closed:
                        break
                    await socket.send_bytes(_request(draw))
                ping = rtc.SignalRequest(ping_req=rtc.Ping(timestamp=77))
                await socket.send_bytes(ping.SerializeToString())
                await _ponged(socket)
    await bob.me.publish_data(b"unharmed")
    assert (await alice.data()).data == b"unharmed"
    assert "unknown participant" not in caplog.text  # says the SDK
    ours = [r for r in caplog.records if r.name.partition(".")[0] != "livekit"]
    assert [r for r in ours if r.exc_info or r.levelno >= logging.ERROR] == []
    assert sum("malformed" in record.message for record in ours) <= SOCKETS


async def _ponged(socket: aiohttp.ClientWebSocketResponse) -> None:
    with anyio.fail_after(PATIENCE):
        while True:
            message = await socket.receive()
            if message.type is not WSMsgType.BINARY:
                return  # it was cut, which harms no one else
            response = rtc.SignalResponse.FromString(message.data)
            if response.pong_resp.last_ping_timestamp == 77:
                return


KEY, SECRET = "key", "s" * 40
AUTHORITY = TokenAuthority(KEY, SECRET)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
GRANT = st.sampled_from(["room", "roomJoin", "canPublish", "canPublishSources", "hidden", "agent"])
CLAIM = st.sampled_from(
    ["sub", "name", "metadata", "kind", "attributes", "video", "roomConfig", "exp", "nbf", "iat"]
)


@given(st.dictionaries(CLAIM, ANY_JSON | st.dictionaries(GRANT, ANY_JSON, max_size=4)))
def test_any_signed_claims_are_an_access_or_are_refused(claims: dict[str, Any]) -> None:
    whole = {"iss": KEY, "sub": "a", "exp": time.time() + 600, **claims}
    token = jwt.api_jws.encode(json.dumps(whole).encode(), SECRET, "HS256")
    try:
        access = AUTHORITY.verify(token)
    except AccessDeniedError as refusal:
        reason = str(refusal)
    else:
        reason = ""
        permission = access.permission()
        info = models.ParticipantInfo(
            identity=access.identity, name=access.name, permission=permission
        )
        assert AUTHORITY.verify(AUTHORITY.renew(access, info)).permission() == permission
    assert token not in reason
