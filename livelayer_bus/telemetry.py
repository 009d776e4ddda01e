"""A session's media as OpenTelemetry metrics; who does not import this module pays nothing.

Nothing is hooked into the frame path: what the channels count anyway is read when an exporter
collects, in whatever thread it does.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol, TypeAlias, final
from weakref import WeakKeyDictionary, ref

from .media import AudioChannel, Timing, VideoChannel
from .media.statistics import Reading

try:
    from opentelemetry import metrics
except ImportError as exc:
    raise ImportError(
        "livelayer_bus.telemetry needs OpenTelemetry: install livelayer-bus[telemetry]"
    ) from exc

METER: Final = "livelayer_bus"
NS: Final = 1e-9  # seconds

Observations: TypeAlias = Iterable[metrics.Observation]
Attributes: TypeAlias = dict[str, str]


class Measurable(Protocol):
    """What `instrument` needs of a session; every `ControlledSession` has it."""

    @property
    def id(self) -> str: ...
    @property
    def video(self) -> VideoChannel: ...
    @property
    def audio(self) -> AudioChannel: ...


def instrument(
    session: Measurable, *, meter_provider: metrics.MeterProvider | None = None
) -> Callable[[], None]:
    """Measure `session`'s media until the returned function is called or the session is gone.

    Gauges in seconds, each with the attributes `session`, `media` ("video" or "audio") and
    `quantile` ("p50", "p95" or "max" of the newest 128 frames): `livelayer.media.transit` from
    captured to received, where the sender stamps its frames (it includes what the two clocks
    differ by); and for each reader, with its surface's key in `surface`,
    `livelayer.media.latency` from received to delivered and `livelayer.media.hold` from delivered
    to released. Counters: `livelayer.media.received`, and for each reader
    `livelayer.media.delivered` and `livelayer.media.dropped`.

    Args:
        session: what to measure.
        meter_provider: where the metrics go; OpenTelemetry's global provider if None.
    """
    provider = meter_provider or metrics.get_meter_provider()
    with _lock:
        instruments = _by_provider.get(provider)
        if instruments is None:
            instruments = _by_provider[provider] = _Instruments(provider.get_meter(METER))
    return instruments.add(session)


@final
class _Instruments:
    """The instruments of one provider, for every session: OpenTelemetry cannot take any back."""

    def __init__(self, meter: metrics.Meter) -> None:
        self._sessions: dict[int, ref[Measurable]] = {}
        self._numbers = itertools.count()
        for name, read, text in (
            ("transit", self._transit, "From captured by the sender to received"),
            ("latency", self._latency, "From received to delivered to the surface"),
            ("hold", self._hold, "From delivered to the surface asking for the next frame"),
        ):
            meter.create_observable_gauge(
                f"livelayer.media.{name}", [_observe(read)], unit="s", description=text
            )
        for name, read, text in (
            ("received", self._received, "Frames of the agent that came in"),
            ("delivered", self._delivered, "Frames that the surface took"),
            ("dropped", self._dropped, "Frames that the surface was too slow for, or left out"),
        ):
            meter.create_observable_counter(
                f"livelayer.media.{name}", [_observe(read)], unit="{frame}", description=text
            )

    def add(self, session: Measurable) -> Callable[[], None]:
        """Measure one more session; the returned function ends that."""
        number = next(self._numbers)
        self._sessions[number] = ref(session, lambda _: self._forget(number))
        return lambda: self._forget(number)

    def _forget(self, number: int) -> None:
        self._sessions.pop(number, None)

    def _channels(self) -> Iterator[tuple[VideoChannel | AudioChannel, Attributes]]:
        for reference in tuple(self._sessions.values()):
            session = reference()
            if session is not None:
                yield session.video, {"session": session.id, "media": "video"}
                yield session.audio, {"session": session.id, "media": "audio"}

    def _readers(self) -> Iterator[tuple[Reading, Attributes]]:
        for channel, attributes in self._channels():
            for reader in channel.readings():
                yield reader, attributes | {"surface": reader.label or ""}

    def _transit(self) -> Observations:
        for channel, attributes in self._channels():
            yield from _timing(channel.transit, attributes)

    def _latency(self) -> Observations:
        for reader, attributes in self._readers():
            yield from _timing(reader.latency, attributes)

    def _hold(self) -> Observations:
        for reader, attributes in self._readers():
            yield from _timing(reader.hold, attributes)

    def _received(self) -> Observations:
        return [metrics.Observation(channel.received, of) for channel, of in self._channels()]

    def _delivered(self) -> Observations:
        return [metrics.Observation(reader.delivered, of) for reader, of in self._readers()]

    def _dropped(self) -> Observations:
        return [metrics.Observation(reader.dropped, of) for reader, of in self._readers()]


def _observe(
    read: Callable[[], Observations],
) -> Callable[[metrics.CallbackOptions], Observations]:
    return lambda _: read()


def _timing(timing: Timing, attributes: Attributes) -> Observations:
    if timing.measured:
        quantiles = (("p50", timing.p50_ns), ("p95", timing.p95_ns), ("max", timing.max_ns))
        for quantile, value in quantiles:
            yield metrics.Observation(value * NS, attributes | {"quantile": quantile})


_by_provider: WeakKeyDictionary[metrics.MeterProvider, _Instruments] = WeakKeyDictionary()
_lock = threading.Lock()
