"""What breaks those who use a contract, and what does not."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stockbridge.contracts.compatibility import breaks_readers, breaks_writers

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}


def obj(required=(), closed=True, **properties):
    found = {"type": "object", "properties": properties, "required": list(required)}
    return found | ({"additionalProperties": False} if closed else {})


# (old, new, rules that break writers of the old; none: compatible)
WRITERS = [
    (obj(a=TEXT), obj(a=TEXT), ""),
    (obj(a=TEXT), obj(a=TEXT, b=TEXT), ""),
    (obj(a=TEXT), obj(["a"], a=TEXT), "required_added"),
    (obj(["a"], a=TEXT), obj(a=TEXT), ""),
    (obj(a=TEXT, b=TEXT), obj(a=TEXT), "property_removed"),
    (obj(a=TEXT, b=TEXT), obj(a=TEXT, closed=False), "property_removed"),
    (obj(a=TEXT, closed=False), obj(a=TEXT), "closed"),
    (obj(a=TEXT), obj(a=TEXT, closed=False), ""),
    (obj(a=NUMBER), obj(a={"type": "number"}), ""),
    (obj(a={"type": "number"}), obj(a=NUMBER), "type_narrowed"),
    (obj(a={"type": ["string", "null"]}), obj(a=TEXT), "type_narrowed"),
    (obj(a=TEXT), obj(a={"anyOf": [TEXT, {"type": "null"}]}), ""),
    (obj(a={"anyOf": [TEXT, {"type": "null"}]}), obj(a=TEXT), "type_narrowed"),
    (obj(a={"anyOf": [TEXT, NUMBER]}), obj(a={"anyOf": [NUMBER, TEXT]}), ""),
    (obj(a={"anyOf": [TEXT, NUMBER]}), obj(a={"type": ["string", "integer"]}), ""),
    (obj(a={"type": ["string", "integer"]}), obj(a={"anyOf": [TEXT, NUMBER]}), "type_narrowed"),
    (obj(a={"enum": ["x", "y"]}), obj(a={"enum": ["x", "y", "z"]}), ""),
    (obj(a={"enum": ["x", "y"]}), obj(a={"enum": ["x"]}), "enum_narrowed"),
    (obj(a={"enum": ["x", "y"]}), obj(a=TEXT), ""),
    (obj(a={"enum": ["x", 1]}), obj(a=TEXT), "type_narrowed"),
    (obj(a=TEXT), obj(a={"type": "string", "enum": ["x"]}), "enum_narrowed"),
    (obj(a={"const": 1}), obj(a={"const": 2}), "enum_narrowed"),
    (obj(a=NUMBER), obj(a=NUMBER | {"minimum": 0}), "limit_tightened"),
    (obj(a=NUMBER | {"minimum": 0}), obj(a=NUMBER | {"minimum": 1}), "limit_tightened"),
    (obj(a=NUMBER | {"maximum": 9}), obj(a=NUMBER | {"maximum": 8}), "limit_tightened"),
    (obj(a=NUMBER | {"maximum": 9}), obj(a=NUMBER), ""),
    (obj(a=TEXT | {"maxLength": 5}), obj(a=TEXT | {"maxLength": 6, "title": "t"}), ""),
    (obj(a=TEXT), obj(a=TEXT | {"pattern": "^x"}), "limit_tightened"),
    (obj(a=TEXT | {"pattern": "^x"}), obj(a=TEXT), ""),
    (obj(a=TEXT | {"default": "x"}), obj(a=TEXT | {"default": "y"}), "default_changed"),
    (obj(a={"type": "array", "items": TEXT}), obj(a={"type": "array", "items": NUMBER}),
     "type_narrowed"),
    (obj(a={"type": "array"}), obj(a={"type": "array", "maxItems": 3}), "limit_tightened"),
    (obj(a=TEXT) | {"oneOf": [{"required": ["a"]}]},
     obj(a=TEXT) | {"oneOf": [{"required": ["b"]}]}, "rule_changed"),
    (obj(a={"$ref": "#/$defs/x"}) | {"$defs": {"x": TEXT}}, obj(a=TEXT), ""),
    (obj(a={"$ref": "#/$defs/x"}) | {"$defs": {"x": TEXT}},
     obj(a={"$ref": "#/$defs/y"}) | {"$defs": {"y": NUMBER}}, "type_narrowed"),
    (obj(a=True), obj(a=False), "type_narrowed"),
    (obj(a=False), obj(a=TEXT), ""),
    (obj(a={}), obj(a=TEXT), "type_narrowed"),
    ({}, {}, ""),
]  # fmt: skip


@pytest.mark.parametrize("old, new, rules", WRITERS)
def test_what_writers_of_the_old_would_feel(old, new, rules):
    for schema in (old, new):
        Draft202012Validator.check_schema(schema)
    assert {change.rule for change in breaks_writers(old, new)} == set(rules.split())


# The same from the side of those who read what we write.
READERS = [
    (obj(a=TEXT), obj(a=TEXT, b=TEXT), ""),
    (obj(["a"], a=TEXT), obj(a=TEXT), "required_removed"),
    (obj(a=TEXT), obj(["a"], a=TEXT), ""),
    (obj(a=TEXT), obj(a={"type": ["string", "null"]}), "type_widened"),
    (obj(a={"enum": ["x"]}), obj(a={"enum": ["x", "y"]}), "enum_widened"),
    (obj(a=NUMBER | {"maximum": 9}), obj(a=NUMBER | {"maximum": 10}), "limit_loosened"),
    (obj(a=NUMBER), obj(a=NUMBER | {"maximum": 10}), ""),
]


@pytest.mark.parametrize("old, new, rules", READERS)
def test_what_readers_of_the_old_would_feel(old, new, rules):
    assert {change.rule for change in breaks_readers(old, new)} == set(rules.split())


def test_changes_name_their_place():
    old = obj(parcel=obj(weight=NUMBER))
    new = obj(parcel=obj(weight=NUMBER | {"maximum": 30}))
    (change,) = breaks_writers(old, new)
    assert change.pointer == "/properties/parcel/properties/weight"
    assert change.detail == "maximum was no limit, is 30"


def test_a_schema_of_itself_ends():
    tree = {"type": "object", "properties": {"child": {"$ref": "#"}}}
    assert breaks_writers(tree, tree | {"description": "a tree"}) == []
    narrower = {"type": "object", "properties": {"child": {"$ref": "#"}}, "required": ["child"]}
    assert [change.rule for change in breaks_writers(tree, narrower)] == ["required_added"]
    assert breaks_writers({"$ref": "#"}, TEXT) == []


VALUES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "yy"])
RULES = {
    "type": st.sampled_from(
        ["string", "integer", "number", "null", "object", "array", ["string", "null"]]
    ),
    "enum": st.lists(VALUES, min_size=1, max_size=3, unique_by=repr),
    "const": VALUES,
    "minimum": st.integers(-2, 2),
    "exclusiveMaximum": st.integers(-2, 2),
    "minLength": st.integers(0, 2),
    "maxLength": st.integers(0, 2),
    "maxItems": st.integers(0, 2),
    "uniqueItems": st.booleans(),
    "pattern": st.sampled_from(["^x", "y$"]),
    "not": st.sampled_from([{"type": "null"}, {}]),
}
ONE_RULE = st.sampled_from(sorted(RULES)).flatmap(
    lambda name: RULES[name].map(lambda value: {name: value})
)
# Few rules at a time: many together take nothing, and then nothing can be told.
LIMITS: st.SearchStrategy[Any] = st.builds(
    lambda one, more: one | more, ONE_RULE, st.just({}) | ONE_RULE
) | st.just({})


def _nested(inner):
    options = st.lists(inner, min_size=1, max_size=3)
    rules = st.fixed_dictionaries({}, optional={
        "required": st.lists(st.sampled_from("ab"), unique=True),
        "additionalProperties": st.booleans() | inner, "items": inner, "anyOf": options,
        "oneOf": options,
    })  # fmt: skip
    # An open schema that gains a property is taken for compatible: that is how contracts grow.
    # Closed ones are exact, so only those have named properties here.
    named = st.dictionaries(st.sampled_from("ab"), inner, max_size=2).map(
        lambda properties: {"properties": properties, "additionalProperties": False}
    )
    return st.builds(lambda *parts: parts[0] | parts[1] | parts[2], LIMITS, rules,
                     st.just({}) | named)  # fmt: skip


SCHEMAS = st.recursive(LIMITS | st.booleans(), _nested, max_leaves=6)
SIMPLE = [None, True, False, *range(-3, 4), 0.5, "", "x", "yy", "yyy"]
FEW = [None, True, -1, 2, 0.5, "", "x", "yyy"]
# Every small message: whatever a rule of the schemas above tells apart is told apart here.
INSTANCES = [
    *SIMPLE,
    *([value] for value in SIMPLE),
    *([one, other] for one in FEW for other in FEW),
    *({}, [], [1, 2, 3], [[1]], [{"a": 1}], {"a": {"b": 1}}, {"a": ["x"]}),
    *({name: value} for name in "abc" for value in SIMPLE),
    *({"a": one, "b": other} for one in FEW for other in FEW),
]


@st.composite
def _pairs(draw):
    """A schema and another, or the same with one rule put in or taken out somewhere."""
    old = draw(SCHEMAS)
    if draw(st.booleans()):
        return old, draw(SCHEMAS)
    return old, _changed(draw, old)


CLOSED = st.just({"properties": {}, "additionalProperties": False})


def _changed(draw, schema):
    if isinstance(schema, list):
        index = draw(st.integers(0, len(schema) - 1))
        return [_changed(draw, s) if i == index else s for i, s in enumerate(schema)]
    if not isinstance(schema, dict):
        return draw(ONE_RULE | CLOSED)
    inner = [name for name in ("items", "anyOf", "properties") if schema.get(name)]
    if inner and draw(st.booleans()):
        name = draw(st.sampled_from(inner))
        if name != "properties":
            return schema | {name: _changed(draw, schema[name])}
        field = draw(st.sampled_from(sorted(schema[name])))
        return schema | {name: schema[name] | {field: _changed(draw, schema[name][field])}}
    loose = sorted(set(schema) - {"properties", "additionalProperties"})
    if loose and draw(st.booleans()):
        gone = draw(st.sampled_from(loose))
        return {name: rule for name, rule in schema.items() if name != gone}
    return schema | draw(ONE_RULE | CLOSED)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_pairs())
def test_compatible_means_that_whatever_fitted_still_fits(pair):
    old, new = pair
    if breaks_writers(old, new):
        return
    before, after = Draft202012Validator(old), Draft202012Validator(new)
    for instance in INSTANCES:
        assert not before.is_valid(instance) or after.is_valid(instance), instance


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(SCHEMAS)
def test_nothing_breaks_by_staying(schema):
    assert breaks_writers(schema, schema) == []
    assert breaks_readers(schema, schema) == []
