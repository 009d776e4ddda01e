"""Which features the oldest supported browsers lack: the table `newer.txt`, and how it is made.

    npm pack @mdn/browser-compat-data && tar xzf mdn-browser-compat-data-*.tgz
    python plugins/livelayer-web/tests/client/newer.py package/data.json

Each line names an interface, or a global object, and its members that a browser of `OLDEST` lacks
and another browser has, or `itself`. `_static` marks a static member, `!` a name that no interface
has in those browsers. The lines that begin with `css` have what style sheets may use.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

OLDEST: Final = {"chrome": "111", "firefox": "115", "safari": "16.4", "safari_ios": "16.4"}
"""All four are of 2023: https://github.com/mdn/browser-compat-data names Edge as Chrome."""
TABLE: Final = Path(__file__).with_suffix(".txt")


class Newer(NamedTuple):
    """The table."""

    interfaces: dict[str, list[str]]
    """By interface: its newer members; `itself`."""
    unique: set[str]
    """Members whose name alone tells that they are newer."""
    css: dict[str, set[str]]
    """By kind: `properties`, `selectors`, `at-rules`, and `types` (functions)."""


def read() -> Newer:
    """The table as it is kept."""
    found = Newer({}, set(), {})
    for line in TABLE.read_text().splitlines():
        name, _, members = line.partition(":")
        if name.startswith("css "):
            found.css[name[4:]] = set(members.split())
        elif not line.startswith("#"):
            found.interfaces[name] = [member.rstrip("!") for member in members.split()]
            found.unique.update(
                member.rstrip("!").removesuffix("_static")
                for member in members.split()
                if member.endswith("!")
            )
    return found


def _since(compat: dict[str, Any], browser: str) -> tuple[int, ...] | None:
    """The version that brought it, without a flag or a prefix."""
    entries = compat["support"].get(browser, [])
    versions: list[tuple[int, ...]] = []
    for entry in entries if isinstance(entries, list) else [entries]:
        version = entry["version_added"]
        odd = {"flags", "prefix", "alternative_name", "version_removed"} & set(entry)
        if not odd and isinstance(version, str) and version != "preview":
            versions.append(_number(version))
    return min(versions, default=None)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _is_newer(compat: dict[str, Any]) -> bool:
    return any(
        (since := _since(compat, browser)) is None or since > _number(oldest)
        for browser, oldest in OLDEST.items()
    )


def _is_anywhere(compat: dict[str, Any]) -> bool:
    return any(_since(compat, browser) is not None for browser in OLDEST)


def _members(node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, member in node.items():
        if name != "__compat" and "__compat" in member and re.fullmatch(r"[\w-]+", name):
            yield name, member["__compat"]


def _made(data: dict[str, Any]) -> Iterator[str]:
    old: set[str] = set()
    newer: dict[str, list[str]] = {}
    for root in (data["api"], data["javascript"]["builtins"]):
        for name, node in root.items():
            if "__compat" not in node:
                continue
            lacking = _is_newer(node["__compat"])
            if lacking and _is_anywhere(node["__compat"]):
                newer[name] = ["itself"]
            # What a new global object is for may be there without it: iterators have `map`.
            if lacking and root is data["api"]:
                continue
            for member, compat in _members(node):
                if member.endswith("_event") or member == name:
                    continue
                if not _is_newer(compat):
                    old.add(member.removesuffix("_static"))
                elif _is_anywhere(compat):
                    newer.setdefault(name, []).append(member)
    for name, members in sorted(newer.items()):
        known = {*old, "itself"}
        marked = (one if one.removesuffix("_static") in known else f"{one}!" for one in members)
        yield f"{name}: {' '.join(marked)}"
    for kind in ("properties", "selectors", "at-rules", "types"):
        found = {
            name
            for name, node in data["css"][kind].items()
            if "__compat" in node and _is_newer(node["__compat"]) and _is_anywhere(node["__compat"])
        }
        if kind == "types":
            found |= {
                name
                for name, compat in _members(data["css"]["types"]["color"])
                if _is_newer(compat) and _is_anywhere(compat)
            }
        plain = sorted(name for name in found if not name.startswith("-"))
        yield f"css {kind}: {' '.join(plain)}"


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    source = f"# From @mdn/browser-compat-data {given['__meta']['version']} (CC0), by newer.py."
    TABLE.write_text("\n".join([source, *_made(given)]) + "\n")
