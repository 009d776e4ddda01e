"""What every test may assume: the backends, and warnings as errors."""

from __future__ import annotations

import pytest

ASYNCIO = pytest.param(("asyncio", {}), id="asyncio")
UVLOOP = pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop")
TRIO = pytest.param(("trio", {}), id="trio")


@pytest.fixture(params=[ASYNCIO, UVLOOP, TRIO])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Every loop the core runs on; folders that need asyncio override this fixture."""
    backend: tuple[str, dict[str, object]] = request.param
    return backend
