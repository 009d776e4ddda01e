"""The subscriber connection of a client that has two: the server makes its offers."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import replace

from livekit.protocol import rtc

from . import sdp
from .participant import Participant
from .subscriber import Section, Subscriber
from .transport import PeerTransport

_PAYLOAD_TYPES = (*range(96, 128), *range(35, 64))


class OfferingSubscriber(Subscriber):
    """Receives on a connection of its own; one offer is in flight at a time.

    An m-line ends with port 0. Once the client has answered that, another one with a fresh mid
    replaces it, so that descriptions do not grow without bound.
    """

    def __init__(self, participant: Participant, transport: PeerTransport) -> None:
        super().__init__(participant, transport)
        self._sections: list[Section] = []
        self._ended: set[str] = set()  # mids whose end the client has answered
        self._payload_types: dict[tuple[str, str], int] = {}
        self._extensions: dict[str, int] = {}
        self._mids = itertools.count(1)
        self._session_id = secrets.randbits(62)
        self._offer_id = 0
        self._covered: list[Section] = []
        self._ending: set[str] = set()
        self._dirty = False

    def _add(self, section: Section) -> None:
        section.mid = str(next(self._mids))
        section.codecs = self._codecs_for(section)
        section.extensions = self._extensions_for(section)
        for place, old in enumerate(self._sections):
            if old.mid in self._ended:
                self._ended.discard(old.mid)
                self._sections[place] = section
                break
        else:
            self._sections.append(section)

    def negotiate(self) -> None:
        self._dirty = True
        super().negotiate()

    def answered(self, answer: rtc.SessionDescription) -> None:
        if not self.in_flight or (answer.id and answer.id != self._offer_id):
            return
        description = sdp.parse(answer.sdp)
        covered, self._covered = self._covered, []
        self.in_flight = False
        self.transport.start(*description.fingerprint)
        accepted = {
            media.mid: media.formats
            for media in description.media
            if media.port != 0 and media.direction in ("recvonly", "sendrecv")
        }
        for section in covered:
            if section.mid in self._ending:
                self._ended.add(section.mid)
            formats = accepted.get(section.mid)
            if section.live and not section.started and formats:
                red = len(section.codecs) > 1 and str(section.codecs[1].payload_type) in formats
                self._start(section, None, takes_red=red)
        if self._dirty:
            self.negotiate()

    def close(self) -> None:
        super().close()
        self._sections.clear()
        self._covered.clear()

    def _request(self) -> None:
        self._dirty = False
        self.in_flight = True
        self._offer_id += 1
        self._covered = list(self._sections)
        self._ending = {section.mid for section in self._sections if not section.live}
        lines = self.transport.lines("actpass")
        sections = [sdp.application_section("0", lines)]
        sections += [
            section.render(lines)
            if section.live
            else sdp.rejected_section(
                section.kind,
                "UDP/TLS/RTP/SAVPF",
                str(section.codecs[0].payload_type),
                section.mid,
            )
            for section in self._sections
        ]
        mids = ["0", *(section.mid for section in self._sections if section.live)]
        self.participant.signal(
            rtc.SignalResponse(
                offer=rtc.SessionDescription(
                    type="offer",
                    sdp=sdp.compose(self._session_id, self._offer_id, mids, sections),
                    id=self._offer_id,
                    mid_to_track_id=self.mid_to_track_id(),
                )
            )
        )

    def _codecs_for(self, section: Section) -> list[sdp.Codec]:
        # Opus stands first and its redundant form second, as on a LiveKit server. Redundant audio
        # names the payload type of what is in it, so that it is offered only under that number.
        up_track = section.down_track.up_track
        codec = self._numbered(section.as_sent(up_track.codec))
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

    def _extensions_for(self, section: Section) -> dict[str, int]:
        # One id means one extension in the whole bundle: what collides with an earlier track's
        # numbering is not offered, and clients skip ids that were not offered.
        up_track = section.down_track.up_track
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
