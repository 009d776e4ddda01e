"""A track's media: as its publisher sends it, and as each subscriber receives it."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from livekit.protocol.models import VideoQuality

from . import rtp
from .aiortc_private import MAX_NACK, ReceiverReport, nack, pli, sender_report
from .participant import CallLater, TimerHandle, Track
from .sdp import AUDIO_LEVEL_EXTENSION, DEPENDENCY_EXTENSION, Codec
from .svc import DependencyDescriptor, SpatialFilter

CACHE = 512  # packets a video layer keeps for lost ones to be sent again; a power of two
KEYFRAME_INTERVAL = 0.3  # seconds between two requests to one publisher's layer
SILENCE = 127  # dB below full scale
SPEAKING = 35  # dB below full scale; audio of this level or louder may be speech
PAUSE = 0.125  # seconds between two packets; a publisher sends nothing while it is silent
SPEECH = 0.2  # seconds of loud audio between two calls of `take_level()` that count as speech
LAYER_SILENT = 2.0  # seconds without a packet after which a simulcast layer counts as off

_HEAD = struct.Struct("!BBHII")  # an RTP header up to the SSRC
_WORD = struct.Struct("!HII")  # sequence number, timestamp, SSRC: bytes 2 to 11


class Layer:
    """One incoming RTP stream: a track's only one, or one of its simulcast layers."""

    def __init__(self, up_track: UpTrack, ssrc: int, rid: str) -> None:
        self.up_track = up_track
        self.ssrc = ssrc
        self.rid = rid
        self.last_packet = 0.0
        self.packets = 0
        self._first = self._highest = -1
        self._reported = (0, 0)
        self._cache: list[tuple[int, bytes]] = []
        if up_track.kind == "video":
            self._cache = [(-1, b"")] * CACHE
        self._report_middle = 0
        self._report_arrival = 0.0
        self._asked = 0.0
        self._retry: TimerHandle | None = None

    def received(self, packet: bytes, now: float) -> None:
        """Receive a packet and pass it to the track's subscribers."""
        number, timestamp, _ = _WORD.unpack_from(packet, 2)
        self.last_packet = now
        self.packets += 1
        if self._highest < 0:
            self._first = self._highest = number
            self.up_track.layer_woke()
        else:
            ahead = (number - self._highest) & 0xFFFF
            if ahead < 0x8000:
                self._highest += ahead
        if self._cache:
            self._cache[number & (CACHE - 1)] = (number, packet)
        for receiver in self.up_track.receivers:
            receiver.forward(self, packet, number, timestamp, now)

    def cached(self, number: int) -> bytes | None:
        """A recent packet, or None if it is not cached."""
        if not self._cache:
            return None
        held, packet = self._cache[number & (CACHE - 1)]
        return packet if held == number else None

    def live(self, now: float) -> bool:
        """Whether a packet arrived within `LAYER_SILENT` seconds."""
        return self.packets > 0 and now - self.last_packet < LAYER_SILENT

    def sender_reported(self, ntp: int, timestamp: int) -> None:
        """Receive a sender report of the publisher."""
        self._report_middle = ntp >> 16 & 0xFFFFFFFF
        self._report_arrival = time.monotonic()
        for receiver in self.up_track.receivers:
            receiver.sender_reported(self, ntp, timestamp)

    def report(self, now: float) -> ReceiverReport | None:
        """This layer's block for the next receiver report."""
        if self._highest < 0:
            return None
        expected = self._highest - self._first + 1
        before_expected, before_got = self._reported
        self._reported = (expected, self.packets)
        new, got = expected - before_expected, self.packets - before_got
        fraction = max(0, min(255, (new - got) * 256 // new)) if new > 0 else 0
        delay = int((now - self._report_arrival) * 65536) if self._report_middle else 0
        return ReceiverReport(
            ssrc=self.ssrc,
            fraction_lost=fraction,
            packets_lost=max(0, min(expected - self.packets, 0x7FFFFF)),
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=0,  # not measured
            lsr=self._report_middle,
            dlsr=delay & 0xFFFFFFFF,
        )

    def request_keyframe(self) -> None:
        """Request a key frame from the publisher, at most one per `KEYFRAME_INTERVAL`."""
        now = time.monotonic()
        wait = self._asked + KEYFRAME_INTERVAL - now
        if wait > 0:
            if self._retry is None:
                self._retry = self.up_track.call_later(wait, self._ask_again)
            return
        self._asked = now
        self.up_track.send_rtcp(pli(self.ssrc))

    def _ask_again(self) -> None:
        self._retry = None
        self.request_keyframe()

    def close(self) -> None:
        """Forget the timer and the packets."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._cache = []


class UpTrack:
    """A published track's media: its layers, and who gets them.

    `rids` and `layers` are in the order of their quality, lowest first.
    """

    def __init__(
        self,
        track: Track,
        codec: Codec,
        red: Codec | None,
        kind: str,
        mid: str,
        rids: list[str],
        extensions: dict[str, int],
        send_rtcp: Callable[[bytes], None],
        call_later: CallLater,
    ) -> None:
        self.track = track
        self.codec = codec
        self.red = red  # audio that the publisher may send redundantly
        self.codec_name = codec.name.lower()
        self.kind = kind
        self.mid = mid
        self.rids = rids
        self.extensions = extensions
        self.send_rtcp = send_rtcp
        self.call_later = call_later
        self.layers: list[Layer] = []
        self.receivers: list[DownTrack] = []
        self.level_extension = extensions.get(AUDIO_LEVEL_EXTENSION, 0) if kind == "audio" else 0
        self._loudest = SILENCE
        self._loud = 0  # clock ticks
        self._pause = int(PAUSE * codec.clock_rate)
        self._heard_until = 0

    def add_layer(self, ssrc: int, rid: str) -> Layer:
        """Add a stream that belongs to this track."""
        layer = Layer(self, ssrc, rid)
        self.layers.append(layer)
        order = {name: index for index, name in enumerate(self.rids)}
        self.layers.sort(key=lambda item: order.get(item.rid, 0))
        return layer

    def observe_level(self, packet: bytes) -> None:
        """Record the level and the duration of an audio packet."""
        level = rtp.extension(packet, self.level_extension)
        if not level:
            return
        timestamp = int.from_bytes(packet[4:8], "big")
        lasted = (timestamp - self._heard_until) & 0xFFFFFFFF
        self._heard_until = timestamp
        loudness = level[0] & 127
        if loudness <= SPEAKING:
            if loudness < self._loudest:
                self._loudest = loudness
            if lasted < self._pause:
                self._loud += lasted

    def take_level(self) -> int:
        """The loudest level since the last call, in dB below full scale; 127 is silence.

        Audio that was loud for less than `SPEECH` seconds counts as silence.
        """
        level = self._loudest if self._loud >= SPEECH * self.codec.clock_rate else SILENCE
        self._loudest, self._loud = SILENCE, 0
        return level

    def layer_woke(self) -> None:
        """Let subscribers choose again: a layer received its first packet."""
        for receiver in list(self.receivers):
            receiver.choose()

    def best_layer(self, wanted: int, now: float) -> Layer | None:
        """The live layer nearest to the wanted index from below, else from above."""
        live = [layer for layer in self.layers if layer.live(now)]
        if not live:
            return None
        order = self.rids
        below = [item for item in live if item.rid not in order or order.index(item.rid) <= wanted]
        return below[-1] if below else live[0]

    def close(self) -> None:
        """Release the layers; the room model notifies subscribers."""
        for layer in self.layers:
            layer.close()
        self.receivers.clear()


@dataclass
class Loss:
    """Simulated loss: a share of the outgoing packets, drawn from a seeded generator."""

    share: float
    random: random.Random
    dropped: int = 0

    def drops_next(self) -> bool:
        """Whether the next packet is dropped; counts it."""
        if self.random.random() < self.share:
            self.dropped += 1
            return True
        return False


class DownTrack:
    """One subscriber's stream of a track: one SSRC, continuous numbers, whatever layer feeds it."""

    def __init__(
        self,
        up_track: UpTrack,
        ssrc: int,
        send_rtp: Callable[[bytes], None],
        send_rtcp: Callable[[bytes], None],
    ) -> None:
        self.up_track = up_track
        self.ssrc = ssrc
        self.loss: Loss | None = None
        self.wanted = max(len(up_track.rids), len(up_track.track.info.layers)) - 1
        self.disabled = False
        self.packets = 0
        self.octets = 0
        self._send_rtp = send_rtp
        self._send_rtcp = send_rtcp
        self._payload_types: dict[int, int] = {}
        self._rewrite = False
        self._extensions: dict[int, int] | None = None
        self._unwrap = -1  # payload type of redundant audio that the subscriber cannot take
        self._ssrc_bytes = ssrc.to_bytes(4, "big")
        self._layer: Layer | None = None
        self._target: Layer | None = None
        self._number_shift = 0
        self._time_shift = 0
        self._segment_start = 0
        self._last_number = -1
        self._last_time = 0
        self._last_sent = 0.0
        number_of = up_track.extensions.get(DEPENDENCY_EXTENSION)
        scalable = up_track.codec_name in ("vp9", "av1") and not up_track.rids and self.wanted > 0
        self._filter: SpatialFilter | None = None
        if scalable and number_of is not None:
            self._filter = SpatialFilter(DependencyDescriptor(number_of), self.wanted)

    def start(
        self,
        payload_types: dict[int, int],
        extensions: dict[int, int] | None = None,
        *,
        takes_red: bool = True,
    ) -> None:
        """Start relaying, at the next key frame if it is video.

        Args:
            payload_types: those of the publisher, and what they are for the subscriber.
            extensions: the same of header extensions, the others removed; None to relay them all.
            takes_red: whether redundant audio may be relayed as such.
        """
        self._payload_types = payload_types
        self._rewrite = any(number != own for number, own in payload_types.items())
        self._extensions = extensions
        if not takes_red and self.up_track.red is not None:
            self._unwrap = self.up_track.red.payload_type
        self.up_track.receivers.append(self)
        self.choose()

    def stop(self) -> None:
        """Stop relaying."""
        if self in self.up_track.receivers:
            self.up_track.receivers.remove(self)

    def set_preferences(
        self, *, disabled: bool, quality: VideoQuality, width: int, height: int
    ) -> None:
        """Apply what the subscriber asks for: a pause, a quality, or a size in pixels to fill."""
        if self.disabled and not disabled:
            self._layer = None
        self.disabled = disabled or quality == VideoQuality.OFF
        top = max(0, len(self.up_track.rids) - 1, len(self.up_track.track.info.layers) - 1)
        self.wanted = min(top, int(quality))
        if width and height:
            sizes = sorted((item.width, item.height) for item in self.up_track.track.info.layers)
            fitting = [i for i, (w, h) in enumerate(sizes) if w >= width and h >= height]
            self.wanted = min(top, fitting[0] if fitting else top)
        if self._filter is not None:
            self._filter.wanted = self.wanted
        self.refresh()

    def choose(self) -> None:
        """Aim at the best layer that is being sent; switch at its next key frame."""
        if self.disabled:
            return
        target = self.up_track.best_layer(self.wanted, time.monotonic())
        if target is None or (target is self._target and target is self._layer):
            return
        self._target = target
        if target is self._layer:
            return
        if self.up_track.kind == "video":
            target.request_keyframe()

    def refresh(self) -> None:
        """Choose again, and ask again for the key frame that is still awaited."""
        self.choose()
        target = self._target
        if target is None or self.disabled or self.up_track.kind != "video":
            return
        awaited = target is not self._layer or (
            self._filter is not None and self._filter.needs_keyframe
        )
        if awaited and target.live(time.monotonic()):
            target.request_keyframe()

    def forward(self, layer: Layer, packet: bytes, number: int, timestamp: int, now: float) -> None:
        """Relay one packet if its layer is the chosen one."""
        if self.disabled:
            return
        if layer is not self._layer:
            if layer is not self._target or not self._may_switch(packet):
                return
            self._switch(layer, number, timestamp, now)
        if self._filter is None:
            self._emit(packet, number, timestamp, now)
            return
        admitted = self._filter.admit(packet, number)
        if admitted is not None:
            number, last = admitted
            if last and not packet[1] & 0x80:
                packet = packet[:1] + bytes((packet[1] | 0x80,)) + packet[2:]
            self._emit(packet, number, timestamp, now)

    def _may_switch(self, packet: bytes) -> bool:
        return self.up_track.kind == "audio" or rtp.starts_keyframe(
            self.up_track.codec_name, packet
        )

    def _switch(self, layer: Layer, number: int, timestamp: int, now: float) -> None:
        self._layer = layer
        if self._last_number >= 0:
            elapsed = int((now - self._last_sent) * self.up_track.codec.clock_rate)
            follow = (self._last_time + max(1, elapsed)) & 0xFFFFFFFF
            self._number_shift = (self._last_number + 1 - number) & 0xFFFF
            self._time_shift = (follow - timestamp) & 0xFFFFFFFF
        self._segment_start = (number + self._number_shift) & 0xFFFF

    def _emit(self, packet: bytes, number: int, timestamp: int, now: float) -> None:
        if packet[1] & 0x7F == self._unwrap:
            packet = rtp.without_redundancy(packet, self.up_track.codec.payload_type)
        if self._extensions is not None and packet[0] & 16:
            packet = rtp.with_extensions(packet, self._extensions)
        if self._number_shift or self._time_shift or self._rewrite or self._filter is not None:
            number = (number + self._number_shift) & 0xFFFF
            timestamp = (timestamp + self._time_shift) & 0xFFFFFFFF
            if (number - self._segment_start) & 0xFFFF >= 0x8000:
                return
            out = (
                _HEAD.pack(
                    packet[0],
                    packet[1] & 0x80 | self._payload_types.get(packet[1] & 0x7F, 0),
                    number,
                    timestamp,
                    self.ssrc,
                )
                + packet[12:]
            )
        else:
            out = packet[:8] + self._ssrc_bytes + packet[12:]
        if self._last_number < 0 or (number - self._last_number) & 0xFFFF < 0x8000:
            self._last_number, self._last_time, self._last_sent = number, timestamp, now
        self.packets += 1
        self.octets += len(packet)
        if self.loss is None or not self.loss.drops_next():
            self._send_rtp(out)

    def resend(self, numbers: list[int]) -> None:
        """Send lost packets again; request those that are not cached from the publisher."""
        layer = self._layer
        if layer is None:
            return
        missing: list[int] = []
        for number in numbers:
            if (number - self._segment_start) & 0xFFFF >= 0x8000:
                continue
            inner = (number - self._number_shift) & 0xFFFF
            original = inner if self._filter is None else self._filter.original(inner)
            if original is None:
                continue
            packet = layer.cached(original)
            if packet is None:
                missing.append(original)
            else:
                self._emit(packet, inner, _WORD.unpack_from(packet, 2)[1], time.monotonic())
        for first in range(0, len(missing), MAX_NACK):
            self.up_track.send_rtcp(nack(layer.ssrc, missing[first : first + MAX_NACK]))

    def sender_reported(self, layer: Layer, ntp: int, timestamp: int) -> None:
        """Relay a sender report."""
        if layer is self._layer and self.packets:
            self._send_rtcp(
                sender_report(
                    self.ssrc, ntp, timestamp + self._time_shift, self.packets, self.octets
                )
            )

    def request_keyframe(self) -> None:
        """Request a key frame for the subscriber."""
        layer = self._layer or self._target
        if layer is not None:
            layer.request_keyframe()
