"""X12 and EDIFACT files: show, check, convert."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stockbridge.connectors.edi.events import Event

edi = typer.Typer(help="X12 and EDIFACT files: show, check, convert.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(help="The file.", exists=True, dir_okay=False)]
_BLOCK_BYTES = 256 * 1024


class Form(StrEnum):
    """What a file becomes."""

    X12 = "x12"


@edi.command()
def show(
    file: File,
    segments: Annotated[int, typer.Option(help="At most so many segments of a set.")] = 500,
) -> None:
    """Print a file's segments with what is wrong beside them.

    Example: stockbridge edi show 945.edi
    """
    from stockbridge.connectors.edi.showing import lines

    for line in lines(_events(file), segments):
        print(line)


@edi.command()
def check(file: File) -> None:
    """Print what is wrong in a file; exit code 1 when a set, a group or the file is refused.

    Example: stockbridge edi check 945.edi
    """
    from stockbridge.connectors.edi.events import InterchangeClosed
    from stockbridge.connectors.edi.findings import Finding, Severity
    from stockbridge.connectors.edi.showing import told
    from stockbridge.kernel.errors import Misconfigured

    found: list[Finding] = []
    sets = 0
    for event in _events(file):
        if isinstance(event, Finding):
            found.append(event)
        elif isinstance(event, InterchangeClosed):
            found += event.result.everything
            sets += sum(len(group.sets) for group in event.result.groups)
    for one in found:
        print(told(one))
    errors = sum(one.severity is Severity.ERROR for one in found)
    if errors:
        raise Misconfigured(f"{file}: {errors} errors in {sets} sets")
    print(f"{sets} sets, no error")


@edi.command()
def convert(file: File, to: Annotated[Form, typer.Option(help="The form.")] = Form.X12) -> None:
    """Write a file in another form to standard output.

    Example: stockbridge edi convert 850.edi --to x12
    """
    from stockbridge.connectors.edi.x12.writer import rewrite

    del to
    for text in rewrite(_events(file)):
        print(text, end="")


def _events(file: Path) -> "Iterator[Event]":
    from stockbridge.connectors.edi.x12.reader import read

    return read(_blocks(file))


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            yield block
