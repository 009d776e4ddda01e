"""Each kind of project is made as a user makes it, and its own tests pass."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest
from livelayer_new import KINDS, Kind, NameRefused, create_project
from livelayer_new.projects import FIRST_VERSION

from livelayer_bus.testing import PATIENCE

pytestmark = pytest.mark.slow
LIVELAYER: Final = (sys.executable, "-c", "from livelayer_bus.cli import main; main()")


def run(*command: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own commands
        command,
        cwd=cwd,
        env=os.environ | {"COLUMNS": "200"} | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=10 * PATIENCE,
    )


def texts(folder: Path) -> dict[str, str]:
    """Every file of a project."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_of_a_new_project_pass(tmp_path: Path, kind: Kind) -> None:
    name = f"my-{kind}-2"
    made = run(*LIVELAYER, "new", kind, name, cwd=tmp_path)
    assert (made.returncode, made.stderr) == (0, "")
    project, installed = tmp_path / name, tmp_path / "installed"
    install = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps")
    there = ("--python", sys.executable, "--no-build-isolation", "--target", str(installed))
    assert run(*install, *there, str(project), cwd=tmp_path).stderr == ""
    tests = (sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")
    done = run(*tests, cwd=project, PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stdout
    assert re.search(r"^3 passed", done.stdout, re.M), done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_template_s_name_is_left(tmp_path: Path, kind: Kind) -> None:
    project = create_project(kind, "shop-lights", tmp_path)
    files = texts(project)
    assert {"README.md", "pyproject.toml", "tests/test_shop_lights.py"} <= set(files)
    assert "src/shop_lights/__init__.py" in files
    assert not [path for path, text in files.items() if "minimal" in (path + text).lower()]
    table = tomllib.loads(files["pyproject.toml"])["project"]
    assert (table["name"], table["version"]) == ("shop-lights", FIRST_VERSION)
    assert not {"license", "license-files"} & set(table)


def test_a_surface_s_class_is_named_after_it(tmp_path: Path) -> None:
    create_project("surface", "shop-lights", tmp_path)
    create_project("surface", "door-surface", tmp_path)
    assert "class ShopLightsSurface:" in texts(tmp_path)["shop-lights/src/shop_lights/__init__.py"]
    assert "class DoorSurface:" in texts(tmp_path)["door-surface/src/door_surface/__init__.py"]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "Shop",
            "shop_lights",
            "-shop",
            "shop-",
            "a--b",
            "2shop",
            "shop/lights",
            "..",
            "shöp",
        ),
        *("x" * 61, "class", "json", "tests", "src", "livelayer-bus", "pytest", "shop\n"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(NameRefused, match="invalid name"):
        create_project("app", name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_folder", [True, False])
def test_what_exists_is_left_as_it_is(tmp_path: Path, is_folder: bool) -> None:
    there = tmp_path / "shop"
    if is_folder:
        there.mkdir()
    else:
        there.write_text("mine")
    done = run(*LIVELAYER, "new", "app", "shop", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "shop exists and is left as it is" in done.stderr
    assert texts(tmp_path) == ({} if is_folder else {"shop": "mine"})


def test_a_folder_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    done = run(*LIVELAYER, "new", "app", "shop", "--into", "nowhere", cwd=tmp_path)
    assert (done.returncode, "nowhere" in done.stderr) == (2, True)
