"""Files for browsers: of their folder, with the right type, and asked for again."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import quote

import anyio
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livelayer_web.assets import site_files, static_files
from livelayer_web.embedding import Embedding
from livelayer_web.routes import BASE, site_app, surface_app
from starlette.applications import Starlette
from starlette.routing import Mount

from livelayer_bus import MisuseError

from .scripted import client_of, code_of

pytestmark = pytest.mark.anyio

SECRET_FILE = "the secret of the folder above"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text(SECRET_FILE)
    site = tmp_path / "site"
    (site / "docs").mkdir(parents=True)
    (site / ".git").mkdir()
    (site / "index.html").write_text("<p>home")
    (site / "pricing.html").write_text("<p>pricing")
    (site / "docs" / "index.html").write_text("<p>docs")
    (site / "app.js").write_text("export {}")
    (site / "404.html").write_text("<p>lost")
    (site / ".env").write_text(SECRET_FILE)
    (site / ".git" / "config").write_text(SECRET_FILE)
    (site / "out.txt").symlink_to(tmp_path / "secret.txt")
    (site / "up").symlink_to(tmp_path, target_is_directory=True)
    return site


@pytest.fixture
async def http(folder: Path) -> AsyncGenerator[httpx.AsyncClient]:
    app = site_app(surface_app(lambda: None, None, None, Embedding((), BASE, "")), folder)
    async with client_of(app, "http://localhost") as client:
        yield client


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", "<p>home"),
        ("/index.html", "<p>home"),
        ("/pricing", "<p>pricing"),
        ("/docs/", "<p>docs"),
    ],
)
async def test_pages_have_addresses_without_their_ending(
    http: httpx.AsyncClient, path: str, text: str
) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.text) == (200, text)
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_folder_is_redirected_to_without_naming_a_host(http: httpx.AsyncClient) -> None:
    answer = await http.get("/docs?a=1", headers={"host": "localhost"})
    assert answer.status_code == 307
    assert answer.headers["location"] == "./docs/?a=1"


@pytest.mark.parametrize(
    "path",
    [
        "/.env", "/.git/config", "/out.txt", "/up/secret.txt", "/../secret.txt",
        "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/docs/../../secret.txt",
        "/docs/%2e%2e/%2e%2e/secret.txt", "//etc/passwd", "/etc/passwd", "/\\..\\secret.txt",
        "/app.js%00", "/app.js/", "/docs//index.html", "/C:/x",
    ],
)  # fmt: skip
async def test_nothing_outside_and_nothing_hidden_is_served(
    http: httpx.AsyncClient, path: str
) -> None:
    answer = await http.get(path)
    assert answer.status_code == 404
    assert SECRET_FILE not in answer.text


@given(st.lists(st.sampled_from(["..", ".", "docs", "up", "%2e%2e", "secret.txt", "", "site"])))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_path_leads_out(folder: Path, names: list[str]) -> None:
    async def ask() -> None:
        async with client_of(site_files(folder), "http://localhost") as http:
            answer = await http.get("http://localhost/" + "/".join(names))
            assert SECRET_FILE not in answer.text
            raw = await http.get("/" + quote("/".join(names), safe=""))
            assert SECRET_FILE not in raw.text

    anyio.run(ask)


async def test_modules_have_their_type_and_are_asked_for_again(http: httpx.AsyncClient) -> None:
    answer = await http.get("/app.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "no-cache"
    again = await http.get("/app.js", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_file_that_was_changed_is_sent_anew(http: httpx.AsyncClient, folder: Path) -> None:
    before = (await http.get("/app.js")).headers["etag"]
    (folder / "app.js").write_text("export const a = 1")
    after = await http.get("/app.js", headers={"if-none-match": before})
    assert (after.status_code, after.text) == (200, "export const a = 1")


async def test_files_are_read_only(http: httpx.AsyncClient) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert code_of(await http.request(method, "/app.js")) == (405, "method")


@pytest.mark.parametrize(
    ("file", "kind"), [("livelayer.js", "text/javascript"), ("view/avatar.css", "text/css")]
)
async def test_the_browser_half_is_served_with_its_types(
    http: httpx.AsyncClient, file: str, kind: str
) -> None:
    answer = await http.get(f"/livelayer/js/{file}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["cache-control"] == "no-cache"


async def test_a_module_is_compressed_where_that_is_understood(http: httpx.AsyncClient) -> None:
    tags = set()
    for accepted, encoding in (("br, gzip", "gzip"), ("identity", None)):
        ask = {"accept-encoding": accepted}
        answer = await http.get("/livelayer/js/livelayer.js", headers=ask)
        assert answer.headers.get("content-encoding") == encoding
        assert "accept-encoding" in answer.headers["vary"].lower()
        assert "customElements.define" in answer.text
        head = await http.head("/livelayer/js/livelayer.js", headers=ask)
        assert (head.content, head.headers["etag"]) == (b"", answer.headers["etag"])
        assert head.headers["content-length"] == answer.headers["content-length"]
        tags.add(tag := answer.headers["etag"])
        again = await http.get("/livelayer/js/livelayer.js", headers=ask | {"if-none-match": tag})
        assert (again.status_code, again.content) == (304, b"")
    assert len(tags) == 2


def test_a_site_that_is_not_there_is_misuse(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="not a folder"):
        site_files(tmp_path / "missing")


async def test_a_module_that_cannot_be_combined_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.js").write_text("export default 1;\n")
    app = site_app(Starlette(routes=[Mount("/js", static_files(tmp_path))]), tmp_path)
    async with client_of(app, "http://localhost") as http:
        answer = await http.get("/livelayer/js/broken.js")
    assert code_of(answer) == (500, "module")
    assert answer.json()["detail"].startswith("broken.js is written in a way")
    assert "broken.js is written in a way" in caplog.text
