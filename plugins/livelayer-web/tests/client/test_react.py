"""examples/react with a real React: rendered on a server, hydrated, and rendered by the page."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import ConsoleMessage, Page, Route

pytestmark = pytest.mark.anyio

EXAMPLE = Path(__file__).parents[4] / "examples" / "react" / "LiveLayer.jsx"
INSTALL_SECONDS = 120  # a bound for a registry that does not answer

APP = """
export const tree = ({ createElement: h, StrictMode }, elements, calls) => {
  const { LiveLayerSession, LiveLayerAvatar } = elements;
  return h(StrictMode, null,
    h(LiveLayerSession, { className: "app", contextProvider: () => "ours" },
      h(LiveLayerAvatar, {
        mode: "embedded", hidden: true, hideOn: "/react/*", onClick: () => calls.push("click"),
      }),
      h(LiveLayerAvatar, {
        mode: "widget", display: "expanded", persistKey: "", "aria-label": "Guide",
        teamMembers: [{ id: "a", name: "Ada" }], showOn: ["/**"],
        onDisplayChange: ({ detail }) => calls.push(detail.display),
      })));
};
"""
SERVER = """
import * as React from "react";
import { renderToString } from "react-dom/server";
import * as elements from "./LiveLayer.mjs";
import { tree } from "./app.mjs";
process.stdout.write(renderToString(tree(React, elements, [])));
"""
PAGE = """<!doctype html><title>React</title><div id="root">%s</div>
<script type="importmap">{"imports": {"react": "/react/react.mjs"}}</script>"""
MODULE = "export const { %s } = window.modules['react'];"
LOAD = """(sources) => {
  window.process = { env: { NODE_ENV: "development" } };
  window.modules = {};
  const require = (name) => window.modules[name];
  for (const [name, source] of sources) {
    const module = { exports: {} };
    new Function("module", "exports", "require", source)(module, module.exports, require);
    window.modules[name] = module.exports;
  }
}"""
START = """async (hydrates) => {
  const elements = await import("/react/LiveLayer.mjs");
  const { tree } = await import("/react/app.mjs");
  const { createRoot, hydrateRoot } = window.modules["react-dom/client"];
  window.calls = [];
  const app = tree(window.modules["react"], elements, window.calls);
  const at = document.querySelector("#root");
  if (hydrates) hydrateRoot(at, app);
  else {
    at.replaceChildren();
    createRoot(at).render(app);
  }
  window.elements = document.getElementsByTagName("livelayer-avatar");
}"""
LIVE = """window.elements?.[1]?.teamMembers
  && document.querySelector("livelayer-session").client.link.phase === "live" """
FOUND = """() => {
  const [panel, widget] = window.elements;
  const session = document.querySelector("livelayer-session");
  const { display } = widget;
  panel.click();
  widget.display = "minimized";
  return {
    calls, display, app: session.className, context: session.contextProvider?.(),
    mode: panel.getAttribute("mode"), hidden: panel.hidden, label: widget.ariaLabel,
    team: widget.teamMembers.map(({ name }) => name), showOn: widget.showOn,
  };
}"""
EXPECTED = {
    "app": "app",
    "context": "ours",
    "mode": "embedded",
    "hidden": True,
    "display": "expanded",
    "label": "Guide",
    "team": ["Ada"],
    "showOn": ["/**"],
    "calls": ["click", "minimized"],
}

React = Callable[[str], Path]


@pytest.fixture(scope="module")
def react(tmp_path_factory: pytest.TempPathFactory) -> React:
    """Installs a React by its version; returns the folder with it and the example."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("need npm, for React")

    def install(version: str) -> Path:
        folder = tmp_path_factory.mktemp(f"react-{version}")
        wanted = [f"react@{version}", f"react-dom@{version}"]
        options = ["--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            subprocess.run(  # noqa: S603 - fixed packages
                [npm, "install", *options, *wanted],
                check=True,
                capture_output=True,
                timeout=INSTALL_SECONDS,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            pytest.skip("need React from npm's registry")
        shutil.copy(EXAMPLE, folder / "LiveLayer.mjs")
        (folder / "app.mjs").write_text(APP)
        (folder / "server.mjs").write_text(SERVER)
        return folder

    return install


def sources(folder: Path) -> list[list[str]]:
    """The development builds for a page, in the order in which they need one another."""
    modules = folder / "node_modules"
    client = modules / "react-dom/cjs/react-dom-client.development.js"
    files = {
        "react": modules / "react/cjs/react.development.js",
        "scheduler": modules / "scheduler/cjs/scheduler.development.js",
        "react-dom": modules / "react-dom/cjs/react-dom.development.js",
        # Before React 19, the client is a part of the file above.
        "react-dom/client": client if client.exists() else modules / "react-dom/client.js",
    }
    return [[name, path.read_text()] for name, path in files.items()]


def rendered(folder: Path) -> str:
    """The example as a server renders it; React warns on standard error."""
    node = shutil.which("node")
    assert node is not None
    done = subprocess.run(  # noqa: S603 - our own program
        [node, "server.mjs"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("version", ["18.3.1", "19.2.0"])
async def test_react_renders_hydrates_and_mounts_without_a_warning(
    web: Any, page: Page, until: Any, react: React, version: str
) -> None:
    folder = react(version)
    html = rendered(folder)
    names = re.findall(r"^import \{ (.+) \} from \"react\";$", EXAMPLE.read_text(), re.M)

    async def serve(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        if name == "page":
            await route.fulfill(body=PAGE % html, content_type="text/html")
        else:
            body = MODULE % names[0] if name == "react.mjs" else (folder / name).read_text()
            await route.fulfill(body=body, content_type="text/javascript")

    said: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # Chromium itself reports the answer that a reloaded page's old key gets.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            said.append(message.text)

    page.on("console", note)
    await page.route("**/react/*", serve)
    for hydrates in (True, False):
        await page.goto(f"{web.url}/react/page")
        # The elements stand before React does: what they change of themselves is no mismatch.
        await page.evaluate("import('/livelayer/js/livelayer.js').then(() => null)")
        await page.evaluate(LOAD, sources(folder))
        await page.evaluate(START, hydrates)
        await until(page, LIVE)
        assert await page.evaluate(FOUND) == EXPECTED
    assert said == []
