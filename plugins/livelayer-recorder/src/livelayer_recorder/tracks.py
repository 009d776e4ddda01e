"""The tracks of a media file: each has its own encoder, and all have one clock."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final, Literal, TypeAlias, final

import av
import msgspec
import numpy as np
from av.audio.resampler import AudioResampler
from av.container import OutputContainer
from av.video.frame import PictureType

from livelayer_bus import AudioFrame, VideoFrame

from .audio_timeline import NS_PER_SECOND, AudioTimeline, Stretch
from .capture_clock import CaptureClock
from .pictures import black, fitted

MediaFormat: TypeAlias = Literal["mp4", "mkv"]

FORMATS: Final[tuple[MediaFormat, ...]] = ("mp4", "mkv")
Source: TypeAlias = Literal["agent", "microphone", "camera"]
SOURCES: Final[tuple[Source, ...]] = ("agent", "microphone", "camera")
"""Whose tracks there are, in the order of the file."""
VIDEO_TICKS: Final = 90_000  # a second
AUDIO_RATE: Final = 48_000
VOICE_BITS: Final = 64_000  # a second
KEYFRAME_NS: Final = 500_000_000
"""From one key frame to the next: with the length of a fragment, what a crash may take."""
REPEAT_NS: Final = 300_000_000
"""A picture is written again when the next one takes longer: a crash loses no sound then."""
MAX_WAITING_NS: Final = 6 * NS_PER_SECOND
"""How much sound is kept until there is a file."""

Mux: TypeAlias = Callable[[list[Any]], None]

_SAMPLES: Final[dict[MediaFormat, str]] = {"mp4": "fltp", "mkv": "s16"}


class MediaOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How media is encoded."""

    format: MediaFormat = "mp4"
    """`mp4`: H.264 and AAC. `mkv`: VP8 and Opus."""
    video: bool = True
    audio: bool = True
    microphone: bool = False
    camera: bool = False
    size: tuple[int, int] | None = None
    """Width and height of the file's picture; None: those of the first picture."""
    preset: str = "veryfast"
    """Of x264: what a second of CPU time buys in bytes."""
    quality: int = 23
    """The constant rate factor of x264, or of VP8: less is better."""
    threads: int = 1
    """Of the video encoder. One 720p30 picture a time fits into a part of one processor."""

    @property
    def picture_sources(self) -> tuple[Source, ...]:
        """Whose pictures are recorded."""
        wanted = {"agent": self.video, "camera": self.camera}
        return tuple(source for source in SOURCES if wanted.get(source))

    @property
    def sound_sources(self) -> tuple[Source, ...]:
        """Whose sound is recorded."""
        wanted = {"agent": self.audio, "microphone": self.microphone}
        return tuple(source for source in SOURCES if wanted.get(source))


@final
class SoundTrack:
    """One course of sound without a gap: what is missing is silence."""

    def __init__(self, start_ns: int, options: MediaOptions, name: str, mux: Mux) -> None:
        """Make a track that is not in a file yet; it keeps some seconds for that."""
        self.timeline: Final = AudioTimeline(start_ns)
        self.first_ns: int | None = None
        """When the first frame of it was received."""
        self._options = options
        self._name = name
        self._mux = mux
        self._stream: Any = None
        self._resampler: AudioResampler | None = None
        self._resampled: tuple[int, int] | None = None
        self._samples = 0
        self._waiting: list[Stretch] = []
        self._waiting_ns = 0

    def add(self, frame: AudioFrame) -> None:
        """Take a frame."""
        if self.first_ns is None:
            self.first_ns = frame.received_ns
        self._write(self.timeline.add(frame))

    def advance(self, now_ns: int) -> None:
        """Write what is due, silence included."""
        self._write(self.timeline.advance(now_ns))

    def open(self, container: OutputContainer) -> None:
        """Add it to a file; `begin` writes what was kept."""
        is_mp4 = self._options.format == "mp4"
        codec = "aac" if is_mp4 else "libopus"
        stream: Any = container.add_stream(codec, rate=AUDIO_RATE, layout="mono")
        stream.bit_rate = VOICE_BITS
        name_stream(stream, self._name)
        self._stream = stream

    def begin(self) -> None:
        """Write what was kept before there was a file."""
        waiting, self._waiting, self._waiting_ns = self._waiting, [], 0
        self._write(waiting)

    def finish(self, end_ns: int) -> None:
        """Write what is left, and silence until `end_ns`."""
        self._write(self.timeline.finish(end_ns))
        self._flush_resampler()
        self._mux(self._stream.encode(None))

    def _write(self, stretches: list[Stretch]) -> None:
        for stretch in stretches:
            if self._stream is None:
                if self._waiting_ns < MAX_WAITING_NS:
                    self._waiting.append(stretch)
                    self._waiting_ns += stretch.duration_ns
                continue
            samples = stretch.samples
            form = stretch.sample_rate, samples.shape[1]
            if self._resampler is None or form != self._resampled:
                self._flush_resampler()
                self._resampled = form
                self._resampler = AudioResampler(
                    format=_SAMPLES[self._options.format], layout="mono", rate=AUDIO_RATE
                )
            if samples.shape[1] > 2:
                samples = np.ascontiguousarray(samples[:, :2])
            layout = "mono" if samples.shape[1] == 1 else "stereo"
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples).reshape(1, -1), format="s16", layout=layout
            )
            frame.sample_rate = stretch.sample_rate
            self._encode(self._resampler.resample(frame))

    def _flush_resampler(self) -> None:
        if self._resampler is not None:
            self._encode(self._resampler.resample(None))
            self._resampler = None

    def _encode(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            frame.pts, frame.time_base = self._samples, Fraction(1, AUDIO_RATE)
            self._samples += frame.samples
            self._mux(self._stream.encode(frame))


@final
class PictureTrack:
    """Pictures at their times, fitted into one size; black before the first one."""

    def __init__(self, start_ns: int, options: MediaOptions, name: str, mux: Mux) -> None:
        """Make a track that is not in a file yet."""
        self.size = (0, 0)
        """Width and height in the file."""
        self.end_ns = start_ns
        """When the last picture begins."""
        self.pictures = self.repeated = self.late = 0
        """Pictures of the session, written again, and left out because they are not newer."""
        self._start_ns = start_ns
        self._options = options
        self._name = name
        self._mux = mux
        self._clock = CaptureClock()
        self._stream: Any = None
        self._picture: Any = None  # the last one, as it was encoded
        self._pts = -1
        self._keyframe_ns = start_ns - KEYFRAME_NS

    def open(self, container: OutputContainer, size: tuple[int, int]) -> None:
        """Add it to a file."""
        options = self._options
        self.size = size
        stream: Any
        if options.format == "mp4":
            codec = {
                "preset": options.preset,
                "crf": str(options.quality),
                "tune": "zerolatency",  # keeps no picture back, which a crash would take
                "bf": "0",
                "forced-idr": "1",
            }
            stream = container.add_stream("libx264", rate=30, options=codec)
        else:
            codec = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
            codec |= {"crf": str(options.quality), "auto-alt-ref": "0"}
            stream = container.add_stream("libvpx", rate=30, options=codec)
            stream.bit_rate = 2_000_000
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, VIDEO_TICKS)
        stream.codec_context.time_base = Fraction(1, VIDEO_TICKS)
        stream.codec_context.gop_size = 10 * 30  # key frames are asked for by time
        stream.codec_context.thread_count = options.threads
        name_stream(stream, self._name)
        self._stream = stream

    def begin(self, first_ns: int | None) -> None:
        """Be black until the first picture, which comes at `first_ns`; None: nobody knows."""
        if first_ns is None or first_ns > self._start_ns:
            self._encode(black(self.size), self._start_ns)

    def add(self, frame: VideoFrame) -> None:
        """Take a picture."""
        at_ns = self._clock.time_of(frame)
        if self._encode(fitted(frame, self.size), max(at_ns, self._start_ns)):
            self.pictures += 1
        else:
            self.late += 1

    def blank(self, at_ns: int) -> None:
        """Be black from a time on: its source ended."""
        if self._picture is not None:
            self._encode(black(self.size), at_ns)

    def advance(self, now_ns: int) -> None:
        """Write the last picture again if it is old."""
        if self._picture is not None and now_ns - self.end_ns > 2 * REPEAT_NS:
            self.repeated += self._encode(self._picture, now_ns - REPEAT_NS)

    def finish(self, end_ns: int) -> None:
        """Write what is left."""
        if self._picture is not None:
            # A picture lasts until the next one; the last one lasts as long as the one before.
            self._encode(self._picture, end_ns)
        self._mux(self._stream.encode(None))

    def _encode(self, picture: av.VideoFrame, at_ns: int) -> bool:
        """Encode `picture` at a time; False if another one has that time, or a later one."""
        pts = (at_ns - self._start_ns) * VIDEO_TICKS // NS_PER_SECOND
        if pts <= self._pts:
            return False
        self._picture, self._pts = picture, pts
        self.end_ns = self._start_ns + pts * NS_PER_SECOND // VIDEO_TICKS
        picture.pts, picture.time_base = pts, Fraction(1, VIDEO_TICKS)
        is_due = at_ns - self._keyframe_ns >= KEYFRAME_NS
        picture.pict_type = PictureType.I if is_due else PictureType.NONE
        if is_due:
            self._keyframe_ns = at_ns
        self._mux(self._stream.encode(picture))
        return True


def name_stream(stream: Any, name: str) -> None:
    """Say whose track it is, in a player's list: MP4 and Matroska keep that in different places."""
    stream.metadata["handler_name"] = stream.metadata["title"] = name
