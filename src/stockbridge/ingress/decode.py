"""From bytes to shapes; what does not fit is listed row by row, all of it at once."""

import types
import typing
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache, lru_cache
from typing import Annotated, Any
from urllib.parse import unquote_plus

import msgspec

from stockbridge.contracts.base import Shape
from stockbridge.kernel.errors import Refusal

ERRORS_MAX = 10_000
YEAR_MIN = 1970
YEAR_MAX = 2199
_QUERY_BYTES_KEPT = 128
Fault = dict[str, Any]


def decode_body(
    shape: type[Shape],
    decoder: msgspec.json.Decoder[Any],
    raw: bytes,
    path: Mapping[str, str],
) -> Shape | Refusal:
    """The shape in `raw`; `path` are fields that the address gives, and the body may repeat.

    Refuses malformed JSON with 400, and with 422 what does not fit, naming every bad row.
    """
    if not path and b"\\u0000" not in raw:
        try:
            body: Shape = decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        else:
            return _moments_checked(body)
    needs_body = any(f.required and f.name not in path for f in msgspec.structs.fields(shape))
    data = _parsed(raw if raw or needs_body else b"{}")
    if isinstance(data, Refusal):
        return data
    merged = _merged(data, path)
    found = [*merged[1], *_nul_faults(merged[0], ""), *faults(shape, merged[0])]
    if found:
        return invalid(found)
    return _moments_checked(msgspec.convert(merged[0], shape))


def invalid(found: list[Fault]) -> Refusal:
    """The refusal that lists `found`."""
    count = len(found)
    first = found[0]
    where = first["pointer"] or "the body"
    more = f" and {count - 1} more, see errors" if count > 1 else ""
    return Refusal("invalid_request", f"{where}: {first['detail']}{more}", 422, found[:ERRORS_MAX])


def _parsed(raw: bytes) -> Any:
    if not raw:
        return Refusal("body_missing", "the request needs a JSON body", 400)
    try:
        return msgspec.json.decode(raw)
    except msgspec.ValidationError as error:
        return invalid([_fault("", "invalid", str(error))])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Refusal("malformed_json", f"the body is not JSON in UTF-8: {error}", 400)
    except RecursionError:
        return Refusal("malformed_json", "the body is nested too deeply", 400)


def _merged(data: Any, path: Mapping[str, str]) -> tuple[Any, list[Fault]]:
    if not isinstance(data, dict):
        return data, []
    found = [
        _fault(f"/{name}", "contradicts_path", f"is {data[name]!r}, the address says {value!r}")
        for name, value in path.items()
        if name in data and data[name] != value
    ]
    return {**data, **path}, found


def _nul_faults(value: Any, pointer: str) -> Iterator[Fault]:
    """Strings with a NUL character, which no database column takes."""
    if isinstance(value, str):
        if "\0" in value:
            yield _fault(pointer, "nul_character", "contains a NUL character; remove it")
    elif isinstance(value, dict):
        for name, inner in value.items():
            if "\0" in name:
                yield _fault(pointer, "nul_character", "a field's name contains a NUL character")
            yield from _nul_faults(inner, f"{pointer}/{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _nul_faults(inner, f"{pointer}/{index}")


def faults(shape: type[msgspec.Struct], data: Any, pointer: str = "") -> list[Fault]:
    """Everything in `data` that does not fit `shape`; empty when it fits."""
    if not isinstance(data, dict):
        return [_fault(pointer, "invalid", "give an object")]
    fields = {field.encode_name: field for field in msgspec.structs.fields(shape)}
    found = [
        _fault(f"{pointer}/{name}", "unknown_field", f"is no field; known: {', '.join(fields)}")
        for name in data
        if name not in fields
    ]
    for name, field in fields.items():
        if name in data:
            found += _value_faults(field.type, data[name], f"{pointer}/{name}")
        elif field.required:
            found.append(_fault(f"{pointer}/{name}", "missing", "is required"))
    return found or _misfit(shape, data, pointer)


def _value_faults(kind: Any, value: Any, pointer: str) -> list[Fault]:
    row = row_type(kind)
    found: list[Fault] = []
    if row is not None and isinstance(value, list):
        is_shape = isinstance(row, type) and issubclass(row, msgspec.Struct)
        for index, entry in enumerate(value):
            place = f"{pointer}/{index}"
            rows = faults(row, entry, place) if is_shape else _misfit(row, entry, place)
            found += [{"index": index, **fault} for fault in rows]
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return faults(kind, value, pointer)
    return found or _misfit(kind, value, pointer)


def _misfit(kind: Any, value: Any, pointer: str) -> list[Fault]:
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        detail = str(error).partition(" - at `")[0] or "nested too deeply"
        return [_fault(pointer, "invalid", detail)]
    return []


@cache
def row_type(kind: Any) -> Any:
    """The type of the entries of a list type, however annotated or optional; else None."""
    origin = typing.get_origin(kind)
    if origin is Annotated:
        return row_type(typing.get_args(kind)[0])
    if origin in {typing.Union, types.UnionType}:
        rows = [row_type(member) for member in typing.get_args(kind)]
        return next((row for row in rows if row is not None), None)
    return typing.get_args(kind)[0] if origin is list else None


@cache
def _moment_fields(shape: type[Shape]) -> tuple[str, ...]:
    return tuple(
        field.name for field in msgspec.structs.fields(shape) if "datetime" in str(field.type)
    )


def _moments_checked(body: Shape) -> Shape | Refusal:
    """Refuse times that are surely a unit or typing mistake, and that the ledger cannot keep."""
    for name in _moment_fields(type(body)):
        moment: datetime | None = getattr(body, name)
        if moment is not None and not YEAR_MIN < moment.year < YEAR_MAX:
            detail = (
                f"is in the year {moment.year}; years {YEAR_MIN + 1} to {YEAR_MAX - 1} are taken"
            )
            return invalid([_fault(f"/{name}", "invalid", detail)])
    return body


def decode_query(shape: type[Shape], raw: bytes) -> Shape | Refusal:
    """The query string as a shape; unknown and repeated parameters are refused with 422."""
    # Most callers ask the same few questions; shapes are immutable, so they can be given again.
    return _kept(shape, raw) if len(raw) <= _QUERY_BYTES_KEPT else _from_query(shape, raw)


@lru_cache(maxsize=2_048)
def _kept(shape: type[Shape], raw: bytes) -> Shape | Refusal:
    return _from_query(shape, raw)


def _from_query(shape: type[Shape], raw: bytes) -> Shape | Refusal:
    values: dict[str, str] = {}
    found: list[Fault] = []
    for pair in raw.decode("latin-1").split("&") if raw else ():
        name, _, value = pair.partition("=")
        if "%" in pair or "+" in pair:
            name, value = unquote_plus(name), unquote_plus(value)
        if name in values:
            found.append(_fault(name, "repeated", "is given more than once"))
        if "\0" in value:
            found.append(_fault(name, "nul_character", "contains a NUL character; remove it"))
        if name:
            values[name] = value
    if not found:
        try:
            return msgspec.convert(values, shape, strict=False)
        except msgspec.ValidationError:
            found = _query_faults(shape, values)
    refusal = invalid(found)
    return Refusal(refusal.code, f"query parameter {refusal.detail}", 422, refusal.errors)


def _query_faults(shape: type[Shape], values: dict[str, str]) -> list[Fault]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(shape)}
    known = ", ".join(fields) or "none"
    found = [
        _fault(name, "unknown_parameter", f"is no parameter; known: {known}")
        for name in values
        if name not in fields
    ]
    for name, field in fields.items():
        if name not in values:
            if field.required:
                found.append(_fault(name, "missing", "is required"))
            continue
        try:
            msgspec.convert(values[name], field.type, strict=False)
        except msgspec.ValidationError as error:
            found.append(_fault(name, "invalid", str(error)))
    return found or [_fault("", "invalid", "the parameters do not go together")]


def _fault(pointer: str, code: str, detail: str) -> Fault:
    return {
        "pointer": pointer,
        "field": pointer.rpartition("/")[2],
        "code": code,
        "detail": detail,
    }
