"""Every distribution of this repository: build them, or give them all a new version.

    python -m tests.distributions build [FOLDER]     # wheels and sdists, checked; into dist/
    python -m tests.distributions version 0.2.0      # in every pyproject.toml and in CHANGELOG.md
    python -m tests.distributions tag v0.2.0         # fails unless this version may be released

All have one version, the root's, and are released together; each requires the others from that
version on, up to the next one that may break (`bounds`).
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT: Final = Path(__file__).parents[1]
CHANGELOG: Final = ROOT / "CHANGELOG.md"
_VERSION_LINE: Final = re.compile(r'^version = ".+"$', re.M)
_RELATIVE_LINK: Final = re.compile(r"\]\((?!https?:|#)[^)]+\)")


class Distribution:
    """One folder with a pyproject.toml."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name: str = self.project["name"]

    @cached_property
    def project(self) -> dict[str, Any]:
        """The table `project` of its pyproject.toml."""
        table: dict[str, Any] = tomllib.loads(self.file.read_text())["project"]
        return table

    @property
    def file(self) -> Path:
        """Its pyproject.toml."""
        return self.folder / "pyproject.toml"

    @property
    def stem(self) -> str:
        """How the names of its wheel and its sdist begin."""
        return f"{self.name.replace('-', '_')}-{self.project['version']}"

    def requirements(self) -> Iterator[Requirement]:
        """What it and its extras require."""
        extras = self.project.get("optional-dependencies", {})
        for lines in (self.project.get("dependencies", ()), *extras.values()):
            yield from map(Requirement, lines)


def distributions() -> dict[str, Distribution]:
    """All of them by name, the core first."""
    files = (ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml"))
    folders = [file.parent for file in (*files, ROOT / "benchmarks" / "pyproject.toml")]
    return {found.name: found for found in map(Distribution, folders)}


def bounds(version: str) -> str:
    """What distributions of this version require of each other; 0.x versions break as x changes."""
    found = Version(version)
    end = f"0.{found.minor + 1}" if found.major == 0 else f"{found.major + 1}"
    return f">={version},<{end}"


def needed_by(name: str) -> frozenset[str]:
    """Our distributions that an installation of `name` without extras has, itself included."""
    ours, found, waiting = distributions(), set[str](), [name]
    while waiting:
        one = waiting.pop()
        wanted = Requirement(one)
        if one in found or wanted.name not in ours:
            continue
        found.add(one)
        project = ours[wanted.name].project
        waiting += project.get("dependencies", ())
        for extra in wanted.extras:
            waiting += project["optional-dependencies"][extra]
    return frozenset(Requirement(one).name for one in found)


def wheel(folder: Path, name: str) -> Path:
    """The wheel of `name` in `folder`."""
    return folder / f"{distributions()[name].stem}-py3-none-any.whl"


def build(folder: Path, names: Iterable[str] | None = None) -> None:
    """Build sdists, and wheels from those alone, into `folder`, and check what they say.

    Raises:
        SystemExit: a build or a check failed; its output is shown.
    """
    ours = distributions()
    chosen = [ours[name] for name in names or ours]
    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(lambda one: _build(one, folder), chosen):
            if done.returncode:
                raise SystemExit(f"{' '.join(done.args)} failed:\n{done.stdout}")
    for one in chosen:
        _check(one, folder)


def _build(one: Distribution, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
    return subprocess.run(  # noqa: S603 - our own command
        [*command, str(one.folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def metadata(folder: Path, name: str) -> Iterator[Metadata]:
    """The metadata of the wheel and of the sdist, as a package index validates it."""
    one = distributions()[name]
    with zipfile.ZipFile(wheel(folder, name)) as archive:
        yield Metadata.from_email(archive.read(f"{one.stem}.dist-info/METADATA"), validate=True)
    with tarfile.open(folder / f"{one.stem}.tar.gz") as archive:
        text = archive.extractfile(f"{one.stem}/PKG-INFO")
        yield Metadata.from_email(text.read() if text else b"", validate=True)


def _check(one: Distribution, folder: Path) -> None:
    for found in metadata(folder, one.name):
        facts = (canonicalize_name(found.name), str(found.version))
        if facts != (one.name, one.project["version"]):
            raise SystemExit(f"{one.name}: built as {facts}")
        if found.description_content_type != "text/markdown" or not found.description:
            raise SystemExit(f"{one.name}: a package index would show no README")
        if link := _RELATIVE_LINK.search(found.description):
            raise SystemExit(f"{one.name}: its README has a relative link, {link[0]!r}")


def set_version(version: str) -> None:
    """Write `version` everywhere, and head what CHANGELOG.md has as unreleased with it.

    Raises:
        InvalidVersion: `version` is not one.
    """
    new = str(Version(version))
    ours = distributions()
    old = ours["livelayer-bus"].project["version"]
    files = [one.file for one in ours.values()]
    for file in (*files, *ROOT.glob("plugins/*/src/*/templates/*/pyproject.toml")):
        text = file.read_text()
        if file in files:
            text = _VERSION_LINE.sub(f'version = "{new}"', text, count=1)
        file.write_text(text.replace(bounds(old), bounds(new)))
    text = CHANGELOG.read_text()
    if f"## {new}" not in text:
        today = datetime.datetime.now(tz=datetime.UTC).date()
        head = f"## Unreleased\n\n## {new} - {today}"
        CHANGELOG.write_text(text.replace("## Unreleased", head, 1))


def check_tag(tag: str) -> None:
    """Whether `tag` names the version, and CHANGELOG.md has a dated section for it.

    Raises:
        SystemExit: it does not.
    """
    version = distributions()["livelayer-bus"].project["version"]
    if tag != f"v{version}":
        raise SystemExit(f"the tag {tag!r} is not 'v{version}', the version of livelayer-bus")
    if not re.search(
        rf"^## {re.escape(version)} - \d{{4}}-\d\d-\d\d$", CHANGELOG.read_text(), re.M
    ):
        raise SystemExit(f"CHANGELOG.md has no section '## {version} - YYYY-MM-DD'")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build").add_argument("folder", nargs="?", type=Path, default=ROOT / "dist")
    commands.add_parser("version").add_argument("version")
    commands.add_parser("tag").add_argument("tag")
    given = parser.parse_args()
    match given.command:
        case "build":
            build(given.folder)
            print(f"{len(distributions())} wheels and sdists in {given.folder}")
        case "version":
            set_version(given.version)
        case _:
            check_tag(given.tag)


if __name__ == "__main__":
    main()
