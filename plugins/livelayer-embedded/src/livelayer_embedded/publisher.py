"""What one participant publishes: its offers, its RTP and the feedback that it gets."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from livekit.protocol import models, rtc

from . import rtp, sdp
from .aiortc_private import RtcpPacket, receiver_report, sender_time
from .participant import CallLater, Participant, Track, new_sid
from .relay import Layer, UpTrack
from .rooms import Room
from .transport import PeerTransport

BANDWIDTH = 20_000_000  # bits a second that each publisher may send
PENDING_TRACKS = 64  # announced but not offered yet

_STREAMS = {
    models.TrackSource.CAMERA: "camera",
    models.TrackSource.MICROPHONE: "camera",
    models.TrackSource.SCREEN_SHARE: "screenshare",
    models.TrackSource.SCREEN_SHARE_AUDIO: "screenshare",
}


_ANNOUNCED = [
    "type",
    "name",
    "source",
    "muted",
    "width",
    "height",
    "stereo",
    "encryption",
    "disable_dtx",
    "disable_red",
    "audio_features",
    "packet_trailer_features",
    "backup_codec_policy",
]
"""The fields of a track that its publisher sets."""


def track_info(request: rtc.AddTrackRequest) -> models.TrackInfo:
    """A new track's state, as its publisher announced it."""
    info = models.TrackInfo(
        sid=new_sid("TR_A" if request.type == models.TrackType.AUDIO else "TR_V"),
        simulcast=len(request.layers) > 1,
        stream=request.stream or _STREAMS.get(request.source, "unknown"),
        **{name: getattr(request, name) for name in _ANNOUNCED},
    )
    info.layers.extend(sorted(request.layers, key=lambda layer: layer.quality))
    if request.stereo and models.AudioTrackFeature.TF_STEREO not in info.audio_features:
        info.audio_features.append(models.AudioTrackFeature.TF_STEREO)
    if request.disable_dtx and models.AudioTrackFeature.TF_NO_DTX not in info.audio_features:
        info.audio_features.append(models.AudioTrackFeature.TF_NO_DTX)
    if request.simulcast_codecs and request.simulcast_codecs[0].codec:
        kind = "audio" if request.type == models.TrackType.AUDIO else "video"
        info.codecs.add(mime_type=f"{kind}/{request.simulcast_codecs[0].codec}", cid=request.cid)
    if request.simulcast_codecs and request.simulcast_codecs[0].layers and not info.layers:
        info.layers.extend(
            sorted(request.simulcast_codecs[0].layers, key=lambda layer: layer.quality)
        )
        info.simulcast = len(info.layers) > 1
    return info


Carry = Callable[[list[sdp.Media], list[str]], dict[str, list[str]]]


class Publisher:
    """The publisher connection of one participant.

    `up_tracks` is shared by the whole server: every published track's media by its sid.
    """

    def __init__(
        self,
        room: Room,
        participant: Participant,
        transport: PeerTransport,
        up_tracks: dict[str, UpTrack],
        call_later: CallLater,
    ) -> None:
        self._room = room
        self._participant = participant
        self._transport = transport
        self._up_tracks = up_tracks
        self._call_later = call_later
        self._pending: dict[str, models.TrackInfo] = {}
        self._by_mid: dict[str, UpTrack] = {}
        self._layers: dict[int, Layer] = {}
        self._offered: set[str] = set()
        self._ufrag = ""
        self._session_id = secrets.randbits(62)
        self._version = 0
        self.unknown_packets = 0
        transport.on_rtp = self._rtp_received
        transport.on_rtcp.append(self._rtcp_received)

    def announce(self, request: rtc.AddTrackRequest) -> models.TrackInfo | None:
        """Register a track that the client is about to offer; None if it may not publish it."""
        allowed = self._participant.may_publish(request.source)
        if not allowed or len(self._pending) >= PENDING_TRACKS:
            return None
        info = track_info(request)
        self._pending[request.cid] = info
        return info

    def set_muted(self, track_sid: str, muted: bool) -> None:
        """The client muted or unmuted one of its tracks."""
        track = self._participant.tracks.get(track_sid)
        if track is not None:
            self._room.set_muted(track, muted)
            return
        for info in self._pending.values():
            if info.sid == track_sid:
                info.muted = muted

    def answer(self, offer_text: str, carry: Carry) -> str:
        """The answer to the client's offer; its new tracks are published, missing ones unpublished.

        `carry` gives the m-lines, by their mid, on which the client receives.

        Raises:
            ValueError: the offer is malformed.
        """
        offer = sdp.parse(offer_text)
        if self._ufrag and offer.ufrag != self._ufrag:
            self._transport.ice.restart()
        self._ufrag = offer.ufrag
        self._offered = {media.track_id for media in offer.media if media.sends}
        lines = self._transport.lines("passive")
        mids: list[str] = []
        sections: list[list[str]] = []
        offered: list[UpTrack] = []
        carried = carry(offer.media, lines)
        for media in offer.media:
            section, up_track = carried.get(media.mid), None
            if section is None:
                section, up_track = self._answer_media(media, lines)
            sections.append(section)
            if media.port:
                mids.append(media.mid)
            if up_track is not None:
                offered.append(up_track)
        for up_track in list(self._by_mid.values()):
            if up_track not in offered:
                self._unpublish(up_track)
        self._version += 1
        self._transport.start(*offer.fingerprint)
        return sdp.compose(self._session_id, self._version, mids, sections)

    def publish_offered(self) -> None:
        """Make the tracks of the answered offer known; call it once the answer was sent."""
        for up_track in list(self._by_mid.values()):
            if up_track.track.sid not in self._participant.tracks:
                self._room.publish(up_track.track)

    def _answer_media(self, media: sdp.Media, lines: list[str]) -> tuple[list[str], UpTrack | None]:
        if media.kind == "application":
            return sdp.application_section(media.mid, lines), None
        announced = self._pending.get(self._announced(media), models.TrackInfo())
        # A client announces which codec it will use; it lists in the offer all that it has.
        codec = media.codec(announced.codecs[0].mime_type.split("/")[1] if announced.codecs else "")
        if media.port == 0 or codec is None:
            formats = " ".join(media.formats)
            return sdp.rejected_section(media.kind, media.protocol, formats, media.mid), None
        up_track = self._source_of(media, codec) if media.sends else None
        direction = "recvonly" if up_track is not None else "inactive"
        codecs = [codec] if up_track is None else _receivable(up_track)
        section = sdp.media_section(media.kind, media.mid, codecs, direction, lines)
        # Inactive m-lines keep their extensions and stream ids: what one answer leaves out, the
        # client can offer on no later m-line, and then it cannot publish simulcast.
        wanted = [sdp.MID_EXTENSION, *sdp.END_TO_END_EXTENSIONS]
        wanted += [sdp.AUDIO_LEVEL_EXTENSION] if media.kind == "audio" else [sdp.RID_EXTENSION]
        section += sdp.extmap_lines(media.extensions(), wanted)
        if media.rids:
            section += [f"a=rid:{rid} recv" for rid in media.rids]
            section.append(f"a=simulcast:recv {';'.join(media.rids)}")
        return section, up_track

    def _announced(self, media: sdp.Media) -> str:
        # The cid of an m-line's track. A track that is published a second time keeps its cid and
        # gets another id in the offer: it is the one of its kind that no other m-line names.
        if media.track_id in self._pending:
            return media.track_id
        kind = models.TrackType.AUDIO if media.kind == "audio" else models.TrackType.VIDEO
        others = (cid for cid, info in self._pending.items() if info.type == kind)
        return next((cid for cid in others if cid not in self._offered), "")

    def _source_of(self, media: sdp.Media, codec: sdp.Codec) -> UpTrack | None:
        known = self._by_mid.get(media.mid)
        if known is not None and known.track.cid == media.track_id:
            return known
        if known is not None:
            self._unpublish(known)
        info = self._pending.pop(self._announced(media), None)
        if info is None:
            return None
        rids = sdp.lowest_first(media.rids)
        red = media.red(codec) if media.kind == "audio" and not info.disable_red else None
        _describe(info, media, red or codec, rids)
        up_track = UpTrack(
            Track(self._participant, info, media.track_id),
            codec,
            red,
            media.kind,
            media.mid,
            rids,
            media.extensions(),
            self._transport.send_rtcp,
            self._call_later,
        )
        self._by_mid[media.mid] = up_track
        self._up_tracks[info.sid] = up_track
        if not rids and media.ssrcs:
            ssrc = media.ssrcs[0]
            self._layers[ssrc] = up_track.add_layer(ssrc, "")
        return up_track

    def _unpublish(self, up_track: UpTrack) -> None:
        self._by_mid.pop(up_track.mid, None)
        self._up_tracks.pop(up_track.track.sid, None)
        for layer in up_track.layers:
            self._layers.pop(layer.ssrc, None)
        self._room.unpublish(up_track.track)
        up_track.close()

    def permission_changed(self) -> None:
        """Unpublish the tracks that are not permitted any more, and notify the client."""
        allowed = self._participant.may_publish
        self._pending = {cid: info for cid, info in self._pending.items() if allowed(info.source)}
        for up_track in list(self._by_mid.values()):
            track = up_track.track
            if not allowed(track.info.source):
                self._unpublish(up_track)
                response = rtc.TrackUnpublishedResponse(track_sid=track.sid)
                self._participant.signal(rtc.SignalResponse(track_unpublished=response))

    def close(self) -> None:
        """Forget all media; the model has dropped the tracks already."""
        for up_track in self._by_mid.values():
            self._up_tracks.pop(up_track.track.sid, None)
            up_track.close()
        self._by_mid.clear()
        self._layers.clear()
        self._pending.clear()

    def _rtp_received(self, packet: bytes) -> None:
        ssrc = int.from_bytes(packet[8:12], "big")
        layer = self._layers.get(ssrc)
        if layer is None:
            layer = self._learn(ssrc, packet)
            if layer is None:
                self.unknown_packets += 1
                return
        up_track = layer.up_track
        if up_track.level_extension:
            up_track.observe_level(packet)
        first = layer.packets == 0
        layer.received(packet, time.monotonic())
        if first:
            self.report()

    def _learn(self, ssrc: int, packet: bytes) -> Layer | None:
        for up_track in self._by_mid.values():
            mid = rtp.extension(packet, up_track.extensions.get(sdp.MID_EXTENSION, 0))
            if mid is None or mid.decode("ascii", "replace") != up_track.mid:
                continue
            name = rtp.extension(packet, up_track.extensions.get(sdp.RID_EXTENSION, 0)) or b""
            rid = name.decode("ascii", "replace")
            if up_track.rids and rid not in up_track.rids:
                return None
            layer = up_track.add_layer(ssrc, rid)
            self._layers[ssrc] = layer
            for described in up_track.track.info.layers:
                if described.rid == rid:
                    described.ssrc = ssrc
            return layer
        return None

    def _rtcp_received(self, packet: RtcpPacket) -> None:
        reported = sender_time(packet)
        if reported is not None and (layer := self._layers.get(reported[0])) is not None:
            layer.sender_reported(*reported[1:])

    def report(self) -> None:
        """Send the client receiver reports and its bandwidth."""
        if not self._layers or not self._transport.connected:
            return
        now = time.monotonic()
        blocks = [block for layer in self._layers.values() if (block := layer.report(now))]
        if not blocks:
            return
        ssrcs = [layer.ssrc for layer in self._layers.values() if layer.packets]
        self._transport.send_rtcp(receiver_report(blocks, BANDWIDTH, ssrcs))


def _receivable(up_track: UpTrack) -> list[sdp.Codec]:
    """What a publisher may send for a track, the preferred form first."""
    codec = up_track.codec
    if up_track.kind == "audio":
        features = up_track.track.info.audio_features
        stereo = ("stereo=1", "maxaveragebitrate=510000")
        codec = sdp.with_parameters(
            codec,
            *(() if models.AudioTrackFeature.TF_NO_DTX in features else ("usedtx=1",)),
            *(stereo if models.AudioTrackFeature.TF_STEREO in features else ()),
            without=("usedtx", "stereo"),
        )
    return [codec] if up_track.red is None else [up_track.red, codec]


def _describe(info: models.TrackInfo, media: sdp.Media, codec: sdp.Codec, rids: list[str]) -> None:
    info.mime_type = f"{media.kind}/{codec.name}"
    info.mid = media.mid
    info.version.unix_micro = time.time_ns() // 1000
    ssrcs = media.ssrcs
    for index, layer in enumerate(info.layers):
        layer.spatial_layer = index
        if index < len(rids):
            layer.rid = rids[index]
        elif ssrcs and not rids:
            layer.ssrc = ssrcs[0]
    mode = models.VideoLayer.ONE_SPATIAL_LAYER_PER_STREAM
    if codec.name in ("VP9", "AV1") and not rids and len(info.layers) > 1:
        mode = models.VideoLayer.MULTIPLE_SPATIAL_LAYERS_PER_STREAM
    del info.codecs[:]
    described = info.codecs.add(
        mime_type=info.mime_type, mid=media.mid, cid=media.track_id, video_layer_mode=mode
    )
    described.layers.extend(info.layers)
