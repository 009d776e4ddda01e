"""Messages while the server or the agent is killed, frozen or away: what becomes of each one.

The real server's binary is named by `LIVEKIT_SERVER`; without it, the embedded one alone is tried.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
import socket
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Annotated, Final, Literal, TypeAlias, final

import msgspec

from livelayer_bus import LivelayerError, Session
from livelayer_bus.messages import RawMessage

from .. import harness

PART_SECONDS: Final = 300.0  # for a process to begin, for a recovery, for the last messages to end
UNTROUBLED: Final = 0.5  # seconds of sending between a recovery and the next fault
AWAY: Final = 3.0  # seconds until an agent that left comes back
LOOK: Final = 0.05  # seconds between two looks
KIND: Final = "bench_delivery"
PORTS: Final = range(20_000, 30_000)
"""Outside the range from which systems choose: while the server is down, the port stays free."""


Kind: TypeAlias = Literal["server killed", "agent killed", "agent left", "server frozen"]


class Fault(msgspec.Struct, frozen=True):
    """What happens, how often, and under how many messages a second."""

    kind: Kind
    times: int
    rate: float
    seconds: float = 0.0
    """How long the server is frozen."""
    confirm: tuple[bool, ...] = (True, False)

    @property
    def name(self) -> str:
        """What a table calls it."""
        return f"{self.kind} {self.seconds:g} s" if self.seconds else self.kind


FAULTS: Final = (
    Fault("server killed", 20, 200.0),
    Fault("agent killed", 10, 40.0),
    Fault("agent left", 10, 40.0, confirm=(True,)),
    Fault("server frozen", 3, 40.0, 5.0, (True,)),
    Fault("server frozen", 3, 40.0, 20.0, (True,)),
)
"""A LiveKit server keeps a dead agent for 15 to 20 s: at 40 messages a second, those of that time
are fewer than a session lets wait for their confirmation."""


class Plan(msgspec.Struct, frozen=True):
    """What happens: about half an hour with both servers."""

    faults: tuple[Fault, ...] = FAULTS
    timeout: float = 30.0
    """Seconds that one message has."""


class Case(msgspec.Struct, frozen=True):
    """One kind of server, one kind of fault, with or without confirmation."""

    server: Annotated[str, harness.Column()]
    fault: Annotated[str, harness.Column()]
    confirm: Annotated[bool, harness.Column()]
    times: Annotated[int, harness.Column()]
    sent: Annotated[int, harness.Column()]
    acknowledged: Annotated[int, harness.Column()]
    """`send_data` returned."""
    delivered: Annotated[int, harness.Column()]
    """An agent got it."""
    lost: Annotated[int, harness.Column()]
    """Acknowledged, but no agent got it."""
    doubled: Annotated[int, harness.Column()]
    """One agent got it twice."""
    again: Annotated[int, harness.Column()]
    """The next agent got it too: the one before went before its confirmation was there."""
    errors: Annotated[dict[str, int], harness.Column()]
    """Typed errors of those that were not acknowledged, by name."""
    recovery: Annotated[float, harness.Column()]
    """Seconds from a kill, a leave or the end of a freeze until a message arrived that was sent
    after it; median."""


class Job(msgspec.Struct, frozen=True):
    """What one process tries."""

    binary: str
    """Of the real server; empty for the embedded one."""
    fault: Fault
    confirm: bool
    timeout: float


class Keys(msgspec.Struct, frozen=True):
    """What the server accepts, and where."""

    key: str
    secret: str
    port: int


class PartJob(msgspec.Struct, frozen=True):
    """What one server or agent is to do, once its predecessor is gone."""

    keys: Keys
    room: harness.RoomRef
    identity: str
    after: int
    """The predecessor's process id; 0: begin at once."""


class Got(msgspec.Struct, frozen=True):
    """The agent's application has this message."""

    number: int


# What is killed. Its successor runs already, and has imported all that it needs ---------------


async def _turn(job: PartJob, send: harness.Send) -> None:
    send(harness.Ready())
    while job.after and _runs(job.after):  # noqa: ASYNC110 - another process has no event
        await asyncio.sleep(LOOK / 10)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


async def serve(job: PartJob, send: harness.Send, ended: asyncio.Event) -> None:
    """The embedded server."""
    from livelayer_embedded import EmbeddedServer

    await _turn(job, send)
    async with EmbeddedServer(job.keys.port, key=job.keys.key, secret=job.keys.secret):
        await ended.wait()


async def serve_agent(job: PartJob, send: harness.Send, ended: asyncio.Event) -> None:
    """An agent with a bridge; it comes back by itself when its room is lost, or a signal came."""
    from livekit import rtc
    from livekit.agents import AgentSession
    from livekit.plugins.livelayer import SurfaceBridge

    def take(message: RawMessage, _sender: str) -> None:
        send(Got(message.fields["number"]))

    leaving = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, leaving.set)
    await _turn(job, send)
    while not ended.is_set():
        if leaving.is_set():
            leaving.clear()
            await asyncio.sleep(AWAY)
        room, lost = rtc.Room(), asyncio.Event()
        room.on("disconnected", lost.set)
        try:
            await job.room.connect(room, job.identity, agent=True)
        except rtc.ConnectError:
            await asyncio.sleep(UNTROUBLED)
            continue
        async with SurfaceBridge(AgentSession(), room) as bridge:
            bridge.on(KIND)(take)
            waiting = [asyncio.create_task(event.wait()) for event in (lost, leaving, ended)]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
        await room.disconnect()


@final
class _Child:
    """A process that is killed without a warning; what it wrote until then is read."""

    def __init__(self, process: asyncio.subprocess.Process, on_got: Callable[[int], None]) -> None:
        self._process = process
        self._on_got = on_got
        self.pid = process.pid
        self.ready = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def kill(self) -> None:
        """End it at once."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        stdout = self._process.stdout
        while stdout is not None and (line := await stdout.readline()):
            message = msgspec.json.decode(line)
            if "number" in message:
                self._on_got(message["number"])
            else:
                self.ready.set()


async def _spawn(work: harness.Worker, job: PartJob, on_got: Callable[[int], None]) -> _Child:
    name, pipe = f"{work.__module__}:{work.__qualname__}", asyncio.subprocess.PIPE
    command = (sys.executable, "-m", f"{harness.__name__}.child", name)
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    if process.stdin is not None:
        process.stdin.write(msgspec.json.encode(job) + b"\n")
    child = _Child(process, on_got)
    async with asyncio.timeout(PART_SECONDS):
        await child.ready.wait()
    return child


@final
class _Processes:
    """The server and the agent, and the successor of what is killed."""

    def __init__(self, job: Job, on_got: Callable[[int, int], None]) -> None:
        self._job = job
        self._on_got = on_got
        self._keys = Keys("bench", secrets.token_urlsafe(32), _free_port())
        self._media = _free_port(), _free_port()
        address = f"ws://127.0.0.1:{self._keys.port}"
        self.room = harness.new_room(harness.Server(address, self._keys.key, self._keys.secret))
        self._agents = 0
        self._running: dict[str, _Child] = {}
        self._next: _Child | None = None

    async def start(self) -> None:
        """Start both."""
        for part in ("server", "agent"):
            self._running[part] = await self._spawn(part) or await self._real_server()

    async def prepare(self) -> None:
        """Return when the successor of what is going to be killed waits for its turn."""
        part, _, what = self._job.fault.kind.partition(" ")
        if what == "killed":
            self._next = await self._spawn(part)

    async def strike(self) -> float:
        """Make the fault happen once; returns when the recovery begins."""
        part, _, what = self._job.fault.kind.partition(" ")
        now = time.monotonic()
        if what == "left":
            self._running[part].signal(signal.SIGUSR1)
        elif what == "frozen":
            self._running[part].signal(signal.SIGSTOP)
            await asyncio.sleep(self._job.fault.seconds)
            self._running[part].signal(signal.SIGCONT)
            now = time.monotonic()
        else:
            await self._running[part].kill()
            self._running[part] = self._next or await self._real_server()
            self._next = None
        return now

    async def aclose(self) -> None:
        """Kill them all."""
        for child in (*self._running.values(), self._next):
            if child is not None:
                await child.kill()

    async def _spawn(self, part: str) -> _Child | None:
        """A server or an agent that runs, or waits for the end of the one that does.

        None: a real server, which begins at once, so it cannot wait.
        """
        before = self._running.get(part)
        after = before.pid if before is not None else 0
        if part == "server":
            job = PartJob(self._keys, self.room, "", after)
            return None if self._job.binary else await _spawn(serve, job, lambda _: None)
        self._agents += 1
        number = self._agents
        job = PartJob(self._keys, self.room, f"agent-{number}", after)
        return await _spawn(serve_agent, job, lambda message: self._on_got(number, message))

    async def _real_server(self) -> _Child:
        config = {
            "port": self._keys.port,
            "bind_addresses": ["127.0.0.1"],
            "keys": {self._keys.key: self._keys.secret},
            "rtc": {
                "udp_port": self._media[0],
                "tcp_port": self._media[1],
                "use_external_ip": False,
                "node_ip": "127.0.0.1",
                "interfaces": {"includes": ["lo"]},
                "enable_loopback_candidate": True,
            },
            "logging": {"level": "error"},
        }
        # In the environment: other users of the machine see arguments.
        env = {**os.environ, "LIVEKIT_CONFIG": msgspec.json.encode(config).decode()}
        null = asyncio.subprocess.DEVNULL
        binary = self._job.binary
        process = await asyncio.create_subprocess_exec(binary, env=env, stdout=null, stderr=null)
        return _Child(process, lambda _: None)


# What is measured -----------------------------------------------------------------------------


@final
class _Trial:
    """Sends at a steady rate, and notes what becomes of each message."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._processes = _Processes(job, self._note)
        self._ending = False
        self._sent_at: list[float] = []
        self._acknowledged: set[int] = set()
        self._errors: Counter[str] = Counter()
        self._got: defaultdict[int, Counter[int]] = defaultdict(Counter)
        """How often each agent got a message, by its number."""
        self._recoveries: list[float] = []

    async def run(self) -> Case:
        """Strike, wait for the recovery, and so on; then wait for every message to end."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._processes.aclose)
            await self._processes.start()
            session = Session("bench", tokens=self._processes.room.token_source())
            await stack.enter_async_context(session)
            await session.connect()
            sending = asyncio.create_task(self._send(session))
            await self._recovered()
            for _ in range(self._job.fault.times):
                await self._processes.prepare()
                await asyncio.sleep(UNTROUBLED)
                began = await self._processes.strike()
                await self._recovered()
                self._recoveries.append(time.monotonic() - began)
            self._ending = True
            await sending
            # What was acknowledged last may still be on its way through the agent's process.
            await _until(lambda: self._acknowledged <= self._got.keys(), UNTROUBLED)
            return self._case()

    def _note(self, agent: int, number: int) -> None:
        self._got[number][agent] += 1

    async def _send(self, session: Session) -> None:
        due = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while not self._ending:
                group.create_task(self._send_one(session, len(self._sent_at)))
                self._sent_at.append(time.monotonic())
                due = max(due + 1 / self._job.fault.rate, time.monotonic() - UNTROUBLED)
                await asyncio.sleep(due - time.monotonic())

    async def _send_one(self, session: Session, number: int) -> None:
        timeout, confirm = self._job.timeout, self._job.confirm
        try:
            await session.send_data(
                {"type": KIND, "number": number}, timeout=timeout, confirm=confirm
            )
        except LivelayerError as error:
            self._errors[type(error).__name__] += 1
        else:
            self._acknowledged.add(number)

    async def _recovered(self) -> None:
        """Return when a message arrived that was sent after this call."""
        first = len(self._sent_at)
        if not await _until(lambda: any(number >= first for number in self._got), PART_SECONDS):
            raise TimeoutError

    def _case(self) -> Case:
        job = self._job
        return Case(
            server="real" if job.binary else "embedded",
            fault=job.fault.name,
            confirm=job.confirm,
            times=len(self._recoveries),
            sent=len(self._sent_at),
            acknowledged=len(self._acknowledged),
            delivered=len(self._got),
            lost=len(self._acknowledged - self._got.keys()),
            doubled=sum(max(agents.values()) > 1 for agents in self._got.values()),
            again=sum(len(agents) > 1 for agents in self._got.values()),
            errors=dict(self._errors),
            recovery=harness.median(self._recoveries, 2),
        )


def _free_port() -> int:
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no port of {PORTS} is free")


async def _until(ready: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not ready() and time.monotonic() < deadline:  # noqa: ASYNC110 - of other processes
        await asyncio.sleep(LOOK)
    return ready()


async def attempt(job: Job) -> Case:
    """Try one case."""
    return await _Trial(job).run()


def run(plan: Plan, url: str | None, rivals: list[harness.Rival]) -> harness.Measured:
    """Try servers of our own."""
    del url, rivals
    real = os.environ.get("LIVEKIT_SERVER", "")
    cases: list[Case] = []
    for binary in ("", real) if real else ("",):
        for fault in plan.faults:
            for confirm in fault.confirm:
                job = Job(binary, fault, confirm, plan.timeout)
                cases.append(harness.ask(attempt, job, (fault.times + 3) * PART_SECONDS))
    ours = [case for case in cases if case.confirm]
    goals = [
        harness.at_most("confirmed messages lost", 0, sum(case.lost for case in ours), ""),
        harness.at_most("confirmed messages doubled", 0, sum(case.doubled for case in ours), ""),
    ]
    return harness.Measured(cases, goals)


AREA = harness.Area(
    name="delivery",
    plan=Plan(),
    quick=Plan(
        (
            Fault("server killed", 2, 200.0),
            *(Fault(kind, 1, 40.0) for kind in ("agent killed", "agent left")),
            Fault("server frozen", 1, 40.0, 5.0),
        )
    ),
    run=run,
    tables=(harness.Table("messages while server or agent fails (recovery: s, median)", Case),),
    server="none",
    packages=("livekit-agents",),
)
