"""What the endpoint takes, what it answers, and what it refuses."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from livekit.protocol.room import RoomConfiguration
from livelayer_web.endpoint import ApiKeys, Caller, anyone
from msgspec import structs
from starlette.requests import Request

from livelayer_bus.errors import ConfigError
from livelayer_bus.tokens import read_dispatch_metadata
from livelayer_bus.tokens.access import read_claims

from .conftest import KEY, LUMI, MOSS, OTHER_KEY, SESSION, Ask, Make, claims, error_of

pytestmark = pytest.mark.anyio


def room_config(token: str) -> RoomConfiguration:
    config: RoomConfiguration = claims(token).room_config
    return config


# What is given -----------------------------------------------------------------------------


async def test_a_session_is_a_room_a_token_and_the_agents_face(client: httpx.AsyncClient) -> None:
    answer = await client.post(SESSION, json={"agentId": LUMI.id, "plan": "gold"})
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"url", "token", "roomName", "agentConfig"}
    assert body["url"] == "ws://127.0.0.1:9"
    assert body["agentConfig"] == {
        "name": "Lumi",
        "avatarImageUrl": "https://example.com/lumi.png",
    }
    assert claims(body["token"]).video.room == body["roomName"]
    assert answer.headers["cache-control"] == "no-store"


async def test_a_token_opens_one_room_for_minutes_and_administers_nothing(
    client: httpx.AsyncClient,
) -> None:
    body = (await client.post(SESSION, json={"agentId": LUMI.id})).json()
    video = claims(body["token"]).video
    granted = {name for name, value in vars(video).items() if value not in (None, False, "")}
    assert granted == {
        "room_join",
        "room",
        "can_publish",
        "can_publish_sources",
        "can_subscribe",
        "can_publish_data",
    }
    assert set(video.can_publish_sources) == {
        "camera",
        "microphone",
        "screen_share",
        "screen_share_audio",
    }
    assert video.can_update_own_metadata is False
    expires = read_claims(body["token"]).expires
    assert expires is not None
    assert 0 < expires - time.time() <= 600


async def test_participants_set_their_own_attributes_if_the_application_says_so(
    make: Make, ask: Ask
) -> None:
    async with ask(make(own_attributes=True)) as client:
        body = (await client.post(SESSION, json={"agentId": LUMI.id})).json()
    video = claims(body["token"]).video
    assert video.can_update_own_metadata is True
    assert not video.room_admin


async def test_the_agent_learns_whose_session_it_is(client: httpx.AsyncClient) -> None:
    body = (await client.post(SESSION, json={"agentId": LUMI.id, "plan": "gold"})).json()
    config = room_config(body["token"])
    (wish,) = config.agents
    assert wish.agent_name == "lumi"
    assert json.loads(wish.metadata) == {
        "agentId": "agt_lumi",
        "resumed": False,
        "caller": "shop",
        "metadata": {"voice": "calm"},
        "session": {"plan": "gold"},
    }
    assert read_dispatch_metadata(wish.metadata) is not None
    assert config.departure_timeout == 300


@pytest.mark.parametrize("text", ["", "hello", "[]", '{"agentId": 1}', "[" * 5000])
def test_metadata_of_others_is_not_ours(text: str) -> None:
    assert read_dispatch_metadata(text) is None


async def test_two_sessions_share_neither_room_nor_identity(client: httpx.AsyncClient) -> None:
    bodies = [(await client.post(SESSION, json={"agentId": LUMI.id})).json() for _ in range(2)]
    assert bodies[0]["roomName"] != bodies[1]["roomName"]
    assert len({claims(body["token"]).identity for body in bodies}) == 2


@pytest.mark.parametrize("path", ["/api/agents/agt_lumi/config", "/api/agents/agt%2Fmoss/config"])
async def test_the_published_configuration_needs_no_key(make: Make, ask: Ask, path: str) -> None:
    async with ask(make()) as client:
        answer = await client.get(path, headers={"x-api-key": "wrong"})
    assert answer.status_code == 200
    assert answer.json()["name"] in ("Lumi", "Moss")


async def test_what_widgets_show_needs_no_key_and_holds_no_secret(make: Make, ask: Ask) -> None:
    moss = structs.replace(MOSS, hide_branding=True, capabilities=("navigate",), page_vision=False)
    async with ask(make(agents=(LUMI, moss))) as client:
        lumi = await client.get("/api/widget/agent/agt_lumi", headers={"x-api-key": "wrong"})
        answer = await client.get("/api/widget/agent/agt%2Fmoss")
    assert lumi.status_code == 200
    assert lumi.json() == {
        "id": "agt_lumi",
        "name": "Lumi",
        "avatarImageUrl": "https://example.com/lumi.png",
        "idleLoopUrl": None,
    }
    assert answer.json() == {
        "id": "agt/moss",
        "name": "Moss",
        "avatarImageUrl": None,
        "idleLoopUrl": None,
        "capabilities": ["navigate"],
        "hideBranding": True,
        "pageVision": False,
    }


async def test_health_and_description_are_there(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health")).json() == {"status": "ok"}
    assert (await client.get("/openapi.json")).json()["openapi"].startswith("3.1")


# LiveKit's standard request ----------------------------------------------------------------


async def test_the_standard_request_gets_the_standard_answer(client: httpx.AsyncClient) -> None:
    wish = {"agents": [{"agent_name": "lumi", "metadata": "from the client"}]}
    answer = await client.post(
        "/api/token",
        json={
            "room_config": wish,
            "participant_identity": "ada",
            "participant_name": "Ada",
            "participant_metadata": "m",
            "participant_attributes": {"seat": "3"},
        },
    )
    body = answer.json()
    assert set(body) == {"server_url", "participant_token"}
    found = claims(body["participant_token"])
    assert (found.identity, found.name, found.metadata) == ("ada", "Ada", "m")
    assert found.attributes["seat"] == "3"
    (sent,) = room_config(body["participant_token"]).agents
    metadata = json.loads(sent.metadata)
    assert metadata["agentId"] == "agt_lumi"
    assert metadata["session"] == {"metadata": "from the client"}


async def test_an_endpoint_of_one_agent_need_not_be_told_which(make: Make, ask: Ask) -> None:
    async with ask(make(agents=(LUMI,))) as client:
        body = (await client.post("/api/token", json={})).json()
    (sent,) = room_config(body["participant_token"]).agents
    assert sent.agent_name == "lumi"


async def test_an_endpoint_of_several_agents_has_to_be_told_which(
    client: httpx.AsyncClient,
) -> None:
    assert error_of(await client.post("/api/token", json={})) == (400, "body")


async def test_a_room_asked_for_by_name_is_the_callers_own(client: httpx.AsyncClient) -> None:
    async def asked(key: str) -> tuple[str, str]:
        answer = await client.post(
            "/api/token",
            json={"room_name": "kitchen", "room_config": {"agents": [{"agent_name": "lumi"}]}},
            headers={"x-api-key": key},
        )
        found = claims(answer.json()["participant_token"])
        return found.video.room, found.identity

    first, again, other = await asked(KEY), await asked(KEY), await asked(OTHER_KEY)
    assert first[0] == again[0] != "kitchen"
    assert first[1] != again[1]
    assert other[0] not in ("kitchen", first[0])


async def test_a_caller_may_be_allowed_to_name_rooms(make: Make, ask: Ask) -> None:
    async def auth(request: Request) -> Caller | None:
        return Caller(id="house", rooms=("kitchen-*",))

    async with ask(make(agents=(LUMI,), auth=auth)) as client:
        rooms = [
            claims(
                (await client.post("/api/token", json={"room_name": name})).json()[
                    "participant_token"
                ]
            ).video.room
            for name in ("kitchen-1", "cellar")
        ]
    assert rooms[0] == "kitchen-1"
    assert rooms[1] != "cellar"


@pytest.mark.parametrize("name", ["lk.agent.state", "lk.publish_on_behalf", "livelayer.resumed"])
async def test_a_request_sets_no_attribute_that_means_something(
    client: httpx.AsyncClient, name: str
) -> None:
    body = {
        "participant_attributes": {name: "speaking"},
        "room_config": {"agents": [{"agent_name": "lumi"}]},
    }
    assert error_of(await client.post("/api/token", json=body)) == (400, "body")


# Who may ask -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": ""},
        {"x-api-key": "wrong"},
        {"x-api-key": KEY + "x"},
        {"x-api-key": KEY[:-1]},
        {"x-api-key": "", "authorization": f"Basic {KEY}"},
    ],
)
@pytest.mark.parametrize("path", [SESSION, "/api/token"])
async def test_a_wrong_key_is_refused(
    client: httpx.AsyncClient, path: str, headers: dict[str, str]
) -> None:
    answer = await client.post(path, json={"agentId": LUMI.id}, headers=headers)
    assert error_of(answer) == (401, "unauthorized")
    assert "www-authenticate" in answer.headers


async def test_a_key_may_come_as_a_bearer_token(make: Make, ask: Ask) -> None:
    async with ask(make()) as client:
        del client.headers["x-api-key"]
        answer = await client.post(
            SESSION, json={"agentId": LUMI.id}, headers={"authorization": f"Bearer {KEY}"}
        )
    assert answer.status_code == 200


async def test_the_applications_own_check_says_who_asks_and_what_for(make: Make, ask: Ask) -> None:
    async def auth(request: Request) -> Caller | None:
        name = request.headers.get("x-user")
        if name is None:
            return None
        return Caller(id=name, identity=f"user-{name}", name=name, agents=frozenset({LUMI.id}))

    async with ask(make(auth=auth)) as client:
        assert (await client.post(SESSION, json={"agentId": LUMI.id})).status_code == 401
        client.headers["x-user"] = "ada"
        found = claims((await client.post(SESSION, json={"agentId": LUMI.id})).json()["token"])
        assert (found.identity, found.name) == ("user-ada", "ada")
        refused = await client.post(SESSION, json={"agentId": "agt/moss"})
        assert error_of(refused) == (404, "agent")


async def test_a_check_that_fails_is_no_500_and_tells_nothing(make: Make, ask: Ask) -> None:
    async def auth(request: Request) -> Caller | None:
        raise RuntimeError("the database password is hunter2")

    async with ask(make(auth=auth)) as client:
        answer = await client.post(SESSION, json={"agentId": LUMI.id})
    assert error_of(answer) == (503, "auth_failed")
    assert "hunter2" not in answer.text


async def test_everybody_may_be_let_in_on_purpose(make: Make, ask: Ask) -> None:
    async with ask(make(auth=anyone)) as client:
        del client.headers["x-api-key"]
        assert (await client.post(SESSION, json={"agentId": LUMI.id})).status_code == 200


def test_keys_show_nowhere() -> None:
    keys = ApiKeys({"shop": KEY})
    assert KEY not in repr(keys)
    assert KEY not in repr(vars(keys))


@pytest.mark.parametrize("keys", [{}, {"shop": ""}, {"shop": "two words"}, {"shop": "schlüssel"}])
def test_unusable_keys_are_refused_at_once(keys: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        ApiKeys(keys)


# Bodies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"agentId": 7}',
        b'{"agentId": ""}',
        b'{"agentId": null}',
        b'{"agentId": "agt_lumi", "priorRoomName": 7}',
        b'{"agentId": "\\ud800"}',
        b"\xff\xfe",
        b'{"agentId": ' + b"[" * 3000 + b"]" * 3000 + b"}",
        b'{"agentId": "agt_lumi", "n": 1e999}',
    ],
)
async def test_a_body_that_cannot_be_used_is_refused(
    client: httpx.AsyncClient, body: bytes
) -> None:
    assert error_of(await client.post(SESSION, content=body)) == (400, "body")


async def test_an_unknown_agent_is_not_found(client: httpx.AsyncClient) -> None:
    for answer in (
        await client.post(SESSION, json={"agentId": "agt_nobody"}),
        await client.get("/api/agents/agt_nobody/config"),
        await client.get("/api/widget/agent/agt_nobody"),
    ):
        assert error_of(answer) == (404, "agent")


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 1024):
        yield b" " * 1024


async def test_a_body_that_is_too_large_is_refused_whatever_its_length_says(
    client: httpx.AsyncClient,
) -> None:
    announced = await client.post(SESSION, content=b" " * 20_000)
    silent = await client.post(SESSION, content=chunks(20_480))
    further = await client.post(SESSION, json={"agentId": LUMI.id, "x": "y" * 3000})
    for answer in (announced, silent, further):
        assert error_of(answer) == (413, "size")


async def test_a_token_that_no_header_could_carry_is_refused(client: httpx.AsyncClient) -> None:
    body = {
        "participant_attributes": {str(number): "x" * 1024 for number in range(6)},
        "room_config": {"agents": [{"agent_name": "lumi"}]},
    }
    assert error_of(await client.post("/api/token", json=body)) == (413, "size")
    body["participant_attributes"] = {}
    assert (await client.post("/api/token", json=body)).status_code == 200


async def test_other_paths_and_methods_are_refused_as_json(client: httpx.AsyncClient) -> None:
    assert error_of(await client.get("/")) == (404, "path")
    answer = await client.get(SESSION)
    assert error_of(answer) == (405, "method")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("path", [f"{SESSION}/", "/api/token/", "/health/"])
async def test_a_trailing_slash_leads_nowhere(client: httpx.AsyncClient, path: str) -> None:
    """A redirect would lead to the address in the Host header."""
    for method in ("GET", "POST"):
        answer = await client.request(method, path, json={}, headers={"host": "evil.example.com"})
        assert error_of(answer) == (404, "path")
        assert "location" not in answer.headers
