"""What one participant receives: one relayed stream a track, on the m-lines of a connection."""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field

from livekit.protocol import models, rtc

from . import sdp
from .aiortc_private import RtcpPacket, keyframe_targets, lost_packets
from .participant import Participant, Track
from .relay import DownTrack, Loss, UpTrack
from .transport import PeerTransport


@dataclass(eq=False)
class Section:
    """One subscription, and the media m-line that carries it; `mid` is empty until there is one.

    `codecs` and `extensions` are numbered as the m-line numbers them: the track's codec, and its
    redundant form if the client may take that.
    """

    down_track: DownTrack
    mid: str = ""
    codecs: list[sdp.Codec] = field(default_factory=list)
    extensions: dict[str, int] = field(default_factory=dict)
    live: bool = True
    answered: bool = False  # an answer to the client holds it
    started: bool = False
    decodable: bool = True  # as far as the client's offers say

    @property
    def track(self) -> Track:
        """The track that is received."""
        return self.down_track.up_track.track

    @property
    def kind(self) -> str:
        """audio or video."""
        return self.down_track.up_track.kind

    def render(self, lines: list[str]) -> list[str]:
        """The m-line as the server describes it."""
        section = sdp.media_section(self.kind, self.mid, self.codecs, "sendonly", lines)
        stream = f"{self.track.publisher.sid}|{self.track.sid}"
        section += sdp.extmap_lines(self.extensions, self.extensions)
        section.append(f"a=msid:{stream} {self.track.sid}")
        section.append(f"a=ssrc:{self.down_track.ssrc} cname:{stream}")
        section.append(f"a=ssrc:{self.down_track.ssrc} msid:{stream} {self.track.sid}")
        return section

    def as_sent(self, codec: sdp.Codec) -> sdp.Codec:
        """The codec as the side that sends this track describes it."""
        if self.kind != "audio":
            return codec
        stereo = models.AudioTrackFeature.TF_STEREO in self.track.info.audio_features
        parameters = ("sprop-stereo=1",) if stereo else ()
        return sdp.with_parameters(codec, *parameters, without=("stereo",))

    def payload_types(self) -> dict[int, int]:
        """The publisher's payload types and those that stand for them here."""
        up_track = self.down_track.up_track
        published = [codec for codec in (up_track.codec, up_track.red) if codec is not None]
        return {
            codec.payload_type: own.payload_type
            for codec, own in zip(published, self.codecs, strict=False)
        }

    def renumbered(self) -> dict[int, int]:
        """The publisher's header extension ids and those that stand for them here."""
        published = self.down_track.up_track.extensions
        return {published[uri]: number for uri, number in self.extensions.items()}


class Subscriber(ABC):
    """What one participant receives, whoever makes the offers of its connection."""

    def __init__(self, participant: Participant, transport: PeerTransport) -> None:
        self.participant = participant
        self.transport = transport
        self.by_track: dict[str, Section] = {}
        self._by_ssrc: dict[int, DownTrack] = {}
        self._scheduled: asyncio.Handle | None = None
        self.in_flight = False  # the client is to answer before the next request to it
        self.closed = False
        self.loss: Loss | None = None
        transport.on_rtcp.append(self._rtcp_received)

    @abstractmethod
    def _add(self, section: Section) -> None:
        """Find an m-line for a new subscription, if the server chooses it."""

    @abstractmethod
    def _request(self) -> None:
        """Begin a negotiation with the client."""

    def subscribe(self, up_track: UpTrack) -> None:
        """Offer a track; does nothing if it is offered already."""
        sid = up_track.track.sid
        if sid in self.by_track or self.closed:
            return
        ssrc = secrets.randbits(31) + 2
        down_track = DownTrack(up_track, ssrc, self.transport.send_rtp, self.transport.send_rtcp)
        down_track.loss = self.loss
        section = Section(down_track)
        self.by_track[sid] = section
        self._by_ssrc[ssrc] = down_track
        self._add(section)
        self.negotiate()

    def unsubscribe(self, track_sid: str) -> None:
        """Stop a track; does nothing if it is not offered."""
        section = self.by_track.pop(track_sid, None)
        if section is None:
            return
        section.live = False
        section.down_track.stop()
        self._by_ssrc.pop(section.down_track.ssrc, None)
        self.negotiate()

    def down_track(self, track_sid: str) -> DownTrack | None:
        """The stream of a subscribed track."""
        section = self.by_track.get(track_sid)
        return section.down_track if section is not None else None

    def negotiate(self) -> None:
        """Begin a negotiation in this turn of the loop, or after the one that is in flight."""
        if self._scheduled is None and not self.in_flight and not self.closed:
            self._scheduled = asyncio.get_running_loop().call_soon(self._begin)

    def renegotiate(self) -> None:
        """Begin again what was in flight and was lost with the old socket."""
        if self.in_flight:
            self.in_flight = False
            self.negotiate()

    def answered(self, answer: rtc.SessionDescription) -> None:
        """Apply the client's answer, if the server made an offer.

        Raises:
            ValueError: the answer is malformed.
        """
        del answer

    def carry(self, offered: Iterable[sdp.Media], lines: list[str]) -> dict[str, list[str]]:
        """The m-lines of the client's offer that carry tracks to it, by their mid."""
        del offered, lines
        return {}

    def answer_sent(self) -> None:  # noqa: B027  # one kind of connection needs it
        """The answer to the client's offer was sent."""

    def mid_to_track_id(self) -> dict[str, str]:
        """Which track an m-line of the next description carries."""
        return {section.mid: sid for sid, section in self.by_track.items() if section.mid}

    def refresh(self) -> None:
        """Let every stream choose its layer again."""
        for section in self.by_track.values():
            if section.started:
                section.down_track.refresh()

    def set_loss(self, loss: Loss | None) -> None:
        """Lose a share of the packets sent to this participant, from now on."""
        self.loss = loss
        for section in self.by_track.values():
            section.down_track.loss = loss

    def close(self) -> None:
        """Stop all streams."""
        self.closed = True
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        for section in self.by_track.values():
            section.down_track.stop()
        self.by_track.clear()
        self._by_ssrc.clear()

    def _begin(self) -> None:
        self._scheduled = None
        if not self.in_flight and not self.closed:
            self._request()

    def _start(
        self, section: Section, extensions: dict[int, int] | None, *, takes_red: bool
    ) -> None:
        section.started = True
        section.down_track.start(section.payload_types(), extensions, takes_red=takes_red)
        if not self.participant.hidden:
            section.track.notify_subscribed()

    def _rtcp_received(self, packet: RtcpPacket) -> None:
        for target in keyframe_targets(packet):
            if (down_track := self._by_ssrc.get(target)) is not None:
                down_track.request_keyframe()
        media, numbers = lost_packets(packet)
        if numbers and (down_track := self._by_ssrc.get(media)) is not None:
            down_track.resend(numbers)
