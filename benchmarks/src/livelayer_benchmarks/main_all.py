"""Runs every benchmark of the project, or those named: `python -m benchmarks [AREA ...]`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

AREAS = sorted(path.parent.name for path in Path(__file__).parent.glob("*/__main__.py"))


def main(wanted: list[str]) -> int:
    """Run the areas one after the other; the exit code is 1 if one of them failed."""
    if unknown := [area for area in wanted if area not in AREAS]:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(AREAS)}", file=sys.stderr)
        return 2
    failed = 0
    for area in wanted or AREAS:
        failed |= bool(
            subprocess.run([sys.executable, "-m", f"benchmarks.{area}"], check=False).returncode
        )
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
