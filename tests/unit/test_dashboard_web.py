"""The control tower's checks and words, without a store."""

import tomllib
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from stockbridge.dashboard import frame
from stockbridge.dashboard.desk import number, pair
from stockbridge.dashboard.orders import number_of
from stockbridge.dashboard.web import cross_site, fields, is_local, see, session_token
from stockbridge.kernel.errors import Refusal

HOST = {b"host": b"hub.example:8080"}
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize("method, headers, passes", [
    ("GET", {b"sec-fetch-site": b"cross-site"}, True),
    ("HEAD", {}, True),
    ("POST", HOST | {b"sec-fetch-site": b"same-origin"}, True),
    ("POST", HOST | {b"sec-fetch-site": b"none"}, True),
    ("POST", HOST | {b"sec-fetch-site": b"same-site"}, False),
    ("POST", HOST | {b"sec-fetch-site": b"cross-site", b"origin": b"http://hub.example"}, False),
    ("POST", HOST | {b"origin": b"http://hub.example:8080"}, True),
    ("POST", HOST | {b"origin": b"https://hub.example:8080"}, True),
    ("POST", HOST | {b"origin": b"http://hub.example"}, False),
    ("POST", HOST | {b"origin": b"null"}, False),
    ("POST", HOST, False),
    ("POST", {b"origin": b""}, False),
])  # fmt: skip
def test_acts_come_from_our_own_pages(method, headers, passes):
    assert (cross_site(method, headers) is None) == passes


@pytest.mark.parametrize("host, more, local", [
    (b"127.0.0.1:8080", {}, True), (b"localhost:8080", {}, True), (b"localhost", {}, True),
    (b"[::1]:8080", {}, True), (b"127.0.0.1", {}, True), (b"evil.example:8080", {}, False),
    (b"localhost.evil.example", {}, False), (b"10.0.0.1:8080", {}, False), (b"", {}, False),
    (b"127.0.0.1:8080", {b"x-forwarded-for": b"1.2.3.4"}, False),
    (b"127.0.0.1:8080", {b"forwarded": b"for=1.2.3.4"}, False),
])  # fmt: skip
def test_requests_of_this_machine(host, more, local):
    assert is_local({b"host": host} | more) == local


@pytest.mark.parametrize("place, seen", [
    ("/orders?a=b", "/orders?a=b"), ("/", "/"), ("", "/"), ("//x", "/"), ("/\\x", "/"),
    ("https://x", "/"), ("/a\r\nset-cookie: b", "/"), ("/a b", "/"),
])  # fmt: skip
def test_browsers_are_sent_to_pages_of_ours(place, seen):
    assert dict(see(place).headers)[b"location"] == seen.encode()


@pytest.mark.parametrize("cookie, token", [
    (b"", ""), (b"stockbridge=a", "a"), (b"x=1; stockbridge=a", "a"),
    (b"stockbridge=a; __Host-stockbridge=b", "b"), (b"stockbridge=", ""), (b";;=;", ""),
])  # fmt: skip
def test_the_session_is_found_in_the_cookies(cookie, token):
    assert session_token({b"cookie": cookie}) == token


def test_fields_are_stripped_and_bounded():
    assert fields("a=+1+&b=&a=2&c=%20") == {"a": "2"}
    for text in ("a=%00", "a=%ff", "&".join(f"a{n}=1" for n in range(60))):
        assert isinstance(fields(text), Refusal), text


@pytest.mark.parametrize("value, text", [
    (None, ""), ("infinity", "never"), ((NOW - timedelta(seconds=5)).isoformat(), "5 s"),
    (NOW - timedelta(minutes=90), "1 h"), (NOW - timedelta(days=3), "3 d"),
    (NOW + timedelta(minutes=2), "in 2 min"),
])  # fmt: skip
def test_ages(value, text):
    assert frame.age(value, NOW) == text


def test_addresses_quote_what_they_are_filled_with():
    assert frame.address("/items/{}", "A/ü?", channel="", after="1 2") == (
        "/items/A%2F%C3%BC%3F?after=1+2"
    )


@pytest.mark.parametrize("text, found", [("12", 12), ("", None), ("1" * 19, None), ("-1", None)])
def test_numbers(text, found):
    assert number(text) == found
    assert pair(f"3_{text}") == ((3, found) if found is not None else (None, None))


@pytest.mark.parametrize("text, found", [
    ("ord_ff", 255), ("ord_", None), ("ff", None), ("ord_FF", None), ("ord_" + "f" * 16, None),
])  # fmt: skip
def test_orders_by_the_id_that_is_shown(text, found):
    assert number_of(text) == found


def test_long_texts_are_cut():
    assert frame.cut("x" * 60_001).endswith("1 more characters")


def test_scripts_of_others_are_as_their_packages_have_them():
    for entry in tomllib.loads(frame.asset("vendored.toml").decode()).values():
        assert sha256(frame.asset(entry["file"])).hexdigest() == entry["sha256"], entry["file"]
