"""Which device is used: chosen, remembered, changed while on, unplugged, refused, too early."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from livekit import rtc
from livelayer_demo import demo_agent_token
from playwright.async_api import Browser, BrowserContext, Page, expect

from livelayer_bus import MicrophoneChanged, RoomAccess, TokenRequest
from livelayer_bus.testing import PATIENCE, polled

from .conftest import Puppet

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

HEARD = (
    "client.link.phase === 'live' && client.state?.agent_active && client.media.phase === 'live'"
)
LABEL = "client.sources.{kind}.stream?.getTracks()[0].label"
SECOND = {"microphone": "Fake Audio Input 2", "camera": "fake_device_1"}
DEVICES = """
(() => {
  const devices = navigator.mediaDevices;
  const [ask, list] = [devices.getUserMedia.bind(devices), devices.enumerateDevices.bind(devices)];
  const away = new Set(), tracks = new Set();
  window.asked = 0;
  window.refusal = null;
  const gone = ({ label }) => [...away].some((name) => label.includes(name));
  const there = async () => (await list()).filter((one) => !gone(one));
  devices.enumerateDevices = there;
  devices.getUserMedia = async (wish) => {
    window.asked += 1;
    if (window.refusal !== null) throw new DOMException("by the test", window.refusal);
    const kind = wish.audio ? "audioinput" : "videoinput";
    const found = (await there()).filter((one) => one.kind === kind);
    if (found.length === 0) throw new DOMException("by the test", "NotFoundError");
    const stream = await ask(wish);
    for (const track of stream.getTracks()) tracks.add(track);
    return stream;
  };
  window.plug = (name, plugged) => {
    if (plugged) away.delete(name); else away.add(name);
    for (const track of plugged ? [] : tracks) {
      if (!track.label.includes(name) || track.readyState === "ended") continue;
      track.stop();
      track.dispatchEvent(new Event("ended"));
    }
    devices.dispatchEvent(new Event("devicechange"));
  };
})();
"""
DENIED_STORAGE = """
Object.defineProperty(window, "localStorage", {
  get() { throw new DOMException("", "SecurityError"); },
});
"""


@pytest.fixture(scope="module")
async def equipped(launch: Any) -> Browser:
    """A browser with three microphones, two cameras and three speakers."""
    browser: Browser = await launch(
        "--use-fake-device-for-media-stream=device-count=2",
        "--use-fake-ui-for-media-stream",
        whole=True,
    )
    return browser


@pytest.fixture
async def person(equipped: Browser, new_context: Any) -> BrowserContext:
    context: BrowserContext = await new_context(equipped)
    await context.add_init_script(DEVICES)
    return context


@pytest.fixture(scope="module")
async def shared(show: Any) -> AsyncGenerator[Any]:
    async with show(agent="puppet") as stage:
        await stage.connect()
        yield stage


@pytest.fixture
async def stage(shared: Any) -> Any:
    """The session, once the pages of the test before have given back what they had."""
    await shared.until_left()
    await polled(lambda: shared.published() == [])
    return shared


async def open_page(context: BrowserContext, stage: Any, until: Any) -> Page:
    page = await context.new_page()
    await page.goto(stage.url)
    await until(page, HEARD)
    return page


def button(page: Page, name: str) -> Any:
    return page.locator("livelayer-avatar").first.get_by_role("button", name=name, exact=True)


def told(page: Page, words: str) -> Any:
    paragraphs = page.locator("livelayer-avatar").first.get_by_role("paragraph")
    return paragraphs.filter(has_text=words)


async def pick(page: Page, kind: str, device: str) -> None:
    """Choose it as a person does, in the menu beside the toggles."""
    await button(page, "Choose devices").click()
    group = page.locator("livelayer-avatar").first.get_by_role("list", name=kind, exact=True)
    await group.get_by_role("button", name=device, exact=True).click()


def next_track(room: rtc.Room) -> anyio.Event:
    subscribed = anyio.Event()
    room.once("track_subscribed", lambda *_: subscribed.set())
    return subscribed


async def loud(room: rtc.Room) -> None:
    """Wait until the agent hears the fake microphone's beep."""
    person = next(p for p in room.remote_participants.values() if p.track_publications)
    (track,) = [p.track for p in person.track_publications.values() if p.track is not None]
    stream = rtc.AudioStream(track)
    try:
        with anyio.fail_after(PATIENCE):
            async for event in stream:
                if any(abs(sample) > 1000 for sample in event.frame.data):
                    return
    finally:
        await stream.aclose()


async def test_another_microphone_in_the_middle_of_a_sentence_keeps_the_lease_and_is_remembered(
    person: BrowserContext, stage: Any, until: Any
) -> None:
    page = await open_page(person, stage, until)
    subscribed = next_track(stage.agent.room)
    await button(page, "Turn microphone on").click()
    await stage.until(lambda: stage.session.state.microphone is not None)
    label = LABEL.format(kind="microphone")
    assert SECOND["microphone"] not in await until(page, label)
    with anyio.fail_after(PATIENCE):
        await subscribed.wait()
    await loud(stage.agent.room)

    with stage.session.subscribe(MicrophoneChanged) as changes:
        await pick(page, "Microphone", SECOND["microphone"])
        await until(page, f"{label} === {SECOND['microphone']!r}")
        await loud(stage.agent.room)
        await button(page, "Mute microphone").click()
        with anyio.fail_after(PATIENCE):
            assert (await anext(changes)).muted  # the first change since: the lease is the same
    assert stage.published() == ["microphone"]
    await pick(page, "Microphone", "Default")
    await until(page, f"{label} !== {SECOND['microphone']!r}")
    # A muted one stays so.
    assert await until(page, "client.sources.microphone.stream.getTracks()[0].enabled === false")
    await pick(page, "Microphone", SECOND["microphone"])
    await until(page, f"{label} === {SECOND['microphone']!r}")

    await page.reload()
    await until(page, HEARD)
    await stage.until(lambda: stage.session.state.microphone is None)
    await until(page, "client.sources.microphone.phase === 'off'")
    await button(page, "Turn microphone on").click()
    await until(
        page, f"client.sources.microphone.phase === 'on' && {label} === {SECOND['microphone']!r}"
    )


async def test_an_unplugged_microphone_gives_way_to_the_default_and_comes_back(
    person: BrowserContext, stage: Any, until: Any
) -> None:
    page = await open_page(person, stage, until)
    label = LABEL.format(kind="microphone")
    await button(page, "Turn microphone on").click()
    await until(page, "client.sources.microphone.phase === 'on'")
    await pick(page, "Microphone", SECOND["microphone"])
    await until(page, f"{label} === {SECOND['microphone']!r}")

    with stage.session.subscribe(MicrophoneChanged) as changes:
        await page.evaluate("plug('Fake Audio Input 2', false)")
        await expect(told(page, "Fake Audio Input 2 was unplugged. The default")).to_be_visible()
        await until(page, f"{label} === 'Fake Default Audio Input'")
        assert await page.evaluate(
            "document.querySelector('livelayer-session').client.sources.microphone.code"
        ) == ("MIC_UNPLUGGED")
        labels = "client.devices.microphone.list.map((one) => one.label).join()"
        assert SECOND["microphone"] not in await until(page, labels)

        await page.evaluate("plug('Fake Audio Input 2', true)")
        await until(page, f"{label} === {SECOND['microphone']!r}")
        await expect(told(page, "was unplugged")).to_be_hidden()

        await page.evaluate("plug('Audio Input', false)")  # all of them
        await expect(told(page, "The microphone was unplugged and is off.")).to_be_visible()
        with anyio.fail_after(PATIENCE):
            assert (await anext(changes)).owner is None  # the first change: kept until now
    await stage.until(lambda: stage.session.state.microphone is None)

    await page.evaluate("plug('Audio Input', true)")
    await button(page, "Try now").click()
    await stage.until(lambda: stage.session.state.microphone is not None)


async def test_another_camera_keeps_the_lease(
    person: BrowserContext, stage: Any, until: Any
) -> None:
    page = await open_page(person, stage, until)
    await button(page, "Turn camera on").click()
    await stage.until(lambda: stage.session.state.camera is not None)
    owner = stage.session.state.camera.owner
    label = LABEL.format(kind="camera")
    first = await until(page, label)
    other = f"client.devices.camera.list.find((one) => one.label !== {first!r})?.label"

    await pick(page, "Camera", await until(page, other))

    await until(page, f"{label} !== {first!r}")
    assert stage.session.state.camera.owner == owner
    assert stage.published() == ["camera"]


@pytest.mark.parametrize(
    ("error", "code", "microphone", "camera"),
    [
        (
            "NotAllowedError",
            "PERMISSION_DENIED",
            "The microphone is blocked.",
            "The camera is blocked.",
        ),
        ("NotFoundError", "NOT_FOUND", "No microphone was found.", "No camera was found."),
        (
            "NotReadableError",
            "IN_USE",
            "Another program is using the mic",
            "Another program is using the cam",
        ),
        ("UnknownError", "FAILED", "The microphone could not", "The camera could not"),
    ],
)
async def test_each_refusal_has_its_code_its_words_and_another_try(
    person: BrowserContext,
    stage: Any,
    until: Any,
    error: str,
    code: str,
    microphone: str,
    camera: str,
) -> None:
    page = await open_page(person, stage, until)
    for kind, prefix, words in (("microphone", "MIC", microphone), ("camera", "CAMERA", camera)):
        await page.evaluate("(name) => { window.refusal = name; }", error)
        await button(page, f"Turn {kind} on").click()
        await expect(told(page, words)).to_be_visible()
        await until(page, f"client.sources.{kind}.code === '{prefix}_{code}'")
        assert getattr(stage.session.state, kind) is None

        await page.evaluate("() => { window.refusal = null; }")
        await button(page, "Try now").click()
        await stage.until(lambda kind=kind: getattr(stage.session.state, kind) is not None)
        await expect(told(page, words)).to_be_hidden()


async def test_a_device_that_cannot_be_used_leaves_the_one_in_use(
    person: BrowserContext, stage: Any, until: Any
) -> None:
    page = await open_page(person, stage, until)
    label = LABEL.format(kind="microphone")
    await button(page, "Turn microphone on").click()
    await until(page, "client.sources.microphone.phase === 'on'")
    first = await until(page, label)

    await page.evaluate("() => { window.refusal = 'NotFoundError'; }")
    await pick(page, "Microphone", SECOND["microphone"])

    await expect(told(page, "Fake Audio Input 2 cannot be used.")).to_be_visible()
    assert await until(page, label) == first
    assert await until(page, "client.sources.microphone.stream.getTracks()[0].readyState") == "live"
    assert await until(page, "client.devices.microphone.chosen === null")
    assert stage.session.state.microphone is not None


async def test_sound_goes_to_the_chosen_speaker_until_it_is_unplugged(
    person: BrowserContext, stage: Any, until: Any
) -> None:
    page = await open_page(person, stage, until)
    await button(page, "Turn microphone on").click()  # speakers are named with it
    await until(page, "client.sources.microphone.phase === 'on'")
    sink = "document.querySelector('audio[data-livelayer]').sinkId"
    await pick(page, "Speaker", "Fake Audio Output 2")
    wanted = "client.devices.speaker.list.find((one) => one.label === 'Fake Audio Output 2').id"
    await until(page, f"{sink} === {wanted}")

    await page.evaluate("plug('Fake Audio Output 2', false)")

    await expect(told(page, "Fake Audio Output 2 was unplugged.")).to_be_visible()
    await until(page, f"{sink} === '' && client.speaker.code === 'SPEAKER_UNPLUGGED'")


async def test_a_choice_lasts_as_long_as_the_page_where_storage_is_denied(
    equipped: Browser, new_context: Any, stage: Any, until: Any
) -> None:
    context = await new_context(equipped)
    await context.add_init_script(DEVICES + DENIED_STORAGE)
    page = await open_page(context, stage, until)
    await button(page, "Turn microphone on").click()
    await until(page, "client.sources.microphone.phase === 'on'")
    await pick(page, "Microphone", SECOND["microphone"])
    await until(page, f"{LABEL.format(kind='microphone')} === {SECOND['microphone']!r}")
    await page.evaluate("document.querySelector('livelayer-session').client.release('microphone')")
    await button(page, "Turn microphone on").click()
    await until(page, f"{LABEL.format(kind='microphone')} === {SECOND['microphone']!r}")


async def test_a_microphone_pressed_early_waits_for_the_room_and_speaks_before_the_agent_comes(
    person: BrowserContext, show: Any, until: Any
) -> None:
    allowed = anyio.Event()

    async def tokens(_request: TokenRequest) -> RoomAccess:
        await allowed.wait()
        token = shown.server.token("person", shown.room)
        return RoomAccess(shown.server.url, token, shown.room)

    async with (
        show(agent=None, session={"tokens": tokens}) as shown,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(shown.session.connect)
        page = await person.new_page()
        await page.goto(shown.url)
        await button(page, "Turn microphone on").click()

        await expect(told(page, "hears you as soon as")).to_be_visible()
        await expect(button(page, "Turn microphone off")).to_have_attribute("aria-busy", "true")
        assert await page.evaluate("asked") == 1  # allowed in the gesture that asked for it
        assert shown.session.state.microphone is None
        await button(page, "Turn microphone off").click()
        await until(page, "client.sources.microphone.phase === 'off'")
        await button(page, "Turn microphone on").click()
        await until(page, "client.sources.microphone.phase === 'waiting'")

        allowed.set()
        await shown.until(lambda: shown.session.state.microphone is not None)
        await until(page, "client.sources.microphone.phase === 'on'")
        await polled(lambda: shown.published() == ["microphone"])
        await expect(told(page, "hears you as soon as")).to_be_visible()
        assert await page.evaluate("asked") == 2

        agent = Puppet()
        server = shown.server
        await agent.join(server.url, demo_agent_token(server.key, server.secret, shown.room))
        try:
            await expect(told(page, "hears you as soon as")).to_be_hidden()
            assert shown.published() == ["microphone"]
        finally:
            await agent.leave()
