"""What a user installs: wheels, each built from its sdist alone, without this repository.

Installed with the newest versions of everything else that the requirements allow.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
from uv import find_uv_bin

from livelayer_bus.testing import PATIENCE
from tests.distributions import build, distributions, metadata, needed_by, wheel

pytestmark = pytest.mark.slow
ROOT: Final = Path(__file__).parents[2]
OURS: Final = distributions()
MODULES: Final = {"livekit-plugins-livelayer": "livekit.plugins.livelayer", "livelayer": None}
SECONDS: Final = 20 * PATIENCE  # packages may have to come from an index
IMPORTED: Final = """
import importlib, sys
from importlib.metadata import distribution
module, name = sys.argv[1:]
found = importlib.import_module(module)
assert sys.prefix in found.__file__, found.__file__
for point in distribution(name).entry_points:
    if not point.group.startswith(("console_scripts", "pytest11", "livelayer_bus.c")):
        point.load()
print("imported")
"""


def run(*command: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """A command outside of this repository, with nothing of it on Python's path."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "LIVEKIT", "VIRTUAL_ENV"))
    }
    return subprocess.run(  # noqa: S603 - our own commands
        command,
        cwd=cwd,
        env=kept | {"COLUMNS": "200"} | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


class Venv:
    """A virtual environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uv("venv", "--quiet", str(folder))

    def uv(self, *words: str) -> None:
        done = run(find_uv_bin(), *words, cwd=self.folder.parent)
        assert done.returncode == 0, done.stderr

    def install(self, *what: str) -> None:
        self.uv("pip", "install", "--quiet", "--python", str(self.folder), *what)

    def __call__(self, program: str, *words: str, cwd: Path | None = None) -> str:
        """Run one of its programs; what it printed."""
        path = str(self.folder / "bin" / program)
        done = run(path, *words, cwd=cwd or self.folder)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build(folder)
    return folder


def wheels(dist: Path, names: Sequence[str] | frozenset[str]) -> list[str]:
    return [str(wheel(dist, name)) for name in sorted(names)]


@pytest.mark.parametrize("name", OURS)
def test_a_wheel_has_its_types_and_licences_and_nothing_else(dist: Path, name: str) -> None:
    one = OURS[name]
    with zipfile.ZipFile(wheel(dist, name)) as archive:
        files = set(archive.namelist())
    info = f"{one.stem}.dist-info"
    module = MODULES.get(name, name.replace("-", "_"))
    code = {file for file in files if not file.startswith(info)}
    if module is None:
        assert code == set()
    else:
        folder = module.replace(".", "/")
        assert f"{folder}/py.typed" in files
        assert all(file.startswith(folder) for file in code)
    assert f"{info}/licenses/LICENSE" in files
    assert not [file for file in files if re.search(r"\.pyc$|egg-info|/\.", file)]
    own = {file for file in code if Path(file).name.startswith("LICENSE")} - {
        file for file in code if "/templates/" in file
    }
    licences = {file for file in files if file.startswith(f"{info}/licenses/")}
    for path in own:
        assert [licence for licence in licences if licence.endswith(path)], (
            f"{path} is not declared"
        )


@pytest.mark.parametrize("name", OURS)
def test_metadata_is_what_an_index_takes(dist: Path, name: str) -> None:
    for found in metadata(dist, name):
        assert found.license_expression == "Apache-2.0"
        assert "![" not in (found.description or ""), "a picture needs an absolute address"
        assert str(found.requires_python) == ">=3.11"


@pytest.mark.parametrize("name", [name for name in OURS if MODULES.get(name, "") is not None])
def test_it_is_imported_where_it_is_alone(dist: Path, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        venv = Venv(Path(folder))
        venv.install(*wheels(dist, needed_by(name)))
        module = MODULES.get(name) or name.replace("-", "_")
        assert venv("python", "-I", "-c", IMPORTED, module, name) == "imported\n"


@pytest.fixture(scope="module")
def everything(dist: Path) -> Iterator[Venv]:
    """All distributions in one environment."""
    with tempfile.TemporaryDirectory() as folder:
        venv = Venv(Path(folder))
        venv.install(*wheels(dist, frozenset(OURS)), "pytest")
        venv.uv("pip", "check", "--python", folder)
        yield venv


def test_all_together_the_doctor_misses_nothing(everything: Venv) -> None:
    findings = [*map(json.loads, everything("livelayer", "doctor", "--json").splitlines())]
    verdicts = {finding["what"]: finding["verdict"] for finding in findings}
    names = OURS.keys() - {"livelayer", "livelayer-bus", "livelayer-surface-minimal"}
    assert {verdicts[name] for name in (*names, "versions", "surfaces")} == {"ok"}


def test_the_demo_talks(everything: Venv, tmp_path: Path) -> None:
    shown = everything("livelayer", "demo", "--seconds", "10", "-o", "seen.jsonl", cwd=tmp_path)
    assert "Lumi" in shown
    assert '"TranscriptUpdated"' in (tmp_path / "seen.jsonl").read_text()


@pytest.mark.parametrize("kind", ["surface", "app", "agent"])
def test_the_tests_of_a_new_project_pass(everything: Venv, tmp_path: Path, kind: str) -> None:
    everything("livelayer", "new", kind, f"new-{kind}", cwd=tmp_path)
    project = tmp_path / f"new-{kind}"
    everything.install("-e", str(project))
    assert re.search(r"^3 passed", everything("pytest", "-q", cwd=project), re.M)


def test_uvx_starts_it_by_its_short_name(dist: Path, everything: Venv, tmp_path: Path) -> None:
    """`uvx livelayer` with this distribution of that name."""
    others = [word for path in wheels(dist, needed_by("livelayer")) for word in ("--with", path)]
    uvx = (find_uv_bin(), "tool", "run", "--from", str(wheel(dist, "livelayer")), *others)
    done = run(*uvx, "livelayer", "--version", cwd=tmp_path)
    assert (done.returncode, "warning" in done.stderr.lower()) == (0, False), done.stderr
    assert done.stdout == f"livelayer-bus {OURS['livelayer-bus'].project['version']}\n"
