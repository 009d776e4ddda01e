"""Speech without a network: espeak-ng, from the wheel `espeakng-loader`, through ctypes."""

from __future__ import annotations

import ctypes
import importlib
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
from livekit.plugins.livelayer.face import Viseme, shape_of

from .errors import DemoDependencyError, SpeechFailedError

MAX_TEXT = 1_000
"""Characters that one call speaks; a longer text is cut, so that the call stays short."""

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples go to the callback, inside espeak_Synth
_PHONEME_EVENTS_IPA_NO_EXIT = 0x1 | 0x2 | 0x8000
_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_END_OF_EVENTS, _PHONEME = 0, 7
# The library keeps one voice, one callback and one buffer for the whole process.
_LOCK = threading.Lock()


class _EventId(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_SynthCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Speech(msgspec.Struct, frozen=True):
    """Spoken text: mono 16-bit little-endian samples, and their mouth shapes."""

    pcm: bytes
    sample_rate: int
    visemes: tuple[Viseme, ...]

    @property
    def duration(self) -> float:
        """Its length in seconds."""
        return len(self.pcm) / 2 / self.sample_rate


class Voice:
    """One voice of espeak-ng; any number of them share the library, one speaking at a time.

    `speak` blocks (about 1 ms a second of speech) and may be called from any thread.
    """

    def __init__(self, name: str = "en-us+f3", *, rate: int = 165, pitch: int = 58) -> None:
        """Load the library, once a process, and check that it has the voice.

        Args:
            name: A voice of espeak-ng, with a variant if wanted.
            rate: Words a minute.
            pitch: 0 to 100.

        Raises:
            DemoDependencyError: the wheel is missing or does not load here.
            SpeechFailedError: the library has no such voice.
        """
        self._name = name
        self._rate = rate
        self._pitch = pitch
        with _LOCK:
            self._library = _load()
            self._select()

    @property
    def sample_rate(self) -> int:
        """Samples a second of this voice."""
        return self._library.sample_rate

    def speak(self, text: str) -> Speech:
        """Return a text as speech; the first `MAX_TEXT` characters of it.

        Raises:
            SpeechFailedError: espeak-ng reported a failure.
        """
        with _LOCK:
            self._select()
            pcm, phonemes = self._library.synthesize(text[:MAX_TEXT])
        rate = self._library.sample_rate
        visemes = tuple(Viseme(sample / rate, shape_of(name)) for sample, name in phonemes)
        return Speech(pcm, rate, visemes)

    def _select(self) -> None:
        self._library.select(self._name, self._rate, self._pitch)


class _Library:
    """The loaded library; every method needs `_LOCK`, except the constant sample rate."""

    def __init__(self, library: ctypes.CDLL, data_path: str) -> None:
        self._lib = library
        self._pcm = bytearray()
        self._phonemes: list[tuple[int, str]] = []
        self._selected: tuple[str, int, int] | None = None
        # Kept alive: the library calls it.
        self._callback = _SynthCallback(self._collect)
        self.sample_rate: int = library.espeak_Initialize(
            _SYNCHRONOUS, 0, data_path.encode(), _PHONEME_EVENTS_IPA_NO_EXIT
        )
        if self.sample_rate <= 0:
            raise DemoDependencyError("espeakng-loader", "its voice data cannot be read")
        library.espeak_SetSynthCallback(self._callback)

    def select(self, name: str, rate: int, pitch: int) -> None:
        if self._selected == (name, rate, pitch):
            return
        self._check("choosing the voice", self._lib.espeak_SetVoiceByName(name.encode()))
        for parameter, value in ((_RATE, rate), (_PITCH, pitch), (_RANGE, 62)):
            self._check("tuning the voice", self._lib.espeak_SetParameter(parameter, value, 0))
        self._selected = (name, rate, pitch)

    def synthesize(self, text: str) -> tuple[bytes, list[tuple[int, str]]]:
        self._pcm.clear()
        self._phonemes = []
        # A NUL would end the C string early.
        data = text.replace("\0", " ").encode("utf-8", "replace")
        code = self._lib.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8, None, None)
        self._check("speaking", code)
        return bytes(self._pcm), self._phonemes

    def _collect(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._pcm += ctypes.string_at(samples, count * 2)
        index = 0
        while events[index].type != _END_OF_EVENTS:
            event = events[index]
            if event.type == _PHONEME:
                name = event.id.string.decode("utf-8", "ignore")
                self._phonemes.append((max(0, event.sample), name))
            index += 1
        return 0

    @staticmethod
    def _check(operation: str, code: int) -> None:
        if code != 0:
            raise SpeechFailedError(operation, code)


@lru_cache(maxsize=1)
def _load() -> _Library:
    """The library; needs `_LOCK`."""
    try:
        # Not a top-level import: with real models the demo works without it.
        loader: Any = importlib.import_module("espeakng_loader")
    except ImportError as exc:
        raise DemoDependencyError("espeakng-loader", "it is not installed") from exc
    library_path: Callable[[], str] = loader.get_library_path
    data_path: Callable[[], str] = loader.get_data_path
    try:
        return _Library(ctypes.CDLL(library_path()), data_path())
    except (OSError, RuntimeError) as exc:
        raise DemoDependencyError("espeakng-loader", "its library does not load here") from exc
