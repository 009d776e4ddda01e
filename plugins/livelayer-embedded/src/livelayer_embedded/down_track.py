"""A track as one subscriber receives it: a continuous stream, whichever layer feeds it."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from livekit.protocol.models import VideoQuality

from . import rtp
from .aiortc_private import nack, sender_report
from .sdp import DEPENDENCY_EXTENSION
from .svc import DependencyDescriptor, SpatialFilter
from .up_track import WORD, Layer, UpTrack

_head = struct.Struct("!BBHII")


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
    """One subscriber's stream of a track: one SSRC, continuous numbers, whatever layer feeds it.

    `payload_types` maps those of the publisher to those of the subscriber.
    """

    def __init__(
        self,
        up_track: UpTrack,
        ssrc: int,
        payload_types: dict[int, int],
        send_rtp: Callable[[bytes], None],
        send_rtcp: Callable[[bytes], None],
    ) -> None:
        self.up_track = up_track
        self.ssrc = ssrc
        self.unwrap = -1  # payload type of redundant audio that the subscriber cannot take
        self.loss: Loss | None = None
        self.wanted = max(len(up_track.rids), len(up_track.track.info.layers)) - 1
        self.disabled = False
        self.packets = 0
        self.octets = 0
        self._send_rtp = send_rtp
        self._send_rtcp = send_rtcp
        self._payload_types = payload_types
        self._rewrite = any(number != own for number, own in payload_types.items())
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

    @property
    def layer(self) -> Layer | None:
        """The layer that is being relayed."""
        return self._layer

    def start(self) -> None:
        """Start relaying, at the next key frame if it is video."""
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
        if packet[1] & 0x7F == self.unwrap:
            packet = rtp.without_redundancy(packet, self.up_track.codec.payload_type)
        if self._number_shift or self._time_shift or self._rewrite or self._filter is not None:
            number = (number + self._number_shift) & 0xFFFF
            timestamp = (timestamp + self._time_shift) & 0xFFFFFFFF
            if (number - self._segment_start) & 0xFFFF >= 0x8000:
                return
            out = (
                _head.pack(
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
                self._emit(packet, inner, WORD.unpack_from(packet, 2)[1], time.monotonic())
        if missing:
            self.up_track.send_rtcp(nack(layer.ssrc, missing))

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
