"""What each role may do, with the permissions that the distribution brings, on a real server."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator
from importlib.resources import files
from pathlib import Path
from typing import Any

import anyio
import pytest
from livelayer_nats import NatsBridge, NatsError, RemoteSession
from livelayer_nats.wire import Subjects

from livelayer_bus import HandlerFailed, MisuseError, RefusedError, Session
from livelayer_bus.testing import PATIENCE, ScriptedRooms, polled

from .nats_kit import NatsServer, event_of

pytestmark = pytest.mark.anyio
ROLES = ("owner", "controller", "viewer")


@pytest.fixture
async def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[NatsServer]:
    for role in ROLES:
        monkeypatch.setenv(f"LIVELAYER_{role.upper()}_PASSWORD", f"secret-of-{role}")
    roles = files("livelayer_nats").joinpath("nats-server.conf").read_text()
    server = NatsServer(tmp_path, roles)
    try:
        yield await server.start().ready()
    finally:
        server.kill()


def login(role: str, secret: str | None = None) -> dict[str, str]:
    return {"user": role, "password": secret or f"secret-of-{role}"}


def remote_as(role: str, server: NatsServer, session: Session) -> RemoteSession:
    return RemoteSession(
        server.url,
        session.id,
        options=login(role),
        inbox_prefix=f"_INBOX.{role}",
        connect_timeout=PATIENCE,
    )


def bridge_as(role: str, server: NatsServer) -> NatsBridge:
    return NatsBridge(server.url, options=login(role), inbox_prefix=f"_INBOX.{role}")


async def test_a_controller_commands_and_a_viewer_only_sees(guarded: NatsServer) -> None:
    rooms = ScriptedRooms(agent="agent")
    async with Session("agt_1", tokens=rooms.tokens, room=rooms) as session:
        session.mount(bridge_as("owner", guarded), key="nats")
        async with (
            remote_as("controller", guarded, session) as controller,
            remote_as("viewer", guarded, session) as viewer,
        ):
            await controller.connect()
            await controller.send_text("hello")
            await polled(lambda: viewer.state == session.state)
            with pytest.raises(RefusedError, match=session.id):
                await viewer.disconnect()
            assert session.connection_state == "connected"


@pytest.mark.parametrize("role", ["controller", "viewer"])
async def test_only_an_owner_writes(guarded: NatsServer, role: str) -> None:
    subjects = Subjects("LIVELAYER")
    complaints: list[str] = []

    async def note(error: Exception) -> None:
        complaints.append(str(error))

    rooms = ScriptedRooms(agent="agent")
    async with Session("agt_1", tokens=rooms.tokens, room=rooms) as session:
        session.mount(bridge_as("owner", guarded), key="nats")
        async with (
            remote_as("viewer", guarded, session) as remote,
            guarded.client(**login(role), inbox_prefix=f"_INBOX.{role}", error_cb=note) as client,
        ):
            forbidden = [
                subjects.events(session.id),
                subjects.live(session.id),
                subjects.remote("somebody"),
                f"$KV.{subjects.bucket}.{session.id}",
                "$JS.API.CONSUMER.CREATE.LIVELAYER",
                "$JS.API.STREAM.PURGE.LIVELAYER",
                "$JS.API.STREAM.DELETE.LIVELAYER",
            ]
            for subject in forbidden:
                await client.publish(subject, b"mine")
                await client.flush()
            for subject in ("_INBOX.owner.>", subjects.requests("*"), ">"):
                await client.subscribe(subject)
                await client.flush()
            await polled(lambda: len(complaints) == len(forbidden) + 3)
            assert all("ermissions" in complaint for complaint in complaints)
            await session.connect()
            await polled(lambda: remote.state == session.state)
            assert remote.statistics().malformed == 0


async def test_a_bridge_without_permission_says_so(guarded: NatsServer) -> None:
    rooms = ScriptedRooms()
    async with Session("agt_1", tokens=rooms.tokens, room=rooms) as session:
        with session.subscribe(HandlerFailed) as problems:
            session.mount(bridge_as("viewer", guarded), key="nats")
            problem = await event_of(problems, lambda event: event.handler == "nats")
        assert "ermissions" in problem.error
        assert "secret" not in problem.error


async def test_a_wrong_password_is_an_error_without_it(guarded: NatsServer) -> None:
    remote = RemoteSession(
        guarded.url, "some-session", options=login("viewer", "a-wrong-one"), connect_timeout=2.0
    )
    with pytest.raises(NatsError) as refused:
        async with remote:
            pass
    assert "uthorization" in str(refused.value)
    assert "a-wrong-one" not in str(refused.value)


async def test_tls_with_an_authority_of_ones_own(tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 "
        f"-addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {cert}"
    )
    await anyio.run_process(command.split(), stderr=subprocess.DEVNULL)
    server = NatsServer(tmp_path, f'tls {{ cert_file: "{cert}", key_file: "{key}" }}')
    try:
        await server.start().ready()
        url = server.url.replace("nats://", "tls://")
        rooms = ScriptedRooms()
        async with Session("agt_1", tokens=rooms.tokens, room=rooms) as session:
            session.mount(NatsBridge(url, tls_ca=str(cert)), key="nats")
            async with RemoteSession(
                url, session.id, tls_ca=str(cert), connect_timeout=PATIENCE
            ) as remote:
                await remote.connect()
                assert remote.state.connection_state == "connected"
            with pytest.raises(NatsError, match="ertificate"):
                async with RemoteSession(url, session.id, connect_timeout=2.0):
                    pass
    finally:
        server.kill()


@pytest.mark.parametrize("option", ["credentials", "tls_ca", "tls_cert"])
async def test_a_file_that_is_not_there_is_named(server: NatsServer, option: str) -> None:
    options: dict[str, Any] = {option: "nowhere.pem"}
    with pytest.raises(MisuseError, match=r"nowhere\.pem"):
        async with RemoteSession(server.url, "s", **options):
            pass
