"""The offline voice: real espeak-ng, from the wheel."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from livekit.plugins.livelayer.face import AUDIO_RATE, VISEMES_KEY
from livelayer_demo import DemoDependencyError, speech
from livelayer_demo.errors import SpeechFailedError
from livelayer_demo.offline import frames_of, sentences
from livelayer_demo.speech import Voice


def energy(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, dtype=np.int16).astype(np.float64)
    return float(np.sqrt(np.mean(samples * samples)))


def test_a_sentence_becomes_audible_speech_with_a_mouth() -> None:
    said = Voice().speak("Hello, I am your guide.")
    assert said.sample_rate == 22_050
    assert 1.0 < said.duration < 4.0
    assert energy(said.pcm) > 500
    assert len(said.visemes) > 8
    times = [viseme.at for viseme in said.visemes]
    assert times == sorted(times)
    assert times[0] >= 0.0
    assert times[-1] <= said.duration + 0.01
    assert max(viseme.shape.openness for viseme in said.visemes) > 0.5


@pytest.mark.parametrize("text", ["", "   ", "\0", "☃", "<b>&amp;"])
def test_odd_texts_are_spoken_or_silent_but_never_fail(text: str) -> None:
    assert Voice().speak(text).duration < 5.0


def test_a_very_long_text_is_cut() -> None:
    assert Voice().speak("word " * 10_000).duration < 200


def test_threads_do_not_mix_their_speech() -> None:
    voice, other = Voice(), Voice("en-us+m3", pitch=30)
    alone = [len(item.speak("One, two, three, four.").pcm) for item in (voice, other)]
    with ThreadPoolExecutor(4) as threads:
        together = list(
            threads.map(
                lambda item: len(item.speak("One, two, three, four.").pcm), [voice, other] * 10
            )
        )
    assert together == pytest.approx(alone * 10, rel=0.05)


def test_an_unknown_voice_is_a_typed_error() -> None:
    with pytest.raises(SpeechFailedError, match="choosing the voice"):
        Voice("no-such-voice")


def test_a_missing_wheel_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    speech._load.cache_clear()
    with pytest.raises(DemoDependencyError, match=r"pip install --force-reinstall livelayer-demo"):
        Voice()
    speech._load.cache_clear()


def test_frames_keep_the_length_and_every_viseme() -> None:
    said = Voice().speak("A surface is anything that shows a session.")
    frames = frames_of(said)
    assert {frame.sample_rate for frame in frames} == {AUDIO_RATE}
    assert sum(frame.duration for frame in frames) == pytest.approx(said.duration, abs=0.05)
    assert sum(len(frame.userdata[VISEMES_KEY]) for frame in frames) == len(said.visemes)


async def told(*chunks: str) -> AsyncGenerator[str, None]:
    for chunk in chunks:
        yield chunk


@pytest.mark.anyio
async def test_each_sentence_is_given_before_the_next_chunk_is_asked_for() -> None:
    asked: list[str] = []

    async def slow() -> AsyncGenerator[str, None]:
        for chunk in ("One. Two.", " Three"):
            asked.append(chunk)
            yield chunk

    stream = sentences(slow())
    assert [await anext(stream), await anext(stream)] == ["One.", "Two."]
    assert asked == ["One. Two."]
    assert [rest async for rest in stream] == ["Three"]


@pytest.mark.anyio
async def test_sentences_are_put_together_from_pieces() -> None:
    pieces = told("He", "llo", " you", ". Is it 3", ".5? ", "", "  ", "Yes")
    assert [item async for item in sentences(pieces)] == ["Hello you.", "Is it 3.5?", "Yes"]
