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

    EDI = "edi"


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
def check(
    files: Annotated[
        list[Path], typer.Argument(help="Files, in order.", exists=True, dir_okay=False)
    ],
    answer: Annotated[
        bool, typer.Option("--answer", help="Print the acknowledgement they would get.")
    ] = False,
) -> None:
    """Print what is wrong in files; exit code 1 when a set, a group or a file is refused.

    Example: stockbridge edi check 945.edi
    """
    from stockbridge.connectors.edi.checking import Desk, plain
    from stockbridge.connectors.edi.findings import Severity
    from stockbridge.connectors.edi.showing import told
    from stockbridge.kernel.errors import Misconfigured

    desk, sets, errors = Desk(), 0, 0
    for file in files:
        checked = desk.check(_events(file))
        sets += checked.sets
        errors += sum(found.severity is Severity.ERROR for found in checked.findings)
        prefix = f"{file.name}: " if len(files) > 1 else ""
        for found in checked.findings:
            print(f"{prefix}{told(found)}")
        for segment in checked.answers if answer else []:
            print(f"{prefix}{plain(segment)}")
    if errors:
        raise Misconfigured(f"{', '.join(map(str, files))}: {errors} errors in {sets} sets")
    print(f"{sets} sets, no error")


@edi.command()
def convert(file: File, to: Annotated[Form, typer.Option(help="The form.")] = Form.EDI) -> None:
    """Write a file in another form to standard output.

    Example: stockbridge edi convert 850.edi --to edi
    """
    from stockbridge.connectors.edi.reading import rewrite

    del to
    for text in rewrite(_events(file)):
        print(text, end="")


def _events(file: Path) -> "Iterator[Event]":
    from stockbridge.connectors.edi.reading import read

    return read(_blocks(file))


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            yield block
