"""A template becomes a project: its names are replaced, in the files and in their paths.

A template is a project named `livelayer-KIND-minimal` that works as it stands. It has no mark-up,
so that it is checked and tested like all other code.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from livelayer_bus.errors import MisuseError

Kind: TypeAlias = Literal["surface", "app", "agent"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
FIRST_VERSION: Final = "0.1.0"
MAX_NAME: Final = 60  # characters

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_LEFT_OUT: Final = re.compile(r"LICENSE|docs|.*\.pyc|__pycache__|.*\.egg-info|\..*")
"""Files of a template's folder that a project does not get: its licence is the user's choice."""
_OURS_ONLY: Final = re.compile(r"^license.*\n", re.M)
_VERSION: Final = re.compile(r'^version = ".*"$', re.M)


class NameRefused(MisuseError):
    """A project cannot have this name, or its folder exists."""


def create_project(kind: Kind, name: str, parent: Path) -> Path:
    """Make the folder `name` in `parent` with a project of this kind; returns it.

    A folder or file that exists is never changed.

    Args:
        kind: "surface", "app" or "agent".
        name: of the distribution: lower-case letters, digits, hyphens. The module has underscores.
        parent: an existing folder.

    Raises:
        NameRefused: the name is not one, is taken by an installed module, or its path exists.
        OSError: the folder cannot be written.
    """
    package, folder = _package(name), parent / name
    try:
        folder.mkdir()
    except FileExistsError:
        reason = f"{folder} exists and is left as it is: choose another name, or remove it"
        raise NameRefused(reason) from None
    names = _replacements(kind, name, package)
    old = re.compile("|".join(rf"(?<!\w){re.escape(word)}(?![\w])" for word in names))

    def renamed(text: str) -> str:
        return old.sub(lambda found: names[found[0]], text)

    for path, source in _files(files("livelayer_new") / "templates" / kind):
        target = folder.joinpath(*map(renamed, path))
        target.parent.mkdir(parents=True, exist_ok=True)
        text = renamed(source.read_text(encoding="utf-8"))
        if path == ("pyproject.toml",):
            text = _VERSION.sub(f'version = "{FIRST_VERSION}"', _OURS_ONLY.sub("", text), count=1)
        target.write_text(text, encoding="utf-8")
    return folder


def _package(name: str) -> str:
    """The name of the module; refuses a name that cannot be one or would hide another."""
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise NameRefused(
            f"invalid name {name[:MAX_NAME]!r}: a name has lower-case letters, digits and single "
            f"hyphens, begins with a letter and has at most {MAX_NAME} characters"
        )
    package = name.replace("-", "_")
    if iskeyword(package) or package in sys.stdlib_module_names or package in ("src", "tests"):
        raise NameRefused(f"invalid name {name!r}: Python uses it; choose another one")
    # A folder without __init__.py is found too, from the folder that holds it.
    if (found := find_spec(package)) is not None and found.origin is not None:
        raise NameRefused(f"invalid name {name!r}: a module {package!r} is installed already")
    return package


def _replacements(kind: Kind, name: str, package: str) -> dict[str, str]:
    words = "".join(word.capitalize() for word in name.split("-"))
    suffix = kind.capitalize()
    return {
        f"livelayer-{kind}-minimal": name,
        f"livelayer_{kind}_minimal": package,
        f"Minimal{suffix}": words.removesuffix(suffix) + suffix,
        "test_minimal.py": f"test_{package}.py",
        "minimal": name,
    }


def _files(folder: Traversable) -> Iterator[tuple[tuple[str, ...], Traversable]]:
    """Every file of a template, with the parts of its path."""
    for entry in folder.iterdir():
        if _LEFT_OUT.fullmatch(entry.name):
            continue
        if entry.is_dir():
            for path, source in _files(entry):
                yield (entry.name, *path), source
        else:
            yield (entry.name,), entry
