"""Mappings: partners' words into ours, samples as proof, and no way to run away."""

import json
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stockbridge.connectors.mapped import folders
from stockbridge.contracts import catalog as catalogs
from stockbridge.contracts.catalog import Published
from stockbridge.contracts.commands import MoveState, ReportShipment
from stockbridge.contracts.events import Undecodable
from stockbridge.contracts.expression import Expression, Failed, Limits
from stockbridge.contracts.mapping import (
    Manifest,
    Mapping,
    apply_mapping,
    decode_manifest,
    failures,
    parse,
)
from stockbridge.contracts.schemas import check_of, faults_of
from stockbridge.kernel.errors import Misconfigured

Catalog: Any = catalogs.Catalog  # commands or a reason: each test knows which
HELD = """rows.{"type": "io.stockbridge.stock.held.v1", "data": {
  "sku": sku, "location": place, "quantity": $number(qty), "occurred_at": at, "uom": unit,
  "document": {"type": "hold", "number": "H1"}, "reason": why}}"""
ROW = {"sku": "A", "place": "X", "qty": "2", "at": "2026-07-01T12:00:00", "unit": "ST"}
EVENT: dict[str, Any] = {
    "type": "io.stockbridge.stock.held.v1",
    "data": {
        "sku": "A", "location": "MAIN", "quantity": 2, "occurred_at": "2026-07-01T10:00:00Z",
        "uom": "EA", "document": {"type": "hold", "number": "H1"},
    },
}  # fmt: skip


def manifest(**more) -> Manifest:
    document = {
        "system": "acme", "name": "stock", "version": 1, "time_zone": "Europe/Berlin",
        "events": HELD, "tables": {"locations": {"X": "MAIN"}, "units": {"ST": "EA"}},
        "samples": [{"name": "one", "input": json.dumps({"rows": [ROW]}), "expected": [EVENT]}],
    }  # fmt: skip
    return decode_manifest(document | more)


def apply(mapping, *rows) -> Any:
    return apply_mapping(mapping, "application/json", json.dumps({"rows": list(rows)}).encode())


# Translation ----------------------------------------------------------------------------------
def test_codes_and_local_times_become_ours():
    mapping = Mapping(manifest())
    assert apply(mapping, ROW) == [EVENT]
    assert failures(mapping) == []


# (field, the partner's, ours or the reason)
WORDS = [
    ("place", "X", "MAIN"),
    ("place", "Y", "unmapped_code"),
    ("place", 7, "unmapped_code"),
    ("unit", "ST", "EA"),
    ("unit", "KG", "unmapped_code"),
    ("why", "as it comes", "as it comes"),
    ("at", "2026-01-01T12:00:00", "2026-01-01T11:00:00Z"),
    ("at", "2026-01-01T12:00:00-05:00", "2026-01-01T17:00:00Z"),
    ("at", "2026-01-01T12:00:00Z", "2026-01-01T12:00:00Z"),
    ("at", "20260101T120000", "2026-01-01T11:00:00Z"),
    ("at", "2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
    ("at", "2026-03-29T02:30:00", "invalid_time"),
    ("at", "0001-01-01T00:00:00+23:00", "invalid_time"),
    ("at", "soon", "invalid_time"),
    ("at", 5, "invalid_time"),
    ("qty", "many", "mapping_failed"),
]
FIELD = {"place": "location", "unit": "uom", "why": "reason", "at": "occurred_at"}


@pytest.mark.parametrize("field, theirs, ours", WORDS)
def test_words_are_translated_and_never_guessed(field, theirs, ours):
    found = apply(Mapping(manifest()), ROW | {field: theirs})
    if isinstance(found, Undecodable):
        assert found.code == ours
        assert found.detail.startswith("mapping:acme:stock.v1")
    else:
        assert found[0]["data"][FIELD[field]] == ours


def test_an_unmapped_code_waits_for_the_next_version():
    found = apply(Mapping(manifest(version=3)), ROW | {"place": "Z"})
    assert found.missing == ("contract:mapping:acme:stock.v4",)
    assert "'Z'" in found.detail


def test_aliases_get_the_partners_namespace():
    mapping = Mapping(manifest(events=HELD.replace('"sku": sku', '"alias": sku'), namespace="ns"))
    (event,) = apply(mapping, ROW)
    assert (event["data"]["alias"], event["data"]["namespace"]) == ("A", "ns")


# (content type, body, what the expression sees)
CONTENT = [
    ("application/json", b'{"a": 1.0}', {"a": 1.0}),
    ("application/vnd.acme+json; charset=utf-8", b"[1]", [1]),
    ("application/x-ndjson", b'{"a":1}\n\n{"a":2}\n', [{"a": 1}, {"a": 2}]),
    ("text/csv", b'\xef\xbb\xbfa,b\r\n1,"x,y"\r\n', [{"a": "1", "b": "x,y"}]),
    ("text/csv", b"a\n1,2,3\n", [{"a": "1"}]),
    ("text/csv", b'a\n"1', "malformed"),
    ("text/csv", b"\xff", "malformed"),
    ("application/json", b"{", "malformed"),
    ("application/json", b"[" * 100_000, "malformed"),
    ("application/json", b"[" + b"1," * 5_001 + b"1]", "too_large"),
    ("application/json", b'"' + b"x" * 65_000 + b'"', "too_large"),
    ("application/json", b" " * (1024 * 1024 + 1), "too_large"),
]


@pytest.mark.parametrize("content_type, body, seen", CONTENT)
def test_content_is_parsed_within_limits(content_type, body, seen):
    found = parse(content_type, body)
    assert (found.code if isinstance(found, Undecodable) else found) == seen


@pytest.mark.parametrize(
    "expression, code",
    [
        ("nothing.here", "no_events"),
        ('{"type": "x"}', "mapping_failed"),
        ('{"type": "x", "data": 1}', "mapping_failed"),
        ('{"type": "x", "data": {}, "more": 1}', "mapping_failed"),
        ('"text"', "mapping_failed"),
        ("$sum", "mapping_failed"),
        ("$error('told so')", "mapping_failed"),
        ("1/0", "mapping_failed"),
    ],
)
def test_expressions_that_give_no_events_say_so(expression, code):
    assert apply(Mapping(manifest(events=expression)), ROW).code == code


# Limits ---------------------------------------------------------------------------------------
RUNAWAY = [
    ("($f := function($x) {$f($x)}; $f(1))", "steps"),
    ("($f := function($x) {$f($x) + 1}; $f(1))", "deeply"),
    ("[1..10000000]", "list"),
    ('$pad("x", 100000000)', "text"),
    ('$pad("x", -100000000)', "text"),
    ('($f := function($s) {$f($s & $s)}; $f("ab"))', "text"),
    ("$now()", "now"),
    ("$millis()", "millis"),
    ("$random()", "random"),
    ("$shuffle([1, 2])", "shuffle"),
    ('$eval("$now()")', "eval"),
    ('"a" ~> /(?=a)b/', "cannot be read"),
    ("foo(", "cannot be read"),
    ("x" * 40_000, "longer"),
]


@pytest.mark.parametrize("source, words", RUNAWAY)
def test_expressions_cannot_run_away(source, words):
    with pytest.raises(Failed, match=words):
        Expression(source).evaluate({}, Limits(steps=2_000))


def test_patterns_take_linear_time():
    assert Expression("$match(text, /^(a+)+$/)").evaluate({"text": "a" * 5_000 + "!"}) is None
    assert Expression('$replace("A-1", /a/i, "b")').evaluate({}) == "b-1"
    assert Expression('$contains("x\\ny", /^y/m)').evaluate({}) is True


def test_pad_is_as_jsonata_has_it():
    expression = Expression(
        '[$pad("x", 3), $pad("x", -3, "0"), $pad("xyz", 2), $pad("a", 4, "bc")]'
    )
    assert expression.evaluate({}) == ["x  ", "00x", "xyz", "abcb"]


# Samples --------------------------------------------------------------------------------------
def sample(**more):
    return {"name": "s", "input": json.dumps({"rows": [ROW]}), "expected": [EVENT]} | more


def changed(**data):
    return [{"type": EVENT["type"], "data": EVENT["data"] | data}]


# (sample, words of the difference)
FAILING = [
    (sample(expected=changed(quantity=3)), ["events[0].data.quantity: expected 3, got 2"]),
    (sample(expected=changed(lot="L")), ["events[0].data.lot: expected 'L', got nothing"]),
    (sample(expected=[]), ["events: expected 0, got 1"]),
    (sample(expected_code="no_events"), ["expected no_events, got 1 events"]),
    (sample(input="{}"), ["expected 1 events, got no_events: mapping:acme:stock.v1 finds no"]),
    (sample(input="{"), ["expected 1 events, got malformed"]),
    (sample(content_type="text/csv"), ["the sample is not one of the messages"]),
]


@pytest.mark.parametrize("bad, differences", FAILING)
def test_a_failing_sample_is_named_with_its_difference(bad, differences):
    (failure,) = failures(Mapping(manifest(samples=[sample(name="good"), bad])))
    assert failure.sample == "s"
    for line, words in zip(failure.differences, differences, strict=True):
        assert line.startswith(words)


def test_events_that_no_command_can_be_made_of_fail_the_sample():
    wrong = HELD.replace("$number(qty)", "-1")
    expected = changed(quantity=-1)
    (failure,) = failures(Mapping(manifest(events=wrong, samples=[sample(expected=expected)])))
    assert failure.differences == [
        "events[0]: invalid_event: Expected `int` >= 1 - at `$.quantity`"
    ]


@pytest.mark.parametrize(
    "more, words",
    [
        ({"samples": []}, "length >= 1"),
        ({"name": "A B"}, "name"),
        ({"tables": {"unit": {}}}, "unit"),
        ({"events": ""}, "events"),
        ({"version": 0}, "version"),
    ],
)
def test_a_manifest_says_what_is_wrong_with_it(more, words):
    with pytest.raises(Failed, match=words):
        manifest(**more)


@pytest.mark.parametrize("more", [{"time_zone": "Mars/Base"}, {"time_zone": "../x"},
                                  {"events": "("}, {"match": {"when": ")"}}])  # fmt: skip
def test_a_manifest_that_cannot_work_is_refused(more):
    with pytest.raises(Failed):
        Mapping(manifest(**more))


# Partners that come with the hub --------------------------------------------------------------
@pytest.mark.parametrize("name", folders.names())
def test_partners_do_what_their_samples_say(name):
    read = folders.read(folders.find(name))
    assert failures(Mapping(read)) == []
    assert len(read.samples) >= 3
    assert msgspec.json.decode(msgspec.json.encode(read), type=Manifest) == read


def test_folders_say_what_is_missing(tmp_path):
    with pytest.raises(Misconfigured, match="northwind_3pl"):
        folders.find("nobody")
    (tmp_path / "manifest.toml").write_text("system = ")
    with pytest.raises(Misconfigured, match=r"manifest\.toml"):
        folders.read(folders.find(str(tmp_path)))
    (tmp_path / "manifest.toml").write_text('system = "x"')
    with pytest.raises(Misconfigured, match="does not fit"):
        folders.read(folders.find(str(tmp_path)))
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "a.in.json").write_text("{}")
    with pytest.raises(Misconfigured, match=r"a\.events\.json"):
        folders.read(folders.find(str(tmp_path)))


# Catalog --------------------------------------------------------------------------------------
CUSTOM = Published("com.acme.held", 1, "active", {"type": "object", "required": ["rows"]})
HELD_NAME = "io.stockbridge.stock.held"
BODY = json.dumps({"rows": [ROW]}).encode()


def test_a_mapping_reads_the_versions_before_it_too():
    catalog = Catalog(mappings=[Mapping(manifest(version=3))])
    for version in (1, 3):
        (command,) = catalog.decode(f"mapping:acme:stock.v{version}", "application/json", BODY)
        assert isinstance(command, MoveState)
    later = catalog.decode("mapping:acme:stock.v4", "application/json", BODY)
    assert later.missing == ("contract:mapping:acme:stock.v4",)
    assert catalog.decode("mapping:acme:else.v1", "application/json", BODY).missing


def test_messages_find_their_mapping_by_type_and_predicate():
    other = manifest(name="other", match={"when": 'kind = "other"'})
    strict = manifest(name="strict", match={"when": "$exists(rows)"})
    catalog = Catalog(mappings=[Mapping(other), Mapping(strict)])
    assert catalog.match("acme", "application/json", BODY) == "mapping:acme:strict.v1"
    assert catalog.match("acme", "application/json", b'{"kind":"other"}') == "mapping:acme:other.v1"
    assert catalog.match("acme", "application/json", b"{}") is None
    assert catalog.match("acme", "text/csv", BODY) is None
    assert catalog.match("acme", "application/json", b"{") is None
    assert catalog.match("else", "application/json", BODY) is None
    only = Catalog(mappings=[Mapping(strict)])
    assert only.match("acme", "application/json", b"{") == "mapping:acme:strict.v1"


def test_published_contracts_are_judged_and_then_mapped():
    mapping = Mapping(manifest(match={"contract": "com.acme.held.v1"}))
    catalog = Catalog([CUSTOM], [mapping])
    (command,) = catalog.decode("com.acme.held.v1", "application/json", BODY)
    assert isinstance(command, MoveState)
    wrong = catalog.decode("com.acme.held.v1", "application/json", b"{}")
    assert (wrong.code, wrong.detail) == ("invalid_event", "$: 'rows' is a required property")
    assert catalog.decode("com.acme.held.v1", "application/json", b"{").code == "malformed_json"
    envelope = {"specversion": "1.0", "id": "1", "source": "s", "type": "com.acme.held.v1"}
    batch = json.dumps([envelope | {"data": json.loads(BODY)}]).encode()
    kind = "application/cloudevents-batch+json"
    assert catalog.decode("", kind, batch) == [command]
    assert Catalog([CUSTOM]).decode("com.acme.held.v1", "", BODY).code == "no_mapping"
    assert catalog.match("acme", "application/json", BODY) is None


SHIPPED = json.dumps({
    "sku": "A", "location": "M", "quantity": 1, "occurred_at": "2026-07-01T12:00:00Z",
    "document": {"type": "order", "number": "1"},
}).encode()  # fmt: skip


@pytest.mark.parametrize(
    "status, code, missing",
    [("active", None, False), ("deprecated", None, False), ("retired", "contract_retired", False),
     ("draft", "unknown_contract", True)],
)  # fmt: skip
def test_status_decides_who_is_read(status, code, missing):
    catalog = Catalog([Published("io.stockbridge.stock.shipped", 1, status, {})])
    found = catalog.decode("io.stockbridge.stock.shipped.v1", "application/json", SHIPPED)
    if code is None:
        assert isinstance(found[0], ReportShipment)
    else:
        assert (found.code, bool(found.missing)) == (code, missing)


def test_deprecated_contracts_are_told_to_their_senders():
    moment = datetime(2026, 7, 1, tzinfo=UTC)
    row = Published("a.b", 1, "deprecated", {}, moment, date(2027, 6, 30))
    catalog = Catalog([row, row._replace(version=2, status="active")])
    assert catalog.headers("a.b.v1") == (
        (b"deprecation", b"@1782864000"),
        (b"link", b'</v1/contracts/a.b/1>; rel="deprecation"'),
        (b"sunset", b"Wed, 30 Jun 2027 23:59:59 GMT"),
    )
    assert catalog.headers("a.b.v2") == catalog.headers("c.d.v1") == ()


# Published schemas ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "schema, words",
    [
        ({}, None),
        ({"type": "object", "properties": {"pattern": {"type": "string"}}}, None),
        ({"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"pattern": "^a+$"}}}, None),
        ({"enum": [{"$ref": "http://x"}]}, None),
        (7, "JSON object"),
        ({"type": "text"}, "text"),
        ({"$ref": "https://example.com/x"}, "leads out"),
        ({"properties": {"a": {"$ref": "#/$defs/b"}}}, "leads nowhere"),
        ({"pattern": "(?=x)"}, "RE2"),
        ({"patternProperties": {"x": {}}}, "not supported"),
        ({"$schema": "http://json-schema.org/draft-04/schema"}, "draft-04"),
        ({"description": "x" * 300_000}, "larger"),
    ],
)
def test_schemas_are_judged_before_they_are_published(schema, words):
    faults = faults_of(schema)
    assert faults == [] if words is None else any(words in fault for fault in faults)


def test_messages_are_judged_in_linear_time_and_bounded_words():
    check = check_of({"properties": {"a": {"pattern": "^(a+)+$"}}, "items": {"type": "string"}})
    assert check({"a": "a" * 50_000 + "!"})
    assert len(check([1] * 1_000)) == 20
    assert check_of({"properties": {"a": {"$ref": "#"}}, "type": "object"})({"a": {"a": 1}})


# Anything at all ------------------------------------------------------------------------------
NORTHWIND = Mapping(folders.read(folders.find("northwind_3pl")))
GOOD = json.loads(next(s.input for s in NORTHWIND.manifest.samples if s.name == "goods_issued"))
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(GOOD)), ANY, max_size=3),
    st.dictionaries(st.sampled_from(["pos", "article", "qty", "unit", "batch"]), ANY, max_size=3),
)
def test_any_message_gives_commands_or_a_reason_and_always_the_same(head, line):
    message = GOOD | {"positions": [GOOD["positions"][0] | line]} | head
    catalog = Catalog(mappings=[NORTHWIND])
    body = msgspec.json.encode(message)
    found = catalog.decode(NORTHWIND.contract, "application/json", body)
    assert isinstance(found, list | Undecodable)
    assert catalog.decode(NORTHWIND.contract, "application/json", body) == found


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.binary(), st.sampled_from(["application/json", "text/csv", "application/x-ndjson", ""]))
def test_any_bytes_give_a_reason(body, content_type):
    catalog = Catalog(mappings=[NORTHWIND])
    assert isinstance(catalog.decode(NORTHWIND.contract, content_type, body), Undecodable)
    catalog.match("northwind-3pl", content_type, body)
