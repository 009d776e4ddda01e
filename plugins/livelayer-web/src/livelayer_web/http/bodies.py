"""What requests carry and answers hold. The guard bounds a body; here its form is checked."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from livelayer_bus.messages import MAX_DEPTH, nests_too_deeply

from .problems import Problem

T = TypeVar("T")


def credential(headers: Headers, name: str) -> str | None:
    """The key in the header `name`, or without one, in `Authorization: Bearer`."""
    key = headers.get(name)
    if key is None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
    return key.strip() or None


async def read_body(request: Request, media_type: str, code: str = "body") -> str:
    """The request's body as text of this media type.

    Raises:
        Problem: it has another type, is empty or is not UTF-8.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        text = (await request.body()).decode()
    except UnicodeDecodeError:
        text = ""
    if given != media_type or not text:
        raise Problem(400, code, f"send the body as {media_type}")
    return text


async def read_json(request: Request, kind: type[T], code: str = "body") -> T:
    """The request's body as `kind`; an empty body counts as `{}`. It may be read several times.

    Raises:
        Problem: the body does not fit. The answer names the field and quotes no value.
    """
    data = await request.body()
    try:
        text = data.decode() or "{}"
        if nests_too_deeply(text):
            raise Problem(400, code, f"the body nests deeper than {MAX_DEPTH} levels")
        return msgspec.json.decode(text, type=kind)
    except ValueError as exc:
        problem = "the body is not JSON"
        if isinstance(exc, msgspec.ValidationError):
            # msgspec's other messages quote the value.
            fits = str(exc).startswith(("Expected", "Object missing"))
            problem = str(exc) if fits else "the body has a value that is not allowed"
        raise Problem(400, code, problem) from exc


def read_query(request: Request, kind: type[T]) -> T:
    """The request's query as `kind`; members that it does not have are ignored.

    Raises:
        Problem: the query does not fit. The answer quotes no value.
    """
    try:
        return msgspec.convert(dict(request.query_params), kind, strict=False)
    except msgspec.ValidationError as exc:
        raise Problem(400, "body", "the query has a value that is not allowed") from exc


def answer_json(body: object, status: int = 200) -> Response:
    """An answer with a JSON body."""
    return Response(msgspec.json.encode(body), status, media_type="application/json")
