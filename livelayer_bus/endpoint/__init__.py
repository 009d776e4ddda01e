"""The server's side of `SessionEndpoint` and `TokenEndpoint`: an ASGI app that gives out tokens."""

from __future__ import annotations

from ..errors import ConfigError

try:
    from .auth import ApiKeys, Auth, Caller, anyone
except ModuleNotFoundError as exc:
    if exc.name is None or exc.name.partition(".")[0] != "starlette":
        raise
    problem = "it needs starlette: pip install 'livelayer-bus[endpoint]'"
    raise ConfigError("livelayer_bus.endpoint", problem) from exc
from ..dispatch import DispatchMetadata, read_dispatch_metadata
from .agents import ServedAgent
from .app import EndpointSettings, create_app
from .config import EndpointConfig, load_endpoint_config
from .rates import Rate, RateLimiter, bucket_of

__all__ = [
    "create_app",
    "EndpointSettings",
    "ServedAgent",
    "ApiKeys",
    "Auth",
    "Caller",
    "anyone",
    "Rate",
    "RateLimiter",
    "bucket_of",
    "DispatchMetadata",
    "read_dispatch_metadata",
    "EndpointConfig",
    "load_endpoint_config",
]
