"""One media file that grows while a session runs, and can be played at every instant of that."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, final

import av
import msgspec
import numpy as np
from av.audio.resampler import AudioResampler
from av.container import OutputContainer
from av.video.frame import PictureType

from livelayer_bus import AudioFrame, VideoFrame
from livelayer_bus.media import Pixels

from .audio_timeline import NS_PER_SECOND, AudioTimeline, Gap, Stretch

MediaFormat: TypeAlias = Literal["mp4", "mkv"]

FORMATS: Final[tuple[MediaFormat, ...]] = ("mp4", "mkv")
VIDEO_TICKS: Final = 90_000  # a second
KEYFRAME_NS: Final = 500_000_000
"""From one key frame to the next: with the length of a fragment, what a crash may take."""
FRAGMENT_US: Final = 500_000
REPEAT_NS: Final = 300_000_000
"""A picture is written again when the next one takes longer: a crash loses no sound then."""
OPENING_NS: Final = 3 * NS_PER_SECOND
"""How long sound waits for the first picture, whose size is the file's."""
NO_PICTURE: Final = (640, 360)
"""The size when there is no picture by then."""
MAX_WAITING_AUDIO_NS: Final = 2 * OPENING_NS

_MUXER: Final[dict[MediaFormat, dict[str, str]]] = {
    "mp4": {
        # An ordinary MP4 once it is closed. Without `flush_packets` fragments wait in a buffer of
        # 256 KiB, which a process that is killed never writes.
        "movflags": "hybrid_fragmented+default_base_moof",
        "frag_duration": str(FRAGMENT_US),
        "flush_packets": "1",
    },
    "mkv": {"cluster_time_limit": str(FRAGMENT_US // 1000), "flush_packets": "1"},
}


class MediaOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How media is encoded."""

    format: MediaFormat = "mp4"
    """`mp4`: H.264 and AAC. `mkv`: VP8 and Opus."""
    video: bool = True
    audio: bool = True
    size: tuple[int, int] | None = None
    """Width and height of the file's picture; None: those of the first picture."""
    preset: str = "veryfast"
    """Of x264: what a second of CPU time buys in bytes."""
    quality: int = 23
    """The constant rate factor of x264, or of VP8: less is better."""
    threads: int = 1
    """Of the video encoder. One 720p30 picture a time fits into a part of one processor."""


class MediaCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What one media file holds so far."""

    seconds: float
    """How long it lasts."""
    pictures: int
    """Pictures of the session in it."""
    repeated: int
    """Pictures written again because no new one came."""
    late: int
    """Pictures left out: they were not newer than the one before them."""
    sizes: tuple[tuple[int, int], ...]
    """Width and height of the session's pictures, in the order of their first appearance."""
    gaps: tuple[Gap, ...]
    """Missing sound, which is silence in the file."""
    audio_left_out: float
    """Seconds of sound that there was no time for."""


@final
class MediaFile:
    """Writes pictures and sound of one session into one file, on one clock.

    Guarantee: a picture and a stretch of sound that were received at the same time are played at
    the same time, however many frames were lost, and whatever sizes and formats came. Timestamps
    come from `received_ns`, never from counting. Decoding timestamps grow. What is written can be
    played after a crash, all but about the last second.

    Used by one thread at a time. The file's first picture is black until the first one comes; a
    picture of another size or shape is fitted into it.
    """

    def __init__(self, path: Path, start_ns: int, options: MediaOptions) -> None:
        """Make a file that begins at `start_ns` of the clock of `received_ns`.

        It is created with the first picture, or `OPENING_NS` after the first sound.
        """
        self.path: Final = path
        self.start_ns: Final = start_ns
        self._options = options
        self._timeline = AudioTimeline(start_ns)
        self._container: OutputContainer | None = None
        self._file: _GrowingFile | None = None
        self._is_over = False  # closed, or it cannot be written any more
        self._was_opened = False
        self._video: Any = None
        self._audio: Any = None
        self._resampler: AudioResampler | None = None
        self._resampled: tuple[int, int] | None = None
        self._samples = 0
        self._waiting: list[Stretch] = []
        self._waiting_ns = 0
        self._first_audio_ns: int | None = None
        self._size = options.size or (0, 0)
        self._picture: Any = None  # the last one, as it was encoded
        self._pts = -1
        self._keyframe_ns = start_ns - KEYFRAME_NS
        self._pictures = self._repeated = self._late = 0
        self._sizes: list[tuple[int, int]] = []
        self._end_ns = start_ns

    @property
    def was_opened(self) -> bool:
        """Whether there is a file."""
        return self._was_opened

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the file's picture."""
        return self._size

    def counts(self) -> MediaCounts:
        return MediaCounts(
            seconds=max(0.0, (self._end_ns - self.start_ns) / NS_PER_SECOND),
            pictures=self._pictures,
            repeated=self._repeated,
            late=self._late,
            sizes=tuple(self._sizes),
            gaps=tuple(self._timeline.gaps),
            audio_left_out=self._timeline.left_out_ns / NS_PER_SECOND,
        )

    def add_picture(self, frame: VideoFrame) -> None:
        """Take one picture.

        Raises:
            OSError: the file cannot be written.
        """
        if self._is_over:
            return
        size = _upright_size(frame)
        if size not in self._sizes:
            self._sizes.append(size)
        with self._writing():
            if self._container is None:
                self._open(self._options.size or size, frame.received_ns)
            picture = _fitted(frame, self._size)
            if self._encode(picture, max(frame.received_ns, self.start_ns)):
                self._pictures += 1
            else:
                self._late += 1

    def add_sound(self, frame: AudioFrame) -> None:
        """Take one frame of sound.

        Raises:
            OSError: the file cannot be written.
        """
        if self._is_over:
            return
        if self._first_audio_ns is None:
            self._first_audio_ns = frame.received_ns
        with self._writing():
            self._write_sound(self._timeline.add(frame))

    def advance(self, now_ns: int) -> None:
        """Say that all frames received before `now_ns` were added: silence may be written.

        Raises:
            OSError: the file cannot be written.
        """
        if self._is_over:
            return
        with self._writing():
            if self._container is None:
                first_ns = self._first_audio_ns
                is_late = first_ns is not None and now_ns - first_ns > OPENING_NS
                if self._options.video and not is_late:
                    return
                self._open(self._options.size or NO_PICTURE)
            if self._options.audio:
                self._write_sound(self._timeline.advance(now_ns))
            if self._picture is not None and now_ns - self._end_of_video() > 2 * REPEAT_NS:
                self._repeated += self._encode(self._picture, now_ns - REPEAT_NS)

    def close(self, end_ns: int) -> None:
        """Write what is left, so that picture and sound end at `end_ns`, and close the file.

        Raises:
            OSError: the file cannot be written; what was written before can be played.
        """
        if self._is_over:
            return
        with self._writing():
            if self._container is None and self._first_audio_ns is not None:
                self._open(self._options.size or NO_PICTURE)
            if self._container is not None:
                self._finish(max(end_ns, self._end_of_video()))
        self._end()

    def _finish(self, end_ns: int) -> None:
        if self._picture is not None:
            # A picture lasts until the next one; the last one lasts as long as the one before.
            self._encode(self._picture, end_ns)
        if self._options.audio:
            self._write_sound(self._timeline.finish(end_ns))
            self._flush_resampler()
        for stream in (self._video, self._audio):
            if stream is not None:
                self._mux(stream.encode(None))
        self._end_ns = end_ns
        if self._container is not None:
            self._container.close()

    @contextmanager
    def _writing(self) -> Generator[None]:
        """Give the file up when it cannot be written: FFmpeg crashes if it goes on after that."""
        try:
            yield
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        self._is_over = True
        if self._file is not None:
            self._file.close()  # FFmpeg writes no more to a file that is closed
        self._container = None

    # Opening --------------------------------------------------------------------------------

    def _open(self, size: tuple[int, int], first_ns: int | None = None) -> None:
        options = self._options
        self._size = _even(size)
        # FFmpeg's own files hold Python's lock while they are opened, however long a disk takes.
        file = _GrowingFile(self.path)
        try:
            container = av.open(
                file,
                "w",
                format="matroska" if options.format == "mkv" else "mp4",
                options=_MUXER[options.format],
            )
            if options.video:
                self._video = self._video_stream(container)
            if options.audio:
                is_mp4 = options.format == "mp4"
                self._audio = container.add_stream(
                    "aac" if is_mp4 else "libopus", rate=48_000, layout="mono"
                )
                self._audio.bit_rate = 64_000  # a voice
        except BaseException:
            file.close()
            raise
        self._container, self._file, self._was_opened = container, file, True
        if self._video is not None and (first_ns is None or first_ns > self.start_ns):
            black = np.full(self._size[0] * self._size[1] * 3 // 2, 128, np.uint8)
            black[: self._size[0] * self._size[1]] = 16
            self._encode(_picture(black, *self._size), self.start_ns)
        waiting, self._waiting, self._waiting_ns = self._waiting, [], 0
        self._write_sound(waiting)

    def _video_stream(self, container: OutputContainer) -> Any:
        options = self._options
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
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, VIDEO_TICKS)
        stream.codec_context.time_base = Fraction(1, VIDEO_TICKS)
        stream.codec_context.gop_size = 10 * 30  # key frames are asked for by time
        stream.codec_context.thread_count = options.threads
        return stream

    # Pictures -------------------------------------------------------------------------------

    def _end_of_video(self) -> int:
        return self.start_ns + self._pts * NS_PER_SECOND // VIDEO_TICKS

    def _encode(self, picture: av.VideoFrame, at_ns: int) -> bool:
        """Encode `picture` at a time; False if another one has that time, or a later one."""
        pts = (at_ns - self.start_ns) * VIDEO_TICKS // NS_PER_SECOND
        if pts <= self._pts:
            return False
        self._picture, self._pts = picture, pts
        picture.pts, picture.time_base = pts, Fraction(1, VIDEO_TICKS)
        is_due = at_ns - self._keyframe_ns >= KEYFRAME_NS
        picture.pict_type = PictureType.I if is_due else PictureType.NONE
        if is_due:
            self._keyframe_ns = at_ns
        self._mux(self._video.encode(picture))
        self._end_ns = max(self._end_ns, at_ns)
        return True

    # Sound ----------------------------------------------------------------------------------

    def _write_sound(self, stretches: list[Stretch]) -> None:
        for stretch in stretches:
            if self._container is None:
                self._keep(stretch)
                continue
            samples = stretch.samples
            form = stretch.sample_rate, samples.shape[1]
            if form != self._resampled or self._resampler is None:
                self._flush_resampler()
                self._resampled = form
                self._resampler = AudioResampler(
                    format=_SAMPLES[self._options.format], layout="mono", rate=48_000
                )
            if samples.shape[1] > 2:
                samples = np.ascontiguousarray(samples[:, :2])
            layout = "mono" if samples.shape[1] == 1 else "stereo"
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples).reshape(1, -1), format="s16", layout=layout
            )
            frame.sample_rate = stretch.sample_rate
            self._encode_sound(self._resampler.resample(frame))
        self._end_ns = max(self._end_ns, self._timeline.end_ns)

    def _keep(self, stretch: Stretch) -> None:
        if self._waiting_ns < MAX_WAITING_AUDIO_NS:
            self._waiting.append(stretch)
            self._waiting_ns += stretch.duration_ns

    def _flush_resampler(self) -> None:
        if self._resampler is not None and self._container is not None:
            self._encode_sound(self._resampler.resample(None))
            self._resampler = None

    def _encode_sound(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            frame.pts, frame.time_base = self._samples, Fraction(1, 48_000)
            self._samples += frame.samples
            self._mux(self._audio.encode(frame))

    def _mux(self, packets: list[Any]) -> None:
        if self._container is not None:
            self._container.mux(packets)


@final
class _GrowingFile:
    """A file as FFmpeg writes one: what is handed to it is handed to the operating system."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self.seek = self._file.seek
        self.tell = self._file.tell
        self.close = self._file.close

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        return len(data)


_SAMPLES: Final[dict[MediaFormat, str]] = {"mp4": "fltp", "mkv": "s16"}


def _even(size: tuple[int, int]) -> tuple[int, int]:
    # Colour has half the resolution of light: encoders take even sizes only.
    return max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2)


def _upright_size(frame: VideoFrame) -> tuple[int, int]:
    turned = frame.rotation in (90, 270)
    return (frame.height, frame.width) if turned else (frame.width, frame.height)


def _picture(data: Pixels, width: int, height: int) -> av.VideoFrame:
    return av.VideoFrame.from_numpy_buffer(data.reshape(height * 3 // 2, width), format="yuv420p")


def _fitted(frame: VideoFrame, size: tuple[int, int]) -> av.VideoFrame:
    """The picture upright, in the middle of a black one of this size; shared if it is that size."""
    if not frame.rotation and (frame.width, frame.height) == size:
        return _picture(np.frombuffer(frame.data, np.uint8), *size)
    width, height = _upright_size(frame)
    planes = [_turned(plane, frame) for plane in _planes(frame)]
    even_width, even_height = _even((width, height))
    if min(width, height) < 2:
        planes = [
            np.full((2, 2) if not at else (1, 1), 16 if not at else 128, np.uint8)
            for at in range(3)
        ]
    luma = planes[0][:even_height, :even_width]
    chroma = [plane[: even_height // 2, : even_width // 2] for plane in planes[1:]]
    packed = np.concatenate([luma.ravel(), *(plane.ravel() for plane in chroma)])
    picture = _picture(packed, even_width, even_height)
    scale = min(size[0] / even_width, size[1] / even_height)
    inner = _even((round(even_width * scale), round(even_height * scale)))
    inner = min(inner[0], size[0]), min(inner[1], size[1])
    if inner != (even_width, even_height):
        picture = picture.reformat(width=inner[0], height=inner[1])
    if inner == size:
        return picture
    return _framed(picture, size)


def _framed(picture: av.VideoFrame, size: tuple[int, int]) -> av.VideoFrame:
    width, height = size
    canvas = np.full(width * height * 3 // 2, 128, np.uint8)
    luma = canvas[: width * height].reshape(height, width)
    luma[:] = 16
    quarter = width * height // 4
    blue = canvas[width * height : width * height + quarter].reshape(height // 2, width // 2)
    red = canvas[width * height + quarter :].reshape(height // 2, width // 2)
    left, top = (width - picture.width) // 4 * 2, (height - picture.height) // 4 * 2
    for at, (plane, target) in enumerate(zip(picture.planes, (luma, blue, red), strict=True)):
        half = 1 if at else 0
        rows, columns = picture.height >> half, picture.width >> half
        source = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        x, y = left >> half, top >> half
        target[y : y + rows, x : x + columns] = source[:rows, :columns]
    return _picture(canvas, width, height)


def _planes(frame: VideoFrame) -> list[Pixels]:
    chroma = (frame.height + 1) // 2, (frame.width + 1) // 2
    shapes = ((frame.height, frame.width), chroma, chroma)
    return [
        np.frombuffer(plane, np.uint8).reshape(shape)
        for plane, shape in zip(frame.planes, shapes, strict=True)
    ]


def _turned(plane: Pixels, frame: VideoFrame) -> Pixels:
    # `rot90` turns counter-clockwise.
    return np.rot90(plane, -(frame.rotation // 90))
