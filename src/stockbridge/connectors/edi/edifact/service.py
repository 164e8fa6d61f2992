"""Finds EDIFACT's separators and takes its escapes out and puts them in.

Source: ISO 9735, UNA and the release character: `?` takes its meaning from the character after it.
"""

import re
from functools import cache
from typing import Final

import msgspec

from stockbridge.connectors.edi.findings import finding
from stockbridge.connectors.edi.scanning import LOOK_CHARS, Batch, Heading
from stockbridge.connectors.edi.segments import COMPONENT, REPEAT, Delimiters

DEFAULT: Final = Delimiters(
    element="+", component=":", repetition="", terminator="'", release="?", decimal="."
)
_SERVICE_CHARS: Final = len("UNA:+.? '")
# Unicode guarantees that these stand for no character, so they can stand for escaped ones.
_STAND_INS: Final = "".join(chr(0xFDD0 + place) for place in range(5))


def detect(text: str) -> Heading | None:
    """The UNB, after a UNA or not, that `text` begins with."""
    delimiters, start = DEFAULT, 0
    findings = []
    if text.startswith("UNA"):
        if len(text) < _SERVICE_CHARS:
            return None
        delimiters, start = _named(text), _SERVICE_CHARS
        if len(set(delimiters.all)) < len(delimiters.all):
            message = f"UNA {text[3:_SERVICE_CHARS]!r} names a character twice"
            findings.append(finding("SERVICE_STRING", message, segment="UNA"))
    rest = text[start : start + LOOK_CHARS]
    body, mark, after = prepare(rest, delimiters).partition(delimiters.terminator)
    if not mark or not body.lstrip().startswith("UNB"):
        return None
    newline = next((n for n in ("\r\n", "\n") if after.startswith(n)), "")
    delimiters = msgspec.structs.replace(delimiters, newline=newline)
    segment = batch([body], delimiters).segments[0]
    chars = start + len(_whole(rest, delimiters))
    return Heading(segment, delimiters, chars, findings)


def _named(text: str) -> Delimiters:
    """The separators of the UNA that `text` begins with."""
    return Delimiters(
        component=text[3],
        element=text[4],
        decimal=text[5],
        release=text[6].strip(),
        repetition=text[7].strip(),
        terminator=text[8],
    )


def bare(text: str) -> Delimiters | None:
    """The default separators, for a UNH that begins the text."""
    return DEFAULT if text.startswith("UNH+") else None


def _whole(text: str, delimiters: Delimiters) -> str:
    """The first segment as it is written, with its escapes and terminator."""
    end = 0
    while end < len(text) and text[end] != delimiters.terminator:
        end += 2 if text[end] == delimiters.release else 1
    return text[: end + 1]


def prepare(text: str, delimiters: Delimiters) -> str:
    """The text with stand-ins for what is escaped; a release at its very end waits for more."""
    release = delimiters.release
    if not release or release not in text:
        return text
    pattern, stand_ins, _ = _escapes(delimiters)
    return pattern.sub(
        lambda match: stand_ins.get(match[1], match[1]) if match[1] else match[0], text
    )


def batch(texts: list[str], delimiters: Delimiters) -> Batch:
    """Segments of prepared texts."""
    element, component, repetition = (
        delimiters.element,
        delimiters.component,
        delimiters.repetition,
    )
    _, _, meant = _escapes(delimiters)
    segments = []
    for text in texts:
        plain = text.lstrip().replace(component, COMPONENT)
        if repetition:
            plain = plain.replace(repetition, REPEAT)
        segment = plain.split(element)
        if not plain.isascii():
            segment = [value.translate(meant) for value in segment]
        segments.append(segment)
    return Batch(segments, texts)


def escaped(value: str, delimiters: Delimiters) -> str:
    """A value as it is written; its parts are set apart already."""
    pattern = _special(delimiters)
    return pattern.sub(lambda match: delimiters.release + match[0], value)


@cache
def _special(delimiters: Delimiters) -> re.Pattern[str]:
    return re.compile(f"[{re.escape(delimiters.all)}]")


@cache
def _escapes(delimiters: Delimiters) -> tuple[re.Pattern[str], dict[str, str], dict[int, str]]:
    """(what to look for, stand-ins by the character they stand for, and the other way)."""
    stand_ins = dict(zip(delimiters.all, _STAND_INS, strict=False))
    release = re.escape(delimiters.release) or "(?!)"
    # A service string in the middle of a file is no escape, though it holds the release.
    pattern = re.compile(rf"UNA[^\w\s]{{4}}[^\w][^\w\s]|{release}(.)", re.DOTALL)
    return pattern, stand_ins, {ord(mark): char for char, mark in stand_ins.items()}
