"""The pages of the Python reference: one a module, each public name on exactly one of them."""

from __future__ import annotations

from importlib import import_module

from .names import (
    MODULES,
    TOP,
    Name,
    entries,
    entry_of,
    exported,
    link_names,
    module_of,
    names_of,
)


def page_of(module: str) -> str:
    """The path of a module's page, from `reference/`."""
    return f"python/{module}.md"


def top_page() -> str:
    """The names that `import livelayer_bus` offers, with links to their entries."""
    rows = [_row(entry_of(name)) for name in exported(TOP)]
    return "\n".join(
        (
            f"# {TOP}",
            "",
            link_names(_docstring(TOP)),
            "",
            "Each name can be imported from here and from the module that its entry is in.",
            "",
            "| name | |",
            "|---|---|",
            *rows,
            "",
        )
    )


def module_page(module: str) -> str:
    """A module's docstring, a table of its names, and their entries."""
    names = list(names_of(module))
    here = [name for name in names if entries()[name.path] == name]
    rows = [_row(entries()[name.path]) for name in names]
    parts = [f"# {module}", "", link_names(_docstring(module), module.split(".")[0]), ""]
    if len(rows) > 1:
        parts += ["| name | |", "|---|---|", *rows, ""]
    parts += [f"::: {name.identifier}\n" for name in here]
    return "\n".join(parts)


def _docstring(module: str) -> str:
    if module == TOP:
        return import_module(TOP).__doc__ or ""
    docstring = module_of(module).docstring
    return docstring.value if docstring else ""


def _row(entry: Name) -> str:
    package = entry.module.split(".")[0]
    return f"| [`{entry.name}`][{entry.identifier}] | {link_names(entry.summary, package)} |"


def pages() -> dict[str, str]:
    """Every page of the Python reference, by its path from `reference/`."""
    found = {page_of(TOP): top_page()}
    return found | {page_of(module): module_page(module) for module in MODULES}
