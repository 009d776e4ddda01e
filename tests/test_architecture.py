"""The layout of the repository: layers, public names, and what the core may import."""

from __future__ import annotations

import ast
import builtins
import collections.abc
import inspect
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import livelayer_bus
from livelayer_bus.testing import PATIENCE

ROOT = Path(__file__).parents[1]
CORE = ROOT / "livelayer_bus"
MAX_ROOT_ENTRIES = 22
MAX_PUBLIC_NAMES = 70

LAYERS = (
    ("errors",),
    ("messages",),
    ("events",),
    ("transcript", "clock"),
    ("state", "bus", "tasks"),
    ("media", "tokens"),
    ("contract",),
    ("jsonl", "rooms", "surfaces", "telemetry"),
    ("session",),
    ("control", "config", "testing"),
    ("cli",),
)

"""The core from the bottom up; a module imports from its own entry and from lower lines."""

BESIDE = {("surfaces", "jsonl")}
"""Imports within one line of `LAYERS`."""

NEEDS_CLI = ("livelayer_bus.cli",)
NEEDS_TELEMETRY = ("livelayer_bus.telemetry",)
NEEDS_PYTEST = ("livelayer_bus.testing.plugin",)


def modules(folder: Path, package: str) -> Iterator[tuple[str, Path]]:
    """Every module below `folder`, by its dotted name."""
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        yield ".".join((package, *parts)).removesuffix(".__init__"), path


def imports(name: str, path: Path) -> Iterator[tuple[str, str]]:
    """Every import of a module, inside functions too: absolute module and imported name."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            for alias in node.names:
                yield base, alias.name


def entry_of(module: str, name: str = "") -> str | None:
    """The entry of `livelayer_bus/` that an import reaches; None outside the core."""
    parts = f"{module}.{name}".strip(".").split(".")
    return parts[1] if parts[0] == "livelayer_bus" and len(parts) > 1 else None


def test_the_core_has_few_entries() -> None:
    entries = [path.name for path in CORE.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= MAX_ROOT_ENTRIES, sorted(entries)


def test_every_entry_has_a_layer() -> None:
    known = {entry for layer in LAYERS for entry in layer}
    found = {path.stem for path in CORE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert found - {"__init__", "__pycache__"} == known


def test_imports_run_one_way() -> None:
    level = {entry: number for number, layer in enumerate(LAYERS) for entry in layer}
    upward = {
        (importer, imported, module)
        for module, path in modules(CORE, "livelayer_bus")
        if (importer := entry_of(module)) in level
        for base, name in imports(module, path)
        if (imported := entry_of(base, name)) in level
        and imported != importer
        and level[imported] >= level[importer]
        and (importer, imported) not in BESIDE
    }
    assert not upward


def public_modules() -> dict[str, frozenset[str]]:
    """The public modules of the core, each with the names of its face."""
    found: dict[str, frozenset[str]] = {"livelayer_bus": frozenset(livelayer_bus.__all__)}
    for path in CORE.iterdir():
        file = path / "__init__.py" if path.is_dir() else path
        if file.exists() and file.suffix == ".py" and path.stem != "__init__":
            found[f"livelayer_bus.{path.stem}"] = face_of(file)
    found["livelayer_bus.surfaces.jsonl"] = face_of(CORE / "surfaces" / "jsonl.py")
    return found


def face_of(file: Path) -> frozenset[str]:
    """The names of `__all__`; without one, every definition that has no underscore."""
    names: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        match node:
            case ast.Assign(targets=[ast.Name("__all__")]):
                return frozenset(ast.literal_eval(node.value))
            case ast.ClassDef(name) | ast.FunctionDef(name) | ast.AsyncFunctionDef(name):
                names.add(name)
            case ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name)):
                names.add(name)
            case ast.ImportFrom(names=aliases):
                names |= {alias.name for alias in aliases if alias.asname == alias.name}
            case _:
                pass
    return frozenset(name for name in names if not name.startswith("_"))


SOURCES = (*sorted(ROOT.glob("plugins/*/src")), ROOT / "benchmarks" / "src")


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.parent.name)
def test_a_plugin_imports_public_names_only(source: Path) -> None:
    public = public_modules()
    private = {
        (module, f"{base}.{name}")
        for module, path in modules(source, "")
        for base, name in imports(module.removeprefix("."), path)
        if base.split(".")[0] == "livelayer_bus"
        and f"{base}.{name}" not in public
        and name not in public.get(base, ())
        and not (base in public and name == "")
    }
    assert not sorted(private)


MADE_BY_A_SESSION = frozenset(
    f"{name}.__init__"
    for name in (
        "AudioSubscription",
        "MountedSurface",
        "Publisher",
        "Subscription",
        "SurfaceCommands",
        "VideoSubscription",
    )
)
"""Constructors that only this package calls."""


def functions(value: Any) -> Iterator[tuple[str, Any]]:
    """A public callable; of a class its constructor and its own public members."""
    value = inspect.unwrap(value)
    if inspect.isfunction(value):
        yield value.__name__, value
    if not isinstance(value, type):
        return
    yield value.__name__, value
    for name, member in vars(value).items():
        getter: Any = member.fget if isinstance(member, property) else member
        member = inspect.unwrap(getattr(getter, "__func__", getter))
        if inspect.isfunction(member) and (not name.startswith("_") or name.endswith("__")):
            yield f"{value.__name__}.{name}", member


def named_in(function: Any) -> Iterator[tuple[str, object]]:
    """Every name in a callable's annotations, or in a class's fields, with its value."""
    is_class = isinstance(function, type)
    methods = filter(inspect.isfunction, vars(function).values()) if is_class else (function,)
    # A face may have renamed a class's module; its methods still know where it was written.
    scopes = [one.__globals__ for one in methods if one.__qualname__.startswith(function.__name__)]
    scope = next(iter(scopes), vars(sys.modules[function.__module__]))
    for field, annotation in inspect.get_annotations(function).items():
        if isinstance(annotation, str) and not (field.startswith("_") and is_class):
            for node in ast.walk(ast.parse(annotation)):
                if isinstance(node, ast.Name) and not hasattr(builtins, node.id):
                    yield node.id, scope.get(node.id, "unresolved")


def test_every_type_of_a_public_signature_is_public() -> None:
    faces = {
        module: {name: getattr(import_module(module), name) for name in names}
        for module, names in public_modules().items()
        if not module.startswith(NEEDS_PYTEST)
    }
    classes = {
        value for face in faces.values() for value in face.values() if inspect.isclass(value)
    }
    aliases = [item for face in faces.values() for item in face.items()]
    private: set[tuple[str, str]] = set()
    for module, face in faces.items():
        for value in face.values():
            for where, function in functions(value):
                if where in MADE_BY_A_SESSION:
                    continue
                for name, used in named_in(function):
                    if isinstance(used, types.ModuleType | typing.TypeVar | typing.ParamSpec):
                        continue
                    if isinstance(used, type):
                        ours = used.__module__.startswith("livelayer_bus")
                        hidden = ours and used not in classes
                    else:
                        library = getattr(typing, name, getattr(collections.abc, name, None))
                        is_text = typing.get_origin(used) is typing.Annotated
                        hidden = not (is_text or used is library or (name, used) in aliases)
                    if hidden:
                        private.add((f"{module}: {where}", name))
    assert not sorted(private)


def test_the_top_level_is_small_and_told_alike_to_type_checkers() -> None:
    tree = ast.parse((CORE / "__init__.py").read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    typed = [
        alias.name
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert sorted(typed) == sorted(livelayer_bus.__all__)
    assert len(livelayer_bus.__all__) <= MAX_PUBLIC_NAMES


@pytest.mark.parametrize("name", livelayer_bus.__all__)
def test_every_public_name_exists(name: str) -> None:
    assert getattr(livelayer_bus, name) is not None


def closure(*requirements: str) -> frozenset[str]:
    """The distributions that these requirements install, by normalized name."""
    found: set[str] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, _ = waiting.pop()
        name = requirement.name.lower().replace("_", "-")
        for extra in ("", *requirement.extras):
            key = f"{name}[{extra}]"
            if key in found:
                continue
            found.add(key)
            for text in requires(name) or ():
                need = Requirement(text)
                if need.marker is None or need.marker.evaluate({"extra": extra}):
                    waiting.append((need, ""))
    return frozenset(key.partition("[")[0] for key in found)


IMPORT_ALL = """
import sys
from importlib import import_module

blocked, names = set({blocked!r}), {names!r}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError("No module named %r" % name, name=name)

sys.meta_path.insert(0, Absent())
for name in names:
    import_module(name)
print(len(names))
"""


@pytest.mark.parametrize(
    ("distribution", "left_out"),
    [
        ("livelayer-bus", (*NEEDS_CLI, *NEEDS_TELEMETRY, *NEEDS_PYTEST)),
        ("livelayer-bus[cli,telemetry]", NEEDS_PYTEST),
    ],
)
def test_every_core_module_needs_only_the_declared_dependencies(
    distribution: str, left_out: tuple[str, ...]
) -> None:
    allowed = closure(distribution)
    blocked = sorted(
        module
        for module, owners in packages_distributions().items()
        if not any(owner.lower().replace("_", "-") in allowed for owner in owners)
    )
    assert {"aiortc", "pytest", "starlette"} <= set(blocked)
    names = [
        module for module, _ in modules(CORE, "livelayer_bus") if not module.startswith(left_out)
    ]
    program = IMPORT_ALL.format(blocked=blocked, names=names)
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(names) > 50
