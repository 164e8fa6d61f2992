"""Makes x12/tables_004010.txt from the extract of the 004010 dictionary in ../shared.

    python src/stockbridge/connectors/edi/tests/x12_tables.py

The extract has flattened the first loop of each set into the set's own list; `unflatten` puts it
back. Syntax notes, envelopes, 753, 754 and 999 are not in it and stand here.
"""

import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[5]
SOURCE = ROOT.parent / "shared" / "reference" / "x12_4010.json"
TARGET = Path(__file__).resolve().parents[1] / "x12" / "tables_004010.txt"
UNLIMITED = 999_999

# code: (functional id in GS01, the segment that begins an item loop, those that begin the trailer)
SETS = {
    "180": ("AN", "BLI", ()),
    "753": ("RF", "LX", ()),
    "754": ("RG", "LX", ()),
    "810": ("IN", "IT1", ("TDS",)),
    "846": ("IB", "LIN", ("CTT",)),
    "850": ("PO", "PO1", ("CTT",)),
    "852": ("PD", "LIN", ("CTT",)),
    "855": ("PR", "PO1", ("CTT",)),
    "856": ("SH", "HL", ("CTT",)),
    "860": ("PC", "POC", ("CTT",)),
    "861": ("RC", "RCD", ("CTT",)),
    "865": ("CA", "POC", ("CTT",)),
    "940": ("OW", "LX", ("W76",)),
    "943": ("AR", "W04", ("W03",)),
    "944": ("RE", "W07", ("W14",)),
    "945": ("SW", "LX", ("W03",)),
    "947": ("AW", "W19", ()),
    "997": ("FA", "AK2", ("AK9",)),
    "999": ("FA", "AK2", ("AK9",)),
}
# 753 and 754 begin with 004030; their structure here is what guides have in common.
OWN_SETS = {
    "753": "BGN! DTM*10 PER*3 (N1! N2*2 N3*2 N4 G61*3)* (LX! N1 N2*2 N3*2 N4 G61*3 L11*99 G62*10 "
    "(OID! L11*99 G62*10 QTY*99 LX LAD*99)*)*",
    "754": "BGN! DTM*10 PER*3 (N1! N2*2 N3*2 N4 G61*3)* (LX! L11*99 BLR SMD G62*10 "
    "(N1! N2*2 N3*2 N4 G61*3)* (OID! L11*99 G62*10 QTY*99)*)*",
    "999": "AK1! (AK2! (IK3! CTX*10 (IK4! CTX*10)*)* IK5!)* AK9!",
}
OWN_SEGMENTS = {
    "IK3": "0721! 0719! 0447 0620!",
    "IK4": "C030! 0725 0621! 0724",
    "IK5": "0717! 0618 0618 0618 0618 0618",
    "CTX": "C998! 0721 0719 0447 C030 C999",
}
OWN_ELEMENTS = {
    "0618": "ID 1 3",
    "0620": "ID 1 3",
    "0621": "ID 1 3",
}
COMPOSITES = {
    "C001": "0355",
    "C007": "0235",
    "C040": "0128",
}
ENVELOPE = ("ISA", "IEA", "GS", "GE", "ST", "SE")
NOTES = {
    "ACK": "P0203 C0405",
    "CTT": "P0304 P0506",
    "DTM": "R020305 C0403 P0506",
    "G62": "R0103 P0102 P0304",
    "IT1": "P020304",
    "MAN": "P0405 C0605",
    "N1": "R0203 P0304",
    "N4": "C0605",
    "N9": "R0203",
    "PER": "P0304 P0506 P0708",
    "PO1": "C0302 C0504",
    "POC": "P0305 C0706",
    "QTY": "R0204 E0204",
    "REF": "R0203",
    "SAC": "R0203 P0304 P0607",
    "SN1": "P0506",
    "TD1": "C0102 C0304 C0607 P0708 P0910",
    "TD5": "R0204050612 C0203 C0708 C1011",
    "W01": "R0304",
    "W04": "R0304",
    "W07": "R0304",
    "W12": "R0607",
    "W19": "R0405",
}
HEAD = """\
# X12 004010: the sets that a distributor trades, with all they can hold.
# Made by tests/x12_tables.py; see ATTRIBUTION.md for where the facts come from.
# element NUMBER TYPE MIN MAX [CODE...]     composite NUMBER FIRST-COMPONENT
# segment TAG ELEMENT[!]... [; NOTE...]      tags: every segment of 004010
# set CODE FUNCTIONAL-ID ITEM-SEGMENT TRAILER-SEGMENTS|- : SEGMENT[!][*MAX], (loop)[!][*MAX]
# ! mandatory, * without a number: any number of times
"""


def unflatten(code: str, loops: dict[str, list[list[str]]]) -> dict[str, list[list[str]]]:
    """The lists of one set, with its first loop taken out of the end of the set's own list."""
    root = list(loops[f"M_{code}"])
    named = [name for name, _use, _most in root if name.startswith("L_")]
    lost = next(name for name in named if name not in loops)
    trigger = lost.removeprefix("L_")
    first = max(i for i, node in enumerate(root) if node[:2] == [trigger, "Mandatory"])
    return loops | {f"M_{code}": root[:first], lost: root[first:]}


def structure(name: str, loops: dict[str, list[list[str]]]) -> str:
    """One list as text, its loops inside."""
    words = []
    for node, use, most in loops[name]:
        body = f"({structure(node, loops)})" if node.startswith("L_") else node
        count = int(most)
        times = "*" if count >= UNLIMITED else f"*{count}" if count > 1 else ""
        words.append(body + ("!" if use == "Mandatory" else "") + times)
    return " ".join(words)


def pairs(elements: list[str]) -> Iterator[str]:
    """Notes of qualifier and id that come together, where both are optional."""
    for index, (first, second) in enumerate(pairwise(elements), start=1):
        if (first, second) in {("0235", "0234"), ("0067", "0380")}:
            yield f"P{index:02}{index + 1:02}"


def lines(source: dict[str, Any]) -> Iterator[str]:
    """The table, line by line."""
    sets = {}
    for code, (functional_id, item, trailers) in SETS.items():
        body = OWN_SETS.get(code)
        if body is None:
            body = structure(f"M_{code}", unflatten(code, source["maps"][code]))
        sets[code] = f"set {code} {functional_id} {item} {','.join(trailers) or '-'} : {body}"
    tags = sorted({w for line in sets.values() for w in words_of(line)} | set(ENVELOPE))
    segments = {}
    for tag in tags:
        if tag in OWN_SEGMENTS:
            segments[tag] = OWN_SEGMENTS[tag].split()
        elif tag in source["segs"]:
            segments[tag] = [n + ("!" if use == "M" else "") for n, use in source["segs"][tag]]
    used = {n.rstrip("!") for elements in segments.values() for n in elements}
    used |= set(COMPOSITES.values())
    for number in sorted(used):
        if number in OWN_ELEMENTS:
            yield f"element {number} {OWN_ELEMENTS[number]}"
        elif number in source["els"]:
            one = source["els"][number]
            kind = "R" if one["t"].startswith("R") else one["t"]
            head = f"element {number} {kind} {one['MinLength']} {one['MaxLength']}"
            yield " ".join([head, *sorted(code for code in one["codes"] if code)])
    yield from (f"composite {number} {first}" for number, first in COMPOSITES.items())
    for tag, elements in segments.items():
        notes = [*NOTES.get(tag, "").split(), *pairs(elements)]
        yield " ".join(["segment", tag, *elements, *([";", *notes] if notes else [])])
    yield " ".join(["tags", *sorted({*source["segs"], *OWN_SEGMENTS, "TA1"})])
    yield from sets.values()


def words_of(line: str) -> set[str]:
    """The segments that a set's line names."""
    body = line.partition(" : ")[2]
    for mark in "()!*":
        body = body.replace(mark, " ")
    return {word for word in body.split() if not word.isdigit()}


def text() -> str:
    """The whole file."""
    source = json.loads(SOURCE.read_text("utf-8"))
    return HEAD + "\n".join(lines(source)) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), "utf-8")
    sys.stdout.write(f"{TARGET}\n")
