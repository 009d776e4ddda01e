"""An agent can send a surface to web pages and nowhere else, however it spells the address."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livelayer_bus.errors import MalformedMessageError
from livelayer_bus.messages import Navigate, decode, href_problem

BASE = "https://app.example/here/now"


@pytest.mark.parametrize(
    "href",
    [
        "/",
        "/pricing",
        "pricing",
        "../up",
        "./a/b.html",
        "?page=2",
        "#section",
        "/a b",
        "/grüße",
        "/time/12:30",
        "/redirect?to=https://other.example/",
        "https://other.example",
        "HTTP://other.example:8080/path",
        "http://[::1]:3000/",
        "https://grüße.example/",
    ],
)
def test_web_and_relative_addresses_pass(href: str) -> None:
    assert Navigate(href).href == href


@pytest.mark.parametrize(
    "href",
    [
        "",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "\tjavascript:alert(1)",
        "java\nscript:alert(1)",
        "\x01javascript:alert(1)",
        "\u00a0javascript:alert(1)",
        "\ufeffjavascript:alert(1)",
        "data:text/html,<script>",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://app.example/1",
        "mailto:a@b.example",
        "tel:5",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "https:\\\\evil.example",
        "https:/evil.example",
        "https:evil.example",
        "https:///evil.example",
        "https://",
        "https://?x",
        "https://[::1",
        "https://app.example@evil.example/",
        "https://user:pass@app.example/",
        "/ok ",
        "/ok\n",
        "/\x7f",
        "/\u202egnp.exe",
        "view-source:https://app.example",
    ],
)
def test_everything_else_is_refused_without_repeating_it(href: str) -> None:
    problem = href_problem(href)
    assert problem is not None
    assert len(href) < 6 or href not in problem
    with pytest.raises(MalformedMessageError):
        Navigate(href)


def test_a_refused_address_on_the_wire_is_a_malformed_message() -> None:
    with pytest.raises(MalformedMessageError, match="scheme other than http and https") as caught:
        decode(b'{"type":"navigate","href":"javascript:steal()"}')
    assert caught.value.message_type == "navigate"


@given(
    st.lists(
        st.sampled_from(["/", "\\", ":", "http", "https", "javascript", "@", "?", "#", "evil", " "])
        | st.characters(exclude_categories=["Cs"])
    ).map("".join)
)
def test_what_passes_leads_to_a_web_page_and_a_relative_one_stays_on_the_site(href: str) -> None:
    if href_problem(href) is not None:
        return
    target = urlsplit(urljoin(BASE, href))
    assert target.scheme in ("http", "https")
    if not href.lower().startswith(("http://", "https://")):
        assert target.netloc == "app.example"
