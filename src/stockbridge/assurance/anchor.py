"""An anchor: one seal of the chain, kept outside the database, where its owner cannot reach it.

The file is one JSON object: `{"seal_id": 12, "hash": "<64 hex digits>"}`.
"""

import json
from pathlib import Path
from typing import NamedTuple

from stockbridge.kernel.errors import Misconfigured


class Anchor(NamedTuple):
    """A seal's number and hash."""

    seal_id: int
    hash: bytes


def read_anchor(path: Path) -> Anchor:
    """The anchor of a file; raises Misconfigured when there is none in it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Anchor(int(content["seal_id"]), bytes.fromhex(content["hash"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Misconfigured(
            f"anchor {path} cannot be read ({error}); give a file written by --write-anchor"
        ) from error


def save_anchor(path: Path, anchor: Anchor) -> None:
    """Write the anchor; raises Misconfigured when the file cannot be written."""
    content = {"seal_id": anchor.seal_id, "hash": anchor.hash.hex()}
    try:
        path.write_text(json.dumps(content) + "\n", encoding="utf-8")
    except OSError as error:
        raise Misconfigured(f"anchor {path} cannot be written: {error}") from error
