"""The session's microphone, camera and screen, published into whatever room it is in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, final

from ..contract import MicrophoneTrack, PictureSource, RoomPort, VideoTrack
from ..errors import NotConnectedError
from ..media import AudioFrame, VideoFrame
from ..surfaces.publishing import CAMERA, MICROPHONE, SCREEN, Publisher
from ..tasks import TaskOwner
from .store import Store


@final
class Publishers:
    """One publisher for each source, and the rooms that their tracks go to."""

    def __init__(self, store: Store, port: Callable[[], RoomPort | None], tasks: TaskOwner) -> None:
        self._store = store
        self._port = port
        common = (store.publish_late, self._room_state, tasks)
        self.microphone: Final = Publisher(MICROPHONE, self._open_microphone, *common)
        self.camera: Final = Publisher(CAMERA, partial(self._open_video, "camera"), *common)
        self.screen: Final = Publisher(SCREEN, partial(self._open_video, "screen"), *common)

    def room_changed(self) -> None:
        """The tracks went with their room."""
        for publisher in (self.microphone, self.camera, self.screen):
            publisher.room_changed()

    async def _open_microphone(self, frame: AudioFrame) -> MicrophoneTrack:
        return await self._joined().open_microphone(frame.sample_rate, frame.num_channels)

    async def _open_video(self, source: PictureSource, frame: VideoFrame) -> VideoTrack:
        stamped = frame.metadata is not None
        return await self._joined().open_video(source, frame.width, frame.height, stamped=stamped)

    def _joined(self) -> RoomPort:
        port = self._port()
        if port is None:
            raise NotConnectedError(self._store.state.connection_state, self._store.state.error)
        return port

    def _room_state(self) -> tuple[str, bool]:
        return self._store.state.connection_state, self._port() is None
