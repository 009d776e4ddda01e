"""The public names of every distribution, each with its one entry in the reference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final, cast

import griffe

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = (ROOT, *sorted(ROOT.glob("plugins/*/src")))
TOP: Final = "livelayer_bus"

# The core from what an application meets first to what it meets last; then the plugins.
MODULES: Final = (
    "livelayer_bus.session", "livelayer_bus.contract", "livelayer_bus.state",
    "livelayer_bus.events", "livelayer_bus.surfaces", "livelayer_bus.surfaces.jsonl",
    "livelayer_bus.messages", "livelayer_bus.media", "livelayer_bus.tokens", "livelayer_bus.bus",
    "livelayer_bus.transcript", "livelayer_bus.clock", "livelayer_bus.tasks",
    "livelayer_bus.rooms", "livelayer_bus.rooms.names",
    "livelayer_bus.errors", "livelayer_bus.config",
    "livelayer_bus.control", "livelayer_bus.jsonl", "livelayer_bus.telemetry",
    "livelayer_bus.testing", "livelayer_bus.cli",
    "livelayer_web", "livelayer_web.webhooks", "livelayer_web.endpoint",
    "livelayer_recorder", "livelayer_recorder.testing", "livelayer_nats", "livelayer_terminal",
    "livekit.plugins.livelayer", "livekit.plugins.livelayer.face",
    "livekit.plugins.livelayer.testing",
    "livelayer_embedded", "livelayer_embedded.errors", "livelayer_demo",
    "livelayer_surface_minimal", "livelayer_new",
)  # fmt: skip

# Words in code that are names of other libraries, or of JSON, beside being names of ours.
ORDINARY: Final = frozenset({"Agent", "Field", "Gate", "Table", "Text", "Track", "Head", "Message"})

_CODE: Final = re.compile(
    r"(?ms)^(?P<fence>\s*```|\s*~~~).*?^\s*```\s*$|^#+ .*?$|\[[^\]\n]*\]\s*[\[(][^\])]*[\])]"
    r"|<code>.*?</code>|``.*?``|`(?P<name>[A-Za-z_][\w.]*)(?P<call>\(\))?`"
)


@dataclass(frozen=True)
class Name:
    """One public name of a module."""

    module: str
    name: str
    path: str
    """Where it is defined: the same for every module that exports it."""
    docstring: str
    is_class: bool

    @property
    def identifier(self) -> str:
        """By which the reference knows it."""
        return f"{self.module}.{self.name}"

    @property
    def summary(self) -> str:
        """The first sentence of its docstring, on one line."""
        first = " ".join(self.docstring.strip().split("\n\n", 1)[0].split())
        end = re.search(r"(?<=[.;:])\s", first)
        return (first[: end.start()] if end else first).rstrip(";:").replace("|", r"\|")


@cache
def sources() -> griffe.ModulesCollection:
    """The source of all distributions, parsed and not imported."""
    loader = griffe.GriffeLoader(search_paths=list(SOURCES))
    for package in dict.fromkeys(_package(module) for module in MODULES):
        loader.load(package)
    loader.resolve_aliases(external=False)
    return loader.modules_collection


def _package(module: str) -> str:
    return "livekit.plugins.livelayer" if module.startswith("livekit") else module.split(".")[0]


def module_of(name: str) -> griffe.Module:
    """The source of a module."""
    return cast(griffe.Module, sources()[name])


def exported(module: str) -> list[str]:
    """The names of a module's `__all__`; without one, whatever it defines without an underscore."""
    if module == TOP:
        return list(import_module(TOP).__all__)
    source = module_of(module)
    if source.exports is not None:
        return [str(name) for name in source.exports]
    return [
        name
        for name, member in source.members.items()
        if not name.startswith("_")
        and not (member.is_alias and not _is_reexport(source, name))
        and not member.is_module
    ]


def _is_reexport(module: griffe.Module, name: str) -> bool:
    return bool(re.search(rf"(?m)\b{name} as {name}\b", module.source))


def names_of(module: str) -> Iterator[Name]:
    """A module's public names, in its order."""
    source = module_of(module)
    for name in exported(module):
        member = source.members.get(name)
        if member is None or (member.is_alias and _outside(member)):
            continue
        target = member.final_target if isinstance(member, griffe.Alias) else member
        if target.is_module:
            continue
        doc = target.docstring.value if target.docstring else ""
        yield Name(module, name, target.path, doc, target.is_class)


def _outside(member: griffe.Object | griffe.Alias) -> bool:
    """Whether an alias is of another distribution's name, which was not parsed."""
    try:
        cast(griffe.Alias, member).final_target  # noqa: B018 - a property that raises
    except (griffe.AliasResolutionError, griffe.CyclicAliasError):
        return True
    return False


@cache
def entries() -> dict[str, Name]:
    """The entry of everything public, by the path at which it is defined."""
    found: dict[str, Name] = {}
    for module in MODULES:
        for name in names_of(module):
            found.setdefault(name.path, name)
    return found


@cache
def _by_word() -> dict[str, tuple[Name, ...]]:
    found: dict[str, tuple[Name, ...]] = {}
    for entry in entries().values():
        found[entry.name] = (*found.get(entry.name, ()), entry)
    return found


def entry_named(word: str, package: str = TOP) -> Name | None:
    """The entry that a word in code means on a page of `package`."""
    if word in ORDINARY and package == TOP:
        return None
    found = _by_word().get(word, ())
    own = [one for one in found if one.module.startswith(package)]
    ours = [one for one in found if one.module.startswith(TOP)]
    for choice in (own, ours, found):
        if choice:
            return choice[0] if len(choice) == 1 else None
    return None


def entry_of(name: str) -> Name:
    """The entry of a name of the top level.

    Raises:
        LookupError: it has none.
    """
    value = getattr(import_module(TOP), name)
    for entry in _by_word().get(name, ()):
        if getattr(import_module(entry.module), name) is value:
            return entry
    raise LookupError(f"{TOP}.{name} has no entry: is its module in MODULES?")


def link_names(text: str, package: str = TOP) -> str:
    """`text` with every class of ours that is set in code linked to its entry.

    Headings, links and blocks of code stay as they are.
    """

    def link(found: re.Match[str]) -> str:
        if not found["name"]:
            return found[0]
        word, _, member = found["name"].partition(".")
        entry = entry_named(word, package)
        if entry is None or not entry.name[0].isupper() or (member and not entry.is_class):
            return found[0]
        target = f"{entry.identifier}.{member}" if member else entry.identifier
        if member and not _has(entry, member):
            return found[0]
        return f"[{found[0]}][{target}]"

    return _CODE.sub(link, text)


def _has(entry: Name, member: str) -> bool:
    return "." not in member and member in sources()[entry.path].members


def imported(module: str) -> ModuleType:
    """The module itself."""
    return import_module(module)
