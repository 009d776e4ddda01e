"""Pictures of a page: off by default, taken by the application, reported once for each look."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.async_api import Page, Route

from livelayer_bus.messages import PageScreenshot
from livelayer_bus.testing import ScriptedRoom, polled

from .conftest import Until, Web

pytestmark = pytest.mark.anyio

# The picture is as the test says: a colour for what the page shows. `interval` has its least value.
SHARE = """(more) => {
  window.taken = [];
  window.colour = "red";
  const draw = async ({ reason, ignore }) => {
    const secret = document.querySelector("[data-ll-private]");
    window.taken.push([reason, ignore(document.querySelector("h1")), secret && ignore(secret)]);
    const canvas = new OffscreenCanvas(400, 300);
    const context = canvas.getContext("2d");
    context.fillStyle = window.colour;
    context.fillRect(0, 0, 400, 300);
    context.fillStyle = "black";
    context.font = "20px sans-serif";
    context.fillText(window.words ?? "", 20, 40);
    return canvas.convertToBlob();
  };
  window.options = { take: draw, upload: "/shots", interval: 0, ...more };
  session.screenshots = window.options;
}"""
STEPS = """() => document.querySelector("main").insertAdjacentHTML("beforeend",
  `<ol><li id="s1" aria-current="step">One</li><li id="s2">Two</li></ol>
   <form id="f"><input name="a"><button>Continue</button></form>`)"""


class Shots:
    """A receiver of the application's own, on the page's origin."""

    def __init__(self) -> None:
        self.pictures: list[bytes] = []
        self.status = 200

    async def take(self, route: Route) -> None:
        self.pictures.append(route.request.post_data_buffer or b"")
        body = json.dumps({"url": f"https://shots.example/{len(self.pictures)}.png"})
        await route.fulfill(status=self.status, body=body, content_type="application/json")


@pytest.fixture
async def shots(live: Page) -> Shots:
    shots = Shots()
    await live.route("**/shots", shots.take)
    return shots


async def reported(room: ScriptedRoom) -> PageScreenshot:
    message = (await room.next_sent("page_screenshot")).message
    assert isinstance(message, PageScreenshot)
    return message


async def test_no_picture_is_taken_unless_the_application_says_how(
    web: Web, live: Page, shots: Shots
) -> None:
    await web.connected()
    await live.evaluate(STEPS)
    await polled(lambda: "advance_step" in web.room.attributes.get("agent.context", ""))
    assert await live.evaluate("session.screenshots") is None
    assert shots.pictures == []


async def test_a_route_a_flow_and_a_step_are_reported_and_what_looks_the_same_is_not(
    web: Web, live: Page, shots: Shots, until: Until
) -> None:
    room = await web.connected()
    await live.evaluate("document.querySelector('main').insertAdjacentHTML("
                        "'beforeend', '<p data-ll-private>4711</p>')")  # fmt: skip
    await live.evaluate(SHARE)
    first = await reported(room)
    assert (first.url, first.route, first.reason) == (
        "https://shots.example/1.png",
        "/",
        "route_change",
    )
    assert re.fullmatch("[0-9a-f]{16}", first.hash)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", first.captured_at)
    assert shots.pictures[0].startswith(b"\x89PNG")
    assert await live.evaluate("taken") == [["route_change", False, True]]

    await live.evaluate("history.pushState(null, '', '/same')")
    await until(live, "taken.length === 2")  # it looks as before
    await live.evaluate("window.words = 'Step one'")
    await live.evaluate(STEPS)
    second = await reported(room)
    assert (second.route, second.reason) == ("/same", "flow_start")
    assert second.hash != first.hash
    await live.evaluate("""() => {
      window.words = "Step two";
      document.querySelector("#s1").removeAttribute("aria-current");
      document.querySelector("#s2").setAttribute("aria-current", "step");
    }""")
    third = await reported(room)
    assert third.reason == "step_change"
    assert len({first.hash, second.hash, third.hash}) == 3
    assert len(shots.pictures) == 3
    assert len(await live.evaluate("taken")) == 4


async def test_the_same_look_has_the_same_hash_whatever_the_format(modules: Page) -> None:
    hashes = await modules.evaluate("""async () => {
      const { visualHash } = await import("/livelayer/js/page/screenshots.js");
      const picture = async (words, size, type) => {
        const canvas = new OffscreenCanvas(size * 4, size * 3);
        const context = canvas.getContext("2d");
        context.fillStyle = "white";
        context.fillRect(0, 0, size * 4, size * 3);
        context.fillStyle = "navy";
        context.font = `${size / 4}px sans-serif`;
        context.fillText(words, size / 3, size);
        return visualHash(await canvas.convertToBlob({ type }));
      };
      return [await picture("One", 200, "image/png"), await picture("One", 200, "image/webp"),
              await picture("Two", 200, "image/png"), await picture("One", 200, "image/png")];
    }""")
    assert hashes[0] == hashes[3]
    assert hashes[0] != hashes[2]


async def test_consent_that_is_withdrawn_ends_it_even_while_a_picture_is_taken(
    web: Web, live: Page, shots: Shots, until: Until
) -> None:
    room = await web.connected()
    await live.evaluate(
        """() => {
      window.held = new Promise((resolve) => (window.release = resolve));
      session.screenshots = { upload: "/shots", take: async () => {
        window.asked = true;
        await window.held;
        const canvas = new OffscreenCanvas(9, 9);
        canvas.getContext("2d");
        window.given = true;
        return canvas.convertToBlob();
      } };
    }"""
    )
    await until(live, "window.asked")
    await live.evaluate("session.screenshots = null; release()")
    await until(live, "window.given")
    await live.evaluate(SHARE)  # given again: a picture of its own
    assert (await reported(room)).url == "https://shots.example/1.png"
    assert len(shots.pictures) == 1


@pytest.mark.parametrize("upload", ["() => 'javascript:alert(1)'", "() => { throw Error('x') }"])
async def test_a_picture_that_is_not_stored_is_not_reported_and_the_next_one_is(
    upload: str, web: Web, live: Page, shots: Shots, until: Until
) -> None:
    room = await web.connected()
    await live.evaluate("""() => {
      window.errors = 0;
      addEventListener("error", (event) => {
        event.preventDefault();
        window.errors += 1;
      });
    }""")
    await live.evaluate(f"({SHARE})({{ upload: {upload} }})")
    await until(live, "window.errors === 1")
    await live.evaluate(SHARE)
    assert (await reported(room)).reason == "route_change"


async def test_a_page_without_the_capability_takes_none(
    web: Web, live: Page, shots: Shots, until: Until
) -> None:
    room = await web.connected()
    await live.evaluate("session.setAttribute('capabilities', 'navigate')")
    await live.evaluate(SHARE)
    await live.evaluate("history.pushState(null, '', '/elsewhere')")
    await live.evaluate("new Promise(requestAnimationFrame)")
    assert await live.evaluate("taken") == []
    await live.evaluate("session.removeAttribute('capabilities')")
    assert (await reported(room)).route == "/elsewhere"


async def test_the_receiver_may_be_a_function_and_gets_what_the_agent_gets(
    web: Web, live: Page, shots: Shots
) -> None:
    room = await web.connected()
    told: Any = await live.evaluate(f"""() => new Promise((resolve) => ({SHARE})({{
      upload: async (picture, details) => {{
        resolve([picture.type, details]);
        return "/own/1.png";
      }},
    }}))""")
    kind, details = told
    shot = await reported(room)
    assert kind == "image/png"
    assert shot.url == f"{web.url}/own/1.png"
    assert details == {
        "route": "/",
        "reason": "route_change",
        "hash": shot.hash,
        "capturedAt": shot.captured_at,
    }
    assert shots.pictures == []
