"""The endpoint's OpenAPI 3.1 description; its schemas are those of the bodies."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec

from livelayer_bus.events import AgentConfig
from livelayer_bus.tokens import (
    AGENT_CONFIG_PATH,
    API_KEY_HEADER,
    SESSION_PATH,
    WIDGET_AGENT_PATH,
)

from ..http import MEDIA_TYPE, ProblemBody
from .bodies import SessionAnswer, SessionRequest, TokenAnswer, TokenBody, WidgetAgent

TOKEN_PATH: Final = "/api/token"  # noqa: S105 - a path
HEALTH_PATH: Final = "/health"
DESCRIPTION_PATH: Final = "/openapi.json"

VERSION: Final = "1"
_REF: Final = "#/components/schemas/{name}"
_KINDS: Final = (
    SessionRequest,
    SessionAnswer,
    TokenBody,
    TokenAnswer,
    AgentConfig,
    WidgetAgent,
    ProblemBody,
)

_PROBLEMS: Final = {
    "400": "The body is invalid.",
    "401": "The API key is missing or wrong.",
    "403": "Pages of this origin may not ask.",
    "404": "There is no such agent, or no such room to watch, for this caller.",
    "408": "The body did not arrive in time.",
    "413": "The body is too long.",
    "429": "Too many requests; the header Retry-After says when to come back.",
    "503": "The LiveKit server cannot be reached; try again.",
}


@cache
def openapi() -> dict[str, Any]:
    """The whole description, as JSON values."""
    _, schemas = msgspec.json.schema_components(_KINDS, ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "livelayer-bus session endpoint",
            "version": VERSION,
            "description": "Issues rooms and tokens for sessions with LiveKit agents.",
        },
        "paths": {
            SESSION_PATH: {
                "post": _post(
                    "createSession",
                    "A room with an agent, and the token to join it (LiveLayer's request)",
                    "SessionRequest",
                    "SessionAnswer",
                )
            },
            TOKEN_PATH: {
                "post": _post(
                    "createToken",
                    "A token for a room with an agent (LiveKit's standard request)",
                    "TokenBody",
                    "TokenAnswer",
                )
            },
            AGENT_CONFIG_PATH: {
                "get": _agent("getAgentConfig", "An agent's published configuration", "AgentConfig")
            },
            WIDGET_AGENT_PATH: {
                "get": _agent("getWidgetAgent", "An agent as widgets show it", "WidgetAgent")
            },
            HEALTH_PATH: {"get": _plain("health", "Whether the process serves")},
            DESCRIPTION_PATH: {"get": _plain("describe", "This description")},
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": API_KEY_HEADER},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _post(operation: str, summary: str, request: str, answer: str) -> dict[str, Any]:
    return {
        "operationId": operation,
        "summary": summary,
        "security": [{"apiKey": []}, {"bearer": []}],
        "requestBody": {"required": True, "content": _content(request)},
        "responses": {
            "200": {"description": "The token.", "content": _content(answer)},
            **_problems(*_PROBLEMS),
        },
    }


def _agent(operation: str, summary: str, answer: str) -> dict[str, Any]:
    agent = {"name": "agent_id", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "operationId": operation,
        "summary": summary,
        "parameters": [agent],
        "responses": {
            "200": {"description": "What is published.", "content": _content(answer)},
            **_problems("403", "404", "429"),
        },
    }


def _plain(operation: str, summary: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {
        "operationId": operation,
        "summary": summary,
        "responses": {
            "200": {"description": "It does.", "content": content},
            **_problems("403"),
        },
    }


def _problems(*statuses: str) -> dict[str, Any]:
    problem = _content("ProblemBody", MEDIA_TYPE)
    return {status: {"description": _PROBLEMS[status], "content": problem} for status in statuses}


def _content(schema: str, media_type: str = "application/json") -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": _REF.format(name=schema)}}}
