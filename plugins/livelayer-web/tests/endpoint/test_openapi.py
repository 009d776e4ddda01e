"""The OpenAPI description, and what comes of requests that are made up from it."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from livelayer_web.endpoint import ApiKeys, EndpointSettings, create_app
from livelayer_web.endpoint.openapi import openapi
from livelayer_web.http import Guard
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    response_schema_conformance,
    status_code_conformance,
)
from starlette.applications import Starlette
from starlette.routing import Route

from .conftest import FREE, KEY, LUMI, MOSS, SECRET

EXAMPLES = 40  # an operation; the same ones each time

app = create_app(
    EndpointSettings(
        url="ws://127.0.0.1:9",
        api_key="devkey",
        api_secret=SECRET,
        address_rate=FREE,
        caller_rate=FREE,
    ),
    agents=(LUMI, MOSS),
    auth=ApiKeys({"shop": KEY}),
)
schema = schemathesis.openapi.from_asgi("/openapi.json", app)


@schema.parametrize()  # pyright: ignore[reportUntypedFunctionDecorator]  # its own
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much),
)
def test_no_request_made_up_from_the_description_is_a_500(case: Case[Any]) -> None:
    answer = case.call(headers={"x-api-key": KEY})
    case.validate_response(
        answer,
        checks=[not_a_server_error, response_schema_conformance, status_code_conformance],
    )


def test_every_route_is_described() -> None:
    described = {path.replace("agent_id", "agent_id:path") for path in openapi()["paths"]}
    assert isinstance(app, Guard)
    assert isinstance(app.app, Starlette)
    assert described == {route.path for route in app.app.routes if isinstance(route, Route)}
