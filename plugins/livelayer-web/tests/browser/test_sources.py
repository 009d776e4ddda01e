"""Microphone, camera and screen: nothing before a person asks, then the room's, with one owner."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from livekit import rtc
from livekit.agents import UserStateChangedEvent
from livelayer_demo import agent_session, guide, models
from livelayer_demo.speech import Voice
from livelayer_demo.web import SITE
from playwright.async_api import Browser, BrowserContext, Page, expect

from livelayer_bus import AgentStateChanged
from livelayer_bus.testing import PATIENCE, polled

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

RATE = 48_000  # samples a second
SENTENCE = "Go to pricing."
LIVE = "client.link.phase === 'live' && client.state?.agent_active"
ASKED = """
window.asked = [];
for (const name of ["getUserMedia", "getDisplayMedia"]) {
  const original = navigator.mediaDevices[name].bind(navigator.mediaDevices);
  navigator.mediaDevices[name] = (wish) => {
    window.asked.push(name);
    return original(wish);
  };
}
"""


def spoken(text: str) -> np.ndarray[Any, np.dtype[np.int16]]:
    """The text as espeak says it, 48 kHz mono."""
    speech = Voice().speak(text)
    pcm = np.frombuffer(speech.pcm, np.int16).astype(np.float64)
    at = np.arange(int(len(pcm) * RATE / speech.sample_rate)) * speech.sample_rate / RATE
    return np.interp(at, np.arange(len(pcm)), pcm).astype(np.int16)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sentence as a recording, with silence around it."""
    path = tmp_path_factory.mktemp("said") / "said.wav"
    still = np.zeros(RATE, np.int16)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.concatenate([still, spoken(SENTENCE), still, still]).tobytes())
    return path


@pytest.fixture(scope="module")
async def talker(launch: Any, said: Path) -> Browser:
    """A browser whose microphone says the sentence once each time it is turned on."""
    browser: Browser = await launch(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={said}%noloop",
        "--auto-select-tab-capture-source-by-title=Acme",
        whole=True,
    )
    return browser


@pytest.fixture
async def person(talker: Browser, new_context: Any) -> BrowserContext:
    context: BrowserContext = await new_context(talker)
    await context.add_init_script(ASKED)
    return context


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the agent's voice activity detection makes of the person: speaking, listening."""
    states: list[str] = []
    build = models.build_session

    def listening(*given: Any) -> Any:
        session = build(*given)

        def changed(event: UserStateChangedEvent) -> None:
            states.append(event.new_state)

        session.on("user_state_changed", changed)
        return session

    monkeypatch.setattr(agent_session, "build_session", listening)
    return states


async def test_spoken_go_to_pricing_is_heard_thought_about_done_and_answered(
    person: BrowserContext, show: Any, until: Any, heard: list[str]
) -> None:
    turns: list[rtc.AudioFrame] = []

    async def transcribe(turn: rtc.AudioFrame) -> str:
        turns.append(turn)
        return SENTENCE

    async with show(site=SITE, demo={"transcribe": transcribe}) as shown:
        await shown.connect()
        page = await person.new_page()
        await page.goto(shown.url)
        await until(page, f"{LIVE} && client.media.phase === 'live'")
        assert await page.evaluate("asked") == []
        assert shown.published() == []
        assert shown.session.state.microphone is None
        assert shown.session.state.agent_state == "listening"

        with shown.session.subscribe(AgentStateChanged) as states:
            panel = page.locator("livelayer-avatar").first
            await panel.get_by_role("button", name="Turn microphone on").click()
            await shown.until(lambda: shown.session.state.microphone is not None)
            await shown.until_said("Here we are: pricing.")
            went = await states_until(states, "speaking")

        assert await page.evaluate("asked") == ["getUserMedia"]
        assert shown.published() == ["microphone"]
        assert went[-2:] == ["thinking", "speaking"]
        assert heard[:2] == ["speaking", "listening"]
        await page.wait_for_url("**/pricing")
        (turn,) = turns
        samples = np.frombuffer(turn.data, np.int16)
        assert np.sqrt(np.mean(samples.astype(np.float64) ** 2)) > 300  # of 32,767: no silence
        assert [e.text for e in shown.session.transcript if e.role == "user"] == [SENTENCE]


async def states_until(events: Any, last: str) -> list[str]:
    """The agent's states up to this one."""
    states: list[str] = []
    with anyio.fail_after(PATIENCE):
        while not states or states[-1] != last:
            states.append((await anext(events)).state)
    return states


async def test_without_a_recogniser_the_agent_says_that_it_hears_and_asks_to_type(
    person: BrowserContext, show: Any, until: Any, heard: list[str]
) -> None:
    async with show() as shown:
        await shown.connect()
        page = await person.new_page()
        await page.goto(shown.url)
        await until(page, LIVE)

        panel = page.locator("livelayer-avatar").first
        await panel.get_by_role("button", name="Turn microphone on").click()

        await shown.until_said(guide.CANNOT_TRANSCRIBE)
        assert heard[:2] == ["speaking", "listening"]
        assert not [e for e in shown.session.transcript if e.role == "user"]


# Who has it -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def shared(show: Any) -> AsyncGenerator[Any]:
    async with show(agent="puppet") as stage:
        await stage.connect()
        yield stage


@pytest.fixture
async def stage(shared: Any) -> Any:
    """The session, once the pages of the test before have given back what they had."""
    await shared.until_left()
    await published(shared)
    return shared


async def open_page(context: BrowserContext, stage: Any, until: Any) -> Page:
    page = await context.new_page()
    await page.goto(stage.url)
    await until(page, f"{LIVE} && client.media.phase === 'live'")
    return page


def button(page: Page, name: str) -> Any:
    return page.locator("livelayer-avatar").first.get_by_role("button", name=name)


async def test_muting_keeps_the_microphone_and_leaving_gives_it_back(
    person: BrowserContext, stage: Any, until: Any
) -> None:
    page = await open_page(person, stage, until)

    def state() -> Any:
        return stage.session.state.microphone

    await button(page, "Turn microphone on").click()
    await stage.until(lambda: state() is not None and not state().muted)

    await button(page, "Mute microphone").click()
    await stage.until(lambda: state().muted)
    await expect(button(page, "Unmute microphone")).to_have_attribute("aria-pressed", "false")
    tracks = "client.sources.microphone.stream.getTracks().map((one) => one.enabled)"
    assert await until(page, tracks) == [False]

    await button(page, "Unmute microphone").click()
    await stage.until(lambda: not state().muted)
    assert await until(page, tracks) == [True]

    await page.close()
    await stage.until(lambda: state() is None)
    await published(stage)


async def published(stage: Any, *sources: str) -> None:
    """Wait until people publish exactly these."""
    await polled(lambda: stage.published() == list(sources))


async def test_a_second_tab_is_told_who_has_the_microphone(
    person: BrowserContext, stage: Any, until: Any
) -> None:
    first, second = [await open_page(person, stage, until) for _ in range(2)]
    await button(first, "Turn microphone on").click()
    await stage.until(lambda: stage.session.state.microphone is not None)
    owner = stage.session.state.microphone.owner

    await button(second, "Turn microphone on").click()

    notices = second.locator("livelayer-avatar").first.get_by_role("paragraph")
    told = notices.filter(has_text="is in use in another window")
    await expect(told).to_be_visible()
    assert await second.evaluate("asked") == []  # no permission is asked for a missing device
    await published(stage, "microphone")

    await button(first, "Options").click()
    await button(first, "Turn microphone off").click()
    await stage.until(lambda: stage.session.state.microphone is None)
    await expect(told).to_be_hidden()
    await button(second, "Turn microphone on").click()
    await stage.until(
        lambda: (
            stage.session.state.microphone is not None
            and stage.session.state.microphone.owner != owner
        )
    )


async def test_two_tabs_that_ask_at_once_get_one_owner(
    person: BrowserContext, stage: Any, until: Any
) -> None:
    pages = [await open_page(person, stage, until) for _ in range(2)]
    take = "document.querySelector('livelayer-session').client.take('microphone')"

    async with anyio.create_task_group() as group:
        for page in pages:
            group.start_soon(page.evaluate, take)

    phases = sorted([await until(page, "client.sources.microphone.phase") for page in pages])
    assert phases == ["busy", "on"]
    await published(stage, "microphone")


@pytest.fixture(scope="module")
async def careful(launch: Any) -> Browser:
    """A browser that asks before it allows a device, and gets no answer."""
    browser: Browser = await launch("--use-fake-device-for-media-stream", whole=True)
    return browser


@pytest.fixture
async def visitor(careful: Browser, new_context: Any) -> BrowserContext:
    context: BrowserContext = await new_context(careful)
    return context


async def test_a_microphone_that_the_browser_takes_away_is_given_back(
    visitor: BrowserContext, careful: Browser, stage: Any, until: Any
) -> None:
    await visitor.grant_permissions(["microphone"])
    page = await open_page(visitor, stage, until)
    await button(page, "Turn microphone on").click()
    await stage.until(lambda: stage.session.state.microphone is not None)

    devtools = await careful.new_browser_cdp_session()
    targets = (await devtools.send("Target.getTargets"))["targetInfos"]
    (where,) = {t["browserContextId"] for t in targets if t["url"].startswith(stage.url)}
    wish = {"permission": {"name": "microphone"}, "setting": "denied"}
    await devtools.send("Browser.setPermission", {**wish, "browserContextId": where})

    await stage.until(lambda: stage.session.state.microphone is None)
    await until(page, "client.sources.microphone.stream === null")
    await published(stage)


async def test_a_person_who_says_no_is_told_what_that_means(
    visitor: BrowserContext, stage: Any, until: Any
) -> None:
    page = await open_page(visitor, stage, until)

    for wish, told in (
        ("Turn microphone on", "The microphone is blocked"),
        ("Turn camera on", "The camera is blocked"),
    ):
        await button(page, wish).click()
        notice = page.locator("livelayer-avatar").first.get_by_role("paragraph")
        await expect(notice.filter(has_text=told)).to_be_visible()

    await published(stage)
    assert stage.session.state.microphone is None


# Camera and screen ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "on", "off"),
    [
        ("camera", "Turn camera on", "Turn camera off"),
        ("screen", "Share your screen", "Stop sharing your screen"),
    ],
)
async def test_pictures_of_a_person_move_in_the_room(
    person: BrowserContext, stage: Any, until: Any, kind: str, on: str, off: str
) -> None:
    page = await open_page(person, stage, until)

    track = next_track(stage.agent.room)
    await button(page, on).click()
    with anyio.fail_after(PATIENCE):
        stream = rtc.VideoStream(await track, format=rtc.VideoBufferType.I420, capacity=2)
        frame = (await anext(stream)).frame
        assert frame.width > 0
        assert frame.height > 0
        while kind == "camera" and bytes(frame.data) == bytes((await anext(stream)).frame.data):
            pass  # its picture is a clock
    await stream.aclose()

    assert stage.published() == ["camera" if kind == "camera" else "screen_share"]
    await button(page, off).click()
    await published(stage)
    await stage.until(lambda: getattr(stage.session.state, kind) is None)


def next_track(room: rtc.Room) -> asyncio.Future[rtc.Track]:
    """The next track of a participant that the agent hears or sees."""
    came: asyncio.Future[rtc.Track] = asyncio.get_running_loop().create_future()
    room.once("track_subscribed", lambda track, *_: came.set_result(track))
    return came
