"""What one page is sent: packets that were encoded once for all pages, in a suitable quality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, final

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import Packet

from livelayer_bus.clock import Clock

from .audio import AudioEncoding
from .packets import PacketReader
from .quality import CodecName, Quality, QualityChoice
from .statistics import PacketReaderStatistics
from .video import VideoEncoding, VideoEncodings

CODECS: Final[dict[str, CodecName]] = {"video/vp8": "VP8", "video/h264": "H264"}


@final
class PacketTrack(MediaStreamTrack):
    """A track of encoded packets: aiortc sends them unchanged."""

    def __init__(self, kind: str, reader: PacketReader) -> None:
        self.kind = kind
        super().__init__()
        self._reader = reader

    async def recv(self) -> Packet[Any]:
        """The next packet; waits while nothing is followed. Called by aiortc's sender.

        Raises:
            MediaStreamError: the reader is closed.
        """
        try:
            return await anext(self._reader)
        except StopAsyncIteration:
            raise MediaStreamError from None


@final
class Downlink:
    """Audio and video of one page: follows what is wanted, in a quality that its link carries.

    It follows nothing before `open`: what cannot be sent yet is not encoded.
    """

    def __init__(
        self,
        video: VideoEncodings,
        audio: AudioEncoding,
        ladder: Sequence[Quality],
        codec: str | None,
        clock: Clock,
    ) -> None:
        """Make both tracks; `codec` is the video's MIME type, None for a page without video."""
        self._video = video
        self._audio = audio
        self._codec: CodecName | None = CODECS[codec] if codec is not None else None
        self._clock = clock
        self._choice = QualityChoice(ladder, now=clock.now())
        self._video_reader = video.reader()
        self._audio_reader = audio.reader()
        self.video: Final = PacketTrack("video", self._video_reader)
        self.audio: Final = PacketTrack("audio", self._audio_reader)
        self._wants_video = self._wants_audio = True
        self._open = False

    @property
    def quality(self) -> Quality | None:
        """The quality that is sent now."""
        source = self._video_reader.source
        return source.quality if isinstance(source, VideoEncoding) else None

    def statistics(self) -> tuple[PacketReaderStatistics, PacketReaderStatistics]:
        """The video and the audio that the page was sent."""
        return self._video_reader.statistics(), self._audio_reader.statistics()

    def open(self, now: float) -> None:
        """Begin: the connection stands."""
        self._open = True
        self.follow(now)

    def want(self, *, video: bool, audio: bool, height: int | None) -> None:
        """See `MediaConnection.want`."""
        self._wants_video, self._wants_audio = video, audio
        now = self._clock.now()
        self._choice.want(height, now=now)
        self.follow(now)

    def follow(self, now: float) -> None:
        """Follow what is wanted now, in the quality that is due."""
        if not self._open:
            return
        self._audio_reader.follow(self._audio if self._wants_audio else None)
        if self._wants_video and self._codec is not None:
            quality = self._choice.choose(now)
            self._video_reader.follow(self._video.encoding(self._codec, quality))
        else:
            self._video_reader.follow(None)

    def close(self) -> None:
        """Stop for good."""
        self._open = False
        self._video_reader.close()
        self._audio_reader.close()

    # What the receiver reports ---------------------------------------------------------------

    def key_frame_requested(self) -> None:
        """Have a key frame encoded, as soon as the encoder's limit allows."""
        source = self._video_reader.source
        if isinstance(source, VideoEncoding):
            source.request_key_frame()

    def bandwidth_estimated(self, bitrate: int) -> None:
        """The page can receive `bitrate`, in bit/s."""
        now = self._clock.now()
        source = self._video_reader.source
        sent = source.rate if isinstance(source, VideoEncoding) else None
        self._choice.report(now=now, bandwidth=bitrate, sent=sent)
        self._video_reader.bandwidth = self._choice.limit
        self.follow(now)

    def packets_lost(self, fraction: float) -> None:
        """The fraction of packets lost since the last report."""
        now = self._clock.now()
        self._choice.report(now=now, loss=fraction)
        self.follow(now)
