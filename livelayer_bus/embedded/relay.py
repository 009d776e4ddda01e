"""Relays media without decoding it: a track's layers in, one stream a subscriber out."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from livekit.protocol.models import VideoQuality

from livelayer_bus.embedded import rtp
from livelayer_bus.embedded.participant import Track
from livelayer_bus.embedded.room import Timer
from livelayer_bus.embedded.sdp import AUDIO_LEVEL_EXTENSION, Codec

CACHE = 512  # packets a video layer keeps for lost ones to be sent again; a power of two
KEYFRAME_INTERVAL = 0.3  # seconds between two requests to one publisher's layer
SILENCE = 127  # dB below full scale
LAYER_SILENT = 2.0  # seconds without a packet after which a simulcast layer counts as off

_word = struct.Struct("!HII")
_head = struct.Struct("!BBHII")


@dataclass
class Loss:
    """Loss on purpose: a share of the packets that go out, drawn from a seeded generator."""

    share: float
    random: random.Random
    dropped: int = 0

    def strikes(self) -> bool:
        """Whether the next packet is to be lost."""
        if self.random.random() < self.share:
            self.dropped += 1
            return True
        return False


class Layer:
    """One incoming RTP stream: a track's only one, or one of its simulcast layers."""

    def __init__(self, source: Source, ssrc: int, rid: str) -> None:
        self.source = source
        self.ssrc = ssrc
        self.rid = rid
        self.last_packet = 0.0
        self.packets = 0
        self._first = self._highest = -1
        self._reported = (0, 0)
        self._cache: list[tuple[int, bytes]] = []
        if source.kind == "video":
            self._cache = [(-1, b"")] * CACHE
        self._report_middle = 0
        self._report_arrival = 0.0
        self._asked = 0.0
        self._retry: Timer | None = None

    def received(self, packet: bytes, now: float) -> None:
        """Take a packet in and pass it to the track's subscribers."""
        number, timestamp, _ = _word.unpack_from(packet, 2)
        self.last_packet = now
        self.packets += 1
        if self._highest < 0:
            self._first = self._highest = number
            self.source.layer_woke()
        else:
            ahead = (number - self._highest) & 0xFFFF
            if ahead < 0x8000:
                self._highest += ahead
        if self._cache:
            self._cache[number & (CACHE - 1)] = (number, packet)
        for sink in self.source.sinks:
            sink.forward(self, packet, number, timestamp, now)

    def cached(self, number: int) -> bytes | None:
        """A packet that came a moment ago."""
        if not self._cache:
            return None
        held, packet = self._cache[number & (CACHE - 1)]
        return packet if held == number else None

    def live(self, now: float) -> bool:
        """Whether packets have come lately."""
        return self.packets > 0 and now - self.last_packet < LAYER_SILENT

    def sender_reported(self, ntp: int, timestamp: int) -> None:
        """The publisher said which wall-clock time a timestamp has."""
        self._report_middle = ntp >> 16 & 0xFFFFFFFF
        self._report_arrival = time.monotonic()
        for sink in self.source.sinks:
            sink.sender_reported(self, ntp, timestamp)

    def report(self, now: float) -> bytes | None:
        """This layer's block for the next receiver report."""
        if self._highest < 0:
            return None
        expected = self._highest - self._first + 1
        before_expected, before_got = self._reported
        self._reported = (expected, self.packets)
        new, got = expected - before_expected, self.packets - before_got
        fraction = max(0, min(255, (new - got) * 256 // new)) if new > 0 else 0
        delay = int((now - self._report_arrival) * 65536) if self._report_middle else 0
        return rtp.report_block(
            self.ssrc,
            fraction,
            expected - self.packets,
            self._highest,
            self._report_middle,
            delay,
        )

    def request_keyframe(self) -> None:
        """Ask the publisher for a key frame; asked too soon again, it is asked a little later."""
        now = time.monotonic()
        wait = self._asked + KEYFRAME_INTERVAL - now
        if wait > 0:
            if self._retry is None:
                self._retry = self.source.call_later(wait, self._ask_again)
            return
        self._asked = now
        self.source.send_rtcp(rtp.pli(self.ssrc))

    def _ask_again(self) -> None:
        self._retry = None
        self.request_keyframe()

    def close(self) -> None:
        """Forget the timer and the packets."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._cache = []


class Source:
    """A published track's media: its layers, lowest quality first, and who gets them."""

    def __init__(
        self,
        track: Track,
        codec: Codec,
        kind: str,
        mid: str,
        rids: list[str],
        extensions: dict[str, int],
        send_rtcp: Callable[[bytes], None],
        call_later: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        self.track = track
        self.codec = codec
        self.codec_name = codec.name.lower()
        self.kind = kind
        self.mid = mid
        self.rids = rids
        self.extensions = extensions
        self.send_rtcp = send_rtcp
        self.call_later = call_later
        self.layers: list[Layer] = []
        self.sinks: list[Sink] = []
        self.level_extension = extensions.get(AUDIO_LEVEL_EXTENSION, 0) if kind == "audio" else 0
        self._loudest = SILENCE

    def add_layer(self, ssrc: int, rid: str) -> Layer:
        """Take note of a stream that belongs to this track."""
        layer = Layer(self, ssrc, rid)
        self.layers.append(layer)
        order = {name: index for index, name in enumerate(reversed(self.rids))}
        self.layers.sort(key=lambda item: order.get(item.rid, 0))
        return layer

    def hear(self, packet: bytes) -> None:
        """Take note of how loud an audio packet says it is."""
        level = rtp.extension(packet, self.level_extension)
        if level:
            self._loudest = min(self._loudest, level[0] & 127)

    def take_level(self) -> int:
        """The loudest level since the last call, in dB below full scale; 127 is silence."""
        level, self._loudest = self._loudest, SILENCE
        return level

    def layer_woke(self) -> None:
        """A layer has its first packet: subscribers may want it."""
        for sink in list(self.sinks):
            sink.choose()

    def best_layer(self, wanted: int, now: float) -> Layer | None:
        """The live layer nearest to the wanted index from below, else from above."""
        live = [layer for layer in self.layers if layer.live(now)]
        if not live:
            return None
        order = list(reversed(self.rids))
        below = [item for item in live if item.rid not in order or order.index(item.rid) <= wanted]
        return below[-1] if below else live[0]

    def close(self) -> None:
        """Release the layers; subscribers are told through the model."""
        for layer in self.layers:
            layer.close()
        self.sinks.clear()


class Sink:
    """One subscriber's stream of a track: one SSRC, continuous numbers, whatever layer feeds it."""

    def __init__(
        self,
        source: Source,
        ssrc: int,
        payload_type: int,
        send_rtp: Callable[[bytes], None],
        send_rtcp: Callable[[bytes], None],
    ) -> None:
        self.source = source
        self.ssrc = ssrc
        self.payload_type = payload_type
        self.loss: Loss | None = None
        self.wanted = len(source.rids) - 1
        self.disabled = False
        self.packets = 0
        self.octets = 0
        self._send_rtp = send_rtp
        self._send_rtcp = send_rtcp
        self._rewrite = payload_type != source.codec.payload_type
        self._ssrc_bytes = ssrc.to_bytes(4, "big")
        self._layer: Layer | None = None
        self._target: Layer | None = None
        self._number_shift = 0
        self._time_shift = 0
        self._segment_start = 0
        self._last_number = -1
        self._last_time = 0
        self._last_sent = 0.0

    @property
    def layer(self) -> Layer | None:
        """The layer that is being relayed."""
        return self._layer

    def start(self) -> None:
        """Begin to relay, at the next key frame if it is video."""
        self.source.sinks.append(self)
        self.choose()

    def stop(self) -> None:
        """Relay no more."""
        if self in self.source.sinks:
            self.source.sinks.remove(self)

    def settle(self, *, disabled: bool, quality: VideoQuality, width: int, height: int) -> None:
        """Take the subscriber's wishes: pause, or a quality, or a size in pixels to fill."""
        if self.disabled and not disabled:
            self._layer = None
        self.disabled = disabled or quality == VideoQuality.OFF
        top = max(0, len(self.source.rids) - 1)
        self.wanted = min(top, int(quality))
        if width and height:
            sizes = sorted((item.width, item.height) for item in self.source.track.info.layers)
            fitting = [i for i, (w, h) in enumerate(sizes) if w >= width and h >= height]
            self.wanted = min(top, fitting[0] if fitting else top)
        self.choose()

    def choose(self) -> None:
        """Aim at the best layer that is being sent; switch at its next key frame."""
        if self.disabled:
            return
        target = self.source.best_layer(self.wanted, time.monotonic())
        if target is None or (target is self._target and target is self._layer):
            return
        self._target = target
        if target is self._layer:
            return
        if self.source.kind == "video":
            target.request_keyframe()

    def refresh(self) -> None:
        """Choose again, and ask again for the key frame that is still awaited."""
        self.choose()
        if (
            self._target is not None
            and self._target is not self._layer
            and not self.disabled
            and self.source.kind == "video"
            and self._target.live(time.monotonic())
        ):
            self._target.request_keyframe()

    def forward(self, layer: Layer, packet: bytes, number: int, timestamp: int, now: float) -> None:
        """Relay one packet if its layer is the chosen one."""
        if self.disabled:
            return
        if layer is not self._layer:
            if layer is not self._target or not self._may_switch(packet):
                return
            self._switch(layer, number, timestamp, now)
        self._emit(packet, number, timestamp, now)

    def _may_switch(self, packet: bytes) -> bool:
        return self.source.kind == "audio" or rtp.starts_keyframe(self.source.codec_name, packet)

    def _switch(self, layer: Layer, number: int, timestamp: int, now: float) -> None:
        self._layer = layer
        if self._last_number >= 0:
            elapsed = int((now - self._last_sent) * self.source.codec.clock_rate)
            follow = (self._last_time + max(1, elapsed)) & 0xFFFFFFFF
            self._number_shift = (self._last_number + 1 - number) & 0xFFFF
            self._time_shift = (follow - timestamp) & 0xFFFFFFFF
        self._segment_start = (number + self._number_shift) & 0xFFFF

    def _emit(self, packet: bytes, number: int, timestamp: int, now: float) -> None:
        if self._number_shift or self._time_shift or self._rewrite:
            number = (number + self._number_shift) & 0xFFFF
            timestamp = (timestamp + self._time_shift) & 0xFFFFFFFF
            if (number - self._segment_start) & 0xFFFF >= 0x8000:
                return
            out = (
                _head.pack(
                    packet[0],
                    packet[1] & 0x80 | self.payload_type,
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
        if self.loss is None or not self.loss.strikes():
            self._send_rtp(out)

    def resend(self, numbers: list[int]) -> None:
        """Send lost packets again; those no longer at hand are asked of the publisher."""
        layer = self._layer
        if layer is None:
            return
        missing: list[int] = []
        now = time.monotonic()
        for number in numbers:
            if (number - self._segment_start) & 0xFFFF >= 0x8000:
                continue
            original = (number - self._number_shift) & 0xFFFF
            packet = layer.cached(original)
            if packet is None:
                missing.append(original)
            else:
                _, timestamp, _ = _word.unpack_from(packet, 2)
                self._emit(packet, original, timestamp, now)
        if missing:
            self.source.send_rtcp(rtp.nack(layer.ssrc, missing))

    def sender_reported(self, layer: Layer, ntp: int, timestamp: int) -> None:
        """Pass on which wall-clock time a timestamp has."""
        if layer is self._layer and self.packets:
            self._send_rtcp(
                rtp.sender_report(
                    self.ssrc, ntp, timestamp + self._time_shift, self.packets, self.octets
                )
            )

    def request_keyframe(self) -> None:
        """The subscriber lost the picture."""
        layer = self._layer or self._target
        if layer is not None:
            layer.request_keyframe()
