"""HTTP for the web surface and the endpoint: a server, a guard, rates, problems, bodies."""

from .bodies import answer_json, credential, read_body, read_json, read_query
from .guard import CONTENT_SECURITY_POLICY, Guard, GuardStatistics, RequestLine, request_line
from .origins import Hosts, Origins
from .problems import MEDIA_TYPE, Problem, ProblemBody, json_app, problem_of
from .rates import Rate, RateLimiter, bucket_of, client_bucket
from .server import ABORT, PortTakenError, serving

__all__ = [
    "serving", "ABORT", "PortTakenError", "Guard", "GuardStatistics", "RequestLine",
    "request_line", "Hosts", "Origins", "Rate", "RateLimiter", "bucket_of", "client_bucket",
    "json_app", "Problem", "ProblemBody", "MEDIA_TYPE", "problem_of", "credential", "read_body",
    "read_json", "read_query", "answer_json", "CONTENT_SECURITY_POLICY",
]  # fmt: skip
