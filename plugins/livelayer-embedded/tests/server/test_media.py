"""Audio and video published, relayed and received, without being decoded on the way."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import anyio
import pytest
from livekit import rtc
from livekit.protocol.models import ParticipantPermission
from livekit.rtc._proto.track_publication_pb2 import VideoQuality

from livelayer_bus.testing import PATIENCE

from .conftest import Camera, Join, Member, Microphone, Server, either_mode, frames, loud

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

CAMERA = rtc.TrackSource.SOURCE_CAMERA
MICROPHONE = rtc.TrackSource.SOURCE_MICROPHONE


async def publish(member: Member, track: rtc.LocalTrack, **options: Any) -> Any:
    with anyio.fail_after(PATIENCE):
        return await member.me.publish_track(track, rtc.TrackPublishOptions(**options))


async def subscribed(member: Member) -> tuple[Any, Any]:
    track, publication, _ = await member.next("track_subscribed")
    return track, publication


@either_mode
async def test_audio_arrives(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    async with Microphone() as microphone:
        await publish(alice, microphone.track, source=MICROPHONE)
        track, publication = await subscribed(bob)
        assert (publication.name, publication.source) == ("microphone", MICROPHONE)
        assert await loud(track)


@pytest.mark.parametrize("simulcast", [False, True], ids=["single", "simulcast"])
@pytest.mark.parametrize("codec", ["VP8", "H264"])
@either_mode
async def test_a_picture_is_seen(join: Join, codec: str, simulcast: bool) -> None:
    alice, bob = await join("alice"), await join("bob")
    async with Camera(640, 360) as camera:
        await publish(
            alice,
            camera.track,
            source=CAMERA,
            simulcast=simulcast,
            video_codec=rtc.VideoCodec.Value(codec),
        )
        track, publication = await subscribed(bob)
        assert publication.mime_type.lower() == f"video/{codec.lower()}"
        seen = await frames(track, 15)
        assert (seen[-1].frame.width, seen[-1].frame.height) == (640, 360)


@either_mode
async def test_a_latecomer_gets_everything_published_before(join: Join) -> None:
    alice = await join("alice")
    async with Camera(320, 180) as camera, Microphone() as microphone:
        await publish(alice, camera.track, source=CAMERA, simulcast=False)
        await publish(alice, microphone.track, source=MICROPHONE)
        for name in ("bob", "carol"):
            late = await join(name)
            tracks = [(await subscribed(late))[0] for _ in range(2)]
            video = next(t for t in tracks if t.kind == rtc.TrackKind.KIND_VIDEO)
            audio = next(t for t in tracks if t.kind == rtc.TrackKind.KIND_AUDIO)
            assert await frames(video, 3)
            assert await loud(audio)


@either_mode
async def test_many_tracks_come_and_go_and_come_again(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    async with contextlib.AsyncExitStack() as stack:
        for turn in range(2):
            publications = []
            for index in range(4):
                microphone = await stack.enter_async_context(Microphone(f"m{turn}{index}"))
                publications.append(await publish(alice, microphone.track))
            heard = [await subscribed(bob) for _ in publications]
            assert {p.name for _, p in heard} == {f"m{turn}{i}" for i in range(4)}
            for track, _ in heard:
                assert await loud(track)
            for publication in publications:
                await alice.me.unpublish_track(publication.sid)
            for _ in publications:
                await bob.next("track_unpublished")


async def test_muting_is_seen_and_ends(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    async with Microphone() as microphone:
        await publish(alice, microphone.track, source=MICROPHONE)
        track, _ = await subscribed(bob)
        microphone.track.mute()
        await bob.next("track_muted")
        microphone.track.unmute()
        await bob.next("track_unmuted")
        assert await loud(track)


async def test_the_server_can_mute_a_track(server: Server, join: Join, room_name: str) -> None:
    alice, bob = await join("alice"), await join("bob")
    async with Microphone() as microphone:
        publication = await publish(alice, microphone.track, source=MICROPHONE)
        await subscribed(bob)
        await server.mute(room_name, "alice", publication.sid)
        await bob.next("track_muted")
        await alice.next("track_muted")


@either_mode
async def test_a_track_can_be_unsubscribed_and_subscribed_again(enter: Join) -> None:
    alice, bob = await enter("alice"), await enter("bob")
    async with Camera(320, 180) as camera:
        await publish(alice, camera.track, source=CAMERA, simulcast=False)
        for _ in range(3):
            track, publication = await subscribed(bob)
            assert await frames(track, 3)
            publication.set_subscribed(False)
            await bob.next("track_unsubscribed")
            publication.set_subscribed(True)
        assert await frames((await subscribed(bob))[0], 3)


async def test_nothing_is_delivered_without_auto_subscribe(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob", {"auto_subscribe": False})
    async with Microphone() as microphone:
        await publish(alice, microphone.track, source=MICROPHONE)
        publication = (await bob.next("track_published"))[0]
        assert bob.seen("track_subscribed") == 0
        publication.set_subscribed(True)
        assert await loud((await subscribed(bob))[0])


async def test_publishing_needs_the_grant(join: Join) -> None:
    alice = await join("alice", can_publish=False)
    bob = await join("bob", can_publish_sources=["microphone"])
    async with Microphone() as microphone, Camera(320, 180) as camera:
        with pytest.raises(Exception, match="timed out"):
            await publish(alice, microphone.track, source=MICROPHONE)
        with pytest.raises(Exception, match="timed out"):
            await publish(bob, camera.track, source=CAMERA)
        await publish(bob, microphone.track, source=MICROPHONE)
        await alice.next("track_subscribed")


async def test_receiving_needs_the_grant(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    deaf = await join("deaf", can_subscribe=False)
    async with Microphone() as microphone:
        await publish(alice, microphone.track, source=MICROPHONE)
        assert await loud((await subscribed(bob))[0])
        assert deaf.seen("track_subscribed") == 0


async def test_a_publisher_chooses_who_may_receive(join: Join) -> None:
    alice, bob, carol = await join("alice"), await join("bob"), await join("carol")
    for name in ("bob", "carol"):
        await alice.sees(name)
    alice.me.set_track_subscription_permissions(
        allow_all_participants=False,
        participant_permissions=[
            rtc.ParticipantTrackPermission(participant_identity="bob", allow_all=True)
        ],
    )
    async with Microphone() as microphone:
        await publish(alice, microphone.track, source=MICROPHONE)
        assert await loud((await subscribed(bob))[0])
        assert carol.seen("track_subscribed") == 0
        alice.me.set_track_subscription_permissions(allow_all_participants=True)
        assert await loud((await subscribed(carol))[0])


async def test_the_subscriber_chooses_among_simulcast_layers(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    async with Camera(1280, 720, fps=15) as camera:
        await publish(
            alice, camera.track, source=CAMERA, simulcast=True, video_codec=rtc.VideoCodec.VP8
        )
        track, publication = await subscribed(bob)
        await _width_becomes(track, 1280)
        publication.set_video_quality(VideoQuality.VIDEO_QUALITY_LOW)
        await _width_becomes(track, 320)
        publication.set_video_quality(VideoQuality.VIDEO_QUALITY_MEDIUM)
        await _width_becomes(track, 640)
        publication.set_video_quality(VideoQuality.VIDEO_QUALITY_HIGH)
        await _width_becomes(track, 1280)


async def _width_becomes(track: rtc.Track, width: int) -> None:
    stream = rtc.VideoStream(track)
    try:
        with anyio.fail_after(PATIENCE):
            async for event in stream:
                if event.frame.width == width:
                    return
    finally:
        await stream.aclose()


@either_mode
async def test_video_frame_metadata_arrives_with_its_frame(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    features = [
        rtc.FrameMetadataFeature.FMF_USER_TIMESTAMP,
        rtc.FrameMetadataFeature.FMF_FRAME_ID,
    ]
    async with Camera(320, 240) as camera:
        camera.metadata = rtc.FrameMetadata(user_timestamp=123456789, frame_id=77)
        await publish(alice, camera.track, source=CAMERA, frame_metadata_features=features)
        track, publication = await subscribed(bob)
        assert publication.frame_metadata_features == features
        metadata = None
        while metadata is None:  # the SDK may decode its first frame before it looks for any
            metadata = (await frames(track, 1))[0].metadata
        assert (metadata.user_timestamp, metadata.frame_id) == (123456789, 77)


def _encrypted() -> dict[str, Any]:
    options = rtc.E2EEOptions()
    options.key_provider_options.shared_key = b"12345678"
    return {"encryption": options}


@either_mode
async def test_end_to_end_encrypted_media_passes_through(join: Join) -> None:
    alice, bob = await join("alice", _encrypted()), await join("bob", _encrypted())
    async with Camera(320, 240) as camera, Microphone() as microphone:
        await publish(alice, camera.track, source=CAMERA, simulcast=True)
        track, publication = await subscribed(bob)
        assert publication.encryption_type == rtc.EncryptionType.GCM
        assert await frames(track, 5)
        await publish(alice, microphone.track, source=MICROPHONE)
        assert await loud((await subscribed(bob))[0])


async def test_whoever_speaks_is_announced(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    async with Microphone() as microphone:
        await publish(alice, microphone.track, source=MICROPHONE)
        await subscribed(bob)
        speakers = (await bob.next("active_speakers_changed"))[0]
        assert [speaker.identity for speaker in speakers] == ["alice"]
        microphone.track.mute()
        assert (await bob.next("active_speakers_changed"))[0] == []


async def test_connection_quality_is_reported(join: Join) -> None:
    await join("alice")
    bob = await join("bob")
    quality = (await bob.next("connection_quality_changed"))[1]
    assert quality == rtc.ConnectionQuality.QUALITY_EXCELLENT


async def test_a_hidden_viewer_is_not_a_subscriber(join: Join) -> None:
    alice = await join("alice")
    watcher = await join("watcher", hidden=True)
    async with Microphone() as microphone:
        publication = await publish(alice, microphone.track, source=MICROPHONE)
        assert await loud((await subscribed(watcher))[0])
        waiting = asyncio.ensure_future(publication.wait_for_subscription())
        await alice.me.publish_data(b"later", destination_identities=["watcher"])
        await watcher.data()
        assert not waiting.done()
        bob = await join("bob")
        await subscribed(bob)
        with anyio.fail_after(PATIENCE):
            await waiting


async def test_a_publisher_that_lost_and_regained_its_permission_is_seen_again(
    server: Server, join: Join, room_name: str
) -> None:
    alice, bob = await join("alice"), await join("bob")
    permission = ParticipantPermission(can_subscribe=True, can_publish=True, can_publish_data=True)
    silenced = ParticipantPermission(can_subscribe=True, can_publish_data=True)
    async with Camera(320, 180) as camera:
        await publish(alice, camera.track, source=CAMERA, simulcast=False)
        assert await frames((await subscribed(bob))[0], 3)
        await server.permit(room_name, "alice", silenced)
        gone = (await bob.next("track_unpublished"))[0]
        await alice.next("participant_permissions_changed")
        await alice.me.unpublish_track(gone.sid)
        await server.permit(room_name, "alice", permission)
        await alice.next("participant_permissions_changed")
        await publish(alice, camera.track, source=CAMERA, simulcast=False)
        assert await frames((await subscribed(bob))[0], 3)


async def test_the_codec_of_audio_is_its_redundant_form(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    async with Microphone() as microphone:
        await publish(alice, microphone.track, source=MICROPHONE, red=True)
        track, publication = await subscribed(bob)
        assert publication.mime_type.lower() == "audio/red"
        assert await loud(track)
