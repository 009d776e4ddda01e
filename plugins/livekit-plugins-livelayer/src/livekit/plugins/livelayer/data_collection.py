"""Fields filled by conversation: one collection at a time, reported to the surface on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, final

from livekit.agents import AgentSession, function_tool

from livelayer_bus.errors import LivelayerError, MisuseError
from livelayer_bus.messages import (
    FieldSource,
    FromAgent,
    TaskCompleted,
    TaskFieldUpdated,
    TaskResult,
)

from .errors import CapabilityNotGrantedError, CollectionBusyError, CollectionEndedError
from .form_fields import BadValue, Field, Value, check
from .tools import AnyTool, SurfaceTools, raw_tool

RECORD_TOOL: Final = "record_field"
FINISH_TOOL: Final = "finish_collecting"


@final
class DataCollection:
    """Fields and the values they have so far. Ends when every field has one, or on `finish`.

    Each new value is sent once (`task_field_updated`), the end once (`task_completed`).
    """

    def __init__(
        self,
        fields: tuple[Field, ...],
        *,
        session_id: str,
        send: Callable[[FromAgent], object],
    ) -> None:
        """
        Args:
            fields: The fields to fill.
            session_id: Names the session in `task_completed`.
            send: Sends a message to the surface.

        Raises:
            MisuseError: there are no fields, or two have the same id.
        """
        if not fields:
            raise MisuseError("collect() needs at least one field")
        self._fields = {field.id: field for field in fields}
        if len(self._fields) < len(fields):
            raise MisuseError("collect() was given two fields of the same id")
        self._session_id = session_id
        self._send = send
        self._began = _now()
        self._values: dict[str, Value] = {}
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields."""
        return tuple(self._fields.values())

    @property
    def values(self) -> dict[str, Value]:
        """The values so far, by field id, each in the form of its field's kind."""
        return dict(self._values)

    @property
    def missing(self) -> tuple[Field, ...]:
        """The required fields without a value, in order."""
        return tuple(
            field for field in self.fields if field.required and field.id not in self._values
        )

    @property
    def open(self) -> tuple[Field, ...]:
        """The fields without a value, in order."""
        return tuple(field for field in self.fields if field.id not in self._values)

    def set(self, field_id: str, value: object, *, source: FieldSource = "agent") -> str:
        """Check and store a value, send it, and return what the model should do next.

        Args:
            field_id: The field.
            value: Its value; strings are converted to the field's kind.
            source: Where the value comes from.
        """
        field = self._fields.get(field_id)
        if self._ended.done():
            return "The collection has ended."
        if field is None:
            return f"There is no such field. The fields are: {', '.join(self._fields)}."
        checked = check(field, value)
        if isinstance(checked, BadValue):
            return f"Not recorded: {checked.problem}. Ask the user again."
        if field.id not in self._values or self._values[field.id] != checked:
            self._values[field.id] = checked
            self._report(
                TaskFieldUpdated(
                    field_id=field.id,
                    field_name=field.label,
                    value=checked,
                    kind=field.kind,
                    source=source,
                )
            )
        if not self.open:
            return self.finish()
        if not self.missing:
            rest = ", ".join(field.label for field in self.open)
            return f"Recorded. Only optional fields are left: {rest}. Ask, or finish."
        return f"Recorded. Ask next for: {self.missing[0].label}."

    def finish(self, summary: str | None = None) -> str:
        """Complete the task if no required value is missing; return what to do next."""
        if self._ended.done():
            return "The collection has ended."
        if self.missing:
            return f"Not finished. Still needed: {', '.join(one.label for one in self.missing)}."
        self._report(
            TaskCompleted(
                TaskResult(
                    session_id=self._session_id,
                    started_at=self._began,
                    ended_at=_now(),
                    source="agent",
                    results=dict(self._values),
                    summary=summary or None,
                )
            )
        )
        self._ended.set_result(None)
        return "Everything is recorded. Thank the user."

    def abandon(self, reason: str) -> None:
        """End without completing."""
        if not self._ended.done():
            names = tuple(field.id for field in self.missing)
            self._ended.set_exception(CollectionEndedError(names, reason))

    async def wait(self, timeout: float | None) -> None:
        """Wait until the collection is completed.

        Raises:
            CollectionEndedError: it was abandoned, or took more than `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                await asyncio.shield(self._ended)
        except TimeoutError:
            self.abandon(f"it took more than {timeout:g} s")
            await self._ended

    def tools(self) -> tuple[AnyTool, AnyTool]:
        """The tools that the model collects with."""
        parameters = {
            "field": {"type": "string", "enum": list(self._fields)},
            "value": {"type": "string", "description": "The value, as text."},
        }

        async def record(raw_arguments: dict[str, object]) -> str:
            return self.set(str(raw_arguments.get("field")), raw_arguments.get("value"))

        @function_tool(name=FINISH_TOOL)
        async def finish(summary: str) -> str:
            """Finish the running task when the user has nothing more to add.

            Args:
                summary: One sentence about what was collected.
            """
            return self.finish(summary)

        description = "Record what the user said for one field of the running task."
        return raw_tool(RECORD_TOOL, description, parameters, tuple(parameters))(record), finish

    def _report(self, message: FromAgent) -> None:
        try:
            self._send(message)
        except LivelayerError:
            # A value too long for the wire is collected all the same.
            return


@final
class CollectionRunner:
    """Runs one collection at a time, and offers its tools while it runs."""

    def __init__(self, tools: SurfaceTools) -> None:
        self._tools = tools
        self._collection: DataCollection | None = None

    async def run(
        self,
        collection: DataCollection,
        granted: frozenset[str],
        session: AgentSession[Any],
        instructions: str,
        timeout: float | None,
    ) -> DataCollection:
        """Let the model fill `collection`; see `SurfaceBridge.collect`."""
        if "collect_data" not in granted:
            raise CapabilityNotGrantedError("collect_data")
        if self._collection is not None:
            raise CollectionBusyError
        self._collection = collection
        for tool in collection.tools():
            self._tools.offer(tool, None)
        try:
            session.generate_reply(instructions=f"{_briefing(collection)}\n{instructions}".strip())
            await collection.wait(timeout)
        finally:
            collection.abandon("it was cancelled")
            self._collection = None
            self._tools.withdraw(RECORD_TOOL)
            self._tools.withdraw(FINISH_TOOL)
        return collection

    def close(self, reason: str) -> None:
        """End the running collection, if there is one."""
        if self._collection is not None:
            self._collection.abandon(reason)


def _briefing(collection: DataCollection) -> str:
    lines = [
        f"- {field.id} ({field.kind}{'' if field.required else ', optional'}): "
        f"{field.description or field.label}"
        + (f"; one of {', '.join(field.options)}" if field.options else "")
        for field in collection.fields
    ]
    return (
        f"Collect these fields from the user, one question at a time. Record each answer with "
        f"{RECORD_TOOL} as soon as you have it, and go on until it says that all is recorded.\n"
        + "\n".join(lines)
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
