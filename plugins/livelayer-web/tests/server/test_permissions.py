"""What people may send from pages: the surface decides, and a page that asks anyway is refused."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from livelayer_web import Permission, ViewerTokens, WebSurface
from livelayer_web.permissions import PERMISSIONS

from livelayer_bus import MisuseError

from .scripted import Page, Serve, Web, code_of

pytestmark = pytest.mark.anyio

TYPED = {"type": "user_message", "text": "hello"}
SOURCES = ("microphone", "camera", "screen")


async def test_without_an_option_everything_is_allowed(web: Web) -> None:
    page = await web.page()
    assert page.joined["sources"] == list(SOURCES)
    assert page.joined["typing"] is True
    assert {*SOURCES, "typing"} == PERMISSIONS


@pytest.mark.parametrize("allowed", [[], ["typing"], ["microphone", "screen"]])
async def test_a_page_is_told_what_is_allowed_and_refused_the_rest(
    serve: Serve, allowed: list[str]
) -> None:
    async with serve(allow=allowed) as web:
        await web.connect()
        page = await web.page()
        assert page.joined["sources"] == [kind for kind in SOURCES if kind in allowed]
        assert page.joined["typing"] is ("typing" in allowed)
        for kind in SOURCES:
            # An allowed source lacks only its media connection.
            answer = (409, "no_media") if kind in allowed else (403, "not_allowed")
            assert code_of(await page.ask("PUT", f"sources/{kind}")) == answer
        said = await page.say(TYPED)
        if "typing" in allowed:
            assert said.status_code == 202
        else:
            assert code_of(said) == (403, "not_allowed")
        # What is not typed by a person is no concern of it.
        assert (await page.say({"type": "quiz_response"}, "message-2")).status_code == 202
        typed = [entry.text for entry in web.session.transcript if entry.role == "user"]
        assert typed == (["hello"] if "typing" in allowed else [])


async def test_a_line_among_the_replies_of_a_command_is_refused_as_well(serve: Serve) -> None:
    async with serve(capabilities=("scroll",), allow=["microphone"]) as web:
        room = await web.connect()
        page = await web.page()
        async with page.events() as events:
            await events.next("snapshot")
            room.agent_says({"type": "scroll_page", "direction": "down"})
            number = (await events.next("command")).data["number"]
            path, reply = f"commands/{number}", {"ok": True, "replies": [{"type": "x"}, TYPED]}
            assert code_of(await page.ask("POST", path, reply)) == (403, "not_allowed")
            # Nothing of it was sent, and the page may answer again.
            assert (await page.ask("POST", path, {"ok": True})).status_code == 204


async def test_a_page_that_only_watches_is_told_that_it_may_send_nothing(serve: Serve) -> None:
    tokens = ViewerTokens(b"a secret of the tests, thirty-two bytes")
    async with serve(tokens=tokens) as web:
        joined = (await web.join(bearer=web.surface.token(["watch"]))).json()
        assert (joined["sources"], joined["typing"]) == ([], False)
        page = Page(web.http, joined)
        assert code_of(await page.say(TYPED)) == (403, "grant")


@pytest.mark.parametrize("wrong", ["typing", ["mic"], ["typing", "video"]])
def test_a_permission_that_does_not_exist_is_misuse(wrong: Any) -> None:
    with pytest.raises(MisuseError, match="camera, microphone, screen, typing"):
        WebSurface(port=0, allow=wrong)


def test_a_permission_has_the_names_of_the_sources() -> None:
    [sources, other] = get_args(Permission)
    assert (get_args(sources), get_args(other)) == (SOURCES, ("typing",))
