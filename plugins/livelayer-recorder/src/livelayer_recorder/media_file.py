"""One media file that grows while a session runs, and can be played at every instant of that."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, final

import av
import msgspec
from av.container import OutputContainer

from livelayer_bus import AudioFrame, VideoFrame

from .audio_timeline import NS_PER_SECOND, Gap
from .pictures import even, upright_size
from .tracks import SOURCES, MediaFormat, MediaOptions, PictureTrack, SoundTrack, Source

FRAGMENT_US: Final = 500_000
OPENING_NS: Final = 3 * NS_PER_SECOND
"""How long sound waits for the first picture, whose size is the file's."""
NO_PICTURE: Final = (640, 360)
"""The size when there is no picture by then."""
NOTHING_YET: Final[Mapping[Source, int]] = {}

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


class MediaCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What one media file holds so far."""

    seconds: float
    """How long it lasts."""
    pictures: int
    """Pictures of the agent in it."""
    repeated: int
    """Pictures written again because no new one came."""
    late: int
    """Pictures left out: they were not newer than the one before them."""
    sizes: tuple[tuple[int, int], ...]
    """Width and height of the agent's pictures, in the order of their first appearance."""
    gaps: tuple[Gap, ...]
    """Missing sound of the agent, which is silence in the file."""
    audio_left_out: float
    """Seconds of its sound that there was no time for."""


@final
class MediaFile:
    """Writes pictures and sound of one session into one file, on one clock.

    Guarantee: a picture and a stretch of sound that were received at the same time are played at
    the same time, however many frames were lost, and whatever sizes and formats came. Timestamps
    come from `received_ns`, never from counting; where the sender says when it captured pictures,
    they are as far apart as that. Decoding timestamps grow. What is written can be played after a
    crash, all but about the last second.

    Used by one thread at a time. A track's first picture is black until the first one comes; a
    picture of another size or shape is fitted into it. The agent's tracks come first, and all of
    them are there from the beginning.
    """

    def __init__(self, path: Path, start_ns: int, options: MediaOptions) -> None:
        """Make a file that begins at `start_ns` of the clock of `received_ns`.

        It is created with the agent's first picture, or `OPENING_NS` after the first sound.
        """
        self.path: Final = path
        self.start_ns: Final = start_ns
        self._options = options
        self._container: OutputContainer | None = None
        self._file: _GrowingFile | None = None
        self._is_over = False  # closed, or it cannot be written any more
        self._was_opened = False
        self._pictures: dict[Source, PictureTrack] = {
            source: PictureTrack(start_ns, options, source, self._mux)
            for source in options.picture_sources
        }
        self._sounds: dict[Source, SoundTrack] = {
            source: SoundTrack(start_ns, options, source, self._mux)
            for source in options.sound_sources
        }
        self._first_ns: int | None = None  # of anything
        self._sizes: list[tuple[int, int]] = []
        self._end_ns = start_ns

    @property
    def was_opened(self) -> bool:
        """Whether there is a file."""
        return self._was_opened

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the file's pictures."""
        return next((track.size for track in self._pictures.values()), (0, 0))

    def counts(self) -> MediaCounts:
        picture, sound = self._pictures.get("agent"), self._sounds.get("agent")
        return MediaCounts(
            seconds=max(0.0, (self._end_ns - self.start_ns) / NS_PER_SECOND),
            pictures=picture.pictures if picture else 0,
            repeated=picture.repeated if picture else 0,
            late=picture.late if picture else 0,
            sizes=tuple(self._sizes),
            gaps=tuple(sound.timeline.gaps) if sound else (),
            audio_left_out=sound.timeline.left_out_ns / NS_PER_SECOND if sound else 0.0,
        )

    def add_picture(self, frame: VideoFrame, source: Source = "agent") -> None:
        """Take one picture.

        Raises:
            OSError: the file cannot be written.
        """
        track = self._pictures.get(source)
        if self._is_over or track is None:
            return
        size = upright_size(frame)
        if source == "agent" and size not in self._sizes:
            self._sizes.append(size)
        with self._writing():
            if self._container is None:
                if source != "agent" and "agent" in self._pictures:
                    self._first_ns = self._first_ns or frame.received_ns
                    return  # the agent's picture decides the size, for a while
                self._open(self._options.size or size, {source: frame.received_ns})
            track.add(frame)
            self._end_ns = max(self._end_ns, track.end_ns)

    def add_sound(self, frame: AudioFrame, source: Source = "agent") -> None:
        """Take one frame of sound.

        Raises:
            OSError: the file cannot be written.
        """
        track = self._sounds.get(source)
        if self._is_over or track is None:
            return
        if self._first_ns is None:
            self._first_ns = frame.received_ns
        with self._writing():
            track.add(frame)
            self._end_ns = max(self._end_ns, track.timeline.end_ns)

    def blank(self, source: Source, at_ns: int) -> None:
        """Show black from a time on: there is no picture any more.

        Raises:
            OSError: the file cannot be written.
        """
        track = self._pictures.get(source)
        if track is not None and not self._is_over:
            with self._writing():
                track.blank(at_ns)

    def advance(self, now_ns: int) -> None:
        """Say that all frames received before `now_ns` were added: silence may be written.

        Raises:
            OSError: the file cannot be written.
        """
        if self._is_over:
            return
        with self._writing():
            if self._container is None:
                is_late = self._first_ns is not None and now_ns - self._first_ns > OPENING_NS
                if self._pictures and not is_late:
                    return
                self._open(self._options.size or NO_PICTURE)
            for sound in self._sounds.values():
                sound.advance(now_ns)
                self._end_ns = max(self._end_ns, sound.timeline.end_ns)
            for picture in self._pictures.values():
                picture.advance(now_ns)
                self._end_ns = max(self._end_ns, picture.end_ns)

    def close(self, end_ns: int) -> None:
        """Write what is left, so that picture and sound end at `end_ns`, and close the file.

        Raises:
            OSError: the file cannot be written; what was written before can be played.
        """
        if self._is_over:
            return
        with self._writing():
            if self._container is None and self._first_ns is not None:
                self._open(self._options.size or NO_PICTURE)
            if self._container is not None:
                self._finish(max([end_ns, *(one.end_ns for one in self._pictures.values())]))
        self._end()

    def _finish(self, end_ns: int) -> None:
        for picture in self._pictures.values():
            picture.finish(end_ns)
        for sound in self._sounds.values():
            sound.finish(end_ns)
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

    def _open(self, size: tuple[int, int], first_ns: Mapping[Source, int] = NOTHING_YET) -> None:
        options = self._options
        # FFmpeg's own files hold Python's lock while they are opened, however long a disk takes.
        file = _GrowingFile(self.path)
        try:
            container = av.open(
                file,
                "w",
                format="matroska" if options.format == "mkv" else "mp4",
                options=_MUXER[options.format],
            )
            for source in SOURCES:
                if (picture := self._pictures.get(source)) is not None:
                    picture.open(container, even(size))
                if (sound := self._sounds.get(source)) is not None:
                    sound.open(container)
        except BaseException:
            file.close()
            raise
        self._container, self._file, self._was_opened = container, file, True
        for name, picture in self._pictures.items():
            picture.begin(first_ns.get(name))
        for sound in self._sounds.values():
            sound.begin()

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
