"""The media file: one clock for picture and sound, whatever is lost, late, or of another size."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from livelayer_recorder.media_file import MediaFile, MediaFormat, MediaOptions

from livelayer_bus import AudioFrame, VideoFrame

from .media_kit import (
    MS,
    SECOND,
    START_NS,
    beeps,
    decoding_times,
    durations,
    flashes,
    picture,
    sound,
)

SYNC = 0.040  # seconds that a beep and its flash may be apart
FPS = 10
Course = list[tuple[int, VideoFrame | AudioFrame]]


def write(
    path: Path, course: Course, end_ns: int, options: MediaOptions | None = None
) -> MediaFile:
    """Write what was received, in its order, as an encoder does that looks ten times a second."""
    media = MediaFile(path, START_NS, options or MediaOptions())
    looked = START_NS
    for at_ns, frame in sorted(course, key=lambda one: one[0]):
        while at_ns - looked > 100 * MS:
            looked += 100 * MS
            media.advance(looked)
        if isinstance(frame, VideoFrame):
            media.add_picture(frame)
        else:
            media.add_sound(frame)
    while end_ns - looked > 100 * MS:
        looked += 100 * MS
        media.advance(looked)
    media.close(end_ns)
    return media


def flash_and_beep(
    begin: int,
    end: int,
    *,
    lag_ns: Callable[[], int] = lambda: 0,
    size: tuple[int, int] = (64, 48),
    rotation: int = 0,
    rate: int = 48_000,
    channels: int = 1,
) -> Course:
    """From one second of the recording to another: 0.1 s bright and loud at each full second."""
    course: Course = []
    for number in range(begin * FPS, end * FPS):
        at_ns = START_NS + number * SECOND // FPS
        bright = number % FPS < 1
        shown = picture(at_ns, bright=bright, size=size, rotation=rotation)
        course.append((at_ns, shown))
    for number in range(begin * 100, end * 100):
        # A frame is whole ten milliseconds after it began, and comes a little later.
        at_ns = START_NS + (number + 1) * 10 * MS + lag_ns()
        heard = sound(at_ns, loud=number % 100 < 10, rate=rate, channels=channels)
        course.append((at_ns, heard))
    return course


def assert_in_step(path: Path, seconds: list[int]) -> None:
    shown, heard = flashes(path), beeps(path)
    assert len(shown) == len(heard) == len(seconds)
    for flash, beep, second in zip(shown, heard, seconds, strict=True):
        assert abs(flash - beep) <= SYNC
        assert abs(flash - second) <= SYNC


@pytest.mark.parametrize("form", ["mp4", "mkv"])
def test_a_beep_and_its_flash_are_in_step_over_gaps_sizes_and_formats(
    tmp_path: Path, form: MediaFormat
) -> None:
    dice = random.Random(14)

    def jitter() -> int:
        return dice.randrange(15) * MS

    course = [
        *flash_and_beep(1, 4, lag_ns=jitter),
        # The avatar is renewed: another size, then a turned phone, then another sample rate.
        *flash_and_beep(7, 10, lag_ns=jitter, size=(48, 64)),
        *flash_and_beep(11, 13, lag_ns=jitter, size=(48, 64), rotation=90),
        *flash_and_beep(14, 17, lag_ns=jitter, size=(95, 53), rate=24_000, channels=2),
    ]
    path = tmp_path / f"media.{form}"
    media = write(path, course, START_NS + 18 * SECOND, MediaOptions(format=form))
    assert_in_step(path, [1, 2, 3, 7, 8, 9, 11, 12, 14, 15, 16])
    ends = durations(path)
    assert abs(ends["video"] - ends["audio"]) < 0.1
    assert abs(ends["audio"] - 18) < 0.1
    for times in decoding_times(path).values():
        assert all(before < after for before, after in pairwise(times))
    counts = media.counts()
    assert counts.sizes == ((64, 48), (48, 64), (95, 53))
    assert [round(gap.start) for gap in counts.gaps] == [0, 4, 10, 13, 17]
    assert [round(gap.seconds) for gap in counts.gaps] == [1, 3, 1, 1, 1]
    assert counts.late == 0


def test_ten_minutes_with_renewals_and_a_reconnect_stay_in_step(tmp_path: Path) -> None:
    course = [
        *flash_and_beep(0, 150),
        *flash_and_beep(152, 300),
        *flash_and_beep(303, 420),
        *flash_and_beep(430, 520),
        *flash_and_beep(521, 600),
    ]
    path = tmp_path / "media.mp4"
    options = MediaOptions(preset="ultrafast")
    write(path, course, START_NS + 600 * SECOND, options)
    silent = {150, 151, 300, 301, 302, *range(420, 430), 520}
    assert_in_step(path, [second for second in range(600) if second not in silent])


def test_a_blocked_reader_is_not_a_gap(tmp_path: Path) -> None:
    course = flash_and_beep(0, 6)
    # The event loop stood still for 150 ms: what came meanwhile is received at once.
    begin, end = START_NS + 2 * SECOND + 400 * MS, START_NS + 2 * SECOND + 550 * MS
    late: Course = []
    for number in range(600):
        whole_ns = START_NS + (number + 1) * 10 * MS
        at_ns = end if begin < whole_ns < end else whole_ns
        heard = sound(at_ns, loud=number % 100 < 10)
        late.append((at_ns, heard))
    pictures = course[: 6 * FPS]
    path = tmp_path / "media.mp4"
    media = write(path, [*pictures, *late], START_NS + 6 * SECOND)
    assert media.counts().gaps == ()
    assert media.counts().audio_left_out == 0
    assert_in_step(path, list(range(6)))


def test_sound_without_a_picture_has_a_black_one(tmp_path: Path) -> None:
    course = flash_and_beep(0, 5)[5 * FPS :]
    path = tmp_path / "media.mp4"
    media = write(path, course, START_NS + 5 * SECOND)
    assert media.size == (640, 360)
    assert len(beeps(path)) == 5
    assert flashes(path) == []
    assert abs(durations(path)["video"] - durations(path)["audio"]) < 0.1


def test_a_picture_without_sound_has_silence(tmp_path: Path) -> None:
    course = flash_and_beep(0, 3)[: 3 * FPS]
    path = tmp_path / "media.mp4"
    write(path, course, START_NS + 3 * SECOND)
    assert beeps(path) == []
    assert len(flashes(path)) == 3
    assert abs(durations(path)["video"] - durations(path)["audio"]) < 0.1


def test_a_session_without_media_has_no_file(tmp_path: Path) -> None:
    media = MediaFile(tmp_path / "media.mp4", START_NS, MediaOptions())
    media.advance(START_NS + 60 * SECOND)
    media.close(START_NS + 60 * SECOND)
    assert not media.was_opened
    assert not list(tmp_path.iterdir())
