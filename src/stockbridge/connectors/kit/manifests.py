"""Reads manifest.toml and judges whether it agrees with itself."""

import tomllib
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from typing import Final

import msgspec

from stockbridge.connectors.kit.hosts import fields
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.operations import OPERATIONS
from stockbridge.kernel.errors import Misconfigured

FILE: Final = "manifest.toml"
_READS: Final = ("publish", "publish_bulk", "observe", "catalog", "test")


def read(folder: Traversable) -> Manifest:
    """The manifest of a connector's folder; Misconfigured names the file and the fault."""
    try:
        document = tomllib.loads((folder / FILE).read_text("utf-8"))
        manifest = msgspec.convert(document, Manifest)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise Misconfigured(f"{folder.name}/{FILE}: {error}") from error
    found = list(faults(manifest, folder.name))
    if found:
        raise Misconfigured(f"{folder.name}/{FILE}: {'; '.join(found)}")
    return manifest


def faults(manifest: Manifest, folder: str) -> Iterator[str]:
    """Where a manifest contradicts itself."""
    if manifest.name != folder:
        yield f"name is {manifest.name}, the folder is {folder}"
    names = {field.name for field in manifest.config}
    for entry in manifest.hosts:
        for name in fields(entry):
            if name not in names:
                yield f"hosts: {{{name}}} is no field of config"
    yield from _config_faults(manifest)
    if manifest.webhook is not None and manifest.webhook.secret not in {
        secret.name for secret in manifest.secrets
    }:
        yield f"webhook: there is no secret {manifest.webhook.secret}"
    for operation in manifest.operations:
        if operation.name not in OPERATIONS:
            yield f"operations: {operation.name} is none of {', '.join(OPERATIONS)}"
    known = {
        *_READS,
        "*",
        *(o.name for o in manifest.operations),
        *(f.name for f in manifest.feeds),
    }
    for rule in manifest.limits:
        for name in rule.operations:
            if name not in known:
                yield f"limits: {name} is none of {', '.join(sorted(known))}"


def _config_faults(manifest: Manifest) -> Iterator[str]:
    for field in manifest.config:
        if (field.type == "choice") != bool(field.choices):
            yield f"config.{field.name}: choices go with the type choice"
        if field.required and field.default is not None:
            yield f"config.{field.name}: required and a default exclude each other"
