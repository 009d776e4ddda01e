"""A session's media as OpenTelemetry metrics; who does not import this module pays nothing.

Nothing is hooked into the frame path: what the channels count anyway is read when an exporter
collects, in whatever thread it does.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias, final
from weakref import WeakKeyDictionary, ref

from .contract import ControlledSession
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
Observe: TypeAlias = Callable[[metrics.CallbackOptions], Observations]
Attributes: TypeAlias = dict[str, str]
Measured: TypeAlias = Callable[[], Iterator[tuple[object, Attributes]]]


def instrument(
    session: ControlledSession, *, meter_provider: metrics.MeterProvider | None = None
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
        self._sessions: dict[int, ref[ControlledSession]] = {}
        self._numbers = itertools.count()
        # A measurement is named as the attribute of a channel or reader that has it.
        for name, found, text in (
            ("transit", self._channels, "From captured by the sender to received"),
            ("latency", self._readers, "From received to delivered to the surface"),
            ("hold", self._readers, "From delivered to the surface asking for the next frame"),
        ):
            meter.create_observable_gauge(
                f"livelayer.media.{name}", [_timings(found, name)], unit="s", description=text
            )
        for name, found, text in (
            ("received", self._channels, "Frames of the agent that came in"),
            ("delivered", self._readers, "Frames that the surface took"),
            ("dropped", self._readers, "Frames that the surface was too slow for, or left out"),
        ):
            meter.create_observable_counter(
                f"livelayer.media.{name}", [_counts(found, name)], unit="{frame}", description=text
            )

    def add(self, session: ControlledSession) -> Callable[[], None]:
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


def _counts(measured: Measured, name: str) -> Observe:
    return lambda _: [metrics.Observation(getattr(it, name), of) for it, of in measured()]


def _timings(measured: Measured, name: str) -> Observe:
    def observe(_: metrics.CallbackOptions) -> Observations:
        for it, attributes in measured():
            timing: Timing = getattr(it, name)
            quantiles = {"p50": timing.p50_ns, "p95": timing.p95_ns, "max": timing.max_ns}
            for quantile, value in quantiles.items() if timing.measured else ():
                yield metrics.Observation(value * NS, attributes | {"quantile": quantile})

    return observe


_by_provider: WeakKeyDictionary[metrics.MeterProvider, _Instruments] = WeakKeyDictionary()
_lock = threading.Lock()
