"""The endpoint's part of `livelayer.toml`."""

from __future__ import annotations

from pathlib import Path

import pytest
from livelayer_web.endpoint import EndpointSettings, Rate, load_endpoint_config

from livelayer_bus.config import load_config
from livelayer_bus.errors import ConfigError
from livelayer_bus.events import AgentConfig

SECRET = "hush-hush-hush-hush-hush-hush-hush-hush"
FULL = """
[agents.agt_lumi]
name = "Lumi"
avatar_image_url = "https://example.com/lumi.png"
idle_loop_url = "https://example.com/lumi.mp4"
dispatch = "lumi"
metadata = { voice = "calm" }

[agents.agt_moss]
name = "Moss"
capabilities = ["navigate", "scroll"]
hide_branding = true

[endpoint]
url = "wss://rooms.example.com"
api_key = "devkey"
api_secret = { env = "LIVEKIT_API_SECRET" }
keys = { shop = { env = "SHOP_KEY" } }
origins = ["https://shop.example.com"]
own_attributes = true
token_seconds = 120
resume_window = 60
address_rate = { per_minute = 30, burst = 5 }
"""
ENVIRON = {"LIVEKIT_API_SECRET": SECRET, "SHOP_KEY": "shop-key"}


def write(folder: Path, text: str) -> Path:
    path = folder / "livelayer.toml"
    path.write_text(text)
    return path


def test_everything_is_read(tmp_path: Path) -> None:
    found = load_endpoint_config(write(tmp_path, FULL), ENVIRON)
    lumi, moss = found.agents
    assert lumi.config == AgentConfig(
        "Lumi", "https://example.com/lumi.png", "https://example.com/lumi.mp4"
    )
    assert (lumi.id, lumi.worker, lumi.metadata) == ("agt_lumi", "lumi", {"voice": "calm"})
    assert (moss.id, moss.worker) == ("agt_moss", "agt_moss")
    assert (moss.capabilities, moss.hide_branding) == (("navigate", "scroll"), True)
    assert (lumi.capabilities, moss.page_vision) == (None, None)
    assert found.keys == {"shop": "shop-key"}
    settings = found.settings(origins=("http://localhost:3000",))
    assert settings == EndpointSettings(
        url="wss://rooms.example.com",
        api_key="devkey",
        api_secret=SECRET,
        origins=("https://shop.example.com", "http://localhost:3000"),
        own_attributes=True,
        token_seconds=120,
        resume_window=60,
        address_rate=Rate(30, 5),
    )
    for record in (found, settings):
        assert SECRET not in repr(record)
        assert "shop-key" not in repr(record)


def test_what_is_given_comes_before_the_file(tmp_path: Path) -> None:
    found = load_endpoint_config(write(tmp_path, FULL), ENVIRON)
    settings = found.settings("ws://127.0.0.1:1", "key", "secret")
    assert (settings.url, settings.api_key, settings.api_secret) == (
        "ws://127.0.0.1:1",
        "key",
        "secret",
    )


def test_one_file_is_for_a_session_and_for_the_endpoint(tmp_path: Path) -> None:
    text = 'agent_id = "agt_lumi"\nbase_url = "http://127.0.0.1:8787"\n'
    path = write(tmp_path, text + FULL)
    assert load_config(path).agent_id == "agt_lumi"
    assert len(load_endpoint_config(path, ENVIRON).agents) == 2
    (only,) = load_endpoint_config(write(tmp_path, text), {}).agents
    assert (only.id, only.config.name) == ("agt_lumi", "agt_lumi")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "agents"),
        ("[agents.a]\n", "agents.a.name"),
        ("[agents.a]\nname = 'A'\nvoice = 'x'", "agents.a.voice"),
        ("[agents.a]\nname = 'A'\n[endpoint]\norigin = ['x']", "endpoint.origin"),
        ("[agents.a]\nname = 'A'\n[endpoint]\nmax_body = 'x'", "endpoint.max_body"),
        ("[agents.a]\nname = 'A'\n[endpoint]\nkeys = { shop = { env = 'NOPE' } }", "NOPE"),
        (
            "[agents.a]\nname = 'A'\n[endpoint]\naddress_rate = { per_minute = 0, burst = 1 }",
            "endpoint.rate",
        ),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_endpoint_config(write(tmp_path, text), {})
    assert key in str(caught.value)
    assert "livelayer.toml" in str(caught.value)


def test_one_file_serves_both_and_a_mistake_is_told_to_the_command_that_reads_the_table(
    tmp_path: Path,
) -> None:
    text = 'agent_id = "a"\nbase_url = "http://x"\n[endpoint]\norigin = []\n'
    path = write(tmp_path, text)
    assert load_config(path).agent_id == "a"
    with pytest.raises(ConfigError, match=r"endpoint\.origin"):
        load_endpoint_config(path, {})


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://x"},
        {"api_secret": ""},
        {"token_seconds": 0},
        {"resume_window": -1},
        {"api_url": "nonsense"},
    ],
)
def test_unusable_settings_are_refused_at_once(wrong: dict[str, object]) -> None:
    given: dict[str, object] = {"url": "ws://x", "api_key": "k", "api_secret": SECRET}
    with pytest.raises(ConfigError) as caught:
        EndpointSettings(**given | wrong)  # type: ignore[arg-type]  # values are wrong on purpose
    assert SECRET not in str(caught.value)
