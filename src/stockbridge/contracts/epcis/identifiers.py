"""GS1 identifiers as EPCIS writes them, EPC URIs and Digital Links, in our words. Pure."""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

GTIN: Final = "gtin"
"""The namespace of items' Global Trade Item Numbers, 14 digits."""
EPC: Final = "epc"
"""The namespace of items that are named by a URI of their owner."""
GLN_PREFIX: Final = "gln:"
_EPC_URI = re.compile(
    r"urn:epc:(?P<kind>id|idpat|class|tag|raw):(?P<scheme>[a-z0-9-]+):(?P<rest>.+)"
)
_DIGITS = re.compile(r"[0-9]+")
_GTIN_DIGITS, _GLN_DIGITS = 14, 13
_LOGISTIC: Final = {"sscc", "grai", "giai", "gdti", "gsin", "ginc", "itip", "cpi", "gsrn", "gsrnp"}
_LOGISTIC_LINKS: Final = {"00", "8003", "8004", "253", "402", "401", "8006", "8010", "8018", "8017"}


class Thing(NamedTuple):
    """A trade item as it was named; `serial` for one unit of it, `lot` for some."""

    namespace: str
    alias: str
    lot: str | None = None
    serial: str | None = None


def check_digit(digits: str) -> str:
    """The GS1 check digit of digits without one."""
    total = sum(int(digit) * (3 if at % 2 == 0 else 1) for at, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def thing(uri: str) -> Thing | str | None:
    """The trade item a URI names; None for what is no trade item; else why it is wrong."""
    match = _EPC_URI.fullmatch(uri)
    if match:
        return _epc_thing(match["kind"], match["scheme"], match["rest"], uri)
    keys = _link(uri)
    if "01" in keys:
        gtin = keys["01"].zfill(_GTIN_DIGITS)
        if len(gtin) != _GTIN_DIGITS or not _DIGITS.fullmatch(gtin):
            return f"{uri[:80]}: {keys['01'][:20]!r} is no GTIN"
        if check_digit(gtin[:-1]) != gtin[-1]:
            return f"{uri[:80]}: the check digit of GTIN {gtin} is {check_digit(gtin[:-1])}"
        return Thing(GTIN, gtin, keys.get("10"), keys.get("21"))
    if keys.keys() & _LOGISTIC_LINKS:
        return None
    return Thing(EPC, uri) if uri.strip() else "an identifier is empty"


def _epc_thing(kind: str, scheme: str, rest: str, uri: str) -> Thing | str | None:
    if scheme in _LOGISTIC:
        return None
    if scheme not in ("sgtin", "lgtin") or kind not in ("id", "idpat", "class"):
        return Thing(EPC, uri)
    parts = rest.split(".", 2)
    gtin = _gtin(parts)
    if gtin is None:
        return f"{uri[:80]} is no {scheme.upper()}: company prefix and item have 13 digits together"
    last = unquote(parts[2]) if len(parts) > 2 and parts[2] != "*" else None  # noqa: PLR2004
    return Thing(GTIN, gtin, last, None) if scheme == "lgtin" else Thing(GTIN, gtin, None, last)


def _gtin(parts: list[str]) -> str | None:
    """Indicator digit, company prefix, item reference, check digit."""
    if len(parts) < 2 or not all(map(_DIGITS.fullmatch, parts[:2])):  # noqa: PLR2004
        return None
    company, item = parts[:2]
    digits = item[0] + company + item[1:]
    return digits + check_digit(digits) if len(digits) == _GTIN_DIGITS - 1 else None


def place(uri: str) -> str:
    """The code of a location: `gln:` and its GLN, else the URI itself or what it ends with."""
    match = _EPC_URI.fullmatch(uri)
    if match and match["scheme"] == "sgln":
        parts = match["rest"].split(".")
        digits = "".join(parts[:2])
        if len(digits) == _GLN_DIGITS - 1 and _DIGITS.fullmatch(digits):
            return GLN_PREFIX + digits + check_digit(digits)
    keys = _link(uri)
    if "414" in keys:
        return GLN_PREFIX + keys["414"]
    return uri.rstrip("/").rpartition("/")[2] if uri.startswith(("http://", "https://")) else uri


def _link(uri: str) -> dict[str, str]:
    """The application identifiers in the path of a Digital Link."""
    if not uri.startswith(("http://", "https://")):
        return {}
    try:
        parts = [unquote(part) for part in urlsplit(uri).path.strip("/").split("/")]
    except ValueError:
        return {}
    start = next((at for at, part in enumerate(parts) if _DIGITS.fullmatch(part)), len(parts))
    keys = parts[start:]
    return dict(zip(keys[::2], keys[1::2], strict=False))


def word(value: str) -> str:
    """A CBV word without its namespace, whether that is a URN, a web URI or a CURIE."""
    return re.split(r"[:/#-]", value)[-1] if ":" in value or "/" in value else value
