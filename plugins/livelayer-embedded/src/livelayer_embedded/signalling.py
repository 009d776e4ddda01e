"""The signalling routes: who may open a socket, joining and resuming."""

from __future__ import annotations

import secrets
import time

from aiohttp import WSMsgType, web
from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from . import join_request
from .auth import Access
from .participant import Participant, leave_message, new_sid
from .requests import handle
from .session import ServerState, Session
from .signal_socket import SERVER_INFO, SignalSocket

PING_INTERVAL = 5  # seconds
PING_TIMEOUT = 15  # seconds

_PUBLISH_CODECS = ("video/VP8", "video/H264", "video/VP9", "video/AV1", "audio/opus")


class Signalling:
    """The routes below `/rtc`."""

    def __init__(self, server: ServerState) -> None:
        self._server = server

    def routes(self) -> list[web.RouteDef]:
        """The routes to add to the server's application.

        Clients with one peer connection for both directions use `/rtc/v1`, others `/rtc`.
        """
        return [
            web.get("/rtc", self.serve),
            web.get("/rtc/validate", self.validate),
            web.get("/rtc/v1", self.serve),
            web.get("/rtc/v1/validate", self.validate),
        ]

    async def validate(self, request: web.Request) -> web.Response:
        """Answer whether a token, and a join request if there is one, is valid."""
        self._wanted(request)
        return web.Response(text="success")

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One client's socket, from its join or resume to its end."""
        access, wanted = self._wanted(request)
        single = _single(request)
        if not self._server.faults.takes_join():
            return web.Response(status=503, text="refused by a simulated fault")
        room = self._server.registry.list_rooms([access.video.room])
        limit = room[0].info().max_participants if room else 0
        if limit and not wanted.reconnect and len(room[0].participants) >= limit:
            return web.Response(status=403, text="the room is full")
        socket = web.WebSocketResponse(
            compress=False, max_msg_size=1 << 22, autoping=True, heartbeat=None
        )
        await socket.prepare(request)
        signal = SignalSocket(socket, request)
        try:
            if wanted.reconnect:
                session = self._resume(wanted.participant_sid, access, signal)
            else:
                session = await self._join(wanted, access, signal, single=single)
            if session is not None:
                try:
                    await self._read(socket, session)
                finally:
                    session.detach(signal)
        finally:
            await signal.aclose()
        return socket

    def _wanted(self, request: web.Request) -> tuple[Access, rtc.JoinRequest]:
        access = self._server.authority.access(request)
        access.require_join()
        of = join_request.of_single_connection if _single(request) else join_request.of_query
        wanted = of(request.query)
        if wanted.metadata or wanted.participant_attributes:
            access = access.with_own(wanted.metadata, wanted.participant_attributes)
        return access, wanted

    async def _join(
        self, wanted: rtc.JoinRequest, access: Access, signal: SignalSocket, *, single: bool
    ) -> Session | None:
        room = self._server.registry.create_room(access.video.room, config=access.room_config)
        previous = room.participants.get(access.identity)
        if previous is not None:
            room.remove(previous, models.DisconnectReason.DUPLICATE_IDENTITY, replaced=True)
        participant = Participant(
            _participant_info(wanted.client_info, access),
            auto_subscribe=wanted.connection_settings.auto_subscribe,
        )
        room.add(participant)
        session = Session(self._server, room, participant, access, single=single)
        participant.link = session
        await session.open()
        if session.closed:
            return None
        session.attach(signal)
        participant.set_state(models.ParticipantInfo.JOINED)
        signal.send(rtc.SignalResponse(join=_join_response(session)))
        session.refresh_token()
        session.subscribing.negotiate()
        for request in wanted.add_track_requests:
            handle(session, rtc.SignalRequest(add_track=request))
        if wanted.HasField("publisher_offer"):
            handle(session, rtc.SignalRequest(offer=wanted.publisher_offer))
        return session

    def _resume(self, sid: str, access: Access, signal: SignalSocket) -> Session | None:
        session = self._server.sessions.get(sid)
        known = (
            session is not None
            and not session.lost
            and session.participant.identity == access.identity
            and session.room.name == access.video.room
        )
        if session is None or not known:
            signal.send(
                leave_message(models.DisconnectReason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)
            )
            return None
        session.attach(signal)
        participant, room = session.participant, session.room
        signal.send(
            rtc.SignalResponse(
                reconnect=rtc.ReconnectResponse(
                    server_info=SERVER_INFO, last_message_seq=session.data.last_sequence
                )
            )
        )
        everyone = [participant.info(), *room.visible_to(participant)]
        signal.send(rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=everyone)))
        signal.send(rtc.SignalResponse(room_update=rtc.RoomUpdate(room=room.info())))
        session.subscribing.renegotiate()
        return session

    async def _read(self, socket: web.WebSocketResponse, session: Session) -> None:
        async for message in socket:
            if message.type is not WSMsgType.BINARY:
                continue
            try:
                request = rtc.SignalRequest.FromString(message.data)
            except DecodeError:
                session.report_malformed("signalling message (not protobuf)")
                continue
            handle(session, request)


def _single(request: web.Request) -> bool:
    return request.path.startswith("/rtc/v1") or "join_request" in request.query


def _participant_info(client: models.ClientInfo, access: Access) -> models.ParticipantInfo:
    now_ms = time.time_ns() // 1_000_000
    return models.ParticipantInfo(
        sid=new_sid("PA_"),
        identity=access.identity,
        name=access.name,
        metadata=access.metadata,
        attributes=access.attributes,
        kind=access.kind,
        permission=access.permission(),
        joined_at=now_ms // 1000,
        joined_at_ms=now_ms,
        client_protocol=client.client_protocol,
        capabilities=client.capabilities,
    )


def _join_response(session: Session) -> rtc.JoinResponse:
    participant, room = session.participant, session.room
    return rtc.JoinResponse(
        room=room.info(),
        participant=participant.info(),
        other_participants=room.visible_to(participant),
        server_version=SERVER_INFO.version,
        server_info=SERVER_INFO,
        subscriber_primary=not session.single,
        ping_interval=PING_INTERVAL,
        ping_timeout=PING_TIMEOUT,
        fast_publish=participant.permission.can_publish,
        sif_trailer=secrets.token_bytes(32),
        enabled_publish_codecs=[models.Codec(mime=mime) for mime in _PUBLISH_CODECS],
    )
