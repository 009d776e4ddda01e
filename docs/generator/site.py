"""From `docs/`, READMEs and code to one tree of pages, and from that to a site."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from . import api, figures, tables
from .names import MODULES, ROOT, TOP, link_names


class BuildError(Exception):
    """The site cannot be built; the text says why."""


DOCS: Final = ROOT / "docs"
OUT: Final = ROOT / "build" / "docs"
LINK: Final = re.compile(r"(?P<mark>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
CODE: Final = re.compile(r"(?ms)^\s*```.*?^\s*```\s*$|`[^`\n]+`")
HIDDEN: Final = re.compile(r"(?ms)^<!--- .*?-->\n+")

# Pages that live beside what they are about.
INCLUDED: Final = {
    "plugins/livelayer-web/docs/protocol.md": "reference/protocol.md",
    "plugins/livelayer-web/react/README.md": "distributions/livelayer-react.md",
    "benchmarks/README.md": "distributions/livelayer-benchmarks.md",
    "CHANGELOG.md": "changelog.md",
} | {
    f"plugins/{folder.parent.name}/README.md": f"distributions/{folder.parent.name}.md"
    for folder in sorted(ROOT.glob("plugins/*/README.md"))
}
DISTRIBUTIONS: Final = sorted(path for path in INCLUDED.values() if path.startswith("distr"))


def navigation() -> list[dict[str, Any]]:
    """The site's menu: the folders of `docs/` in the order of their index, then what is made."""
    return [
        {"livelayer-bus": "index.md"},
        {"Tutorial": ["tutorial/first-surface.md", "tutorial/application.md"]},
        {"How-to": [*_listed("how-to/index.md"), "deployment.md"]},
        {
            "Reference": [
                "reference/protocol.md",
                {"Wire messages": "reference/messages.md"},
                {"Events": "reference/events.md"},
                {"Errors": "reference/errors.md"},
                {"HTTP routes": "reference/http.md"},
                {"Configuration": "reference/configuration.md"},
                {"Command line": "reference/command-line.md"},
                {
                    "Python": [
                        {module: f"reference/{api.page_of(module)}"} for module in (TOP, *MODULES)
                    ]
                },
            ]
        },
        {"Explanation": [*_listed("explanation/index.md"), "embedded-server.md"]},
        {"From @livelayer/react": "from-livelayer-react.md"},
        {"Distributions": list(DISTRIBUTIONS)},
        {"Changelog": "changelog.md"},
    ]


def _listed(index: str) -> list[str]:
    """A section's index, and the pages that it links to, in that order."""
    folder = index.rpartition("/")[0]
    found = re.findall(r"\]\(([\w-]+\.md)\)", (DOCS / index).read_text())
    return [index, *dict.fromkeys(f"{folder}/{name}" for name in found)]


def hand_written() -> dict[str, str]:
    """Each page that a person wrote: its place in the repository, and its place in the site."""
    own = {
        path.relative_to(ROOT).as_posix(): path.relative_to(DOCS).as_posix()
        for path in sorted(DOCS.rglob("*.md"))
    }
    return own | INCLUDED


def prepare(source: str, target: str, assets: dict[str, Path]) -> str:
    """The text of a hand-written page as the site shows it.

    Links lead to pages of the site; a link to any other file of the repository becomes its text.
    Pictures are added to `assets`. Figures are filled in, and names of ours are linked.
    """
    text = HIDDEN.sub("", (ROOT / source).read_text())
    text = figures.fill(text).replace("{{ figures }}", figures.table())
    places = hand_written() | {"README.md": "index.md"}
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"\0{len(kept) - 1}\0"

    def relink(found: re.Match[str]) -> str:
        address, hash_mark, anchor = found["target"].partition("#")
        if not address or re.match(r"[a-z]+:", found["target"]):
            return found[0]
        path = (ROOT / source).parent.joinpath(address).resolve()
        place = path.relative_to(ROOT).as_posix()
        if place in places:
            relative = os.path.relpath(places[place], Path(target).parent)
            return f"{found['mark']}[{found['text']}]({relative}{hash_mark}{anchor})"
        if path.suffix in {".png", ".svg"}:
            assets[f"assets/{path.name}"] = path
            relative = os.path.relpath(f"assets/{path.name}", Path(target).parent)
            return f"{found['mark']}[{found['text']}]({relative})"
        made = re.fullmatch(r"docs/(reference/.*\.md)", place)
        if made:
            relative = os.path.relpath(made[1], Path(target).parent)
            return f"[{found['text']}]({relative}{hash_mark}{anchor})"
        return found["text"]

    text = LINK.sub(relink, CODE.sub(keep, text))
    while "\0" in text:
        text = re.sub("\0(\\d+)\0", lambda found: kept[int(found[1])], text)
    package = next((m for m in MODULES if m.replace("_", "-") == Path(target).stem), TOP)
    return link_names(text, package.split(".")[0])


def write_pages(out: Path) -> None:
    """Write every page of the site below `out`, which is emptied first."""
    shutil.rmtree(out, ignore_errors=True)
    assets = {f"assets/{path.name}": path for path in figures.RESULTS.glob("*.svg")}
    pages = {f"reference/{path}": text for path, text in {**api.pages(), **tables.pages()}.items()}
    for source, target in hand_written().items():
        pages[target] = prepare(source, target, assets)
    for target, text in pages.items():
        path = out / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for target, picture in assets.items():
        path = out / target
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, path)
    shutil.copytree(DOCS / "theme", out / "theme", dirs_exist_ok=True)


def write_settings(out: Path) -> Path:
    """The generator's settings, with the menu and the places of this checkout."""
    settings = (DOCS / "zensical.toml").read_text()
    settings = settings.replace("nav = []", f"nav = {_toml(navigation())}")
    paths = [str(path) for path in (ROOT, *sorted(ROOT.glob("plugins/*/src")))]
    settings = settings.replace("paths = []", f"paths = {json.dumps(paths)}")
    path = out / "zensical.toml"
    path.write_text(settings)
    return path


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(k)} = {_toml(v)}' for k, v in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return json.dumps(value)


def build(out: Path = OUT) -> Path:
    """Build the site into `out/site`; a warning is an error.

    Raises:
        BuildError: there was a warning, or the generator failed.
    """
    write_pages(out / "pages")
    run_zensical(write_settings(out))
    return out / "site"


def run_zensical(settings: Path) -> None:
    """Build the site of these settings, beside them.

    Raises:
        BuildError: there was a warning, or it failed.
    """
    python_path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "-f", str(settings)],
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": python_path, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # What reads the docstrings warns, and goes on.
    if done.returncode != 0 or "griffe:" in done.stdout:
        raise BuildError(done.stdout)


def build_if_older(out: Path = OUT) -> Path:
    """The site, built anew only if a file that it is made of is newer.

    Raises:
        BuildError: as `build`.
    """
    made = out / "site" / "index.html"
    folders = (DOCS, ROOT / "livelayer_bus", ROOT / "plugins", ROOT / "benchmarks" / "results")
    files = [ROOT / "CHANGELOG.md", ROOT / "benchmarks" / "README.md"]
    for folder in folders:
        files += (p for p in folder.rglob("*") if p.suffix in {".py", ".md", ".toml", ".css"})
    newest = max(path.stat().st_mtime for path in files)
    return made.parent if made.exists() and made.stat().st_mtime > newest else build(out)
