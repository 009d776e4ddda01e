"""Viewer tokens: for one session, once, in time, unless revoked; and nothing else passes."""

from __future__ import annotations

import json
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from livelayer_web import (
    TokenExpiredError,
    TokenInvalidError,
    TokenReplayedError,
    TokenRevokedError,
    ViewerTokenError,
    ViewerTokens,
)
from livelayer_web.token_format import AUDIENCE
from livelayer_web.tokens import LEEWAY, MAX_TTL, TokenMemory

from livelayer_bus import MisuseError, RefusedError

SECRET = "a secret of the tests, thirty-two bytes"
SESSION = "session-1"
PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYI\n-----END PUBLIC KEY-----\n"


class Wall:
    """A wall clock in the hands of a test."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def tokens(wall: Wall) -> ViewerTokens:
    return ViewerTokens(SECRET, now=wall)


def signed(wall: Wall, secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    """A token signed with another key."""
    given = {
        "aud": AUDIENCE,
        "sid": SESSION,
        "jti": "id-1",
        "grants": ["watch"],
        "iat": wall.now,
        "exp": wall.now + 60,
    }
    payload = {name: value for name, value in (given | claims).items() if value is not None}
    return jwt.encode(payload, secret, algorithm)


def test_a_token_lets_one_viewer_in_once(tokens: ViewerTokens) -> None:
    token = tokens.issue(SESSION, ["watch", "talk"])
    claims = tokens.verify(token, SESSION)
    assert (claims.session_id, claims.grants) == (SESSION, frozenset({"watch", "talk"}))
    with pytest.raises(TokenReplayedError):
        tokens.verify(token, SESSION)
    assert tokens.statistics().taken == 1
    assert tokens.statistics().refused == {"replayed": 1}


def test_one_for_another_session_is_refused_and_not_used_up(tokens: ViewerTokens) -> None:
    token = tokens.issue(SESSION)
    with pytest.raises(TokenInvalidError):
        tokens.verify(token, "session-2")
    tokens.verify(token, SESSION)


def test_its_time_ends(tokens: ViewerTokens, wall: Wall) -> None:
    token = tokens.issue(SESSION, ttl=10)
    wall.now += 10 + LEEWAY
    with pytest.raises(TokenExpiredError):
        tokens.verify(token, SESSION)


def test_a_clock_that_is_set_back_makes_no_token_good_again(
    tokens: ViewerTokens, wall: Wall
) -> None:
    token = tokens.issue(SESSION, ttl=10)
    tokens.verify(token, SESSION)
    wall.now += 10 + LEEWAY
    tokens.verify(tokens.issue(SESSION), SESSION)  # forgets what is over
    wall.now -= 9
    with pytest.raises((TokenReplayedError, TokenExpiredError)):
        tokens.verify(token, SESSION)


def test_what_is_revoked_is_refused_and_told(tokens: ViewerTokens) -> None:
    told: list[str] = []
    remove = tokens.on_revoke(told.append)
    token = tokens.issue(SESSION)
    token_id = tokens.token_id(token)
    tokens.revoke(token_id)
    assert told == [token_id]
    assert tokens.is_revoked(token_id)
    with pytest.raises(TokenRevokedError):
        tokens.verify(token, SESSION)
    remove()
    tokens.revoke("another")
    assert told == [token_id]


def test_one_signed_elsewhere_passes(tokens: ViewerTokens, wall: Wall) -> None:
    assert tokens.verify(signed(wall), SESSION).token_id == "id-1"


def test_a_clock_that_is_ahead_is_tolerated_or_named(tokens: ViewerTokens, wall: Wall) -> None:
    def ahead(seconds: float) -> str:
        begins = wall.now + seconds
        return signed(wall, iat=begins, exp=begins + 60, jti=f"id-{seconds}")

    tokens.verify(ahead(LEEWAY), SESSION)
    with pytest.raises(TokenInvalidError, match="begins in 45 s, and 30 s are allowed"):
        tokens.verify(ahead(45), SESSION)


def test_a_clock_that_is_behind_is_tolerated_or_named(tokens: ViewerTokens, wall: Wall) -> None:
    def behind(seconds: float, ttl: float = 10.0) -> str:
        begins = wall.now - seconds
        return signed(wall, iat=begins, exp=begins + ttl, jti=f"id-{seconds}")

    late = behind(LEEWAY)  # by its own clock it has just been signed
    tokens.verify(late, SESSION)
    with pytest.raises(TokenReplayedError):
        tokens.verify(late, SESSION)
    with pytest.raises(TokenExpiredError, match=r"expired 35 s ago.*the clocks"):
        tokens.verify(behind(45), SESSION)


def test_a_revoked_one_is_refused_for_as_long_as_any_clock_takes_it(
    tokens: ViewerTokens, wall: Wall
) -> None:
    begins = wall.now + LEEWAY  # signed by a clock that is ahead
    token = signed(wall, iat=begins, exp=begins + MAX_TTL)
    tokens.revoke("id-1")
    for _ in range(2):
        wall.now += MAX_TTL / 2 + LEEWAY - 1
        tokens.revoke("another")  # forgets what is over
        with pytest.raises(TokenRevokedError):
            tokens.verify(token, SESSION)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "something-else"},
        {"aud": None},
        {"sid": None},
        {"sid": ""},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 200},
        {"grants": []},
        {"grants": ["everything"]},
        {"grants": "watch"},
        {"grants": None},
        {"iat": None},
        {"exp": None},
        {"exp": "soon"},
        {"exp": math.inf},
        {"iat": 1e10, "exp": 1e10 + 60},
        {"nbf": 1e10},
        {"exp": 1_800_000_000.0 + MAX_TTL + 1},
    ],
)
def test_claims_that_are_no_viewer_tokens_are_refused(
    tokens: ViewerTokens, wall: Wall, claims: dict[str, Any]
) -> None:
    with pytest.raises(TokenInvalidError):
        tokens.verify(signed(wall, **claims), SESSION)


@pytest.mark.parametrize("algorithm", ["HS384", "HS512", "none"])
def test_other_signatures_are_refused(tokens: ViewerTokens, wall: Wall, algorithm: str) -> None:
    secret = "" if algorithm == "none" else SECRET * 2
    with pytest.raises(TokenInvalidError):
        tokens.verify(signed(wall, secret, algorithm), SESSION)
    with pytest.raises(TokenInvalidError):
        tokens.verify(signed(wall, SECRET + "!"), SESSION)


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a.b.c", "\x00", "ä.b.c", "a" * 5000, "eyJhbGciOiJIUzI1NiJ9.e30", "Bearer x"],
)
def test_what_is_no_token_is_refused(tokens: ViewerTokens, text: str) -> None:
    with pytest.raises(TokenInvalidError):
        tokens.verify(text, SESSION)


@given(st.data())
def test_no_other_spelling_of_a_token_passes(data: st.DataObject) -> None:
    tokens = ViewerTokens(SECRET)
    token = tokens.issue(SESSION)
    at = data.draw(st.integers(0, 10_000)) % (len(token) + 1)
    inserted = data.draw(st.sampled_from(["=", " ", "\n", ".", "-", "A", "é", "==", "%"]))
    other = data.draw(
        st.sampled_from(
            [token[:at] + inserted + token[at:], token[:at] + token[at + 1 :], token + inserted]
        )
    )
    last = token[-1]
    # The last character has bits to spare: its neighbours decode to the same bytes.
    spare = token[:-1] + chr(ord(last) + 1)
    for text in {other, spare} - {token}:
        with pytest.raises(TokenInvalidError):
            tokens.verify(text, SESSION)
    tokens.verify(token, SESSION)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_hostile_payloads_end_in_one_error(header: bytes, payload: bytes) -> None:
    tokens = ViewerTokens(SECRET)
    parts = [urlsafe_b64encode(part).rstrip(b"=").decode() for part in (header, payload, b"x" * 32)]
    with pytest.raises(ViewerTokenError):
        tokens.verify(".".join(parts), SESSION)


@pytest.mark.parametrize(
    ("secret", "ttl"),
    [
        ("short", 60),
        ("x" * 31, 60),
        (PUBLIC_KEY, 60),
        (SECRET, 0),
        (SECRET, MAX_TTL + 1),
        (SECRET, math.nan),
    ],
)
def test_values_that_would_be_unsafe_are_misuse(secret: str, ttl: float) -> None:
    with pytest.raises(MisuseError) as caught:
        ViewerTokens(secret, ttl=ttl)
    assert secret not in str(caught.value)


def test_grants_that_do_not_exist_are_misuse(tokens: ViewerTokens) -> None:
    wrong: Any
    for wrong in ([], "watch", ["everything"]):
        with pytest.raises(MisuseError):
            tokens.issue(SESSION, wrong)
    with pytest.raises(MisuseError):
        tokens.issue("")


def test_no_secret_and_no_token_is_shown(tokens: ViewerTokens) -> None:
    token = tokens.issue(SESSION)
    assert SECRET not in repr(tokens)
    tokens.verify(token, SESSION)
    with pytest.raises(RefusedError) as caught:
        tokens.verify(token, SESSION)
    claims = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    for text in (str(caught.value), repr(caught.value)):
        assert token not in text
        assert claims["jti"] not in text


# The memory -------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 9), st.floats(0, 100), st.floats(0, 100)), max_size=60),
    st.integers(1, 5),
)
def test_the_memory_never_takes_a_forgotten_id_for_a_new_one(
    adds: list[tuple[int, float, float]], capacity: int
) -> None:
    memory = TokenMemory(capacity)
    ends: dict[str, float] = {}
    for name, end, now in adds:
        token_id = f"id-{name}"
        if token_id not in memory:
            ends[token_id] = end
        memory.add(token_id, end, now)
        assert len(memory) <= capacity
        for known, its_end in ends.items():
            assert known in memory or memory.forgot(its_end)
