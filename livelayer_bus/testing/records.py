"""What a scripted room recorded about the session that used it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final, Generic, final

import msgspec

from ..media import AudioFrame, VideoFrame
from ..media.publishing import F, SourceName
from ..messages import Message, decode, message_type
from .gate import Gate
from .waiting import Signal

KEPT: Final = 10_000
"""Records of one kind that are kept; the oldest are dropped first."""


class SentPacket(msgspec.Struct, frozen=True):
    """A data packet that the session sent."""

    data: bytes
    topic: str | None = None
    to: tuple[str, ...] = ()

    @property
    def type(self) -> str | None:
        """The message's `type`; None when the packet is not a JSON object that has one."""
        return message_type(self.data)

    @property
    def message(self) -> Message:
        """The decoded message.

        Raises:
            MalformedMessageError: the packet is not a message.
        """
        return decode(self.data)

    def json(self) -> Any:
        """The packet's JSON value.

        Raises:
            msgspec.DecodeError: the packet is not JSON.
        """
        return msgspec.json.decode(self.data)


class SentText(msgspec.Struct, frozen=True):
    """A text stream that the session sent."""

    text: str
    topic: str
    to: tuple[str, ...] = ()


class ScriptedTrack(Generic[F]):
    """A track that the session published; it keeps the frames pushed into it.

    `pushing` is the gate that every frame passes: hold it to imitate a full buffer.
    """

    def __init__(self) -> None:
        self.pushing = Gate("pushing")
        self.closing = Gate("unpublishing")
        self.muted = False
        self.closed = False
        """Whether the session unpublished it."""
        self._frames: deque[F] = deque(maxlen=KEPT)
        self._pushed = 0
        self._changed = Signal()

    @property
    def frames(self) -> Sequence[F]:
        """The frames pushed, oldest first."""
        return tuple(self._frames)

    async def wait_frames(self, number: int = 1) -> None:
        """Return once `number` frames were pushed in all."""
        await self._changed.wait_for(lambda: self._pushed >= number)

    async def wait_closed(self) -> None:
        """Return once the track was unpublished."""
        await self._changed.wait_for(lambda: self.closed)

    # What the session calls ------------------------------------------------------------------

    async def push(self, frame: F) -> None:
        await self.pushing.enter()
        self._frames.append(frame)
        self._pushed += 1
        self._changed.notify()

    def set_muted(self, muted: bool) -> None:
        self.muted = muted
        self._changed.notify()

    async def aclose(self) -> None:
        await self.closing.enter()
        self.closed = True
        self._changed.notify()


@final
class ScriptedMicrophone(ScriptedTrack[AudioFrame]):
    """The session's microphone, as it was published."""

    def __init__(self, sample_rate: int, num_channels: int) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        self.num_channels = num_channels


@final
class ScriptedVideoTrack(ScriptedTrack[VideoFrame]):
    """The session's camera or screen, as it was published."""

    def __init__(self, source: SourceName, width: int, height: int, stamped: bool) -> None:
        super().__init__()
        self.source = source
        self.width = width
        self.height = height
        self.stamped = stamped
