"""A session's media as OpenTelemetry metrics; who does not import this module pays nothing.

Nothing is hooked into the frame path: what the channels count anyway is read when an exporter
collects, in whatever thread it does.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias
from weakref import WeakKeyDictionary, ref

from .contract import ControlledSession
from .media import AudioChannel, Reading, Timing, VideoChannel

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


class _Instruments:
    """The instruments of one provider, for every session: OpenTelemetry cannot take any back."""

    def __init__(self, meter: metrics.Meter) -> None:
        self._sessions: dict[int, ref[ControlledSession]] = {}
        self._numbers = itertools.count()
        gauge, counter = meter.create_observable_gauge, meter.create_observable_counter
        # A measurement is named as the attribute of a channel or reader that has it.
        for make, unit, name, found, text in (
            (gauge, "s", "transit", self._channels, "From captured by the sender to received"),
            (gauge, "s", "latency", self._readers, "From received to delivered to the surface"),
            (gauge, "s", "hold", self._readers, "From delivered to the surface asking for more"),
            (counter, "{frame}", "received", self._channels, "Frames of the agent that came in"),
            (counter, "{frame}", "delivered", self._readers, "Frames that the surface took"),
            (counter, "{frame}", "dropped", self._readers, "Frames lost or left out by a surface"),
        ):
            callback = _observer(found, name)
            make(f"livelayer.media.{name}", [callback], unit=unit, description=text)

    def add(self, session: ControlledSession) -> Callable[[], None]:
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


def _observer(measured: Measured, name: str) -> Observe:
    def observe(_: metrics.CallbackOptions) -> Observations:
        for it, attributes in measured():
            value: Timing | int = getattr(it, name)
            if isinstance(value, int):
                yield metrics.Observation(value, attributes)
            elif value.measured:
                for quantile in ("p50", "p95", "max"):
                    seconds = getattr(value, f"{quantile}_ns") * NS
                    yield metrics.Observation(seconds, attributes | {"quantile": quantile})

    return observe


_by_provider: WeakKeyDictionary[metrics.MeterProvider, _Instruments] = WeakKeyDictionary()
_lock = threading.Lock()
