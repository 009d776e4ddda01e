"""The recorder counts gaps, copies and ages exactly, also where the frames' numbers wrap around."""

from __future__ import annotations

from livelayer_benchmarks.signals.frame_recorder import SIZE, Recorder
from livelayer_benchmarks.signals.stamped_video import Painter

WIDTH, HEIGHT = 64, 48


class Screen:
    """Shows painted frames to a recorder's readers."""

    def __init__(self, readers: int, first: int = 0) -> None:
        self.recorder = Recorder(readers)
        self.painter = Painter(WIDTH, HEIGHT)
        self.painter.number = first - 1

    def show(self, *readers: int, copies: bool = False, received_ns: int = 0) -> None:
        painted = self.painter.paint()
        for reader in readers:
            frame = bytearray(painted) if copies else painted
            self.recorder.on_frame(reader, frame, memoryview(frame), WIDTH, HEIGHT, 0, received_ns)


def test_nothing_is_dropped_where_every_reader_got_every_frame() -> None:
    screen = Screen(2)
    screen.show(0, 1)
    first = screen.recorder.start()
    for _ in range(5):
        screen.show(0, 1)

    seen = screen.recorder.result(first, screen.recorder.newest())

    assert (seen.sent, seen.dropped, seen.damaged) == (5, 0, 0)
    assert (seen.width, seen.height) == (WIDTH, HEIGHT)
    assert 0 < seen.p50 <= seen.p95 <= seen.p99


def test_the_surface_with_the_most_gaps_counts() -> None:
    screen = Screen(3)
    screen.show(0, 1, 2)
    first = screen.recorder.start()
    for readers in ((0, 1, 2), (0, 2), (0, 2), (0, 1), (0, 1, 2)):
        screen.show(*readers)

    assert screen.recorder.result(first, screen.recorder.newest()).dropped == 2


def test_numbers_that_wrap_around_are_not_a_gap() -> None:
    screen = Screen(1, first=SIZE - 2)
    screen.show(0)
    first = screen.recorder.start()
    for _ in range(4):
        screen.show(0)

    seen = screen.recorder.result(first, screen.recorder.newest())

    assert (seen.sent, seen.dropped) == (4, 0)


def test_one_object_for_all_is_no_copy_and_one_each_is_a_copy_for_each_further() -> None:
    shared, copied = Screen(4), Screen(4)
    for _ in range(3):
        shared.show(0, 1, 2, 3)
        copied.show(0, 1, 2, 3, copies=True)

    assert shared.recorder.result(0, 2).copied == 0
    assert copied.recorder.result(0, 2).copied == WIDTH * HEIGHT * 3 // 2


def test_what_a_channel_adds_is_known_only_where_one_is() -> None:
    bare, channel = Screen(1), Screen(1)
    bare.show(0)
    channel.show(0, received_ns=1)

    assert bare.recorder.result(0, 1).added is None
    assert channel.recorder.result(0, 1).added is not None


def test_a_damaged_frame_is_counted() -> None:
    screen = Screen(1)
    black = memoryview(bytes(WIDTH * HEIGHT * 3 // 2))
    screen.recorder.on_frame(0, black, black, WIDTH, HEIGHT, 0, 0)

    assert screen.recorder.result(0, 1).damaged == 1
