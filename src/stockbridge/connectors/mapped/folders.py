"""Reads partners' mapping folders: `manifest.toml`, and each sample's message and events.

A sample is `samples/NAME.in.EXT` (the message as it comes) with `samples/NAME.events.json` (the
events it must give), or `samples/NAME.refused.txt` (the code of the reason why it gives none).
"""

import json
import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from stockbridge.contracts.expression import Failed
from stockbridge.contracts.mapping import Manifest, decode_manifest
from stockbridge.kernel.errors import Misconfigured

MANIFEST = "manifest.toml"


def names() -> list[str]:
    """The partners that come with the hub."""
    return sorted(f.name for f in files(__package__).iterdir() if (f / MANIFEST).is_file())


def find(name: str) -> Traversable:
    """The folder of a partner that comes with the hub, or any folder by its path."""
    ours = files(__package__) / name
    if name in names():
        return ours
    path = Path(name)
    if (path / MANIFEST).is_file():
        return path
    known = ", ".join(names())
    raise Misconfigured(f"no mapping {name}: give one of {known}, or a folder with a {MANIFEST}")


def read(folder: Traversable) -> Manifest:
    """The manifest of a folder, samples included; Misconfigured names file and fault."""
    document = _document(folder)
    samples = folder / "samples"
    if samples.is_dir():
        document.setdefault("samples", [])
        document["samples"] += [
            _sample(samples, entry)
            for entry in sorted(samples.iterdir(), key=lambda entry: entry.name)
            if ".in." in entry.name
        ]
    try:
        return decode_manifest(document)
    except Failed as error:
        raise Misconfigured(f"{folder.name}/{MANIFEST}: {error}") from error


def _document(folder: Traversable) -> dict[str, Any]:
    try:
        return tomllib.loads((folder / MANIFEST).read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{folder.name}/{MANIFEST}: {error}") from error


def _sample(folder: Traversable, message: Traversable) -> dict[str, Any]:
    name = message.name.partition(".in.")[0]
    found: dict[str, Any] = {"name": name, "input": message.read_text("utf-8")}
    events, refused = folder / f"{name}.events.json", folder / f"{name}.refused.txt"
    if events.is_file():
        try:
            found["expected"] = json.loads(events.read_text("utf-8"))
        except json.JSONDecodeError as error:
            raise Misconfigured(f"samples/{events.name}: {error}") from error
    elif refused.is_file():
        found["expected_code"] = refused.read_text("utf-8").strip()
    else:
        raise Misconfigured(f"samples/{message.name} has no {events.name} and no {refused.name}")
    return found
