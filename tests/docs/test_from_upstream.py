"""Every row of docs/from-livelayer-react.md names a test that exists; no message is left out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from livelayer_bus.messages import COMMANDS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "from-livelayer-react.md").read_text()
ROWS = [
    re.split(r"\s*\|\s*", line.strip("| "))
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| there |")
]


def test_there_are_rows() -> None:
    assert len(ROWS) > 50


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_names_a_test(row: list[str]) -> None:
    path, _, name = row[-1].strip("`").partition("::")
    tree = ast.parse((ROOT / path).read_text())
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, functions)}


def test_every_command_has_its_row() -> None:
    told = set(re.findall(r"`(\w+)`", TEXT))
    assert {one.wire_type() for one in COMMANDS} <= told
