"""What a page loads: few files, compressed, once; each module evaluated once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
from livelayer_web import WebSurface
from livelayer_web.assets import MODULES
from livelayer_web.combining import Modules
from playwright.async_api import Page, Request, Route

from livelayer_bus import Session
from livelayer_bus.testing import PATIENCE, ScriptedRooms, polled

pytestmark = pytest.mark.anyio

MOST_REQUESTS: Final = 6
"""Of a first load, those of the session's own calls and of its event stream included."""
MOST_BYTES: Final = 120_000
"""Of a first load, as they are transferred."""
LIVE: Final = "document.querySelector('livelayer-session')?.client.link.phase === 'live'"


@pytest.fixture
async def shown(scripted_rooms: ScriptedRooms) -> AsyncGenerator[str]:
    """The address of a surface with the page that it brings."""
    session = Session("agt", tokens=scripted_rooms.tokens, room=scripted_rooms)
    async with session:
        surface = WebSurface(port=0)
        session.mount(surface, key="web")
        yield await surface.wait_url()


async def test_a_first_load_is_few_requests_and_a_second_one_asks_once(
    shown: str, page: Page, until: Any
) -> None:
    asked: list[Request] = []
    # Heartbeats follow in time, however long this machine takes for the rest.
    page.on("request", lambda one: None if one.url.endswith("/beat") else asked.append(one))
    await page.goto(shown)
    await until(page, LIVE)
    assert len(asked) <= MOST_REQUESTS, [request.url for request in asked]
    files = [request for request in asked if request.method == "GET" and not _is_stream(request)]
    sizes = [await request.sizes() for request in files]
    assert sum(one["responseBodySize"] + one["responseHeadersSize"] for one in sizes) < MOST_BYTES
    modules = [request for request in files if request.resource_type == "script"]
    assert [urlsplit(request.url).path for request in modules] == ["/livelayer/js/livelayer.js"]

    asked.clear()
    await page.goto(shown)
    await until(page, LIVE)
    answers = [await request.response() for request in asked if request.resource_type == "script"]
    assert [answer.status for answer in answers if answer is not None] == [304]


def _is_stream(request: Request) -> bool:
    return urlsplit(request.url).path.endswith("/events")


async def test_many_loads_at_once_are_all_served(shown: str) -> None:
    """From one address, as behind a company's router."""

    async def load() -> set[int]:
        async with httpx.AsyncClient(base_url=shown, timeout=PATIENCE) as http:
            js = "/livelayer/js/"
            paths = ["/", f"{js}livelayer.js", f"{js}headless.js", f"{js}embed.js"]
            answers = await asyncio.gather(*(http.get(path) for path in paths))
            joined = await http.post("/livelayer/viewers", json={})
            return {answer.status_code for answer in [*answers, joined]}

    assert set.union(*await asyncio.gather(*(load() for _ in range(25)))) == {200, 201}


# The modules themselves -----------------------------------------------------------------------

FOLDER: Final = {
    "first.js": """
import sheet from "./deep/look.css" with { type: "css" };
import { later as late } from "./deep/later.js";
import {
  count, Thing,
} from "./deep/shared.js";
import "./deep/effect.js";

export { count as counted } from "./deep/shared.js";
export * from "./deep/later.js";
/** A comment. */
const hidden = "// not a comment";
export { hidden, hidden as shown };
export const values = [late(), count, new Thing().name, sheet.cssRules.length, globalThis.effect];
export async function wait() {
  return 1;
}
export class Own {}
""",
    "second.js": """
import { Thing } from "./deep/shared.js";

export const place = new URL("deep/look.css", import.meta.url).pathname;
export { Thing };
""",
    "deep/later.js": """
import { count } from "./shared.js";

export const later = () => `${count} later`;
export function* numbers() {}
export const here = import.meta.url.replace(/^.*[/]deep/, "deep");
""",
    "deep/shared.js": """
globalThis.evaluated = (globalThis.evaluated ?? 0) + 1;
export const count = globalThis.evaluated;
export class Thing {
  name = "thing";
}
""",
    "deep/effect.js": 'import "./shared.js";\n\nglobalThis.effect = "done";\n',
    "deep/look.css": "/* A comment. */\nb { content: '\\201c\"' }\n\ni { color: red }\n",
}
LOAD: Final = """async (paths) => {
  const loaded = [];
  for (const path of paths) loaded.push(await import(`/${path}`));
  const plain = (value) => typeof value === "function" ? value.name : value;
  const shown = loaded.map((one) =>
    Object.fromEntries(Object.entries(one).map(([name, value]) => [name, plain(value)])),
  );
  return [shown, globalThis.evaluated ?? 0];
}"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FOLDER.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


async def _serve(page: Page, folder: Path, modules: Modules | None) -> list[str]:
    """Gives the page the files of a folder, combined or as they are; which it asked for."""
    asked: list[str] = []

    async def answer(route: Route) -> None:
        path = urlsplit(route.request.url).path.removeprefix("/")
        asked.append(path)
        if not path:
            await route.fulfill(body="", content_type="text/html")
            return
        combined = modules and modules.combined(path)
        body = combined.plain if combined else (folder / path).read_bytes()
        kind = "text/css" if path.endswith(".css") else "text/javascript"
        await route.fulfill(body=body, content_type=kind)

    await page.route("**/*", answer)
    await page.goto("http://modules.test/")
    return asked


async def _as_they_are(page: Page, folder: Path, paths: list[str]) -> Any:
    asked = await _serve(page, folder, None)
    found = await page.evaluate(LOAD, paths)
    await page.unroute_all()
    assert len(asked) > len(paths)
    return found


async def test_combined_modules_are_those_that_the_browser_would_load_itself(
    page: Page, folder: Path
) -> None:
    paths = ["first.js", "second.js"]
    expected = await _as_they_are(page, folder, paths)
    asked = await _serve(page, folder, Modules(folder))
    assert await page.evaluate(LOAD, paths) == expected
    assert asked == ["", *paths]
    assert expected[0][0]["values"] == ["1 later", 1, "thing", 2, "done"]
    assert expected[0][1]["place"] == "/deep/look.css"
    assert expected[1] == 1  # each module was evaluated once


async def test_every_module_of_ours_gives_out_what_it_would_alone(page: Page) -> None:
    paths = [
        path.relative_to(MODULES).as_posix()
        for path in sorted(MODULES.rglob("*.js"))
        if path.name != "embed.js"  # a classic script
    ]
    expected = await _as_they_are(page, MODULES, paths)
    asked = await _serve(page, MODULES, Modules(MODULES))
    assert await page.evaluate(LOAD, paths) == expected
    assert asked == ["", *paths]


def test_what_cannot_be_combined_is_named(folder: Path) -> None:
    modules = Modules(folder)
    for text, why in (
        ("import * as all from './second.js';", "first.js is written in a way"),
        ("export default 1;", "export default 1;"),
        ('import { a } from "./third.js";', "first.js -> third.js -> first.js"),
        ('import { a } from "./fourth.js";', "first.js imports fourth.js, which cannot be read"),
    ):
        (folder / "first.js").write_text(text)
        (folder / "third.js").write_text('import "./first.js";\nexport const a = 1;\n')
        with pytest.raises(ValueError, match=why):
            modules.combined("first.js")


def test_a_changed_file_is_combined_anew(folder: Path) -> None:
    modules = Modules(folder)
    before = modules.combined("second.js")
    assert before is not None
    assert modules.combined("second.js") is before
    shared = folder / "deep/shared.js"
    shared.write_text(shared.read_text().replace('"thing"', '"another"'))
    after = modules.combined("second.js")
    assert after is not None
    assert b'"another"' in after.plain
    assert after.tag != before.tag


def test_no_line_of_a_text_could_be_taken_for_a_comment() -> None:
    """Comments are whole lines; a template literal that spans lines might hold one."""
    for path in MODULES.rglob("*.js"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            code = "" if line.lstrip().startswith(("*", "//", "/*")) else line.partition(" // ")[0]
            assert code.replace("\\`", "").count("`") % 2 == 0, f"{path}:{number}"


# A file that fails ----------------------------------------------------------------------------


@pytest.mark.parametrize("failures", [1, 2])
async def test_embedding_tries_twice_and_then_says_what_failed(
    web: Any, page: Page, failures: int
) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    left = failures

    async def fail(route: Route) -> None:
        nonlocal left
        left -= 1
        await (route.abort() if left >= 0 else route.continue_())

    await page.route("**/embed/host.js*", fail)
    await page.goto(f"{web.url}/blank")
    await page.evaluate("""() => {
      const script = document.createElement("script");
      script.src = "/livelayer/js/embed.js";
      document.body.append(script);
    }""")
    if failures == 1:
        await page.wait_for_selector("iframe[data-livelayer]", state="attached")
    else:
        await polled(lambda: any("embed/host.js cannot be loaded, twice" in one for one in said))
