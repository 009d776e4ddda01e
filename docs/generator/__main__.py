"""`python -m docs.generator` builds the site into `build/docs/site`, if anything has changed."""

from __future__ import annotations

import sys

from .site import BuildError, build_if_older

if __name__ == "__main__":
    try:
        print(build_if_older() / "index.html")
    except BuildError as exc:
        sys.exit(str(exc))
