"""Choosing spatial layers of a scalable stream (VP9, AV1) by its dependency descriptor."""

from __future__ import annotations

from . import rtp

HISTORY = 512  # packets whose renumbering is remembered; a power of two


class DependencyDescriptor:
    """Reads which spatial layer a packet is of; learns the stream's structure on the way."""

    def __init__(self, extension_id: int) -> None:
        self._extension_id = extension_id
        self._spatial: list[int] = []
        self._offset = 0

    @property
    def top(self) -> int:
        """The highest spatial layer of the stream, as far as known."""
        return max(self._spatial, default=0)

    def read(self, packet: bytes) -> tuple[int, bool, bool, bool] | None:
        """Spatial layer, start and end of its frame, and whether a decoder can start here.

        None if the packet has no descriptor or the structure it refers to was not seen.
        """
        data = rtp.extension(packet, self._extension_id)
        if data is None or len(data) < 3:
            return None
        key = len(data) > 3 and bool(data[3] & 0x80)
        if key:
            self._learn(data)
        index = ((data[0] & 63) - self._offset) & 63
        if index >= len(self._spatial):
            return None
        return self._spatial[index], bool(data[0] & 0x80), bool(data[0] & 0x40), key

    def _learn(self, data: bytes) -> None:
        bits = int.from_bytes(data, "big")
        left = 8 * len(data) - 24 - 5  # after the mandatory fields and five flags

        def take(count: int) -> int:
            nonlocal left
            left -= count
            return bits >> left & ((1 << count) - 1) if left >= 0 else 3

        self._offset = take(6)
        take(5)
        spatial, layers = 0, [0]
        while len(layers) < 64:
            step = take(2)
            if step == 3:
                break
            spatial += step == 2
            layers.append(spatial)
        self._spatial = layers


class SpatialFilter:
    """Lets the layers up to a wanted one through and closes the gaps the others leave.

    Going down takes effect at the next picture, going up at the next key frame.
    """

    def __init__(self, descriptor: DependencyDescriptor, wanted: int) -> None:
        self.wanted = wanted
        self._descriptor = descriptor
        self._current = wanted
        self._removed = 0
        self._highest = -1
        self._shifts = [(-1, 0)] * HISTORY
        self._originals = [(-1, 0)] * HISTORY

    @property
    def needs_keyframe(self) -> bool:
        """Whether a higher layer is wanted and possible, for which a key frame must come."""
        return min(self.wanted, self._descriptor.top) > self._current

    def admit(self, packet: bytes, number: int) -> tuple[int, bool] | None:
        """The number to send the packet under and whether it ends the picture; None to drop it."""
        keep, marker = True, bool(packet[1] & 0x80)
        read = self._descriptor.read(packet)
        if read is not None:
            spatial, starts, ends, key = read
            if key or (spatial == 0 and starts and self.wanted < self._current):
                self._current = self.wanted
            keep = spatial <= self._current
            marker = marker or (ends and spatial == min(self._current, self._descriptor.top))
        removed = self._renumber(number, keep)
        if not keep:
            return None
        out = (number - removed) & 0xFFFF
        self._originals[out & (HISTORY - 1)] = (out, number)
        return out, marker

    def original(self, out: int) -> int | None:
        """Which packet went out under this number."""
        known, number = self._originals[out & (HISTORY - 1)]
        return number if known == out else None

    def _renumber(self, number: int, keep: bool) -> int:
        slot = number & (HISTORY - 1)
        newer = self._highest < 0 or 0 < (number - self._highest) & 0xFFFF < 0x8000
        if not newer:
            known, removed = self._shifts[slot]
            return removed if known == number else self._removed
        self._highest = number
        self._shifts[slot] = (number, self._removed)
        removed = self._removed
        if not keep:
            self._removed += 1
        return removed
