"""X12 and EDIFACT files: show, check, convert."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stockbridge.connectors.edi.events import Event
    from stockbridge.connectors.edi.partner.profile import Profile

edi = typer.Typer(help="X12 and EDIFACT files: show, check, convert.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(help="The file.", exists=True, dir_okay=False)]
ProfileFile = Annotated[
    Path,
    typer.Option("--profile", help="The partner's profile, TOML.", exists=True, dir_okay=False),
]
Control = Annotated[int, typer.Option(help="The control number to use.", min=1, max=999_999_999)]
_BLOCK_BYTES = 256 * 1024


class Form(StrEnum):
    """What a file becomes."""

    JSON = "json"
    NDJSON = "ndjson"
    X12 = "x12"
    EDIFACT = "edifact"


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
def convert(
    file: File, to: Annotated[Form, typer.Option(help="json, ndjson, x12 or edifact.")] = Form.JSON
) -> None:
    """Write a file in another form to standard output; x12 and edifact put right its counts.

    Example: stockbridge edi convert 850.edi --to json
    """
    if to in {Form.X12, Form.EDIFACT}:
        _rewrite(file, to)
        return
    from stockbridge.connectors.edi.documents.showing import json_lines

    lines = (line.decode() for line in json_lines(_events(file)))
    if to is Form.NDJSON:
        for line in lines:
            print(line)
        return
    print("[", end="")
    for number, line in enumerate(lines):
        print(",\n " if number else "\n ", line, sep="", end="")
    print("\n]")


@edi.command()
def meaning(file: File, profile: ProfileFile) -> None:
    """Print what a file would book, compare or order with a partner's profile, a line a document.

    Example: stockbridge edi meaning 945.edi --profile acme.toml
    """
    from stockbridge.connectors.edi.partner.telling import meanings

    agreed = _profile(profile)
    for line in meanings(_events(file, agreed), agreed):
        print(line.decode())


@edi.command()
def reply(file: File, profile: ProfileFile, control: Control = 1) -> None:
    """Print the acknowledgement of a file, and answers that accept its orders.

    Example: stockbridge edi reply 850.edi --profile acme.toml
    """
    from datetime import UTC, datetime

    from stockbridge.connectors.edi.partner import telling
    from stockbridge.connectors.edi.partner.sending import Numbers

    agreed = _profile(profile)
    numbers = Numbers(interchange=control, group=control)
    text = telling.reply(_events(file, agreed), agreed, numbers, datetime.now(UTC))
    print(text or "there is nothing to answer", end="" if text else "\n")


@edi.command()
def write(file: File, profile: ProfileFile, control: Control = 1) -> None:
    """Print an interchange of the documents in a file, as `convert --to ndjson` gives them.

    Example: stockbridge edi write stock.ndjson --profile acme.toml --control 17
    """
    from datetime import UTC, datetime

    from stockbridge.connectors.edi.partner import telling
    from stockbridge.connectors.edi.partner.sending import Numbers

    numbers = Numbers(interchange=control, group=control)
    lines = file.read_bytes().splitlines()
    print(telling.written(lines, _profile(profile), numbers, datetime.now(UTC)), end="")


def _profile(file: Path) -> "Profile":
    from stockbridge.connectors.edi.partner.profile import load

    return load(file.read_text("utf-8"), file.name)


def _rewrite(file: Path, to: Form) -> None:
    from stockbridge.connectors.edi.reading import rewrite, standard_of
    from stockbridge.kernel.errors import Misconfigured

    with file.open("rb") as stream:
        standard = standard_of(stream.read(_BLOCK_BYTES))
    if standard != to.value:
        message = f"{file} is {standard}, and what it says in {to.value} is a partner's agreement"
        raise Misconfigured(f"{message}; give --to {standard} or --to json")
    for text in rewrite(_events(file)):
        print(text, end="")


def _events(file: Path, profile: "Profile | None" = None) -> "Iterator[Event]":
    from stockbridge.connectors.edi.reading import read

    return read(_blocks(file), profile.policy() if profile else None)


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            yield block
