"""What one page is sent: packets encoded once for all, in the quality that this page can use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, final

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcrtpsender import RTCRtpSender
from av import Packet

from livelayer_bus.clock import Clock

from .ladder import QualityChoice
from .packets import PacketReader
from .pictures import EncodedVideo, Pictures
from .quality import CodecName, Quality
from .sender import hear_reports
from .sound import Sound
from .statistics import PacketReaderStatistics

CODECS: Final[dict[str, CodecName]] = {"video/vp8": "VP8", "video/h264": "H264"}


@final
class PacketTrack(MediaStreamTrack):
    """A track of packets that are encoded already: aiortc sends them as they are."""

    def __init__(self, kind: str, reader: PacketReader) -> None:
        self.kind = kind
        super().__init__()
        self._reader = reader

    async def recv(self) -> Packet[Any]:
        """The next packet; waits while nothing is followed. For aiortc's sender alone.

        Raises:
            MediaStreamError: the reader is closed.
        """
        try:
            return await anext(self._reader)
        except StopAsyncIteration:
            raise MediaStreamError from None


@final
class Downlink:
    """Sound and picture of one page: follows what is wanted, in a quality that arrives.

    Nothing is followed before `open`: what nobody can be sent yet is not encoded.
    """

    def __init__(
        self,
        pictures: Pictures,
        sound: Sound,
        ladder: Sequence[Quality],
        codec: str | None,
        clock: Clock,
    ) -> None:
        """Make both tracks; `codec` is the picture's MIME type, None for a page without one."""
        self._encoded = pictures
        self._sound = sound
        self._codec: CodecName | None = CODECS[codec] if codec is not None else None
        self._clock = clock
        self._choice = QualityChoice(ladder, now=clock.now())
        self._picture_reader = pictures.reader()
        self._sound_reader = sound.reader()
        self.picture: Final = PacketTrack("video", self._picture_reader)
        self.sound: Final = PacketTrack("audio", self._sound_reader)
        self._video = self._audio = True
        self._open = False

    @property
    def quality(self) -> Quality | None:
        """What is sent now."""
        source = self._picture_reader.source
        return source.quality if isinstance(source, EncodedVideo) else None

    def pictures(self) -> PacketReaderStatistics:
        return self._picture_reader.statistics()

    def sounds(self) -> PacketReaderStatistics:
        return self._sound_reader.statistics()

    def hear(self, sender: RTCRtpSender) -> None:
        """Heed what the page's receiver reports of the picture."""
        hear_reports(sender, self)

    def open(self, now: float) -> None:
        """The connection stands: begin."""
        self._open = True
        self._follow(now)

    def want(self, *, video: bool, audio: bool, height: int | None) -> None:
        """See `MediaConnection.want`."""
        self._video, self._audio = video, audio
        now = self._clock.now()
        self._choice.want(height, now=now)
        self._follow(now)

    def tick(self, now: float) -> None:
        """Time has passed: another quality may be due."""
        self._follow(now)

    def close(self) -> None:
        """Leave what was followed; for good."""
        self._open = False
        self._picture_reader.close()
        self._sound_reader.close()

    # What the receiver reports ---------------------------------------------------------------

    def picture_lost(self) -> None:
        """A key frame is due, as soon as the encoder's limit allows."""
        source = self._picture_reader.source
        if isinstance(source, EncodedVideo):
            source.request_key_frame()

    def estimated(self, bitrate: int) -> None:
        """The page can receive so many bits a second."""
        now = self._clock.now()
        source = self._picture_reader.source
        sent = source.rate if isinstance(source, EncodedVideo) else None
        self._choice.report(now=now, bandwidth=bitrate, sent=sent)
        self._picture_reader.bandwidth = self._choice.limit
        self._follow(now)

    def lost(self, fraction: float) -> None:
        """That part of the packets was lost of late."""
        now = self._clock.now()
        self._choice.report(now=now, loss=fraction)
        self._follow(now)

    def _follow(self, now: float) -> None:
        if not self._open:
            return
        self._sound_reader.follow(self._sound if self._audio else None)
        if self._video and self._codec is not None:
            quality = self._choice.choose(now)
            self._picture_reader.follow(self._encoded.encoded(self._codec, quality))
        else:
            self._picture_reader.follow(None)
