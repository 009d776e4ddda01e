"""Every packet of the encoders is decoded again, and its picture compared."""

from __future__ import annotations

import math
from typing import Any, Literal, cast

import av
import numpy as np
import numpy.typing as npt
import pytest
from aiortc.codecs import get_encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from hypothesis import given
from hypothesis import strategies as st
from livelayer_web import Quality
from livelayer_web.media import LADDER
from livelayer_web.media.packets import Packet
from livelayer_web.media.quality import CodecName
from livelayer_web.media.video_codecs import VIDEO_TIME_BASE, Scaler, VideoEncoder, target_size

from .marked_pictures import mark_of, marked_picture

Gray = npt.NDArray[np.uint8]
DECODERS: dict[CodecName, Literal["vp8", "h264"]] = {"VP8": "vp8", "H264": "h264"}
CODECS: tuple[CodecName, ...] = ("VP8", "H264")
FRAME_TICKS = 3_000  # of 1/90000 s
BITRATE = 1_000_000


def luma_of(picture: av.VideoFrame) -> Gray:
    """The luma plane, without padding."""
    plane = picture.planes[0]
    memory = np.frombuffer(cast(bytes, plane), dtype=np.uint8)
    return memory.reshape(-1, plane.line_size)[: picture.height, : picture.width]


def psnr(one: Gray, other: Gray) -> float:
    """How alike two pictures are, in dB: above 30, an eye looks for the difference."""
    error = np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2)
    return 10 * math.log10(255**2 / max(float(error), 1e-9))


class Decoder:
    """What a viewer does with the packets; strict, so that a lost one does not go unseen."""

    def __init__(self, codec: CodecName) -> None:
        self._context = av.CodecContext.create(DECODERS[codec], "r")

    def decode(self, packet: Packet) -> Gray:
        """The picture of this packet."""
        copy: Any = av.Packet(bytes(packet))
        pictures = self._context.decode(copy)
        if not pictures:  # h264 keeps one until it sees the next
            pictures = self._context.decode(None)
            self._context.flush_buffers()
        assert len(pictures) == 1
        return luma_of(pictures[0])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("quality", LADDER, ids=lambda quality: quality.name)
def test_pictures_survive_the_codec(codec: CodecName, quality: Quality) -> None:
    scaler, encoder, decoder = Scaler(quality.height), VideoEncoder(codec, quality), Decoder(codec)
    for number in range(5):
        picture = scaler.scale(marked_picture(1280, 720, number))
        [packet] = encoder.encode(
            picture, number * FRAME_TICKS, bitrate=quality.bitrate, key_frame=False
        )
        assert packet.is_keyframe is (number == 0)
        assert packet.pts == number * FRAME_TICKS
        assert packet.time_base == VIDEO_TIME_BASE
        seen = decoder.decode(packet)
        assert seen.shape == (quality.height, quality.height * 16 // 9)
        assert mark_of(seen) == number
        # A cut costs more bits than there are; what is seen a moment later is what counts.
        if number == 4:
            for again in range(5, 9):
                [packet] = encoder.encode(
                    scaler.scale(marked_picture(1280, 720, number)),
                    again * FRAME_TICKS,
                    bitrate=quality.bitrate,
                    key_frame=False,
                )
                seen = decoder.decode(packet)
            assert psnr(seen, luma_of(scaler.scale(marked_picture(1280, 720, number)))) > 30


@pytest.mark.parametrize("codec", CODECS)
def test_a_forced_key_frame_stands_alone(codec: CodecName) -> None:
    encoder = VideoEncoder(codec, LADDER[1])
    for number in range(6):
        [packet] = encoder.encode(
            Scaler(360).scale(marked_picture(640, 360, number)),
            number * FRAME_TICKS,
            bitrate=BITRATE,
            key_frame=number == 4,
        )
        assert packet.is_keyframe is (number in (0, 4))
        if number == 4:
            assert mark_of(Decoder(codec).decode(packet)) == 4


@pytest.mark.parametrize("codec", CODECS)
def test_another_size_or_bitrate_starts_over_with_a_key_frame(codec: CodecName) -> None:
    encoder = VideoEncoder(codec, LADDER[0])
    courses = [(320, 180, BITRATE), (322, 180, BITRATE), (322, 180, BITRATE // 2)]
    for number, (width, height, bitrate) in enumerate(courses):
        picture = Scaler(720).scale(marked_picture(width, height, number))
        [packet] = encoder.encode(picture, number * FRAME_TICKS, bitrate=bitrate, key_frame=False)
        assert packet.is_keyframe
        seen = Decoder(codec).decode(packet)
        assert seen.shape == (height, width)
        assert mark_of(seen) == number


def test_h264_repeats_its_parameter_sets_before_each_key_frame() -> None:
    encoder = VideoEncoder("H264", LADDER[1])
    for number in range(3):
        [packet] = encoder.encode(
            Scaler(360).scale(marked_picture(640, 360, number)),
            number * FRAME_TICKS,
            bitrate=BITRATE,
            key_frame=True,
        )
        data = bytes(packet)
        kinds = [unit[0] & 0x1F for unit in data.split(b"\x00\x00\x01")[1:]]
        assert kinds[:2] == [7, 8]  # sequence and picture parameter set
        assert 5 in kinds  # a picture to start from
        assert 9 not in kinds  # no delimiter, which RTP does not need


@pytest.mark.parametrize("codec", CODECS)
def test_aiortc_packetizes_what_comes_out(codec: CodecName) -> None:
    name = "video/" + codec
    parameters: dict[str, Any] = {"mimeType": name, "clockRate": 90_000, "payloadType": 97}
    packetizer = get_encoder(RTCRtpCodecParameters(**parameters))
    [packet] = VideoEncoder(codec, LADDER[1]).encode(
        Scaler(360).scale(marked_picture(640, 360)), 12_345, bitrate=BITRATE, key_frame=False
    )
    payloads, timestamp = packetizer.pack(packet)
    assert timestamp == 12_345
    assert sum(len(payload) for payload in payloads) >= packet.size - 4 * 4  # start codes go
    assert all(len(payload) <= 1300 for payload in payloads)


@pytest.mark.parametrize(("rotation", "spot"), [(0, 1), (90, 7), (180, 14), (270, 8)])
def test_a_turned_picture_is_sent_upright(rotation: int, spot: int) -> None:
    picture = Scaler(720).scale(marked_picture(320, 160, 1, rotation=rotation))
    assert (picture.width, picture.height) == ((320, 160) if rotation % 180 == 0 else (160, 320))
    assert mark_of(luma_of(picture)) == spot


@pytest.mark.parametrize(("width", "height"), [(321, 181), (321, 180), (320, 181), (3, 3)])
@pytest.mark.parametrize("codec", CODECS)
def test_odd_sizes_are_encoded_even(codec: CodecName, width: int, height: int) -> None:
    picture = Scaler(720).scale(marked_picture(width, height, 5))
    [packet] = VideoEncoder(codec, LADDER[0]).encode(picture, 0, bitrate=BITRATE, key_frame=False)
    seen = Decoder(codec).decode(packet)
    assert seen.shape == (height // 2 * 2, width // 2 * 2)
    if width > 100:
        assert mark_of(seen) == 5


@given(
    st.integers(1, 4000),
    st.integers(1, 4000),
    st.sampled_from((0, 90, 180, 270)),
    st.integers(2, 4000),
)
def test_sizes_are_even_no_larger_than_the_source_and_keep_their_shape(
    width: int, height: int, rotation: int, wanted: int
) -> None:
    columns, rows = target_size(width, height, rotation, wanted)
    upright = (width, height) if rotation % 180 == 0 else (height, width)
    assert columns % 2 == rows % 2 == 0
    assert 2 <= columns <= max(2, upright[0])
    assert 2 <= rows <= max(2, min(upright[1], wanted))
    assert abs(columns - upright[0] * min(wanted, upright[1]) / upright[1]) <= 2


def test_a_picture_of_the_right_size_is_not_copied() -> None:
    frame = marked_picture(320, 180, 3)
    picture = Scaler(180).scale(frame)
    address = frame.to_ndarray("i420").__array_interface__["data"][0]
    assert picture.planes[0].buffer_ptr == address
    assert Scaler(180).scale(frame) is not picture  # a forced key frame is written into it
