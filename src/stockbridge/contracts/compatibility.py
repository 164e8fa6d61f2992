"""Whether a JSON Schema takes everything that an earlier one took. Pure, and on the safe side.

What cannot be shown to be compatible is reported. Annotations may change freely, but not
`default`: then the same message would mean something else.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

Schema = Mapping[str, Any] | bool

_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_SAME: Final = ("pattern", "format", "multipleOf", "uniqueItems", "contentEncoding")
_OPAQUE: Final = (
    *("oneOf", "allOf", "not", "if", "then", "else", "contains", "prefixItems"),
    *("patternProperties", "propertyNames", "dependentRequired", "dependentSchemas"),
    *("unevaluatedProperties", "unevaluatedItems", "minContains", "maxContains", "$dynamicRef"),
)
_ANNOTATIONS: Final = frozenset(
    ("$schema", "$id", "$defs", "$comment", "title", "description", "default", "examples")
) | {"deprecated", "readOnly", "writeOnly"}
_NAMES: Final[tuple[tuple[type, str], ...]] = (
    (bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array"),
    (dict, "object"),
)  # fmt: skip
_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")


class Change(NamedTuple):
    """One breaking change: where in the schema (JSON Pointer), which rule, in words."""

    pointer: str
    rule: str
    detail: str


class _Pair(NamedTuple):
    """The two documents that references are resolved in, and the pairs being compared above."""

    old: Schema
    new: Schema
    above: frozenset[tuple[str, str]] = frozenset({("#", "#")})


def breaks_writers(old: Schema, new: Schema) -> list[Change]:
    """Why messages written by `old` are not all taken by a reader of `new`; empty: compatible."""
    return list(_narrowed(old, new, "", _Pair(old, new)))


def breaks_readers(old: Schema, new: Schema) -> list[Change]:
    """Why a reader of `old` may fail on messages written by `new`; empty: compatible.

    Readers pass over fields they do not know, so a new field breaks nobody.
    """
    found = []
    for change in breaks_writers(new, old):
        if change.rule not in {"property_removed", "closed"}:
            rule, detail = _TURNED.get(change.rule, (change.rule, change.detail))
            found.append(Change(change.pointer, rule, detail))
    return found


_TURNED: Final = {
    "required_added": ("required_removed", "readers rely on it being there"),
    "type_narrowed": ("type_widened", "readers do not expect the new type"),
    "enum_narrowed": ("enum_widened", "readers do not know the new values"),
    "limit_tightened": ("limit_loosened", "readers do not expect values beyond the old limit"),
}


def _narrowed(old: Schema, new: Schema, at: str, pair: _Pair) -> Iterator[Change]:
    names = (_reference(old), _reference(new))
    if any(names):
        if names in pair.above:
            return
        pair = pair._replace(above=pair.above | {names})
    old, new = _resolved(old, pair.old), _resolved(new, pair.new)
    if _default(old) != _default(new):
        yield Change(at, "default_changed", "a message without it would mean something else")
    old, new = _rules(old), _rules(new)
    if new is True or old is False or _same(old, new, pair):
        return
    if new is False:
        yield Change(at, "type_narrowed", "nothing is taken here any more")
        return
    before: Mapping[str, Any] = {} if isinstance(old, bool) else old
    if "anyOf" in before or "anyOf" in new:
        yield from _options_narrowed(before, new, at, pair)
        return
    yield from _value_narrowed(before, new, at)
    yield from _object_narrowed(before, new, at, pair)
    yield from _narrowed(before.get("items", True), new.get("items", True), f"{at}/items", pair)


def _same(old: Schema, new: Schema, pair: _Pair) -> bool:
    text = _text(old)
    return text == _text(new) and ('"$ref"' not in text or _text(pair.old) == _text(pair.new))


def _options_narrowed(
    old: Mapping[str, Any], new: Mapping[str, Any], at: str, pair: _Pair
) -> Iterator[Change]:
    """Every alternative that was taken must be covered by one that is taken now."""
    beside_old, beside_new = _without(old, "anyOf"), _without(new, "anyOf")
    alternatives = [_both(beside_old, option, pair) for option in old.get("anyOf", [True])]
    for index, before in enumerate(alternatives):
        yield from _narrowed(before, beside_new, at, pair)
        failures = [list(_narrowed(before, now, at, pair)) for now in new.get("anyOf", [True])]
        if not all(failures):
            continue
        if len(alternatives) == 1 or len(failures) == 1:
            yield from min(failures, key=len)
        else:
            detail = f"alternative {index} ({_short(before)}) is not taken any more"
            yield Change(f"{at}/anyOf/{index}", "type_narrowed", detail)


def _both(beside: Mapping[str, Any], option: Schema, pair: _Pair) -> Schema:
    """An alternative with what stands beside the choice."""
    if not beside:
        return option
    option = _rules(_resolved(option, pair.old))
    if isinstance(option, bool):
        return beside if option else False
    return {**beside, **option}


def _value_narrowed(old: Mapping[str, Any], new: Mapping[str, Any], at: str) -> Iterator[Change]:
    lost = sorted(_types(old) - _types(new))
    if lost:
        yield Change(at, "type_narrowed", f"{', '.join(lost)} is not taken any more")
    allowed, known = _values(new), _values(old)
    if allowed is not None:
        gone = "anything" if known is None else ", ".join(sorted(known - allowed))
        if gone:
            yield Change(at, "enum_narrowed", f"{gone} was taken, now only some values are")
    for limits, sign in ((_LOWER, 1), (_UPPER, -1)):
        for name in limits:
            if name in new and (name not in old or sign * (new[name] - old[name]) > 0):
                was = old.get(name, "no limit")
                yield Change(at, "limit_tightened", f"{name} was {was}, is {new[name]}")
    for name in (*_SAME, *_OPAQUE):
        if name in new and _text(new[name]) != _text(old.get(name)):
            detail = f"{name} changed; it cannot be shown that all of before is still taken"
            yield Change(at, "limit_tightened" if name in _SAME else "rule_changed", detail)


def _object_narrowed(
    old: Mapping[str, Any], new: Mapping[str, Any], at: str, pair: _Pair
) -> Iterator[Change]:
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield Change(f"{at}/{_escape(name)}", "required_added", f"{name} is required now")
    known: Mapping[str, Any] = new.get("properties", {})
    for name, schema in old.get("properties", {}).items():
        place = f"{at}/properties/{_escape(name)}"
        if name in known:
            yield from _narrowed(schema, known[name], place, pair)
        elif "properties" in new or new.get("additionalProperties") is False:
            yield Change(place, "property_removed", f"{name} was a field and is none now")
    others_old, others_new = (s.get("additionalProperties", True) for s in (old, new))
    if isinstance(others_old, Mapping):
        for name in sorted(set(known) - set(old.get("properties", ()))):
            place = f"{at}/properties/{_escape(name)}"
            yield from _narrowed(others_old, known[name], place, pair)
    if others_new is False and others_old is not False:
        yield Change(at, "closed", "further fields were taken and are refused now")
    else:
        yield from _narrowed(others_old, others_new, f"{at}/additionalProperties", pair)


def _types(schema: Mapping[str, Any]) -> set[str]:
    given = schema.get("type", _TYPES)
    if "type" not in schema and ("enum" in schema or "const" in schema):
        given = [_type_of(value) for value in schema.get("enum", [schema.get("const")])]
    types = {given} if isinstance(given, str) else set(given)
    return types | {"integer"} if "number" in types else types


def _type_of(value: Any) -> str:
    for kind, name in _NAMES:
        if isinstance(value, kind):
            return name
    return "null"


def _values(schema: Mapping[str, Any]) -> set[str] | None:
    if "const" in schema:
        return {_text(schema["const"])}
    return {_text(value) for value in schema["enum"]} if "enum" in schema else None


def _reference(schema: Schema) -> str:
    return str(schema.get("$ref", "")) if isinstance(schema, Mapping) else ""


def _resolved(schema: Schema, document: Schema) -> Schema:
    """The schema a local reference leads to, with what stands beside the reference."""
    for _ in range(100):
        reference = _reference(schema)
        if not reference or not isinstance(schema, Mapping):
            return schema
        target: Any = document
        for part in reference.removeprefix("#").split("/")[1:]:
            step = part.replace("~1", "/").replace("~0", "~")
            target = target[int(step) if isinstance(target, list) else step]
        if not isinstance(target, Mapping):
            return bool(target)
        schema = {**target, **_without(schema, "$ref")}
    return False


def _default(schema: Schema) -> str:
    return _text(schema.get("default")) if isinstance(schema, Mapping) else "null"


def _rules(schema: Schema) -> Schema:
    """What a schema demands, without what it only tells; True when it demands nothing."""
    if isinstance(schema, bool):
        return schema
    return {name: rule for name, rule in schema.items() if name not in _ANNOTATIONS} or True


def _without(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != name}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _short(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - a line's worth


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
