"""Typed messages and a server that answers each way it can: only what is final is `failed`."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any, Literal, TypeAlias

import pytest
from livelayer_web.http.problems import MEDIA_TYPE
from playwright.async_api import Page

pytestmark = pytest.mark.anyio

Cut: TypeAlias = Literal["unread", "unanswered", "in the head", "after the head", "in the body"]
Stall: TypeAlias = Literal["no answer", "no body"]
Answer: TypeAlias = tuple[int, str | None] | Cut | Stall
"""Status and code (None: the answer is not the server's), or where it breaks or stalls."""

AGAIN: list[Answer] = [
    *((401, code) for code in ("viewer", "token", "expired", "replayed", "revoked")),
    *((403, code) for code in ("host", "origin")),
    (408, "slow"),
    (409, "not_connected"),
    (429, "rate"),
    (500, "internal"),
    *((503, code) for code in ("timeout", "unmounted", "full")),
    *((status, None) for status in (500, 502, 503, 504, 429)),
    *("unread", "unanswered", "in the head", "after the head", "in the body"),
]
FINAL: list[tuple[int, str | None]] = [
    *((400, code) for code in ("message", "body")),
    (403, "grant"),
    *((404, code) for code in ("path", "session")),
    (405, "method"),
    (413, "size"),
    (501, "unsupported"),
    *((status, None) for status in (400, 403, 404, 413)),
]
OUTBOX = """async () => {
  const { Http } = await import("/livelayer/js/client/http.js");
  const { Outbox } = await import("/livelayer/js/client/outbox.js");
  const { TabStorage } = await import("/livelayer/js/client/storage.js");
  window.told = [];
  const http = new Http("/livelayer");
  http.key = "a key";
  window.http = http;
  const storage = new TabStorage("test", null);
  window.outbox = new Outbox(http, storage, () => {}, ({ code }) => told.push(code));
  outbox.update(true);
}"""
SAY = """async (texts) => {
  const add = (text) => outbox.add(text, 1000).then(() => "taken", ({ code }) => code);
  const results = texts.map(add);
  return [await Promise.all(results), outbox.pending.map(({ text, failed }) => [text, failed])];
}"""

NEXT_KEY = """() => {
  const send = http.send.bind(http);
  http.send = (...request) => {
    const sent = send(...request);
    http.key = "the next key";
    return sent;
  };
}"""
ACCEPTED = 202


class Script:
    """Answers requests one after the other as it is told, then all with 202."""

    def __init__(self) -> None:
        self.answers: deque[Answer] = deque()
        self.got: list[dict[str, Any]] = []
        """The bodies of requests that were read."""
        self.stalled = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._serve(reader, writer)
        writer.transport.abort()

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            if self.answers and self.answers[0] == "unread":
                self.answers.popleft()
                return
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            self.got.append(json.loads(await reader.readexactly(length)))
            answer: Answer = self.answers.popleft() if self.answers else (ACCEPTED, None)
            if isinstance(answer, tuple):
                writer.write(b"".join(encoded(*answer)))
                continue
            first, body = encoded(401, "viewer")
            part = {
                "in the head": first[:40],
                "after the head": first,
                "no body": first,
                "in the body": first + body[:20],
            }
            writer.write(part.get(answer, b""))
            await writer.drain()
            if answer in {"no answer", "no body"}:
                self.stalled.set()
                await reader.read()
            return


def encoded(status: int, code: str | None) -> tuple[bytes, bytes]:
    body, kind = b"", "text/html"
    if code is not None:
        problem = {"title": "A title", "status": status, "detail": "a detail", "code": code}
        body, kind = json.dumps(problem).encode(), MEDIA_TYPE
    elif status != ACCEPTED:
        body = b"<h1>Not the server that was asked</h1>"
    head = (
        f"HTTP/1.1 {status} Status\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode(), body


@pytest.fixture
async def script(web: Any, modules: Page) -> AsyncGenerator[Script]:
    """Takes the server's place for a page that has its modules."""
    await modules.evaluate(OUTBOX)
    script = Script()
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    web.proxy.cut()  # no connection to the server stays in use
    web.proxy.target = server.sockets[0].getsockname()[:2]
    web.proxy.mend()
    yield script
    script.close()
    server.close()


async def test_what_passes_is_tried_again_with_the_same_id_until_it_is_taken(
    script: Script, modules: Page
) -> None:
    await modules.clock.install()
    for answer in AGAIN:
        script.answers.append(answer)
        script.got.clear()
        saying = asyncio.create_task(modules.evaluate(SAY, ["first", "second"]))
        while not saying.done():
            await modules.clock.run_for(1000)
        assert await saying == [["taken", "taken"], []], answer
        posted = [(body["id"], body["message"]["text"]) for body in script.got]
        assert len(dict.fromkeys(posted)) == 2, answer
        assert list(dict(posted).values()) == ["first", "second"], answer


async def test_what_is_final_fails_and_holds_back_nothing_else(
    script: Script, modules: Page
) -> None:
    for status, code in FINAL:
        script.answers.append((status, code))
        failed = code or "http"
        assert await modules.evaluate(SAY, ["first", "second"]) == [
            [failed, "taken"],
            [["first", failed]],
        ], (status, code)
        await modules.evaluate("outbox.discard(outbox.pending[0].id)")


@pytest.mark.parametrize("stall", ["no answer", "no body"])
async def test_an_answer_that_stalls_is_none(script: Script, modules: Page, stall: Stall) -> None:
    await modules.clock.install()
    script.answers.append(stall)
    saying = asyncio.create_task(modules.evaluate(SAY, ["first", "second"]))
    await script.stalled.wait()
    while not saying.done():
        await modules.clock.run_for(1000)
    assert await saying == [["taken", "taken"], []]
    assert await modules.evaluate("told") == ["timeout"]


@pytest.mark.parametrize("stall", ["no answer", "no body"])
async def test_an_answer_in_json_ends_with_its_time_limit(
    script: Script, modules: Page, stall: Stall
) -> None:
    await modules.clock.install()
    script.answers.append(stall)
    asking = asyncio.create_task(
        modules.evaluate("http.json('POST', 'viewers', { json: {} }).catch(({ code }) => code)")
    )
    await script.stalled.wait()
    while not asking.done():
        await modules.clock.run_for(1000)
    assert await asking == "timeout"


async def test_a_refusal_of_an_earlier_key_says_nothing_of_the_present_one(
    script: Script, modules: Page
) -> None:
    script.answers += [(401, "viewer"), (503, "timeout")]
    await modules.evaluate(NEXT_KEY)
    assert await modules.evaluate(SAY, ["first"]) == [["taken"], []]
    assert await modules.evaluate("told") == ["timeout"]
