"""Makes the folder of a new connector from the skeleton; it passes the suite at once."""

import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from stockbridge import connectors
from stockbridge.kernel.errors import Misconfigured

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SKELETON: Final = f"{connectors.__name__}.kit.skeleton"
_SKIPPED: Final = ("__pycache__", ".pyc")


def scaffold(name: str, parent: Path | None = None) -> Path:
    """Write the folder `name` below `parent`, by default beside ours; raises Misconfigured."""
    if not _NAME.fullmatch(name):
        raise Misconfigured(f"{name}: give small letters, digits and _, like acme_shop")
    folder = (parent or Path(str(files(connectors.__name__)))) / name
    if folder.exists():
        raise Misconfigured(f"{folder} is there already")
    for path, text in _texts(files(_SKELETON), Path()):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_renamed(text, name), "utf-8")
    return folder


def _texts(folder: Traversable, at: Path) -> Iterator[tuple[Path, str]]:
    for entry in folder.iterdir():
        if entry.name.endswith(_SKIPPED):
            continue
        if entry.is_dir():
            yield from _texts(entry, at / entry.name)
        else:
            yield at / entry.name, entry.read_text("utf-8")


def _renamed(text: str, name: str) -> str:
    text = text.replace(_SKELETON, f"{connectors.__name__}.{name}")
    host = name.replace("_", "-")
    text = text.replace("api.skeleton.example", f"api.{host}.example")
    text = text.replace("sandbox.skeleton.example", f"sandbox.{host}.example")
    title = name.replace("_", " ").capitalize()
    return text.replace("Skeleton", title).replace("skeleton", name)
