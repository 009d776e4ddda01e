"""Painting with numpy: soft-edged shapes on a region of RGB, and patches of I420."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

Plane: TypeAlias = NDArray[np.floating[Any]]
Bytes: TypeAlias = NDArray[np.uint8]
Cover: TypeAlias = NDArray[np.int32]
Colour: TypeAlias = tuple[float, float, float]


def rgb(code: str) -> Colour:
    """The colour of a hexadecimal code such as `ffe6c7`, its parts 0 to 1."""
    return (int(code[0:2], 16) / 255, int(code[2:4], 16) / 255, int(code[4:6], 16) / 255)


class Region(msgspec.Struct, frozen=True):
    """A rectangle of the picture, in pixels; all numbers are even, because chroma is halved."""

    left: int
    top: int
    width: int
    height: int

    def part(self, step: int) -> tuple[slice, slice]:
        """Its rows and columns in a plane that has each `step`-th of them."""
        rows = slice(self.top // step, (self.top + self.height) // step)
        return rows, slice(self.left // step, (self.left + self.width) // step)


class Canvas:
    """A region being painted. Coordinates are those of the whole picture."""

    def __init__(self, region: Region) -> None:
        self.region = region
        # Pixel centres.
        self.x: Plane = np.arange(region.width, dtype=np.float32)[None, :] + (region.left + 0.5)
        self.y: Plane = np.arange(region.height, dtype=np.float32)[:, None] + (region.top + 0.5)
        self._planes: list[Plane] = [
            np.zeros((region.height, region.width), dtype=np.float32) for _ in range(3)
        ]  # red, green, blue

    def fill(self, colour: Colour, cover: Plane | float = 1.0) -> None:
        """Lay a colour over the region, as far as `cover` (0 to 1) says."""
        for plane, value in zip(self._planes, colour, strict=True):
            plane += (value - plane) * cover

    def shade(self, one: Colour, other: Colour, part: Plane, cover: Plane | float = 1.0) -> None:
        """Lay a blend over the region: `one` where `part` is 0, `other` where it is 1."""
        for plane, low, high in zip(self._planes, one, other, strict=True):
            plane += (low + (high - low) * part - plane) * cover

    def ellipse(
        self, x: float, y: float, across: float, down: float, *, tilt: float = 0.0
    ) -> Plane:
        """The cover of an ellipse with these radii, turned by `tilt` radians."""
        return edge(self.distance(x, y, across, down, tilt=tilt))

    def distance(
        self, x: float, y: float, across: float, down: float, *, tilt: float = 0.0
    ) -> Plane:
        """About how far each pixel is from an ellipse's edge, in pixels; negative inside."""
        dx, dy = self.x - x, self.y - y
        if tilt:
            cos, sin = float(np.cos(tilt)), float(np.sin(tilt))
            dx, dy = dx * cos + dy * sin, dy * cos - dx * sin
        u, v = dx / across, dy / down
        length = np.sqrt(u * u + v * v)
        slope = np.sqrt((u / across) ** 2 + (v / down) ** 2)
        result: Plane = (length * (length - 1.0) / np.maximum(slope, 1e-6)).astype(np.float32)
        return result

    def glow(self, x: float, y: float, radius: float) -> Plane:
        """The cover of a soft spot: 1 in its middle, about a third at `radius`."""
        spot: Plane = np.exp(
            -((self.x - x) ** 2 + (self.y - y) ** 2) / np.float32(radius * radius)
        ).astype(np.float32)
        return spot

    def stroke(
        self, start: tuple[float, float], end: tuple[float, float], thickness: float
    ) -> Plane:
        """The cover of a straight line with round ends."""
        (ax, ay), (bx, by) = start, end
        along_x, along_y = bx - ax, by - ay
        square = max(along_x * along_x + along_y * along_y, 1e-6)
        part = np.clip(((self.x - ax) * along_x + (self.y - ay) * along_y) / square, 0.0, 1.0)
        away = np.hypot(self.x - ax - part * along_x, self.y - ay - part * along_y)
        return edge(away - thickness / 2)

    def patch(self) -> Patch:
        """The finished region as I420 (BT.601, limited range)."""
        red, green, blue = (np.clip(plane, 0.0, 1.0) for plane in self._planes)
        luma = 16.0 + 65.481 * red + 128.553 * green + 24.966 * blue
        red, green, blue = (_halve(plane) for plane in (red, green, blue))
        u = 128.0 - 37.797 * red - 74.203 * green + 112.0 * blue
        v = 128.0 + 112.0 * red - 93.786 * green - 18.214 * blue
        return Patch(self.region, (_bytes(luma), _bytes(u), _bytes(v)))

    def layer(self, colour: Colour, cover: Plane) -> Layer:
        """One colour with this cover, to be blended over what is there."""
        self.fill(colour)
        patch = self.patch()
        # 0 to 256, so that blending is a product and a shift.
        luma = np.rint(cover * 256).astype(np.int32)
        chroma = np.rint(_halve(cover) * 256).astype(np.int32)
        return Layer(patch, (luma, chroma, chroma))


class Patch(msgspec.Struct, frozen=True):
    """A painted region, ready to be laid into a frame."""

    region: Region
    planes: tuple[Bytes, Bytes, Bytes]
    """Y, U and V."""


class Layer(msgspec.Struct, frozen=True):
    """A painted region and how much of it covers what is beneath, 0 to 256 a pixel."""

    patch: Patch
    covers: tuple[Cover, Cover, Cover]
    """Of Y, U and V."""


class Frame:
    """An I420 frame in one piece of memory (`buffer`) that patches are laid into."""

    def __init__(self, width: int, height: int) -> None:
        self.buffer = bytearray(width * height * 3 // 2)
        whole = np.frombuffer(self.buffer, dtype=np.uint8)
        size = width * height
        self._luma: Bytes = whole[:size].reshape(height, width)
        self._u: Bytes = whole[size : size * 5 // 4].reshape(height // 2, width // 2)
        self._v: Bytes = whole[size * 5 // 4 :].reshape(height // 2, width // 2)

    def lay(self, patch: Patch) -> None:
        """Put a patch where it belongs."""
        for below, above in zip(self._views(patch.region), patch.planes, strict=True):
            below[:] = above

    def blend(self, layer: Layer, strength: float) -> None:
        """Blend a layer over what is there; `strength` is 0 to 1."""
        scale = round(min(1.0, max(0.0, strength)) * 256)
        views = self._views(layer.patch.region)
        for below, above, cover in zip(views, layer.patch.planes, layer.covers, strict=True):
            old = below.astype(np.int32)
            below[:] = (old + (((above - old) * (cover * scale)) >> 16)).astype(np.uint8)

    def _views(self, area: Region) -> tuple[Bytes, ...]:
        rows, columns = area.part(1)
        half_rows, half_columns = area.part(2)
        return (
            self._luma[rows, columns],
            self._u[half_rows, half_columns],
            self._v[half_rows, half_columns],
        )


def edge(distance: Plane) -> Plane:
    """The cover of a shape from the distance to its edge: one pixel of softness."""
    cover: Plane = np.clip(0.5 - distance, 0.0, 1.0)
    return cover


def _halve(plane: Plane) -> Plane:
    half: Plane = (
        plane[0::2, 0::2] + plane[1::2, 0::2] + plane[0::2, 1::2] + plane[1::2, 1::2]
    ) * np.float32(0.25)
    return half


def _bytes(plane: Plane) -> Bytes:
    return np.rint(plane).astype(np.uint8)
