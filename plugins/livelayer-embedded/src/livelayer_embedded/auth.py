"""Access tokens of the embedded server: minting, checking, and what a token allows."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import jwt
import msgspec
from google.protobuf import json_format
from livekit import api
from livekit.protocol.models import ParticipantInfo, ParticipantPermission, TrackSource
from livekit.protocol.room import RoomConfiguration

from .errors import AccessDeniedError

RENEWED_TTL = 600.0  # seconds
LEEWAY = 60.0  # seconds that the clock of a token's issuer may be off

Kind = Literal["standard", "egress", "ingress", "sip", "agent"]

_KINDS = {
    "standard": ParticipantInfo.STANDARD,
    "ingress": ParticipantInfo.INGRESS,
    "egress": ParticipantInfo.EGRESS,
    "sip": ParticipantInfo.SIP,
    "agent": ParticipantInfo.AGENT,
}
_CAPITAL = re.compile("[A-Z]")
_SOURCES = {
    "camera": TrackSource.CAMERA,
    "microphone": TrackSource.MICROPHONE,
    "screen_share": TrackSource.SCREEN_SHARE,
    "screen_share_audio": TrackSource.SCREEN_SHARE_AUDIO,
}


@dataclass(frozen=True)
class Access:
    """What a verified token says: who its bearer is and what it may do."""

    identity: str
    name: str
    metadata: str
    attributes: dict[str, str]
    kind: ParticipantInfo.Kind
    video: api.VideoGrants
    room_config: RoomConfiguration | None

    def permission(self) -> ParticipantPermission:
        """The participant's permissions in its room."""
        video = self.video
        return ParticipantPermission(
            can_subscribe=video.can_subscribe,
            can_publish=video.can_publish,
            can_publish_data=video.can_publish_data,
            can_publish_sources=[
                _SOURCES[source] for source in video.can_publish_sources or () if source in _SOURCES
            ],
            hidden=bool(video.hidden),
            recorder=bool(video.recorder),
            can_update_metadata=bool(video.can_update_own_metadata),
            agent=bool(video.agent),
        )

    def require_join(self) -> str:
        """The room this token may join.

        Raises:
            AccessDeniedError: the token lacks the grant, a room or an identity.
        """
        if not self.video.room_join or not self.video.room:
            raise AccessDeniedError("it does not allow joining a room")
        if not self.identity:
            raise AccessDeniedError("it has no identity")
        return self.video.room


class TokenAuthority:
    """Mints and checks HS256 tokens with one API key and secret; neither shows in its repr."""

    def __init__(self, key: str, secret: str) -> None:
        self.key = key
        self._secret = secret

    def __repr__(self) -> str:
        return "TokenAuthority(...)"

    def mint(
        self,
        identity: str,
        grants: api.VideoGrants,
        *,
        name: str = "",
        metadata: str = "",
        attributes: dict[str, str] | None = None,
        kind: Kind = "standard",
        ttl: float = 6 * 3600,
        room_config: RoomConfiguration | None = None,
    ) -> str:
        """A signed token; `ttl` is in seconds and may be negative to mint an expired one."""
        token = (
            api.AccessToken(self.key, self._secret)
            .with_identity(identity)
            .with_grants(grants)
            .with_kind(kind)
            .with_name(name)
            .with_metadata(metadata)
            .with_ttl(datetime.timedelta(seconds=ttl))
        )
        if attributes:
            token = token.with_attributes(attributes)
        if room_config is not None:
            token = token.with_room_config(room_config)
        return token.to_jwt()

    def renew(self, access: Access, participant: ParticipantInfo) -> str:
        """A token for a participant as it is now, to come back with."""
        permission = participant.permission
        names = {source: name for name, source in _SOURCES.items()}
        grants = replace(
            access.video,
            can_subscribe=permission.can_subscribe,
            can_publish=permission.can_publish,
            can_publish_data=permission.can_publish_data,
            can_publish_sources=[names[source] for source in permission.can_publish_sources],
            can_update_own_metadata=permission.can_update_metadata,
            hidden=permission.hidden,
            recorder=permission.recorder,
            agent=permission.agent,
        )
        return self.mint(
            participant.identity,
            grants,
            name=participant.name,
            metadata=participant.metadata,
            attributes=dict(participant.attributes),
            kind=cast(Kind, ParticipantInfo.Kind.Name(access.kind).lower()),
            ttl=RENEWED_TTL,
            room_config=access.room_config,
        )

    def verify(self, token: str) -> Access:
        """What the token allows.

        Raises:
            AccessDeniedError: bad signature, other key, expired, or not a token at all.
        """
        if not token:
            raise AccessDeniedError("no token was given")
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                issuer=self.key,
                leeway=LEEWAY,
                options={"require": ["exp"]},
            )
        except jwt.PyJWTError as exc:
            raise AccessDeniedError(_why(exc)) from exc
        try:
            return _access(msgspec.convert(claims, _Claims))
        except (ValueError, json_format.Error) as exc:
            raise AccessDeniedError("its claims are malformed") from exc


class _Claims(msgspec.Struct, rename="camel"):
    sub: str = ""
    name: str = ""
    metadata: str = ""
    kind: str = ""
    attributes: dict[str, str] | None = None
    video: dict[str, Any] | None = None
    room_config: dict[str, Any] | None = None


def _access(claims: _Claims) -> Access:
    msgspec.json.encode(claims)  # raises on half a surrogate pair, which protobuf cannot hold
    video = {
        _CAPITAL.sub(r"_\g<0>", key).lower(): item for key, item in (claims.video or {}).items()
    }
    room_config = None
    if claims.room_config is not None:
        room_config = RoomConfiguration()
        json_format.ParseDict(claims.room_config, room_config, ignore_unknown_fields=True)
    return Access(
        identity=claims.sub,
        name=claims.name,
        metadata=claims.metadata,
        attributes=claims.attributes or {},
        kind=_KINDS.get(claims.kind, ParticipantInfo.STANDARD),
        video=msgspec.convert(video, api.VideoGrants),
        room_config=room_config,
    )


def _why(exc: jwt.PyJWTError) -> str:
    if isinstance(exc, jwt.ExpiredSignatureError):
        return "it has expired"
    if isinstance(exc, jwt.InvalidIssuerError):
        return "it was signed for another API key"
    if isinstance(exc, jwt.InvalidSignatureError):
        return "its signature is wrong"
    return "it is not a valid token"
