"""Access tokens of the embedded server: minting, checking, and what a token allows."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import jwt
import msgspec
from aiohttp import web
from google.protobuf import json_format
from livekit import api
from livekit.protocol.models import ParticipantInfo, ParticipantPermission, TrackSource
from livekit.protocol.room import RoomConfiguration

from .errors import AccessDeniedError

RENEWED_TTL = 600.0  # seconds
LEEWAY = 60.0  # seconds that the clock of a token's issuer may be off

Kind = Literal["standard", "egress", "ingress", "sip", "agent"]

_KINDS = cast(
    dict[str, ParticipantInfo.Kind],
    {name.lower(): kind for name, kind in ParticipantInfo.Kind.items()},
)
_SOURCES = cast(
    dict[str, TrackSource], {name.lower(): source for name, source in TrackSource.items() if source}
)
_PERMISSIONS = {
    "can_subscribe": "can_subscribe",
    "can_publish": "can_publish",
    "can_publish_data": "can_publish_data",
    "can_update_own_metadata": "can_update_metadata",
    "hidden": "hidden",
    "recorder": "recorder",
    "agent": "agent",
}
"""What a grant is called among a participant's permissions."""
_CAPITAL = re.compile("[A-Z]")


@dataclass(frozen=True)
class Access:
    """What a token says: who its bearer is and what it may do."""

    identity: str
    video: api.VideoGrants
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    kind: ParticipantInfo.Kind = ParticipantInfo.STANDARD
    room_config: RoomConfiguration | None = None

    def permission(self) -> ParticipantPermission:
        """The participant's permissions in its room."""
        sources = self.video.can_publish_sources or ()
        return ParticipantPermission(
            can_publish_sources=[_SOURCES[source] for source in sources if source in _SOURCES],
            **{own: bool(getattr(self.video, grant)) for grant, own in _PERMISSIONS.items()},
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

    def with_own(self, metadata: str, attributes: Mapping[str, str]) -> Access:
        """The same with the metadata and attributes that its bearer joins with.

        Raises:
            AccessDeniedError: the token does not let it choose its own.
        """
        if not self.video.can_update_own_metadata:
            raise AccessDeniedError("it does not allow updating own metadata")
        own = {key: value for key, value in attributes.items() if value}
        return replace(
            self,
            metadata=metadata or self.metadata,
            attributes={**self.attributes, **own},
        )


def grants_of(permission: ParticipantPermission) -> dict[str, Any]:
    """The grants that give these permissions, except the sources that may be published."""
    return {grant: getattr(permission, own) for grant, own in _PERMISSIONS.items()}


def kind_of(name: str) -> ParticipantInfo.Kind:
    """The kind of participant that a token names; "standard" if it is unknown."""
    return _KINDS.get(name, ParticipantInfo.STANDARD)


class TokenAuthority:
    """Mints and checks HS256 tokens with one API key and secret; neither shows in its repr."""

    def __init__(self, key: str, secret: str) -> None:
        self.key = key
        self._secret = secret

    def __repr__(self) -> str:
        return "TokenAuthority(...)"

    def mint(self, access: Access, ttl: float) -> str:
        """A signed token; `ttl` is in seconds and may be negative to mint an expired one."""
        token = (
            api.AccessToken(self.key, self._secret)
            .with_identity(access.identity)
            .with_grants(access.video)
            .with_kind(cast(Kind, ParticipantInfo.Kind.Name(access.kind).lower()))
            .with_name(access.name)
            .with_metadata(access.metadata)
            .with_ttl(datetime.timedelta(seconds=ttl))
        )
        if access.attributes:
            token = token.with_attributes(dict(access.attributes))
        if access.room_config is not None:
            token = token.with_room_config(access.room_config)
        return token.to_jwt()

    def renew(self, access: Access, participant: ParticipantInfo) -> str:
        """A token for a participant as it is now, to reconnect with."""
        permission = participant.permission
        names = {source: name for name, source in _SOURCES.items()}
        video = replace(
            access.video,
            can_publish_sources=[names[source] for source in permission.can_publish_sources],
            **grants_of(permission),
        )
        now = replace(
            access,
            video=video,
            name=participant.name,
            metadata=participant.metadata,
            attributes=participant.attributes,
        )
        return self.mint(now, RENEWED_TTL)

    def access(self, request: web.Request) -> Access:
        """What the token of a request allows; it is in a header or in the query.

        Raises:
            AccessDeniedError: bad signature, other key, expired, or not a token at all.
        """
        header = request.headers.get("Authorization", "")
        token = header.removeprefix("Bearer ").strip() or request.query.get("access_token", "")
        return self.verify(token)

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
        kind=kind_of(claims.kind),
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
