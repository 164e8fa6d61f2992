"""JSON Schemas that others publish: whether they are sound, and whether a message fits one."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import re2
from jsonschema import Draft202012Validator, SchemaError
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

SCHEMA_BYTES_MAX: Final = 256 * 1024
ERRORS_MAX: Final = 20
DIALECTS: Final = ("https://json-schema.org/draft/2020-12/schema",)

Check = Callable[[Any], list[str]]


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str, *, ignore_case: bool = False, multiline: bool = False) -> Any:
    """A regular expression that takes linear time whatever it is given; ValueError if unusable."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    options.case_sensitive = not ignore_case
    try:
        return re2.compile(f"(?m){pattern}" if multiline else pattern, options)
    except re2.error as error:
        raise ValueError(f"pattern {pattern!r}: {_words(error)}; see RE2's syntax") from error


def _words(error: Exception) -> str:
    reason = error.args[0] if error.args else error
    return reason.decode() if isinstance(reason, bytes) else str(reason)


def _pattern(
    _validator: Any, pattern: str, instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not compile_pattern(pattern).search(instance):
        yield ValidationError(f"{instance[:100]!r} does not match {pattern!r}")


_VALIDATOR = extend(Draft202012Validator, {"pattern": _pattern})


def faults_of(schema: Any) -> list[str]:
    """What is wrong with a schema; empty when it can be published."""
    if not isinstance(schema, dict):
        return ["a schema is a JSON object"]
    if len(json.dumps(schema)) > SCHEMA_BYTES_MAX:
        return [f"the schema is larger than {SCHEMA_BYTES_MAX} bytes"]
    if schema.get("$schema", DIALECTS[0]) not in DIALECTS:
        return [f"$schema is {schema['$schema']!r}; known: {', '.join(DIALECTS)}"]
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return [f"{error.json_path}: {error.message[:500]}"]
    except RecursionError:
        return ["the schema is nested too deeply"]
    return list(islice(_inner_faults(schema, schema, "$"), ERRORS_MAX))


def _inner_faults(node: Any, document: Any, at: str) -> Iterator[str]:
    """References that lead out or nowhere, and patterns that no linear-time engine takes."""
    if isinstance(node, list):
        for index, inner in enumerate(node):
            yield from _inner_faults(inner, document, f"{at}[{index}]")
    if not isinstance(node, Mapping):
        return
    for name, inner in node.items():
        if name in {"enum", "const", "default", "examples"}:
            continue
        if name in {"$ref", "$dynamicRef"} and isinstance(inner, str):
            if not inner.startswith("#"):
                yield f"{at}.{name}: {inner} leads out of the schema; put it under $defs"
            elif not _leads_somewhere(inner, document):
                yield f"{at}.{name}: {inner} leads nowhere"
        elif name == "pattern" and isinstance(inner, str):
            try:
                compile_pattern(inner)
            except ValueError as error:
                yield f"{at}.pattern: {error}"
        elif name == "patternProperties":
            yield f"{at}.patternProperties is not supported: name the properties"
        else:
            yield from _inner_faults(inner, document, f"{at}.{name}")


def _leads_somewhere(reference: str, document: Any) -> bool:
    target = document
    for part in reference.removeprefix("#").split("/")[1:]:
        step = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(target, Mapping) or step not in target:
            return False
        target = target[step]
    return isinstance(target, Mapping | bool)


def check_of(schema: Mapping[str, Any]) -> Check:
    """A function that lists what in a message does not fit; nothing is ever fetched."""
    validator = _VALIDATOR(dict(schema), registry=Registry())

    def check(instance: Any) -> list[str]:
        found = []
        try:
            for error in validator.iter_errors(instance):
                found.append(f"{error.json_path}: {error.message[:300]}")
                if len(found) == ERRORS_MAX:
                    break
        except (RecursionError, Unresolvable) as error:
            found.append(f"$: {type(error).__name__}: {str(error)[:300]}")
        return found

    return check
