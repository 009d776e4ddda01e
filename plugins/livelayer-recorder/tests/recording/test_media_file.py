"""The media file: one clock for picture and sound, whatever is lost, late, or of another size."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import pytest
from livelayer_recorder.capture_clock import CaptureClock
from livelayer_recorder.media_file import MediaFile
from livelayer_recorder.media_reader import agents
from livelayer_recorder.tracks import MediaFormat, MediaOptions

from livelayer_bus import AudioFrame, VideoFrame

from .media_kit import (
    MS,
    SECOND,
    START_NS,
    beeps,
    decoding_times,
    durations,
    flashes,
    frames,
    picture,
    sound,
)

SYNC = 0.040  # seconds that a beep and its flash may be apart
FPS = 10
Course = list[tuple[int, VideoFrame | AudioFrame]]


def write(
    path: Path,
    course: Course,
    end_ns: int,
    options: MediaOptions | None = None,
    own: Course | None = None,
) -> MediaFile:
    """Write what was received, in its order, as an encoder does that looks ten times a second.

    Args:
        path: the file.
        course: the agent's pictures and sound.
        end_ns: when it ends.
        options: how it is encoded.
        own: the session's own camera and microphone.
    """
    media = MediaFile(path, START_NS, options or MediaOptions())
    looked = START_NS
    both: list[tuple[int, VideoFrame | AudioFrame, bool]] = [
        *((at_ns, frame, False) for at_ns, frame in course),
        *((at_ns, frame, True) for at_ns, frame in own or []),
    ]
    for at_ns, frame, is_own in sorted(both, key=lambda one: one[0]):
        while at_ns - looked > 100 * MS:
            looked += 100 * MS
            media.advance(looked)
        if isinstance(frame, VideoFrame):
            media.add_picture(frame, "camera" if is_own else "agent")
        else:
            media.add_sound(frame, "microphone" if is_own else "agent")
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


@pytest.mark.parametrize("form", ["mp4", "mkv"])
def test_a_person_s_own_tracks_are_in_step_with_the_agent_s(
    tmp_path: Path, form: MediaFormat
) -> None:
    options = MediaOptions(format=form, microphone=True, camera=True)
    path = tmp_path / f"media.{form}"
    course = flash_and_beep(0, 8)
    # The person speaks and is seen for three seconds, in another format.
    own = flash_and_beep(3, 6, size=(48, 64), rate=16_000)
    write(path, course, START_NS + 8 * SECOND, options, own)
    assert_in_step(path, list(range(8)))
    for found in (flashes(path, 1), beeps(path, 1)):
        assert [round(at, 1) for at in found] == [3, 4, 5]
    with av.open(str(path)) as container:
        kinds = [stream.type for stream in container.streams]
        assert kinds == ["video", "audio", "audio", "video"]
        assert [one.type for one in agents(container, "video") + agents(container, "audio")] == [
            "video", "audio",
        ]  # fmt: skip
        assert [stream.index for stream in agents(container, "audio")] == [1]
    ends = durations(path)
    assert abs(ends["video"] - ends["audio"]) < 0.1


def test_a_camera_that_is_turned_off_is_black(tmp_path: Path) -> None:
    path = tmp_path / "media.mp4"
    media = MediaFile(path, START_NS, MediaOptions(video=False, audio=False, camera=True))
    media.add_picture(picture(START_NS, bright=True), "camera")
    media.blank("camera", START_NS + SECOND)
    media.add_picture(picture(START_NS + 2 * SECOND, bright=True), "camera")
    media.close(START_NS + 3 * SECOND)
    assert [round(at, 1) for at in flashes(path)] == [0, 2]


def test_pictures_are_as_far_apart_as_they_were_captured(tmp_path: Path) -> None:
    dice = random.Random(14)
    day_us = 86_400_000_000  # the sender's clock is another one
    course: Course = []
    for number in range(60):
        captured_ns = number * SECOND // 30
        at_ns = START_NS + captured_ns + (0 if number == 20 else dice.randrange(5, 30)) * MS
        shown = picture(at_ns, capture_us=day_us + captured_ns // 1000)
        course.append((at_ns, shown))
    path = tmp_path / "media.mp4"
    media = write(path, course, START_NS + 2 * SECOND)
    assert media.counts().late == 0
    times = [float(frame.time) for frame in frames(path, "video")]
    # From the fastest one on, its way is known.
    steps = [after - before for before, after in pairwise(times[22:-2])]
    assert len(steps) > 30
    assert all(abs(step - 1 / 30) < 0.001 for step in steps)


def test_capture_times_that_mean_nothing_are_not_followed() -> None:
    clock = CaptureClock()
    still = [clock.time_of(picture(START_NS + at * MS, capture_us=7)) for at in (0, 33, 66)]
    assert still == [START_NS, START_NS + 33 * MS, START_NS + 66 * MS]
    # A sender that sleeps for a minute, and one that begins anew.
    for at, capture_us in ((100, 1_000_000), (60_100, 1_033_000), (60_133, 5_000)):
        received_ns = START_NS + at * MS
        assert clock.time_of(picture(received_ns, capture_us=capture_us)) == received_ns
    assert clock.time_of(picture(START_NS)) == START_NS


def test_a_session_without_media_has_no_file(tmp_path: Path) -> None:
    media = MediaFile(tmp_path / "media.mp4", START_NS, MediaOptions())
    media.advance(START_NS + 60 * SECOND)
    media.close(START_NS + 60 * SECOND)
    assert not media.was_opened
    assert not list(tmp_path.iterdir())
