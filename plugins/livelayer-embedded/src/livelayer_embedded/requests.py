"""The requests that a client sends over its signalling socket, and their handlers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from livekit.protocol import models, rtc

from .participant import leave_message
from .session import Session

MAX_METADATA = 64_000  # bytes of metadata, of a name's or of all attributes' text


def handle(session: Session, request: rtc.SignalRequest) -> None:
    """Handle one request; a malformed one is ignored, and the client's first one is logged."""
    kind = request.WhichOneof("message")
    handler = _HANDLERS.get(kind or "")
    if handler is None or kind is None or session.closed:
        return
    try:
        handler(session, getattr(request, kind))
    except (ValueError, LookupError) as exc:
        session.report_malformed(f"{kind} request ({type(exc).__name__})")


def _offer(session: Session, offer: rtc.SessionDescription) -> None:
    answer = rtc.SessionDescription(
        type="answer",
        sdp=session.publishing.answer(offer.sdp, session.subscribing.carry),
        id=offer.id,
        mid_to_track_id=session.subscribing.mid_to_track_id() if session.single else {},
    )
    session.send_signal(rtc.SignalResponse(answer=answer))
    session.publishing.publish_offered()
    session.subscribing.answer_sent()


def _add_track(session: Session, request: rtc.AddTrackRequest) -> None:
    info = session.publishing.announce(request)
    if info is None:
        session.send_signal(
            rtc.SignalResponse(
                request_response=rtc.RequestResponse(
                    reason=rtc.RequestResponse.NOT_ALLOWED,
                    message="this token may not publish that source",
                    add_track=request,
                )
            )
        )
        return
    session.send_signal(
        rtc.SignalResponse(track_published=rtc.TrackPublishedResponse(cid=request.cid, track=info))
    )


def _subscription(session: Session, request: rtc.UpdateSubscription) -> None:
    sids = list(request.track_sids)
    for item in request.participant_tracks:
        sids += [sid for sid in item.track_sids if sid not in sids]
    for sid in sids:
        track = session.room.find_track(sid)
        if not request.subscribe:
            session.unsubscribe(sid)
        elif track is None or not session.room.subscribe(session.participant, track):
            session.send_signal(
                rtc.SignalResponse(
                    subscription_response=rtc.SubscriptionResponse(
                        track_sid=sid, err=models.SubscriptionError.SE_TRACK_NOTFOUND
                    )
                )
            )


def _track_setting(session: Session, request: rtc.UpdateTrackSettings) -> None:
    for sid in request.track_sids:
        down_track = session.subscribing.down_track(sid)
        if down_track is not None:
            down_track.set_preferences(
                disabled=request.disabled,
                quality=request.quality,
                width=request.width,
                height=request.height,
            )


def _subscription_permission(session: Session, request: rtc.SubscriptionPermission) -> None:
    publisher = session.participant
    before = {
        (other.sid, track.sid): session.room.may_receive(other, track)
        for other in session.room.others(publisher)
        for track in publisher.tracks.values()
    }
    publisher.open_to_all = request.all_participants
    publisher.receivers = {
        item.participant_identity or item.participant_sid: (
            None if item.all_tracks else frozenset(item.track_sids)
        )
        for item in request.track_permissions
    }
    for other in session.room.others(publisher):
        for track in publisher.tracks.values():
            allowed = session.room.may_receive(other, track)
            if allowed == before[other.sid, track.sid]:
                continue
            update = rtc.SubscriptionPermissionUpdate(
                participant_sid=publisher.sid, track_sid=track.sid, allowed=allowed
            )
            other.signal(rtc.SignalResponse(subscription_permission_update=update))
            if allowed:
                session.room.offer_track(track, other)
            elif other.link is not None:
                other.link.unsubscribe(track.sid)


def _sync_state(session: Session, request: rtc.SyncState) -> None:
    # The server kept the state of a resumed session; only what the client disabled may be new.
    for sid in request.track_sids_disabled:
        down_track = session.subscribing.down_track(sid)
        if down_track is not None:
            down_track.disabled = True


def _update_metadata(session: Session, request: rtc.UpdateParticipantMetadata) -> None:
    participant = session.participant
    response = rtc.RequestResponse(request_id=request.request_id, update_metadata=request)
    size = len(request.metadata) + sum(len(k) + len(v) for k, v in request.attributes.items())
    if not participant.permission.can_update_metadata:
        response.reason = rtc.RequestResponse.NOT_ALLOWED
        response.message = "does not have permission to update own metadata"
    elif size > MAX_METADATA or len(request.name) > MAX_METADATA:
        response.reason = rtc.RequestResponse.LIMIT_EXCEEDED
        response.message = "metadata or attributes are too large"
    else:
        participant.apply(
            metadata=request.metadata or None,
            name=request.name or None,
            attributes=request.attributes,
        )
        session.room.announce(participant)
    session.send_signal(rtc.SignalResponse(request_response=response))


def _ping_req(session: Session, request: rtc.Ping) -> None:
    session.send_signal(
        rtc.SignalResponse(
            pong_resp=rtc.Pong(
                last_ping_timestamp=request.timestamp, timestamp=time.time_ns() // 1_000_000
            )
        )
    )


def _simulate(session: Session, request: rtc.SimulateScenario) -> None:
    kind = request.WhichOneof("scenario")
    if kind == "speaker_update":
        sid, room = session.participant.sid, session.room
        room.send_speakers([models.SpeakerInfo(sid=sid, level=0.9, active=True)])
        session.server.call_later(
            request.speaker_update, lambda: room.send_speakers([models.SpeakerInfo(sid=sid)])
        )
    elif kind in ("node_failure", "migration"):
        session.vanish()  # its state is gone, so that the client joins anew
    elif kind == "disconnect_signal_on_resume":
        session.drop_socket()
    elif kind == "server_leave":
        session.leave(models.DisconnectReason.SERVER_SHUTDOWN)
    elif kind == "leave_request_full_reconnect":
        session.send_signal(
            leave_message(models.DisconnectReason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)
        )


_HANDLERS: dict[str, Callable[[Session, Any], None]] = {
    "offer": _offer,
    "answer": lambda session, answer: session.subscribing.answered(answer),
    "add_track": _add_track,
    "mute": lambda session, request: session.publishing.set_muted(request.sid, request.muted),
    "subscription": _subscription,
    "track_setting": _track_setting,
    "leave": lambda session, request: session.leave(
        request.reason or models.DisconnectReason.CLIENT_INITIATED
    ),
    "subscription_permission": _subscription_permission,
    "sync_state": _sync_state,
    "simulate": _simulate,
    "ping": lambda session, _: session.send_signal(
        rtc.SignalResponse(pong=time.time_ns() // 1_000_000)
    ),
    "ping_req": _ping_req,
    "update_metadata": _update_metadata,
    "publish_data_track_request": lambda session, request: session.data_tracks.publish(request),
    "unpublish_data_track_request": lambda session, request: session.data_tracks.unpublish(
        request.pub_handle
    ),
    "update_data_subscription": lambda session, request: session.data_tracks.update(request),
}
