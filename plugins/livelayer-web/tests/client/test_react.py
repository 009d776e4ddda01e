"""The package `react/` with a real React: typed, rendered on a server, hydrated, and mounted."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import ConsoleMessage, Page, Route

pytestmark = pytest.mark.anyio

PACKAGE = Path(__file__).parents[2] / "react"
STATIC = PACKAGE.parent / "src" / "livelayer_web" / "static"
TYPESCRIPT = "typescript@5"
REPOSITORY = Path(__file__).parents[4]
DOCUMENTED = [
    text
    for page in (PACKAGE / "README.md", REPOSITORY / "docs" / "how-to" / "react.md")
    for text in re.findall(r"^```jsx\n(.*?)^```$", page.read_text(), re.M | re.S)
]
"""Every block of JSX of the documentation."""
INSTALL_SECONDS = 120  # a bound for a registry that does not answer

APP = """
export const tree = ({ createElement: h, StrictMode }, elements, calls) => {
  const { LiveLayerSession, LiveLayerAvatar, useLiveLayer } = elements;
  function Status() {
    const { state, link, sendMessage } = useLiveLayer();
    const onClick = () => sendMessage("hello").catch(({ code }) => calls.push(code));
    const words = `${link?.phase ?? "none"} ${state?.connection_state ?? "none"}`;
    return h("button", { id: "status", onClick }, words);
  }
  return h(StrictMode, null,
    h(LiveLayerSession, { className: "app", contextProvider: () => "ours" },
      h(Status),
      h(LiveLayerAvatar, {
        mode: "embedded", hidden: true, hideOn: "/react/*", onClick: () => calls.push("click"),
      }),
      h(LiveLayerAvatar, {
        mode: "widget", display: "expanded", persistKey: "", "aria-label": "Guide",
        teamMembers: [{ id: "a", name: "Ada" }], showOn: ["/**"], position: "bottom-right",
        allowMic: false, showClose: false, chromeless: false, compactControls: true,
        onDisplayChange: ({ detail }) => calls.push(detail.display),
      })));
};
"""
TYPED = """
import { useRef } from "react";
import type { LiveLayerAvatarElement, SessionState } from "livelayer-react";
import { LiveLayerAvatar, LiveLayerSession, loadLiveLayer, useLiveLayer } from "livelayer-react";

function Lines() {
  const { state, client, sendMessage } = useLiveLayer();
  const known: SessionState | null = state;
  const lines: readonly { text: string }[] = known?.transcript ?? [];
  // @ts-expect-error: there is no state before the elements are loaded
  state.transcript;
  return <button onClick={() => sendMessage(client?.link.phase ?? "")}>{lines.length}</button>;
}

export function App() {
  const avatar = useRef<LiveLayerAvatarElement>(null);
  void loadLiveLayer("/livelayer").then(() => avatar.current?.connect());
  return (
    <LiveLayerSession base="/livelayer" autoConnect contextExtras={{ plan: "team" }}
      onNavigate={(event) => event.detail.done(Promise.resolve(event.detail.url.length))}>
      <LiveLayerAvatar ref={avatar} mode="widget" allowMic={false} position="top-left"
        mobileBreakpoint={false} showOn={["/", /^.docs/, (path) => path.length > 3]} sounds
        onDisplayChange={({ detail }) => detail.display === "expanded"} aria-label="Guide" />
      {/* @ts-expect-error: not a corner */}
      <LiveLayerAvatar position="middle" />
      {/* @ts-expect-error: not an option */}
      <LiveLayerAvatar allowMicrophone={false} />
      <Lines />
    </LiveLayerSession>
  );
}
"""
SERVER = """
import * as React from "react";
import { renderToString } from "react-dom/server";
import * as elements from "livelayer-react";
import { tree } from "./app.mjs";
process.stdout.write(renderToString(tree(React, elements, [])));
"""
ALONE = """
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { useLiveLayer } from "livelayer-react";
renderToString(createElement(() => useLiveLayer()));
"""
SHOWN = """
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import * as shown from "./shown.js";
const [component] = Object.values(shown);
process.stdout.write(renderToString(createElement(component, { push: () => {} })));
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
  window.client_of = () => document.querySelector("livelayer-session").client;
  window.elements = document.getElementsByTagName("livelayer-avatar");
}"""
LIVE = """window.elements?.[1]?.teamMembers
  && document.querySelector("#status").textContent === "live idle" """
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
    options: [widget.allowMic, widget.showClose, widget.chromeless, widget.compactControls],
    corner: widget.position,
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
    "options": [False, False, False, True],
    "corner": "bottom-right",
    "calls": ["click", "minimized"],
}

React = Callable[[str], Path]


@pytest.fixture(scope="module")
def react(tmp_path_factory: pytest.TempPathFactory) -> React:
    """Installs a React by its version; returns the folder with it and the package."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("need npm, for React")

    @cache
    def install(version: str) -> Path:
        folder = tmp_path_factory.mktemp(f"react-{version}")
        major = version.partition(".")[0]
        wanted = [f"react@{version}", f"react-dom@{version}", f"@types/react@{major}"]
        wanted += [TYPESCRIPT, str(PACKAGE)]
        # A copy: a link would look for React beside the package.
        options = ["--prefix", str(folder), "--install-links"]
        options += ["--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            subprocess.run(  # noqa: S603 - fixed packages
                [npm, "install", *options, *wanted],
                check=True,
                capture_output=True,
                timeout=INSTALL_SECONDS,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            pytest.skip("need React from npm's registry: the React package is not tested")
        shutil.copy(folder / "node_modules/livelayer-react/index.js", folder / "LiveLayer.mjs")
        (folder / "app.mjs").write_text(APP)
        (folder / "server.mjs").write_text(SERVER)
        (folder / "page.tsx").write_text(TYPED)
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
    """The page as a server renders it; React warns on standard error."""
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
    assert "none none" in html  # no state on a server
    assert 'ALLOW-MIC="false"' in html
    assert "CHROMELESS" not in html
    names = re.findall(
        r"^import \{ (.+) \} from \"react\";$", (PACKAGE / "index.js").read_text(), re.M
    )

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
        # StrictMode mounts everything twice, and there is one connection.
        assert len(web.surface.viewers()) == 1
        await page.locator("#status").click()
        await until(page, "client_of().pending.length === 1")
        await page.evaluate(
            "client_of().pending.forEach(({ id }) => client_of().discardMessage(id))"
        )
        await until(page, "window.calls.includes('closed')")
    assert said == []


def test_the_hook_says_what_it_needs(react: React) -> None:
    folder = react("19.2.0")
    (folder / "alone.mjs").write_text(ALONE)
    node = shutil.which("node")
    assert node is not None
    done = subprocess.run(  # noqa: S603 - our own program
        [node, "alone.mjs"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert "useLiveLayer() needs a <LiveLayerSession> around it" in done.stderr


@pytest.mark.parametrize("version", ["18.3.1", "19.2.0"])
def test_the_types_take_what_the_components_take_and_nothing_else(
    react: React, version: str
) -> None:
    folder = react(version)
    options = "--noEmit --strict --jsx react-jsx --module esnext --moduleResolution bundler"
    tsc = folder / "node_modules/.bin/tsc"
    done = subprocess.run(  # noqa: S603 - TypeScript
        [str(tsc), *options.split(), "--target", "es2022", "page.tsx"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("", 0)


@pytest.mark.parametrize("text", DOCUMENTED, ids=range(len(DOCUMENTED)))
def test_what_the_documentation_shows_is_typed_and_renders(react: React, text: str) -> None:
    folder = react("19.2.0")
    (folder / "shown.tsx").write_text(text)
    (folder / "shown.mjs").write_text(SHOWN)
    options = "--jsx react-jsx --module esnext --moduleResolution bundler --target es2022"
    tsc = folder / "node_modules/.bin/tsc"
    node = shutil.which("node")
    assert node is not None
    for command in ([str(tsc), *options.split(), "shown.tsx"], [node, "shown.mjs"]):
        done = subprocess.run(  # noqa: S603 - TypeScript, and our own program
            command, cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("<livelayer-session")


def test_the_types_have_every_option_of_the_element() -> None:
    table = (STATIC / "view" / "attributes.js").read_text()
    options = re.search(r"OPTIONS = \{(.*?)^\};", table, re.M | re.S)
    assert options is not None
    names = re.findall(r'^  "?([\w-]+)"?: ', options[1], re.M)
    camel = {re.sub(r"-(\w)", lambda found: found[1].upper(), name) for name in names}
    types = (PACKAGE / "index.d.ts").read_text()
    declared = re.search(r"interface SurfaceOptions \{(.*?)^\}", types, re.M | re.S)
    assert declared is not None
    assert set(re.findall(r"^  (\w+)\?:", declared[1], re.M)) == camel


def test_the_components_dispatch_every_event_of_the_elements() -> None:
    code = (PACKAGE / "index.js").read_text()
    types = (PACKAGE / "index.d.ts").read_text()
    told = (STATIC / "page" / "events.js").read_text() + (
        STATIC / "page" / "commands.js"
    ).read_text()
    dispatched = set(re.findall(r'(?:dispatch|offer)\("([a-z-]+)"', told))
    named = dict(re.findall(r'^  (on\w+): "([a-z-]+)"', code, re.M))
    assert set(named.values()) == dispatched | {"display-change"}
    for prop in named:
        assert re.search(rf"^  {prop}\?: Handler", types, re.M), prop
