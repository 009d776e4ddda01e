"""Entry points: what is installed, what is missing, and what is broken are told apart."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from livelayer_bus.config import SURFACES, installed_surfaces, load_surface
from livelayer_bus.errors import PluginBrokenError, PluginNotFoundError
from livelayer_bus.surfaces.jsonl import JsonlSurface


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path that takes distributions."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def put(folder: Path, distribution: str, entries: str, **modules: str) -> None:
    info = folder / f"{distribution.replace('-', '_')}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[{SURFACES}]\n{entries}\n")
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source)


def test_the_built_in_surfaces_are_listed_with_their_distribution() -> None:
    ours = {s.name for s in installed_surfaces() if s.distribution == "livelayer-bus"}
    assert ours == {"jsonl"}


def test_listing_imports_nothing(install: Path) -> None:
    put(install, "ll-loud", "loud = ll_loud:Loud", ll_loud="raise SystemExit('imported')")
    found = [s for s in installed_surfaces() if s.name == "loud"]
    assert [(s.distribution, s.version, s.target) for s in found] == [
        ("ll-loud", "1.2", "ll_loud:Loud")
    ]
    assert "ll_loud" not in sys.modules


def test_a_surface_is_loaded_by_its_name() -> None:
    assert load_surface("jsonl") is JsonlSurface


def test_a_missing_surface_names_what_there_is_and_the_likely_one() -> None:
    with pytest.raises(PluginNotFoundError, match="console, jsonl") as caught:
        load_surface("consle")
    told = " ".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
    assert "did you mean 'console'?" in told


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module_of_ours", "no_such_module_of_ours"),
        ("raise RuntimeError('first line\\nsecond')", "RuntimeError: first line"),
        ("def (", "SyntaxError"),
        ("Other = 1", "AttributeError"),
        ("Broken = 3", "is a int, not something to call"),
    ],
)
def test_a_broken_surface_names_its_distribution_and_why(
    install: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    put(install, "ll-broken", "broken = ll_broken:Broken", ll_broken=source)
    monkeypatch.delitem(sys.modules, "ll_broken", raising=False)
    with pytest.raises(PluginBrokenError) as caught:
        load_surface("broken")
    assert caught.value.distribution == "ll-broken"
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (caught.value.__cause__ is None) == (source == "Broken = 3")


def test_a_name_that_two_distributions_claim_is_given_to_neither(install: Path) -> None:
    put(install, "ll-one", "twice = ll_one:make", ll_one="def make(): ...")
    put(install, "ll-two", "twice = ll_two:make", ll_two="def make(): ...")
    with pytest.raises(PluginBrokenError, match="ll-one and ll-two both offer it"):
        load_surface("twice")
