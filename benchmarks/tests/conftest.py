from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Any

import msgspec
import pytest
from livelayer_benchmarks.harness import Area, Result


@pytest.fixture
def read_result() -> Callable[[Area, bytes], Result[Any, Any]]:
    """Decodes a result's file, with the types of the area that wrote it."""

    def decode(area: Area, data: bytes) -> Result[Any, Any]:
        cases: Any = reduce(or_, (table.case for table in area.tables))
        kind: Any = Result[type(area.plan), cases]  # type: ignore[misc]
        result: Result[Any, Any] = msgspec.json.decode(data, type=kind)
        return result

    return decode
