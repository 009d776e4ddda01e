"""Surfaces that other distributions offer, found by their entry points and imported when asked."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Final, TypeAlias, cast

import msgspec

from ..errors import PluginBrokenError, PluginNotFoundError, distribution_of
from ..surfaces import Surface, SurfaceFunction

SURFACES: Final = "livelayer_bus.surfaces"
"""The entry point group of surface factories."""

DISTRIBUTIONS: Final = {
    "console": "livelayer-terminal",
    "nats": "livelayer-nats",
    "recorder": "livelayer-recorder",
    "terminal": "livelayer-terminal",
    "web": "livelayer-web",
    "webhook": "livelayer-web",
}
"""Known surfaces that a distribution of their own brings; errors name it."""

SurfaceFactory: TypeAlias = Callable[..., Surface | SurfaceFunction]
"""Called with a surface's options as keywords; gives something that can be mounted."""


class InstalledSurface(msgspec.Struct, frozen=True):
    """A surface that can be named in `livelayer.toml`, as its distribution declares it."""

    name: str
    distribution: str
    version: str
    target: str
    """`module:attribute` of its factory."""


def installed_surfaces() -> tuple[InstalledSurface, ...]:
    """Every surface that is installed, by name; nothing is imported.

    Two distributions that claim one name are both listed.
    """
    found = {_describe(point) for point in entry_points(group=SURFACES)}
    return tuple(sorted(found, key=lambda surface: (surface.name, surface.distribution)))


def load_surface(name: str) -> SurfaceFactory:
    """The factory of the surface `name`, imported now.

    Raises:
        PluginNotFoundError: no installed distribution offers it.
        PluginBrokenError: one does, but its code cannot be loaded (the cause says why), or two
            distributions claim the name.
    """
    # An editable install may list the same entry point twice, which is not a conflict.
    points = {_describe(point): point for point in entry_points(group=SURFACES, name=name)}
    if not points:
        raise _not_found(name)
    if len(points) > 1:
        rivals = sorted(surface.distribution for surface in points)
        reason = f"{' and '.join(rivals)} both offer it: uninstall one"
        raise PluginBrokenError(name, rivals[0], reason)
    [(surface, point)] = points.items()
    try:
        factory = point.load()
    except Exception as exc:
        raise PluginBrokenError(name, surface.distribution, _reason(exc, surface)) from exc
    if not callable(factory):
        reason = f"{surface.target} is a {type(factory).__name__}, not something to call"
        raise PluginBrokenError(name, surface.distribution, reason)
    return cast(SurfaceFactory, factory)


def _describe(point: EntryPoint) -> InstalledSurface:
    dist = point.dist
    distribution, version = (dist.name, dist.version) if dist else ("unknown", "unknown")
    return InstalledSurface(point.name, distribution, version, point.value)


def _not_found(name: str) -> PluginNotFoundError:
    known = tuple(dict.fromkeys(surface.name for surface in installed_surfaces()))
    error = PluginNotFoundError(name, SURFACES, known, DISTRIBUTIONS.get(name))
    close = get_close_matches(name, {*known, *DISTRIBUTIONS}, n=1)
    if close and close != [name]:
        error.add_note(f"did you mean {close[0]!r}?")
    return error


def _reason(exc: Exception, surface: InstalledSurface) -> str:
    text = str(exc).strip().split("\n", 1)[0]
    reason = f"{type(exc).__name__}: {text}" if text else type(exc).__name__
    if isinstance(exc, ModuleNotFoundError) and exc.name:
        module = exc.name.partition(".")[0]
        needed = distribution_of(module)
        needed = f"'{needed}'" if needed else f"what offers {module!r}"
        reason += f"; pip install {needed}"
    return reason
