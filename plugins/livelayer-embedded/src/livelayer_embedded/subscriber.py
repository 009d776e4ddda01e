"""What one participant receives: the server's offers, and one relayed stream a track."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from dataclasses import dataclass, field, replace

from livekit.protocol import models, rtc

from . import sdp
from .aiortc_private import keyframe_targets, lost_packets, parse_rtcp
from .participant import Participant, Track
from .relay import DownTrack, Loss, UpTrack
from .transport import PeerTransport

_PAYLOAD_TYPES = (*range(96, 128), *range(35, 64))


@dataclass
class _Section:
    """One media m-line of the subscriber connection, for one subscription.

    It ends with port 0. Once the client has answered that, another one with a fresh mid replaces
    it, so that descriptions do not grow without bound.
    """

    mid: str
    kind: str
    codecs: list[sdp.Codec]
    track: Track
    down_track: DownTrack
    live: bool = True
    started: bool = False
    ended: bool = False
    extensions: dict[str, int] = field(default_factory=dict)

    def render(self, lines: list[str]) -> list[str]:
        if not self.live:
            number = str(self.codecs[0].payload_type)
            return sdp.rejected_section(self.kind, "UDP/TLS/RTP/SAVPF", number, self.mid)
        section = sdp.media_section(self.kind, self.mid, self.codecs, "sendonly", lines)
        stream = f"{self.track.publisher.sid}|{self.track.sid}"
        section += sdp.extmap_lines(self.extensions, sdp.END_TO_END_EXTENSIONS)
        section.append(f"a=msid:{stream} {self.track.sid}")
        section.append(f"a=ssrc:{self.down_track.ssrc} cname:{stream}")
        section.append(f"a=ssrc:{self.down_track.ssrc} msid:{stream} {self.track.sid}")
        return section

    def limit_to(self, accepted: list[str]) -> None:
        """Send only payload types that the client's answer holds."""
        red = self.down_track.up_track.red
        taken = len(self.codecs) > 1 and str(self.codecs[1].payload_type) in accepted
        self.down_track.unwrap = -1 if red is None or taken else red.payload_type


class Subscriber:
    """The subscriber connection of one participant; one offer is in flight at a time."""

    def __init__(self, participant: Participant, transport: PeerTransport) -> None:
        self._participant = participant
        self._transport = transport
        self._sections: list[_Section] = []
        self._by_track: dict[str, _Section] = {}
        self._by_ssrc: dict[int, DownTrack] = {}
        self._payload_types: dict[tuple[str, str], int] = {}
        self._extensions: dict[str, int] = {}
        self._mids = itertools.count(1)
        self._session_id = secrets.randbits(62)
        self._offer_id = 0
        self._in_flight = 0
        self._covered: list[_Section] = []
        self._ending: set[str] = set()
        self._dirty = False
        self._scheduled: asyncio.Handle | None = None
        self._closed = False
        self.loss: Loss | None = None
        transport.on_rtcp = self._rtcp_received

    def subscribe(self, up_track: UpTrack) -> None:
        """Offer a track; does nothing if it is offered already."""
        sid = up_track.track.sid
        if sid in self._by_track or self._closed:
            return
        codecs = self._codecs_for(up_track)
        published = [codec for codec in (up_track.codec, up_track.red) if codec is not None]
        numbers = {
            codec.payload_type: own.payload_type
            for codec, own in zip(published, codecs, strict=False)
        }
        ssrc = secrets.randbits(31) + 2
        down_track = DownTrack(
            up_track, ssrc, numbers, self._transport.send_rtp, self._transport.send_rtcp
        )
        down_track.loss = self.loss
        section = _Section(str(next(self._mids)), up_track.kind, codecs, up_track.track, down_track)
        section.extensions = self._extensions_for(up_track)
        for place, old in enumerate(self._sections):
            if old.ended:
                self._sections[place] = section
                break
        else:
            self._sections.append(section)
        self._by_track[sid] = section
        self._by_ssrc[ssrc] = down_track
        self.negotiate()

    def unsubscribe(self, track_sid: str) -> None:
        """Stop a track; does nothing if it is not offered."""
        section = self._by_track.pop(track_sid, None)
        if section is None:
            return
        section.live = False
        section.down_track.stop()
        self._by_ssrc.pop(section.down_track.ssrc, None)
        self.negotiate()

    def down_track(self, track_sid: str) -> DownTrack | None:
        """The stream of a subscribed track."""
        section = self._by_track.get(track_sid)
        return section.down_track if section is not None else None

    def negotiate(self) -> None:
        """Send an offer in this turn of the loop, or after the answer that is awaited."""
        self._dirty = True
        if self._scheduled is None and not self._in_flight and not self._closed:
            self._scheduled = asyncio.get_running_loop().call_soon(self._send_offer)

    def renegotiate(self) -> None:
        """Send an offer again whose answer was lost with the old socket."""
        if self._in_flight:
            self._in_flight = 0
            self.negotiate()

    def answered(self, answer: rtc.SessionDescription) -> None:
        """Apply the client's answer and start the tracks it accepts.

        Raises:
            ValueError: the answer is malformed.
        """
        if answer.id and answer.id != self._in_flight:
            return
        description = sdp.parse(answer.sdp)
        covered, self._covered = self._covered, []
        self._in_flight = 0
        self._transport.start(*description.fingerprint)
        accepted = {
            media.mid: media.formats
            for media in description.media
            if media.port != 0 and media.direction in ("recvonly", "sendrecv")
        }
        for section in covered:
            section.ended = section.mid in self._ending
            if section.live and not section.started and accepted.get(section.mid):
                section.started = True
                section.limit_to(accepted[section.mid])
                section.down_track.start()
                if not self._participant.hidden:
                    section.track.notify_subscribed()
        if self._dirty:
            self.negotiate()

    def refresh(self) -> None:
        """Let every stream choose its layer again."""
        for section in self._by_track.values():
            if section.started:
                section.down_track.refresh()

    def set_loss(self, loss: Loss | None) -> None:
        """Lose a share of the packets sent to this participant, from now on."""
        self.loss = loss
        for section in self._by_track.values():
            section.down_track.loss = loss

    def close(self) -> None:
        """Stop all streams."""
        self._closed = True
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        for section in self._sections:
            section.down_track.stop()
        self._by_track.clear()
        self._by_ssrc.clear()
        self._sections.clear()
        self._covered.clear()

    def _send_offer(self) -> None:
        self._scheduled = None
        if self._in_flight or self._closed:
            return
        self._dirty = False
        self._offer_id += 1
        self._in_flight = self._offer_id
        self._covered = list(self._sections)
        self._ending = {section.mid for section in self._sections if not section.live}
        lines = self._transport.lines("actpass")
        sections = [sdp.application_section("0", lines)]
        sections += [section.render(lines) for section in self._sections]
        mids = ["0", *(section.mid for section in self._sections if section.live)]
        self._participant.signal(
            rtc.SignalResponse(
                offer=rtc.SessionDescription(
                    type="offer",
                    sdp=sdp.compose(self._session_id, self._offer_id, mids, sections),
                    id=self._offer_id,
                    mid_to_track_id={
                        section.mid: section.track.sid for section in self._sections if section.live
                    },
                )
            )
        )

    def _codecs_for(self, up_track: UpTrack) -> list[sdp.Codec]:
        # Opus stands first and its redundant form second, as on a LiveKit server. Redundant audio
        # names the payload type of what is in it, so that it is offered only under that number.
        codec = up_track.codec
        if up_track.kind == "audio":
            stereo = models.AudioTrackFeature.TF_STEREO in up_track.track.info.audio_features
            parameters = ("sprop-stereo=1",) if stereo else ()
            codec = sdp.with_parameters(codec, *parameters, without=("stereo",))
        codec = self._numbered(codec)
        if up_track.red is None or codec.payload_type != up_track.codec.payload_type:
            return [codec]
        return [codec, self._numbered(up_track.red)]

    def _numbered(self, codec: sdp.Codec) -> sdp.Codec:
        name = (codec.rtpmap.lower(), codec.fmtp)
        number = self._payload_types.get(name)
        if number is None:
            taken = set(self._payload_types.values())
            number = next(
                item for item in (codec.payload_type, *_PAYLOAD_TYPES) if item not in taken
            )
            self._payload_types[name] = number
        return replace(codec, payload_type=number)

    def _extensions_for(self, up_track: UpTrack) -> dict[str, int]:
        # One id means one extension in the whole bundle: what collides with an earlier track's
        # numbering is not offered, and clients skip ids that were not offered.
        usable: dict[str, int] = {}
        for uri in sdp.END_TO_END_EXTENSIONS:
            number = up_track.extensions.get(uri)
            if number is None:
                continue
            known = self._extensions.get(uri)
            if known == number or (known is None and number not in self._extensions.values()):
                self._extensions[uri] = number
                usable[uri] = number
        return usable

    def _rtcp_received(self, data: bytes) -> None:
        for packet in parse_rtcp(data):
            for target in keyframe_targets(packet):
                if (down_track := self._by_ssrc.get(target)) is not None:
                    down_track.request_keyframe()
            media, numbers = lost_packets(packet)
            if numbers and (down_track := self._by_ssrc.get(media)) is not None:
                down_track.resend(numbers)
