"""A participant and its tracks as plain state, and the live connection that hangs on it."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Mapping
from typing import Protocol

from livekit.protocol import models, rtc


class TimerHandle(Protocol):
    """A scheduled call that can be cancelled."""

    def cancel(self) -> None: ...


CallLater = Callable[[float, Callable[[], None]], TimerHandle]
"""Calls a function after some seconds."""

_ALPHABET = string.ascii_letters + string.digits


def new_sid(prefix: str) -> str:
    """A fresh identifier such as `PA_` and twelve random letters and digits."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(12))


class ParticipantLink(Protocol):
    """A participant's live connection; every call returns at once and never raises."""

    def send_signal(self, message: rtc.SignalResponse) -> None:
        """Queue one signalling message."""
        ...

    def send_packet(self, packet: bytes, *, reliable: bool) -> None:
        """Queue one encoded DataPacket on the subscriber connection."""
        ...

    def subscribe(self, track: Track) -> None:
        """Start delivering a track (after its participant update was sent)."""
        ...

    def unsubscribe(self, track_sid: str) -> None:
        """Stop delivering a track."""
        ...

    def unsubscribe_data_track(self, sid: str) -> None:
        """Stop delivering a data track."""
        ...

    def permission_changed(self) -> None:
        """Unpublish what the participant may not publish any more, and renew its token."""
        ...

    def close(self, reason: models.DisconnectReason) -> None:
        """Send the client the reason and end the connection; the model has removed it already."""
        ...


class Track:
    """One published media track."""

    def __init__(self, publisher: Participant, info: models.TrackInfo, cid: str) -> None:
        self.publisher = publisher
        self.info = info
        self.cid = cid
        self._subscribed_sent = False

    @property
    def sid(self) -> str:
        """The `TR_` identifier."""
        return self.info.sid

    def notify_subscribed(self) -> None:
        """Notify the publisher that a visible participant receives the track; once a track."""
        if not self._subscribed_sent:
            self._subscribed_sent = True
            message = rtc.SignalResponse(track_subscribed=rtc.TrackSubscribed(track_sid=self.sid))
            self.publisher.signal(message)


class Participant:
    """One member of a room, from its join until it leaves; survives a resumed connection."""

    def __init__(self, info: models.ParticipantInfo, *, auto_subscribe: bool = True) -> None:
        self._info = info
        self.auto_subscribe = auto_subscribe
        self.link: ParticipantLink | None = None
        self.tracks: dict[str, Track] = {}
        self.data_tracks: dict[int, models.DataTrackInfo] = {}
        self.receivers: dict[str, frozenset[str] | None] = {}  # None: all tracks
        self.open_to_all = True

    @property
    def sid(self) -> str:
        """The `PA_` identifier."""
        return self._info.sid

    @property
    def identity(self) -> str:
        """The identity its token carries; unique in the room."""
        return self._info.identity

    @property
    def permission(self) -> models.ParticipantPermission:
        """What it may do now."""
        return self._info.permission

    @property
    def active(self) -> bool:
        """Whether its data channels are up and others see it."""
        return self._info.state == models.ParticipantInfo.ACTIVE

    @property
    def is_agent(self) -> bool:
        """Whether its token says that it is an agent."""
        return self._info.kind == models.ParticipantInfo.AGENT

    @property
    def hidden(self) -> bool:
        """Whether others must not see it."""
        return self._info.permission.hidden

    def info(self) -> models.ParticipantInfo:
        """A full copy of its state, tracks included."""
        info = models.ParticipantInfo()
        info.CopyFrom(self._info)
        info.tracks.extend(track.info for track in self.tracks.values())
        info.data_tracks.extend(self.data_tracks.values())
        return info

    def may_publish(self, source: models.TrackSource) -> bool:
        """Whether its permission allows a track of this source."""
        sources = self.permission.can_publish_sources
        return self.permission.can_publish and (not sources or source in sources)

    def touch(self) -> None:
        """Count a change, so that the next update is newer to clients."""
        self._info.version += 1

    def set_state(self, state: models.ParticipantInfo.State) -> None:
        """Enter a state, without notifying anyone."""
        self._info.state = state
        self.touch()

    def set_publisher(self) -> None:
        """Record that it has published."""
        self._info.is_publisher = True

    def apply(
        self,
        *,
        metadata: str | None = None,
        name: str | None = None,
        attributes: Mapping[str, str] | None = None,
        permission: models.ParticipantPermission | None = None,
    ) -> None:
        """Change what is given; an empty attribute value deletes the attribute."""
        if metadata is not None:
            self._info.metadata = metadata
        if name is not None:
            self._info.name = name
        for key, value in (attributes or {}).items():
            if value:
                self._info.attributes[key] = value
            elif key in self._info.attributes:
                del self._info.attributes[key]
        if permission is not None:
            self._info.permission.CopyFrom(permission)

    def signal(self, message: rtc.SignalResponse) -> None:
        """Send it a signalling message if it is connected."""
        if self.link is not None:
            self.link.send_signal(message)


def leave_message(
    reason: models.DisconnectReason, action: rtc.LeaveRequest.Action
) -> rtc.SignalResponse:
    """The message that ends a client's connection or sends it to reconnect."""
    return rtc.SignalResponse(
        leave=rtc.LeaveRequest(
            reason=reason, action=action, can_reconnect=action != rtc.LeaveRequest.DISCONNECT
        )
    )
