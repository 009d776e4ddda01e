"""livekit-client as it is published, in a module of this package, served compressed."""

from __future__ import annotations

import gzip
from hashlib import sha256

from livelayer_web.assets import MODULES
from livelayer_web.combining import Modules

PATH = "livekit/livekit-client.mjs"
PUBLISHED = "d21d2e433434b7b3357ca1bb04bd56803b1fa0f9ff380dcd824523b53d96fd02"
"""Of `dist/livekit-client.umd.js`, 2.23.0, without the line with the source map's address."""


def test_it_is_the_published_file_between_two_lines_of_ours() -> None:
    first, published, last = (MODULES / PATH).read_text("utf-8").splitlines(keepends=True)
    assert first == "const exports = {}, module = {};\n"
    assert sha256(published.encode()).hexdigest() == PUBLISHED
    assert last == "export const { Room, ParticipantKind, setLogLevel } = exports;\n"


def test_its_license_lies_beside_it_and_its_readme_names_the_version() -> None:
    folder = (MODULES / PATH).parent
    assert "Apache License" in (folder / "LICENSE").read_text("utf-8")
    assert "`livekit-client` 2.23.0" in (folder / "README.md").read_text("utf-8")


def test_it_is_served_as_it_is_and_compressed() -> None:
    served = Modules(MODULES).combined(PATH)
    assert served is not None
    assert served.plain == (MODULES / PATH).read_bytes()
    assert gzip.decompress(served.packed) == served.plain
    assert len(served.packed) < len(served.plain) / 3


def test_no_page_loads_it_before_it_is_needed() -> None:
    for entry in ("livelayer.js", "headless.js", "embed/frame.js"):
        combined = Modules(MODULES).combined(entry)
        assert combined is not None
        assert b"ParticipantKind, setLogLevel" not in combined.plain
