"""What is signed is accepted, and nothing else: by us, and by the specification's own library."""

from __future__ import annotations

import time
from base64 import b64encode
from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st
from livelayer_web.webhooks import WebhookSignatureError, new_webhook_secret, verify_webhook
from livelayer_web.webhooks.signing import PREFIX, read_secrets, sign

from livelayer_bus.errors import ConfigError

NOW = 1_800_000_000
SECRET = new_webhook_secret()
# The example of the specification's own libraries.
KNOWN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

ids = st.from_regex(r"msg_[A-Za-z0-9_-]{1,40}", fullmatch=True)
secrets = st.binary(min_size=24, max_size=64).map(lambda key: PREFIX + b64encode(key).decode())


def signed(body: bytes, *texts: str, event_id: str = "msg_1", at: int = NOW) -> dict[str, str]:
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(at),
        "webhook-signature": sign(read_secrets("secrets", texts), event_id, at, body),
    }


def test_the_known_example_has_the_known_signature() -> None:
    body = b'{"test": 2432232314}'
    headers = signed(body, KNOWN, event_id="msg_p5jXN8AQM9LWM0D4loKWxJek", at=1614265330)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(ids, st.binary(max_size=200), secrets, st.integers(0, 10**11))
def test_what_is_signed_is_accepted(event_id: str, body: bytes, secret: str, at: int) -> None:
    headers = signed(body, secret, event_id=event_id, at=at)
    upper = {name.title(): value for name, value in headers.items()}
    assert verify_webhook(upper, body, secret, now=at) == event_id


@given(ids, st.text(max_size=200), secrets)
def test_the_library_of_the_specification_signs_and_accepts_the_same(
    event_id: str, text: str, secret: str
) -> None:
    at = int(time.time())
    headers = signed(text.encode(), secret, event_id=event_id, at=at)
    library = standardwebhooks.Webhook(secret)
    library.verify(text, headers, json_parse=False)
    moment = datetime.fromtimestamp(at, UTC)
    assert library.sign(event_id, moment, text) == headers["webhook-signature"]


@given(st.data(), ids, st.binary(min_size=1, max_size=100), secrets)
def test_a_change_of_anything_is_found(
    data: st.DataObject, event_id: str, body: bytes, secret: str
) -> None:
    headers = signed(body, secret, event_id=event_id)
    what = data.draw(st.sampled_from(["body", *headers]))
    before = body if what == "body" else headers[what].encode()
    at = data.draw(st.integers(0, len(before) - 1))
    other = data.draw(st.integers(33, 126).filter(lambda byte: byte != before[at]))
    after = before[:at] + bytes([other]) + before[at + 1 :]
    given_body = after if what == "body" else body
    given_headers = headers if what == "body" else {**headers, what: after.decode()}
    with pytest.raises(WebhookSignatureError):
        verify_webhook(given_headers, given_body, secret, now=NOW)


def test_a_stop_in_an_id_cannot_move_the_border_between_id_and_body() -> None:
    body = b"1800000000.the body"
    headers = signed(body, SECRET, event_id="msg", at=1)
    moved = {**headers, "webhook-id": "msg.1", "webhook-timestamp": str(NOW)}
    with pytest.raises(WebhookSignatureError, match="malformed"):
        verify_webhook(moved, b"the body", SECRET, now=NOW)


def test_while_a_secret_is_changed_either_one_does() -> None:
    old, new, foreign = (new_webhook_secret() for _ in range(3))
    headers = signed(b"{}", new, old)
    for secret in (old, new, [foreign, old]):
        assert verify_webhook(headers, b"{}", secret, now=NOW) == "msg_1"
    with pytest.raises(WebhookSignatureError, match="no signature matches"):
        verify_webhook(headers, b"{}", foreign, now=NOW)


@pytest.mark.parametrize(("seconds", "accepted"), [(300, True), (301, False), (-300, True)])
def test_a_webhook_is_recent(seconds: int, accepted: bool) -> None:
    headers = signed(b"{}", SECRET)
    if accepted:
        assert verify_webhook(headers, b"{}", SECRET, now=NOW + seconds)
        return
    for way in (seconds, -seconds):
        with pytest.raises(WebhookSignatureError, match="time stamp differs by more than 300 s"):
            verify_webhook(headers, b"{}", SECRET, now=NOW + way)
    assert verify_webhook(headers, b"{}", SECRET, now=NOW + seconds, tolerance=400)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("value", [None, "", "é", "v1,", "-1", "1" * 13])
def test_a_header_that_is_missing_or_malformed_is_refused(name: str, value: str | None) -> None:
    headers = signed(b"{}", SECRET)
    headers = {key: text for key, text in headers.items() if key != name}
    if value is not None:
        headers[name] = value
    with pytest.raises(WebhookSignatureError):
        verify_webhook(headers, b"{}", SECRET, now=NOW)


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "hunter2", "whsec_aGk=", f"{SECRET}x", SECRET[6:]],
    ids=["empty", "prefix alone", "no prefix", "too short", "not base64", "without its prefix"],
)
def test_a_secret_that_is_invalid_is_refused_and_not_quoted(secret: str) -> None:
    with pytest.raises(ConfigError) as refused:
        verify_webhook(signed(b"{}", SECRET), b"{}", secret)
    assert secret in ("", PREFIX) or secret.removeprefix(PREFIX) not in str(refused.value)


def test_no_secret_is_an_error() -> None:
    with pytest.raises(ConfigError, match="there is no secret"):
        verify_webhook(signed(b"{}", SECRET), b"{}", [])
