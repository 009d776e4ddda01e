"""Every distribution: one version, one licence, and a changelog that knows both."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tests import distributions as module
from tests.distributions import Distribution, bounds, check_tag, distributions, set_version

ROOT: Final = Path(__file__).parents[2]
OURS: Final = distributions()
VERSION: Final[str] = OURS["livelayer-bus"].project["version"]
THIRD_PARTY: Final = (ROOT / "THIRD_PARTY.md").read_text()
SKIPPED: Final = {".venv", ".git", "node_modules", "dist", "build", "site"}


@pytest.fixture(params=OURS, ids=lambda name: str(name))
def one(request: pytest.FixtureRequest) -> Distribution:
    """Each of our distributions."""
    return OURS[request.param]


def test_all_are_found() -> None:
    assert len(OURS) >= 12
    assert {one.folder.name for one in OURS.values()} - {ROOT.name} == {
        *(path.name for path in (ROOT / "plugins").iterdir() if path.is_dir()),
        "benchmarks",
    }


def test_it_has_the_one_version_and_requires_the_others_from_it_on(one: Distribution) -> None:
    assert one.project["version"] == VERSION
    wanted = set(bounds(VERSION).split(","))
    for need in one.requirements():
        if need.name in OURS and need.name != one.name:
            assert {str(part) for part in need.specifier} == wanted, str(need)


def test_templates_require_this_version() -> None:
    files = [*ROOT.glob("plugins/*/src/*/templates/*/pyproject.toml")]
    assert len(files) >= 3
    for file in files:
        found = re.findall(
            r"(liv[a-z-]*layer[a-z-]*)(?:\[\w+\])?(>=[\d.]+,<[\d.]+)", file.read_text()
        )
        assert found, file
        assert {part for _, part in found} == {bounds(VERSION)}, file


def test_it_has_what_a_package_index_shows(one: Distribution) -> None:
    assert one.project["license"] == "Apache-2.0"
    assert "LICENSE" in one.project["license-files"]
    assert (one.folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert one.project["description"].endswith(".")
    assert "readme" in one.project or "readme" in one.project["dynamic"]


def test_everything_can_be_installed_by_one_name() -> None:
    all_of_it = {need.name for need in OURS["livelayer-bus"].requirements() if need.name in OURS}
    assert OURS.keys() - all_of_it == {"livelayer", "livelayer-surface-minimal"}
    [need] = OURS["livelayer"].requirements()
    assert (need.name, need.extras) == ("livelayer-bus", {"all"})
    scripts = {
        one.name: one.project["scripts"] for one in OURS.values() if "scripts" in one.project
    }
    assert scripts["livelayer"] == scripts["livelayer-bus"]
    assert set(scripts) == {"livelayer", "livelayer-bus"}


def test_a_new_version_is_written_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a copy of what is changed."""
    templates = ROOT.glob("plugins/*/src/*/templates/*/pyproject.toml")
    for file in (*(one.file for one in OURS.values()), *templates, ROOT / "CHANGELOG.md"):
        target = tmp_path / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "CHANGELOG", tmp_path / "CHANGELOG.md")
    with pytest.raises(SystemExit, match=r"the tag 'v9\.8\.7' is not"):
        check_tag("v9.8.7")
    set_version("9.8.7")
    set_version("9.8.7")  # once more: nothing is written twice
    check_tag("v9.8.7")
    for file in tmp_path.rglob("pyproject.toml"):
        text = file.read_text()
        assert bounds(VERSION) not in text
        if "templates" not in file.parts:
            assert tomllib.loads(text)["project"]["version"] == "9.8.7"
    changelog = (tmp_path / "CHANGELOG.md").read_text()
    assert changelog.count("\n## 9.8.7 - ") == 1
    assert changelog.index("## Unreleased") < changelog.index("## 9.8.7")


@pytest.mark.parametrize(
    ("version", "wanted"),
    [("0.1.0", ">=0.1.0,<0.2"), ("0.9.3", ">=0.9.3,<0.10"), ("1.4.2", ">=1.4.2,<2")],
)
def test_what_a_version_requires_of_the_others(version: str, wanted: str) -> None:
    assert bounds(version) == wanted


def test_the_changelog_has_one_section_for_each_version() -> None:
    heads = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert heads[0] == "Unreleased"
    assert len(set(heads)) == len(heads)
    for head in heads[1:]:
        assert re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", head)


def foreign() -> set[str]:
    """Files that look like code of others: minified, or beside a licence of their own."""
    found: set[str] = set()
    own = {one.folder / "LICENSE" for one in OURS.values()}
    for top in (ROOT / "livelayer_bus", ROOT / "plugins", ROOT / "benchmarks", ROOT / "docs"):
        for path in top.rglob("*"):
            if SKIPPED & set(path.parts) or not path.is_file():
                continue
            if path.name.startswith("LICENSE") and path not in own:
                found |= {one.as_posix() for one in path.parent.glob("*js")}
            if path.suffix in (".js", ".mjs", ".css", ".wasm", ".woff2"):
                is_text = path.suffix not in (".wasm", ".woff2")
                lines = path.read_text().splitlines() if is_text else ["x" * 5000]
                if max(map(len, lines), default=0) >= 5000:
                    found.add(path.as_posix())
    return {Path(path).relative_to(ROOT).as_posix() for path in found}


def test_code_of_others_is_listed_with_its_licence() -> None:
    table = re.findall(r"^\| `([^`]+)` \|.*\| `?([^`|]+?)`? \|$", THIRD_PARTY, re.M)
    listed = dict(table)
    assert len(listed) >= 2
    assert foreign() <= set(listed), "list it in THIRD_PARTY.md"
    for path, licence in listed.items():
        assert (ROOT / path).is_file(), path
        assert licence == "public domain" or (ROOT / licence).is_file(), licence
