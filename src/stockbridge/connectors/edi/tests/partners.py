"""A made-up 3PL's profile, and the meaning of bodies under it."""

import tomllib

import msgspec

from stockbridge.connectors.edi import reading
from stockbridge.connectors.edi.documents.reading import documents
from stockbridge.connectors.edi.partner.deciding import meaning_of
from stockbridge.connectors.edi.partner.profile import decode, load
from stockbridge.connectors.edi.tests.files import interchange
from stockbridge.connectors.edi.x12.dictionary import tables
from stockbridge.contracts.events.decoding import command_of

PROFILE = """
name = "acme"
time_zone = "America/Chicago"
partner = {id = "SENDER", qualifier = "ZZ"}
us = {id = "RECEIVER", qualifier = "ZZ", app_id = "US"}
[items]
namespace = "acme"
global_namespace = "gtin"
[locations]
roles = ["WH", "SF"]
table = {DC1 = "AUSTIN", DC2 = "BOSTON", "009" = "STORE-9"}
[units]
CA = "CASE"
"""
ACME = load(PROFILE)


def profile(**changes):
    """The profile with other values."""
    return decode(tomllib.loads(PROFILE) | changes)


def meaning(code, body, agreed=ACME):
    """What an X12 body means; `;` ends a segment."""
    text = interchange(f"{code}~{body.replace(';', '~')}", gs=tables().sets[code].functional_id)
    return of_text(text, agreed)


def of_text(text, agreed=ACME):
    (read,) = documents(reading.read([text.encode()], agreed.policy()))
    return meaning_of(read, agreed)


def said(booking):
    """(event, quantity, item, document number, line, what else) of each fact, as a table reads.

    Each fact is also taken by the hub's own decoder.
    """
    rows = []
    for fact in booking.facts:
        data = fact.data
        taken = command_of(fact.contract, {k: v for k, v in _plain(data).items() if v is not None})
        assert isinstance(taken, list), taken
        name = fact.contract.removeprefix("io.stockbridge.").removesuffix(".v1")
        item = data.sku or f"{data.namespace}:{data.alias}"
        more = {
            field: getattr(data, field)
            for field in (
                *("package", "lot", "state", "fulfillment", "uom", "reason", "serials"),
                *("to_location", "from_location"),
            )
            if getattr(data, field, None)
        }
        if more.get("state") == "available":
            del more["state"]
        rows.append((name, data.quantity, item, data.document.number, data.document.line, more))
    return rows


def _plain(data):
    return msgspec.to_builtins(data)


def codes(meant):
    return [found.code for found in meant.findings]
