"""Every block of code of the tutorials and of the how-to pages runs."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest

from .pages import DOCS, PAGES, SECONDS, PageRun

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_every_block_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        with anyio.fail_after(SECONDS):
            await PageRun(page, tmp_path).run()

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    known = set(sys.modules)
    try:
        anyio.run(run)
    finally:
        for name in set(sys.modules) - known:
            if Path(getattr(sys.modules[name], "__file__", None) or "").parent == tmp_path:
                del sys.modules[name]
