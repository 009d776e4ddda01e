"""The server for `SessionEndpoint` and `TokenEndpoint`: an ASGI app that issues tokens."""

from ..http import Rate, RateLimiter, bucket_of
from .agents import ServedAgent
from .app import EndpointSettings, create_app
from .auth import ApiKeys, Auth, Caller, anyone
from .config import EndpointConfig, load_endpoint_config

__all__ = [
    "create_app", "EndpointSettings", "ServedAgent", "ApiKeys", "Auth", "Caller", "anyone", "Rate",
    "RateLimiter", "bucket_of", "EndpointConfig", "load_endpoint_config",
]  # fmt: skip
