"""Runs the blocks of a page of the documentation in their order, as its reader would.

- `python`: run, with `await` at the top level; all blocks of a page share their names.
- `python title="app.py"`, and any other block with a title: a file in the page's folder. A later
  block has to use it.
- `toml title="livelayer.toml"`: loaded, its session is built, and its surfaces are made.
- `sh`: `python` and `pytest` are run; of `livelayer`, `uvicorn` and `pip install` it is checked
  that the program takes these arguments, and that the packages are known.
- `text`: lines that the block before it printed.
- A comment `<!--- invisible-code-block: python` holds what a reader does not need to see: what the
  other blocks take for granted, and what has to be true after them.

Any other block is an error, except those that `ELSEWHERE` names.
"""

from __future__ import annotations

import ast
import inspect
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from contextlib import AsyncExitStack, redirect_stdout, suppress
from importlib.metadata import distribution
from pathlib import Path
from types import CodeType
from typing import Any, Final

import typer
import typer.main
import uvicorn
from anyio import to_thread
from livelayer_web.endpoint import load_endpoint_config
from packaging.requirements import Requirement
from sybil import Document, Region
from sybil.parsers.markdown.lexers import DirectiveInHTMLCommentLexer, RawFencedCodeBlockLexer

from livelayer_bus.cli.app import build
from livelayer_bus.config import load_config
from livelayer_bus.testing import PATIENCE

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
SECONDS: Final = 5 * PATIENCE  # a bound for a program that hangs, not a measurement
ELSEWHERE: Final = {
    "deployment.md": {"nginx", "caddy"},  # plugins/livelayer-web/tests/proxy
    "how-to/react.md": {"jsx"},  # plugins/livelayer-web/tests/client/test_react.py
}
"""Languages of blocks that other tests run, by page."""

_INFO: Final = re.compile(r'(?P<language>\w+)(?: title="(?P<title>[\w./-]+)")?[ \t]*$\n', re.M)
_ANY: Final = re.compile(r"(?P<info>[^\n]*)\n")
_INDENTED: Final = re.compile(r"(?m)(?<=\n\n) {4}\S.*$")
_fences = RawFencedCodeBlockLexer(_INFO)
_all_fences = RawFencedCodeBlockLexer(_ANY)
_hidden = DirectiveInHTMLCommentLexer("invisible-code-block", "python")


def _parse(document: Document) -> Iterable[Region]:
    known = list(_fences(document))
    for region in (*known, *_hidden(document)):
        region.parsed = region.lexemes["source"]
        region.evaluator = lambda _: None
        yield region
    starts = {region.start for region in known}
    for region in _all_fences(document):
        assert region.start in starts, f"an unknown block: {region.lexemes['info']!r}"
    for block in _INDENTED.finditer(document.text):
        inside = any(one.start <= block.start() < one.end for one in (*known, *_hidden(document)))
        assert inside, f"a block without a language: {block[0]!r}"


class PageRun:
    """One page, run in a folder of its own; everything in one task of one event loop."""

    def __init__(self, page: Path, folder: Path) -> None:
        self._page = page
        self._folder = folder
        self._document = Document.parse(str(page), _parse)
        self._unused: dict[str, str] = {}
        self._printed = ""

    async def run(self) -> None:
        """Run every block; whatever it opened by `stack` is closed afterwards."""
        async with AsyncExitStack() as stack:
            names: dict[str, Any] = {"__name__": "page", "stack": stack, "PATIENCE": PATIENCE}
            for example in self._document.examples():
                lexemes = example.region.lexemes
                language, title = lexemes.get("language", "python"), lexemes.get("title")
                line = self._document.text.count("\n", 0, example.region.start) + 1
                try:
                    await self._run_block(language, title, str(example.parsed), line, names)
                except BaseException as exc:
                    exc.add_note(f"{self._page}, the block at line {line}")
                    raise
        assert not self._unused, f"no block uses these files: {sorted(self._unused)}"

    async def _run_block(
        self, language: str, title: str | None, text: str, line: int, names: dict[str, Any]
    ) -> None:
        if title is not None:
            self._write(title, text)
        match language:
            case "python" if title is None:
                self._use(text)
                await self._run_python(text, line, names)
            case "sh":
                self._use(text)
                for command in text.splitlines():
                    await self._run_command(shlex.split(command, comments=True))
            case "text":
                for told in filter(None, map(str.strip, text.splitlines())):
                    assert told in self._printed, f"{told!r} is not in {self._printed!r}"
            case "toml" if title is not None:
                self._load(title)
            case _ if title is not None:
                pass
            case _:
                page = self._page.relative_to(DOCS).as_posix()
                assert language in ELSEWHERE.get(page, ()), f"nothing runs a block of {language}"

    def _write(self, title: str, text: str) -> None:
        path = self._folder / title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        names = {title, path.stem if path.suffix == ".py" else path.name, Path(title).parts[0]}
        self._unused[title] = rf"\b({'|'.join(map(re.escape, names))})\b"

    def _use(self, text: str) -> None:
        """Note which files `text`, or a file beside them, names."""
        for title, named in list(self._unused.items()):
            others = (path for path in self._folder.rglob("*.py") if path.name != title)
            texts = (text, *(path.read_text() for path in others))
            if any(re.search(named, one) for one in texts):
                del self._unused[title]

    async def _run_python(self, text: str, line: int, names: dict[str, Any]) -> None:
        code = compile(
            "\n" * line + text,
            str(self._page),
            "exec",
            flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            dont_inherit=True,
        )
        printed = io.StringIO()
        with redirect_stdout(printed):
            await _execute(code, names)
        self._printed = printed.getvalue() or self._printed

    def _load(self, title: str) -> None:
        path = self._folder / title
        text = path.read_text()
        # A variable that the file takes from the environment has some value.
        environ = {**dict.fromkeys(re.findall(r'env = "(\w+)"', text), "x" * 40), **os.environ}
        if "[agents." in text or "[endpoint]" in text:
            load_endpoint_config(path, environ)
        else:
            config = load_config(path)
            config.build_session(environ)
            for key, table in config.surfaces.items():
                config._make(key, table, environ)
        del self._unused[title]

    async def _run_command(self, words: list[str]) -> None:
        match words:
            case []:
                pass
            case ["python", file, "start"]:  # until Ctrl-C: a hidden block runs it
                assert (self._folder / file).exists()
            case ["python" | "pytest", *arguments]:
                module = ["-m", "pytest", "-q"] if words[0] == "pytest" else []
                self._printed = await to_thread.run_sync(self._run_program, [*module, *arguments])
            case ["livelayer", *arguments]:
                _check_livelayer(arguments)
            case ["uvicorn", *arguments]:
                uvicorn.main.make_context("uvicorn", list(arguments))
            case ["pip", "install", *requirements]:
                for requirement in map(Requirement, requirements):
                    extras = distribution(requirement.name).metadata.get_all("Provides-Extra") or []
                    assert requirement.extras <= set(extras), requirement
            case ["export", assignment]:
                name, _, value = assignment.partition("=")
                assert name.isupper()
                assert value
            case _:
                raise AssertionError(f"nothing runs or checks this command: {words}")

    def _run_program(self, arguments: list[str]) -> str:
        done = subprocess.run(  # noqa: S603 - our own text
            [sys.executable, *arguments],
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


async def _execute(code: CodeType, names: dict[str, Any]) -> None:
    result = eval(code, names)  # noqa: S307 - our own text
    if inspect.isawaitable(result):
        await result


def _check_livelayer(arguments: list[str]) -> None:
    """Let the real command line take these arguments, and do nothing.

    Raises:
        Exception: it does not take them.
    """
    main: Any = typer.main.get_command(build(arguments))
    with suppress(typer.Exit), main.make_context("livelayer", list(arguments)) as context:
        words = [*context._protected_args, *context.args]
        name, command, rest = main.resolve_command(context, words)
        with command.make_context(name, rest, parent=context):  # `--help` ends here
            pass


PAGES: Final = [
    *sorted(DOCS.glob("tutorial/*.md")),
    *sorted(DOCS.glob("how-to/*.md")),
    DOCS / "deployment.md",
]
"""The pages whose every block runs: tutorials, how-to, and the web surface on a site."""
