"""A track as its publisher sends it: its layers, their reports and their key frames."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Protocol

from . import rtp
from .aiortc_private import ReceiverReport, pli
from .participant import CallLater, TimerHandle, Track
from .sdp import AUDIO_LEVEL_EXTENSION, Codec

CACHE = 512  # packets a video layer keeps for lost ones to be sent again; a power of two
KEYFRAME_INTERVAL = 0.3  # seconds between two requests to one publisher's layer
SILENCE = 127  # dB below full scale
SPEAKING = 35  # dB below full scale; audio of this level or louder may be speech
PAUSE = 0.125  # seconds between two packets; a publisher sends nothing while it is silent
SPEECH = 0.2  # seconds of loud audio between two calls of `take_level()` that count as speech
LAYER_SILENT = 2.0  # seconds without a packet after which a simulcast layer counts as off

WORD = struct.Struct("!HII")  # sequence number, timestamp, SSRC: bytes 2 to 11


class Receiver(Protocol):
    """Where an up track's packets go: one subscriber's stream."""

    def choose(self) -> None:
        """Aim at the best layer that is being sent."""
        ...

    def forward(self, layer: Layer, packet: bytes, number: int, timestamp: int, now: float) -> None:
        """Take one packet of a layer."""
        ...

    def sender_reported(self, layer: Layer, ntp: int, timestamp: int) -> None:
        """Take a layer's wall-clock reference."""
        ...


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
        number, timestamp, _ = WORD.unpack_from(packet, 2)
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
        self.receivers: list[Receiver] = []
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
