"""Serves each module of the browser's half with everything that it imports, as one file.

A page would otherwise ask for some ninety files, one round trip after another. Nothing is built:
the files are combined when they are first asked for, and again when one of them has changed.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from posixpath import dirname, join, normpath, relpath
from threading import Lock
from typing import Final, NamedTuple, final

_COMMENT: Final = re.compile(r"^[ \t]*(?://.*|/\*(?:[^*]|\*(?!/))*\*/[ \t]*)\n", re.M)
"""Whole lines of comment. No template literal of ours spans lines."""
_IMPORT: Final = re.compile(
    r'^import (?:(?P<sheet>\w+) from |\{(?P<names>[^}]*)\} from )?"(?P<path>\.[^"]+)"'
    r'(?: with \{ type: "css" \})?;$',
    re.M,
)
_GIVES: Final = re.compile(
    r'^export (?:\{(?P<names>[^}]*)\}|(?P<all>\*))(?: from "(?P<path>\.[^"]+)")?;$', re.M
)
_EXPORT: Final = re.compile(
    r"^export (?=(?:async )?(?:const|class|function\*?) (?P<name>\w+))", re.M
)
_REST: Final = re.compile(r"^(?:import|export)\b.*", re.M)


class Combined(NamedTuple):
    """One file, and what it is known by."""

    plain: bytes
    packed: bytes
    """With gzip."""
    tag: str


@final
class Modules:
    """The modules below a folder, each combined with those that it imports.

    Guarantee: a page evaluates each module once, whichever of the files it loads bring it. A change
    of a file takes effect at the next request. It may be used from several threads.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._state: dict[Path, tuple[int, int, int]] = {}
        self._release = ""
        self._made: dict[str, Combined | None] = {}

    def combined(self, path: str) -> Combined | None:
        """The module of this path with those that it imports; None: it is no module.

        Raises:
            ValueError: a module is written in a way that cannot be combined; the text says which.
        """
        with self._lock:
            self._look()
            if path not in self._made:
                self._made[path] = self._combine(path)
            return self._made[path]

    def _look(self) -> None:
        """Forget everything if a file has changed."""
        state = {}
        for path in sorted(self._folder.rglob("*.*[cj]s*")):
            found = path.stat()
            # Installers may set mtime to any value, but not ctime.
            state[path] = (found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if state != self._state:
            release = blake2b(digest_size=8)
            for path in state:
                release.update(path.read_bytes())
            self._state, self._release, self._made = state, release.hexdigest(), {}

    def _combine(self, path: str) -> Combined | None:
        if path.endswith(".mjs"):  # of others: complete, and left as it is
            return _packed((self._folder / path).read_bytes())
        if not path.endswith(".js") or not _REST.search(self._text(path)):
            return None
        file = _File(path, self._text)
        names = ", ".join(file.names[path])
        head = (
            "// Modules of livelayer-web, as in their files but for comments. A page evaluates\n"
            "// each once, whichever of its files bring it.\n"
            f'const $ = (globalThis[Symbol.for("livelayer-web {self._release}")] ??= {{}});\n'
        )
        tail = f"export const {{ {names} }} = $[{json.dumps(path)}];\n" if names else ""
        return _packed("".join([head, *file.parts, tail]).encode())

    def _text(self, path: str) -> str:
        return _COMMENT.sub("", (self._folder / path).read_text("utf-8"))


@final
class _File:
    """What one file consists of: a module after those that it imports."""

    def __init__(self, path: str, text_of: Callable[[str], str]) -> None:
        self.parts: list[str] = []
        self.names: dict[str, Iterable[str]] = {}
        """What each module exports."""
        self._text_of = text_of
        self._place = dirname(path)
        self._above: list[str] = []
        self._add(path)

    def _add(self, path: str) -> None:
        if path in self._above:
            raise ValueError(f"{path} imports itself: {' -> '.join([*self._above, path])}")
        if path in self.names:
            return
        self._above.append(path)
        if path.endswith(".css"):
            text, exported = _sheet(self._text_of(path)), dict[str, str]()
        else:
            text, exported = self._module(path)
        self._above.pop()
        self.parts.append(f"$[{json.dumps(path)}] ??= (() => {{\n{text.strip()}\n}})();\n")
        self.names[path] = exported

    def _module(self, path: str) -> tuple[str, dict[str, str]]:
        """The body of a function that returns what the module exports; the names of that."""
        exported: dict[str, str] = {}  # by name: the expression that has its value

        def brought(found: re.Match[str]) -> str:
            other = normpath(join(dirname(path), found["path"]))
            try:
                self._add(other)
            except OSError as exc:
                raise ValueError(f"{path} imports {other}, which cannot be read") from exc
            return other

        def imported(found: re.Match[str]) -> str:
            source = f"$[{json.dumps(brought(found))}]"
            if found["sheet"]:
                return f"const {found['sheet']} = {source};"
            names = ", ".join(_member(*pair) for pair in _pairs(found["names"] or ""))
            return f"const {{ {names} }} = {source};" if names else ""

        def given(found: re.Match[str]) -> str:
            pairs = list(_pairs(found["names"] or ""))
            source = ""
            if found["path"]:
                other = brought(found)
                source = f"$[{json.dumps(other)}]."
                pairs = pairs or [(name, name) for name in self.names[other]]
            exported.update((name, source + here) for here, name in pairs)
            return ""

        def declared(found: re.Match[str]) -> str:
            exported[found["name"]] = found["name"]
            return ""

        text = self._text_of(path)
        text = _EXPORT.sub(declared, _GIVES.sub(given, _IMPORT.sub(imported, text)))
        if rest := _REST.search(text):
            raise ValueError(f"{path} is written in a way that cannot be combined: {rest[0]}")
        here = json.dumps(relpath(path, self._place or "."))
        text = text.replace("import.meta.url", f"new URL({here}, import.meta.url).href")
        names = ", ".join(_member(name, value) for name, value in exported.items())
        return f"{text.rstrip()}\nreturn {{ {names} }};", exported


def _packed(plain: bytes) -> Combined:
    # The same bytes at any time, and so the same tag.
    packed = gzip.compress(plain, 9, mtime=0)
    return Combined(plain, packed, blake2b(plain, digest_size=12).hexdigest())


def _sheet(text: str) -> str:
    return (
        "const sheet = new CSSStyleSheet();\n"
        f"sheet.replaceSync({json.dumps(text, ensure_ascii=False)});\n"
        "return sheet;"
    )


def _pairs(names: str) -> Iterator[tuple[str, str]]:
    """`a, b as c`, in pairs."""
    for one in names.split(","):
        if words := one.split():
            yield words[0], words[-1]


def _member(name: str, value: str) -> str:
    return name if name == value else f"{name}: {value}"
