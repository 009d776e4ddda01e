"""Sound at another speed, at its own pitch."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final, final

import av
import av.error
import numpy as np
from av.filter import Graph

from livelayer_bus import AudioFrame

SLOWEST: Final = 0.5
FASTEST: Final = 4.0
"""Beyond these nobody understands what is said: there is no sound."""
RATE: Final = 48_000


@final
class Tempo:
    """Makes one course of sound, mono at 48 kHz, shorter or longer."""

    def __init__(self, speed: float) -> None:
        """`speed`: seconds of the sound in a second, from `SLOWEST` to `FASTEST`."""
        self._graph = Graph()
        source = self._graph.add_abuffer(
            format="s16", sample_rate=RATE, layout="mono", time_base=Fraction(1, RATE)
        )
        tempo = self._graph.add("atempo", str(speed))
        shape = self._graph.add("aformat", f"sample_fmts=s16:sample_rates={RATE}")
        sink = self._graph.add("abuffersink")
        source.link_to(tempo)
        tempo.link_to(shape)
        shape.link_to(sink)
        self._graph.configure()
        self._samples = 0

    def change(self, frame: AudioFrame) -> list[AudioFrame]:
        """Take a frame; return what can be heard by now."""
        given: Any = av.AudioFrame.from_ndarray(
            np.frombuffer(frame.data, np.int16).reshape(1, -1), format="s16", layout="mono"
        )
        given.sample_rate, given.time_base = RATE, Fraction(1, RATE)
        given.pts = self._samples
        self._samples += frame.samples_per_channel
        self._graph.push(given)
        heard: list[AudioFrame] = []
        while True:
            try:
                part: Any = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return heard
            heard.append(AudioFrame(part.to_ndarray().tobytes(), RATE, 1, part.samples))
