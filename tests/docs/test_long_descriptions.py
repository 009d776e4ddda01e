"""What a package index shows of each distribution names only what an index has."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECTS = (ROOT, ROOT / "benchmarks", *sorted((ROOT / "plugins").iterdir()))
TARGET = re.compile(
    r"\]\(\s*([^)\s]+)|^\[[^]]+\]:\s*(\S+)|(?:src|href)=[\"']([^\"']+)", re.MULTILINE
)


def targets(text: str) -> list[str]:
    """What the links and pictures of a text name, outside its code."""
    text = re.sub(r"(?ms)^```.*?^```|^    .*?$|`[^`\n]+`", "", text)
    return ["".join(found) for found in TARGET.findall(text)]


def long_description(project: dict[str, Any], readme: str) -> str:
    """README as the build of the distribution changes it."""
    if "readme" not in project["project"].get("dynamic", ()):
        assert project["project"]["readme"] == "README.md"
        return readme
    hook = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    assert hook["fragments"] == [{"path": "README.md"}]
    for change in hook["substitutions"]:
        readme = re.sub(change["pattern"], change["replacement"], readme)
    return readme


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda folder: folder.name)
def test_a_long_description_names_no_file_of_the_repository(folder: Path) -> None:
    readme = (folder / "README.md").read_text()
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    shown = long_description(project, readme)
    assert [one for one in targets(shown) if not re.match("https?://|#", one)] == []
    assert shown.startswith("# ")
    # Nothing else is lost: every heading but those of pictures, and every block of code.
    headings = set(re.findall(r"(?m)^#+ .*$", readme)) - set(re.findall(r"(?m)^#+ .*$", shown))
    assert headings <= {"## What people see"}
    assert re.findall(r"(?ms)^```.*?^```|^    .*?$", readme) == re.findall(
        r"(?ms)^```.*?^```|^    .*?$", shown
    )


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda folder: folder.name)
def test_a_readme_names_files_that_exist(folder: Path) -> None:
    for target in targets((folder / "README.md").read_text()):
        if not re.match("https?://|#", target):
            assert (folder / target.partition("#")[0]).exists(), target
