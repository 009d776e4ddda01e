"""Reference pages made from the code: errors, events, messages, configuration, commands, routes."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterator
from typing import Any, Final

import griffe
import msgspec
import typer.main
from livelayer_web.endpoint import config as endpoint_config
from livelayer_web.endpoint.openapi import openapi

from livelayer_bus import config as tables
from livelayer_bus import errors, events
from livelayer_bus.cli.app import COMMANDS as CLI
from livelayer_bus.cli.app import build
from livelayer_bus.config import installed_surfaces, load_surface
from livelayer_bus.messages import FROM_AGENT, TO_AGENT, Command, WireMessage

from .names import Name, entries, imported, link_names, module_of, sources

KINDS: Final = ("ClosedError", "BrokenError", "BusyError", "MisuseError", "RefusedError")
PARAMETERS: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

_EVENTS: Final = """\
# Events

A session publishes each event once, with a sequence that grows by one, after its state has changed:
`subscribe` gives the state as of a sequence, and every event after it. Filter by class:
`session.subscribe(TranscriptUpdated)`; a base class stands for all of its events,
[`Event`][livelayer_bus.events.Event] for every one. The descriptions say when an event comes.
"""

_MESSAGES: Final = """\
# Wire messages

Messages travel as UTF-8 JSON objects in LiveKit data packets. Each has a `type`; fields are in
camelCase, and optional ones that are not set stay off the wire. What is not listed passes through
as [`RawMessage`][livelayer_bus.messages.RawMessage].

What pages and the web surface's server say to each other around these messages is in
[the protocol](protocol.md).

## From the agent: commands

A surface carries out a command only if it was mounted with the command's capability. Each command
is answered with `command_result`.
"""

_CONFIGURATION: Final = """\
# Configuration

`livelayer run`, `record` and `serve` read `livelayer.toml`. Any text in `[tokens]`, in `[endpoint]`
and in a surface's options may be taken from the environment: `{ env = "NAME" }`. An unknown key is
an error. From Python, [`load_config`][livelayer_bus.config.load_config] reads the file.
"""

_COMMAND_LINE: Final = """\
# Command line

`livelayer` has these commands. Each comes with a distribution; one that is not installed says what
to install. `--help` on each shows the same as this page.

## livelayer

"""

_HTTP: Final = """\
# HTTP routes

The web surface's routes are in [the protocol](protocol.md#routes). This page has those of the
session endpoint: `livelayer serve`, or [`create_app`][livelayer_web.endpoint.create_app] in an
application of your own. A running endpoint describes itself at `GET /openapi.json`. Errors are
`application/problem+json`.

| | | answers |
|---|---|---|"""


def cell(text: str) -> str:
    """`text` for a cell of a table."""
    return " ".join(text.split()).replace("|", r"\|")


def code(text: str) -> str:
    """`text` in code, for a cell."""
    return f"<code>{cell(text).replace('<', '&lt;')}</code>" if "|" in text else f"`{text}`"


def _package(name: Name) -> str:
    return name.module.split(".")[0]


# Errors -----------------------------------------------------------------------------------------


class _Placeholder(str):
    """Stands for an argument of an error: any format and any conversion leave its name."""

    __slots__ = ()

    def __format__(self, _: str) -> str:
        return str(self)

    def __repr__(self) -> str:
        return str(self)


def message_of(error: type[BaseException]) -> str | None:
    """The text of an error, with its arguments in angle brackets; None if that is all it has."""
    arguments: dict[str, Any] = {}
    for parameter in list(inspect.signature(error.__init__).parameters.values())[1:]:
        if parameter.kind in PARAMETERS and parameter.default is parameter.empty:
            stand_in = _Placeholder(f"<{parameter.name}>")
            annotation = str(parameter.annotation)
            arguments[parameter.name] = (stand_in,) if "tuple" in annotation else stand_in
    try:
        text = str(error(**arguments)) if arguments or _defines_init(error) else ""
    except (TypeError, ValueError, AttributeError):
        return None
    return None if re.fullmatch(r"<\w+>|", text) else text


def _defines_init(error: type[BaseException]) -> bool:
    return "__init__" in vars(error)


def raisers() -> dict[str, list[str]]:
    """For each error that a `Raises:` section names, the public callables that have one."""
    found: dict[str, list[str]] = {}
    for entry in entries().values():
        for identifier, docstring in _docstrings(entry):
            for section in docstring.parse("google", warnings=False):
                if isinstance(section, griffe.DocstringSectionRaises):
                    for raised in section.value:
                        for name in re.findall(r"\w+", str(raised.annotation)):
                            found.setdefault(name, []).append(identifier)
    return {name: list(dict.fromkeys(callers)) for name, callers in found.items()}


def _docstrings(entry: Name) -> Iterator[tuple[str, griffe.Docstring]]:
    source = sources()[entry.path]
    if source.docstring:
        yield entry.identifier, source.docstring
    if entry.is_class:
        for name, member in source.members.items():
            if not member.is_alias and member.docstring and not name.startswith("_"):
                yield f"{entry.identifier}.{name}", member.docstring


def errors_page() -> str:
    """Every error by its kind: what it means, what it says, who raises it."""
    callers = raisers()
    ours = {
        entry: kind
        for entry in entries().values()
        if entry.is_class
        and issubclass(kind := getattr(imported(entry.module), entry.name), errors.LivelayerError)
    }
    parts = [
        "# Errors\n",
        link_names(module_of("livelayer_bus.errors").docstring.value),  # type: ignore[union-attr]
        "\nWords in angle brackets are filled in. The last part of a message says what to do.\n",
    ]
    for kind_name in KINDS:
        kind = getattr(errors, kind_name)
        entry = next(one for one in ours if one.name == kind_name)
        parts += [f"## {kind_name}\n", link_names(entry.docstring), ""]
        for one, error in ours.items():
            if issubclass(error, kind) and error is not kind:
                parts.append(_error(one, error, callers.get(one.name, [])))
    return "\n".join(parts)


def _error(entry: Name, error: type[BaseException], callers: list[str]) -> str:
    lines = [f"### {entry.name}\n", link_names(_about(error), _package(entry)), ""]
    text = message_of(error)
    if text is not None:
        lines.append(f"- Its message: `{text}`")
    lines.append(f"- Its fields: [`{entry.identifier}`][{entry.identifier}]")
    if callers:
        links = ", ".join(f"[`{_short(one)}`][{one}]" for one in callers)
        lines.append(f"- Raised by: {links}")
    return "\n".join([*lines, ""])


def _short(identifier: str) -> str:
    owner, _, name = identifier.rpartition(".")
    last = owner.rpartition(".")[2]
    return f"{last}.{name}" if last[:1].isupper() else name


def _about(kind: type) -> str:
    """A class's docstring, without the sections for those who call it."""
    return re.split(r"\n\n(?:Args|Raises):\n", inspect.getdoc(kind) or "")[0]


# Records ----------------------------------------------------------------------------------------


def fields_table(record: type[msgspec.Struct], path: str, *, wire: bool = False) -> str:
    """The fields of a record: name, type as it is written, default, docstring."""
    source = sources()[path]
    rows: list[str] = []
    for field in msgspec.structs.fields(record):
        owner: Any = next(
            (
                sources()[f"{base.__module__}.{base.__name__}"]
                for base in record.__mro__
                if field.name in vars(base).get("__annotations__", {}) and base is not record
            ),
            source,
        )
        member = source.members.get(field.name) or owner.members.get(field.name)
        doc = member.docstring.value if member is not None and member.docstring else ""
        written = str(getattr(member, "annotation", "") or "")
        if "Meta(" in written:
            meta = [
                one
                for one in getattr(
                    typing.get_type_hints(record, include_extras=True)[field.name],
                    "__metadata__",
                    (),
                )
                if isinstance(one, msgspec.Meta)
            ]
            doc = doc or next((one.description or "" for one in meta), "")
            written = written.removeprefix("Annotated[").split(", Meta(")[0].split(", _")[0]
        optional = "" if field.required else _default(field)
        name = field.encode_name if wire else field.name
        package = path.split(".")[0]
        rows.append(
            f"| `{name}` | {code(written)} | {optional} | {cell(link_names(doc, package))} |"
        )
    if not rows:
        return "It has no fields.\n"
    return "\n".join(("| field | type | default | |", "|---|---|---|---|", *rows, ""))


def _default(field: Any) -> str:
    if field.default_factory is not msgspec.NODEFAULT:
        return "empty"
    if field.default is msgspec.UNSET:
        return "its own"
    if isinstance(field.default, msgspec.Struct):
        return "its own"
    return code(repr(field.default))


# Events -----------------------------------------------------------------------------------------


def events_page() -> str:
    """Every event: when it comes, and what it holds."""
    source = module_of("livelayer_bus.events")
    heads = [
        (number, found[1])
        for number, line in enumerate(source.source.splitlines(), 1)
        if (found := re.match(r"# (.+?) -{10,}$", line))
    ]
    parts = [_EVENTS]
    shown = ""
    for event in typing.get_args(events.AnyEvent):
        line = source.members[event.__name__].lineno or 0
        head = next((text for number, text in reversed(heads) if number < line), "")
        if head != shown:
            parts.append(f"## {head}\n")
            shown = head
        path = f"{event.__module__}.{event.__name__}"
        parts += [f"### {event.__name__}\n", link_names(_about(event)), ""]
        parts.append(fields_table(event, path))
    return "\n".join(parts)


# Messages ---------------------------------------------------------------------------------------


def messages_page() -> str:
    """Every message on the data channel, in both directions."""
    parts = [
        _MESSAGES,
        *(_message(kind) for kind in FROM_AGENT if issubclass(kind, Command)),
        "## From the agent: reports\n",
        *(_message(kind) for kind in FROM_AGENT if not issubclass(kind, Command)),
        "## To the agent\n",
        *(_message(kind) for kind in TO_AGENT),
    ]
    return "\n".join(parts)


def _message(kind: type[WireMessage]) -> str:
    entry = entries()[f"{kind.__module__}.{kind.__name__}"]
    lines = [f"### `{kind.wire_type()}`\n", link_names(_about(kind)), ""]
    about = f"In Python: [`{kind.__name__}`][{entry.identifier}]."
    if issubclass(kind, Command):
        about += f" Capability: `{kind.capability}`."
        if kind.tool is not None:
            name = kind.tool.name or kind.wire_type()
            about += f" The agent's model has the tool `{name}`: {kind.tool.description}"
    return "\n".join([*lines, about, "", fields_table(kind, entry.path, wire=True)])


# Configuration ----------------------------------------------------------------------------------

_TABLES: Final[tuple[tuple[str, type[msgspec.Struct], str], ...]] = (
    ("The file's own keys", tables.Head, "At the top of the file."),
    ("`[tokens]`, kind `literal`", tables.LiteralTokens, ""),
    ("`[tokens]`, kind `session-endpoint`", tables.SessionEndpointTokens, ""),
    ("`[tokens]`, kind `token-endpoint`", tables.TokenEndpointTokens, ""),
    ("`[tokens]`, kind `local-keys`", tables.LocalKeyTokens, ""),
    ("`[session]`", tables.SessionTable, ""),
    ("`[session.reconnect]`", tables.ReconnectTable, ""),
    ("`[surfaces.<key>]`", tables.SurfaceTable, ""),
    ("`[agents.<id>]`", endpoint_config.AgentTable, "For `livelayer serve`."),
    ("`[endpoint]`", endpoint_config.EndpointTable, "For `livelayer serve`."),
)


def configuration_page() -> str:
    """Every table of `livelayer.toml`, and the options of each installed surface."""
    parts = [_CONFIGURATION]
    for title, record, note in _TABLES:
        path = f"{record.__module__}.{record.__name__}"
        text = link_names(_about(record))
        parts += [f"## {title}\n", text, f"\n{note}\n" if note else "", fields_table(record, path)]
    parts += ["## Options of the surfaces\n"]
    for surface in installed_surfaces():
        factory = load_surface(surface.name)
        parameters = inspect.signature(factory).parameters.values()
        parts += [
            f"### `{surface.name}`\n",
            f"From the distribution `{surface.distribution}`: `{surface.target}`.\n",
            "| option | default |",
            "|---|---|",
            *(f"| `{one.name}` | {_shown(one)} |" for one in parameters if one.name != "clock"),
            "",
        ]
    return "\n".join(parts)


def _shown(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return "required"
    text = repr(parameter.default)
    return "its own" if "<" in text or ("(" in text and len(text) > 60) else code(text)


# Commands ---------------------------------------------------------------------------------------


def command_line_page() -> str:
    """Every command, from the typer application that runs it."""
    main: Any = typer.main.get_command(build([]))
    parts = [_COMMAND_LINE, _text(main.help), _parameters(main), _text(main.epilog)]
    for name, (_, distribution) in CLI.items():
        command: Any = typer.main.get_command(build([name])).commands[name]  # type: ignore[attr-defined]
        parts += [
            f"## livelayer {name}\n",
            _text(command.help),
            f"Distribution: `{distribution}`.\n",
            _parameters(command),
        ]
    return "\n".join(parts)


def _text(help_text: str | None) -> str:
    lines = inspect.cleandoc(help_text or "").replace("\b\n", "").splitlines()
    # Examples are indented by two spaces: a block of code.
    return "\n".join(f"  {line}" if line.startswith("  ") else line for line in lines) + "\n"


def _parameters(command: Any) -> str:
    rows: list[str] = []
    for one in command.params:
        if "completion" in one.name:
            continue
        is_option = one.param_type_name == "option"
        shown = ", ".join((*one.opts, *one.secondary_opts)) if is_option else one.name.upper()
        plain = one.default is None or isinstance(one.default, bool) or callable(one.default)
        variable = f" From `{one.envvar}`, if set." if one.envvar else ""
        default = "" if plain else code(str(one.default))
        rows.append(f"| `{shown}` | {default} | {cell(one.help or '')}{variable} |")
    if not rows:
        return ""
    return "\n".join(("| option | default | |", "|---|---|---|", *rows, ""))


# HTTP -------------------------------------------------------------------------------------------


def http_page() -> str:
    """The routes of the session endpoint; those of the web surface are in the protocol."""
    described = openapi()
    parts = [_HTTP]
    for path, methods in described["paths"].items():
        for method, about in methods.items():
            answers = ", ".join(about["responses"])
            parts.append(f"| `{method.upper()} {path}` | {cell(about['summary'])} | {answers} |")
    parts.append("")
    for name, schema in described["components"]["schemas"].items():
        if "properties" not in schema:
            continue
        parts += [
            f"## {name}\n",
            schema.get("description", ""),
            "",
            "| field | type | |",
            "|---|---|---|",
        ]
        required = schema.get("required", [])
        for field, about in schema["properties"].items():
            kind = _schema_type(about)
            must = "required" if field in required else ""
            parts.append(f"| `{field}` | {code(kind)} | {must} |")
        parts.append("")
    return "\n".join(parts)


def _schema_type(about: dict[str, Any]) -> str:
    if "$ref" in about:
        return str(about["$ref"].rpartition("/")[2])
    if "anyOf" in about:
        return " | ".join(_schema_type(one) for one in about["anyOf"])
    return str(about.get("type", "any"))


def pages() -> dict[str, str]:
    """Every generated page but those of Python names, by its path from `reference/`."""
    return {
        "errors.md": errors_page(),
        "events.md": events_page(),
        "messages.md": messages_page(),
        "configuration.md": configuration_page(),
        "command-line.md": command_line_page(),
        "http.md": http_page(),
    }
