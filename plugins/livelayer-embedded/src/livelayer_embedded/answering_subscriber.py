"""The one connection of a client that uses it for both directions: the client makes its offers."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable

from livekit.protocol import rtc

from . import sdp
from .participant import CallLater, Participant
from .subscriber import Section, Subscriber
from .transport import PeerTransport

# Seconds between an answer and the media that it announces. Clients apply answers without
# confirming them, and show a frame that comes earlier without its metadata, or not at all.
SETTLE = 0.05


class AnsweringSubscriber(Subscriber):
    """Receives on m-lines that the client offers as recvonly, in the answers to its offers.

    When a track comes or goes the client is asked for an offer, with as many more m-lines as are
    missing. An m-line whose track ended carries the next one only after an answer without any.
    """

    def __init__(
        self, participant: Participant, transport: PeerTransport, call_later: CallLater
    ) -> None:
        super().__init__(participant, transport)
        self._call_later = call_later
        self._by_mid: dict[str, Section] = {}
        self._unused: Counter[str] = Counter()  # m-lines by kind that carry nothing

    def _add(self, section: Section) -> None:
        del section  # it gets its m-line from the client's next offer

    def carry(self, offered: Iterable[sdp.Media], lines: list[str]) -> dict[str, list[str]]:
        usable = {
            media.mid: media
            for media in offered
            if media.port and media.kind != "application" and media.direction == "recvonly"
        }
        for section in list(self._by_mid.values()):
            if section.mid not in usable:
                self.unsubscribe(section.track.sid)
        ended = {mid for mid, section in self._by_mid.items() if not section.live}
        for mid in ended:
            del self._by_mid[mid]
        unused = [m for m in usable.values() if m.mid not in self._by_mid and m.mid not in ended]
        for section in self._waiting():
            media = next((media for media in unused if media.kind == section.kind), None)
            if media is not None and self._bind(section, media):
                unused.remove(media)
        self._unused = Counter(m.kind for m in usable.values() if m.mid not in self._by_mid)
        return {mid: section.render(lines) for mid, section in self._by_mid.items()}

    def answer_sent(self) -> None:
        self.in_flight = False
        for section in self._by_mid.values():
            if not section.answered:
                section.answered = True
                self._call_later(SETTLE, functools.partial(self._settled, section))
        self.negotiate()

    def _settled(self, section: Section) -> None:
        if section.live and not self.closed:
            self._start(section, section.renumbered(), takes_red=len(section.codecs) > 1)

    def close(self) -> None:
        super().close()
        self._by_mid.clear()

    def _request(self) -> None:
        waiting = Counter(section.kind for section in self._waiting())
        if not waiting and all(section.live for section in self._by_mid.values()):
            return
        self.in_flight = True
        missing = waiting - self._unused
        self.participant.signal(
            rtc.SignalResponse(
                media_sections_requirement=rtc.MediaSectionsRequirement(
                    num_audios=missing["audio"], num_videos=missing["video"]
                )
            )
        )

    def _waiting(self) -> list[Section]:
        return [s for s in self.by_track.values() if not s.mid and s.decodable]

    def _bind(self, section: Section, media: sdp.Media) -> bool:
        up_track = section.down_track.up_track
        codec = media.like(up_track.codec)
        if codec is None:
            section.decodable = False
            return False
        red = media.red(codec) if up_track.red is not None else None
        section.codecs = [section.as_sent(codec)]
        # Redundant audio names the payload type of what is in it.
        if red is not None and codec.payload_type == up_track.codec.payload_type:
            section.codecs.append(red)
        section.extensions = {
            uri: number
            for uri, number in media.extensions().items()
            if uri in sdp.END_TO_END_EXTENSIONS and uri in up_track.extensions
        }
        section.mid = media.mid
        self._by_mid[media.mid] = section
        return True
