"""The HTTP kit over real connections."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, object]]:
    """uvicorn is asyncio's."""
    return "asyncio", {}
