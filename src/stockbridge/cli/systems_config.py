"""A system's configuration from a file and from `name=value` words, in its manifest's types."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stockbridge.contracts.partners.manifest import ConfigField, Manifest

_TRUE = {"true": True, "yes": True, "false": False, "no": False}


def read_file(path: Path) -> dict[str, Any]:
    """The configuration in a TOML file; raises Misconfigured naming file and place."""
    from stockbridge.kernel.errors import Misconfigured

    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misconfigured(f"{path}: {error}") from error


def with_words(
    manifest: "Manifest", config: Mapping[str, Any], words: Sequence[str]
) -> dict[str, Any]:
    """The configuration changed by `name=value`, `table.name=value`, or `name=` to take it away.

    Raises Misconfigured for a word that is none of these, or for a field nobody has.
    """
    from stockbridge.kernel.errors import Misconfigured

    fields = {field.name: field for field in manifest.config}
    changed = dict(config)
    for word in words:
        name, equals, value = word.partition("=")
        top, _, inner = name.partition(".")
        field = fields.get(top)
        if not equals or field is None:
            known = ", ".join(fields)
            raise Misconfigured(f"--set {word}: give FIELD=VALUE, FIELD one of {known}")
        if bool(inner) != (field.type == "table"):
            form = f"{top}.NAME=VALUE" if field.type == "table" else f"{top}=VALUE"
            raise Misconfigured(f"--set {word}: give {form}")
        if inner:
            table = {**(changed.get(top) or {}), inner: value}
            changed[top] = {key: text for key, text in table.items() if text}
        elif value:
            changed[top] = _typed(field, value)
        else:
            changed.pop(top, None)
    return changed


def _typed(field: "ConfigField", text: str) -> Any:
    """The value as its type; one that does not fit stays text, and the manifest's rules tell."""
    if field.type == "integer" and text.lstrip("-").isdigit():
        return int(text)
    if field.type == "boolean":
        return _TRUE.get(text.lower(), text)
    return text
