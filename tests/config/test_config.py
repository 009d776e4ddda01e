"""`livelayer.toml`: what is read from it, and errors that name file, key and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from livelayer_bus import Backoff, LiteralToken, LocalKeys, SessionEndpoint
from livelayer_bus.config import load_config
from livelayer_bus.errors import ConfigError
from livelayer_bus.surfaces.jsonl import JsonlSurface
from livelayer_bus.tokens import TokenEndpoint

SECRET = "hush-hush-hush-hush-hush-hush-hush-hush"
FULL = """
agent_id = "agt_1"
base_url = "https://app.example.com"
control = false

[tokens]
kind = "local-keys"
url = "ws://127.0.0.1:7880"
api_key = { env = "KEY" }
api_secret = "hush-hush-hush-hush-hush-hush-hush-hush"

[surfaces.recording]
plugin = "jsonl"
capabilities = ["navigate", "scroll"]
on_fault = "unmount"
options = { file = { env = "TARGET" } }

[surfaces.console]

[session]
linger = 30
reconnect = { attempts = 3 }
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def write(folder: Path, text: str) -> Path:
    path = folder / "livelayer.toml"
    path.write_text(text)
    return path


def test_everything_is_read(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, FULL))
    assert (config.agent_id, config.base_url, config.control) == (
        "agt_1",
        "https://app.example.com",
        False,
    )
    assert list(config.surfaces) == ["recording", "console"]
    assert config.surfaces["recording"].on_fault == "unmount"
    keywords = config.session.keywords()
    assert keywords["linger"] == 30.0
    assert isinstance(keywords["reconnect"], Backoff)
    assert keywords["reconnect"].attempts == 3
    assert keywords.keys() == {"linger", "reconnect"}


def test_no_repr_shows_a_secret(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, FULL))
    source = config.token_source({"KEY": "the-key"})
    assert isinstance(source, LocalKeys)
    shown = f"{config!r} {config.tokens!r} {config.surfaces!r} {config.session!r} {source!r}"
    assert SECRET not in shown
    assert "the-key" not in shown


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        ('kind="literal"\nurl="ws://h"\ntoken="t"', LiteralToken),
        ('kind="session-endpoint"\napi_key="k"\nbody={tenant="a"}', SessionEndpoint),
        ('kind="session-endpoint"\nurl="https://h/s"\nheaders={a={env="KEY"}}', SessionEndpoint),
        ('kind="token-endpoint"\nurl="https://h/t"\ndispatch=true', TokenEndpoint),
        ('kind="local-keys"\nurl="ws://h"\napi_key="k"\napi_secret="s"', LocalKeys),
    ],
)
def test_each_kind_of_token_source_is_made(tmp_path: Path, table: str, kind: type) -> None:
    text = f'agent_id = "a"\nbase_url = "https://b.example.com"\n[tokens]\n{table}'
    config = load_config(write(tmp_path, text))
    assert isinstance(config.token_source({"KEY": "value"}), kind)


def test_without_tokens_the_base_url_is_enough(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, 'agent_id = "a"\nbase_url = "https://b.example.com"'))
    assert config.token_source({}) is None
    assert config.build_session({}).base_url == "https://b.example.com"


HEAD = 'agent_id = "a"\nbase_url = "https://b.example.com"\n'


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ("agent_id = ", "livelayer.toml", "is not valid TOML"),
        ('base_url = "x"', "livelayer.toml: agent_id", "is missing: add it"),
        ("agent_id = 3", "livelayer.toml: agent_id", "Expected `str`"),
        ('agent_id = "a"', "livelayer.toml", "neither base_url nor a table [tokens]"),
        (HEAD + "surfces = {}", "livelayer.toml: surfces", "did you mean 'surfaces'?"),
        (HEAD + "[tokens]\nkind='magic'", "livelayer.toml: tokens.kind", "one of 'literal'"),
        (
            HEAD + "[tokens]\nkind='literal'\nurl='ws://h'",
            "livelayer.toml: tokens.token",
            "is missing",
        ),
        (
            HEAD + "[tokens]\nkind='literal'\nurl='ws://h'\ntoken={evn='X'}",
            "livelayer.toml: tokens.token",
            '{ env = "NAME" }',
        ),
        (
            HEAD + "[surfaces.panel]\nplugn='jsonl'",
            "livelayer.toml: surfaces.panel.plugn",
            "did you mean 'plugin'?",
        ),
        (
            HEAD + "[surfaces.panel]\ncapabilities=['navigat']",
            "livelayer.toml: surfaces.panel.capabilities",
            "did you mean 'navigate'?",
        ),
        (
            HEAD + "[surfaces.panel]\non_fault='ignore'",
            "livelayer.toml: surfaces.panel.on_fault",
            "Invalid enum value",
        ),
        (HEAD + "[session]\nlinger='x'", "livelayer.toml: session.linger", "Expected"),
        (HEAD + "[session]\nreconnect={jitter=7}", "livelayer.toml: session", "jitter"),
    ],
)
def test_an_error_names_the_file_the_key_and_what_to_do(
    tmp_path: Path, text: str, where: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text))
    assert caught.value.where == f"{tmp_path}/{where}"
    assert problem in caught.value.problem


def test_a_file_that_is_not_there_says_how_to_name_another(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give its path with --config"):
        load_config(tmp_path / "none.toml")


def test_a_missing_variable_is_named(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, FULL))
    with pytest.raises(ConfigError, match=r"tokens: the environment variable KEY is not set"):
        config.token_source({})


@pytest.mark.anyio
async def test_surfaces_are_mounted_in_order_with_their_options(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, FULL))
    target = tmp_path / "out.jsonl"
    environ = {"KEY": "k", "TARGET": str(target)}
    async with config.build_session(environ) as session:
        recording, console = config.mount_surfaces(session, environ)
        assert (recording.key, console.key) == ("recording", "console")
        assert recording.capabilities == {"navigate", "scroll"}
        assert session.state.surfaces == ("recording", "console")
    assert JsonlSurface(target).path == target


@pytest.mark.anyio
async def test_options_that_the_factory_does_not_take_are_named_without_their_values(
    tmp_path: Path,
) -> None:
    text = HEAD + f"[surfaces.console]\noptions = {{ secret = '{SECRET}' }}"
    config = load_config(write(tmp_path, text))
    async with config.build_session({}) as session:
        with pytest.raises(ConfigError, match=r"surfaces\.console\.options") as caught:
            config.mount_surfaces(session, {})
    assert SECRET not in str(caught.value)
    assert "refresh" in str(caught.value)
