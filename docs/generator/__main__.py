"""`python -m docs.generator` builds the site into `build/docs/site`."""

from __future__ import annotations

import subprocess
import sys

from .site import build

if __name__ == "__main__":
    try:
        print(build())
    except subprocess.CalledProcessError as exc:
        sys.exit(exc.returncode)
