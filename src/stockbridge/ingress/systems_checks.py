"""What of a system is not right on our side, each with its fix. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import Check

CLOCK_SECONDS_MAX: Final = 5.0
LOCATIONS: Final = "locations"
CHANNEL: Final = "channel"
"""Fields of a configuration that name our own: a table of location codes, a channel's code."""


class Facts(NamedTuple):
    """Our side of a system: what `system_facts` reads, and what is around it.

    `faults` are those of the configuration; `secret_days` the age of each secret; `clock_seconds`
    how far the database's clock is ahead of ours; `unnamed` listed SKUs without an alias.
    """

    system: str
    manifest: Manifest
    config: Mapping[str, Any]
    environment: str
    lifecycle: str
    faults: Sequence[str]
    secret_days: Mapping[str, float]
    can_decrypt: bool
    clock_seconds: float
    channels: Sequence[str]
    sources: Sequence[str]
    unknown_locations: Sequence[str]
    aliases: int
    listings: int
    unnamed: Sequence[str]


def checks(facts: Facts) -> list[Check]:
    """All checks, good ones too, in the order in which they are best put right."""
    return [
        *_configuration(facts),
        *_secrets(facts),
        *_life(facts),
        *_clock(facts),
        *_channel(facts),
        *_locations(facts),
        *_names(facts),
    ]


def _configuration(facts: Facts) -> Iterator[Check]:
    for fault in facts.faults:
        field, _, detail = fault.partition(": ")
        fix = f"correct {field}: PUT /v1/systems/{facts.system}"
        yield Check("configuration", False, detail or field, fix)
    if not facts.faults:
        yield Check("configuration", True, f"fits the connector {facts.manifest.name}")


def _secrets(facts: Facts) -> Iterator[Check]:
    if not facts.can_decrypt:
        fix = "set STOCKBRIDGE_SECRET_KEY to the value under which the secrets were put"
        yield Check("secret key", False, "secrets cannot be read", fix)
    for secret in facts.manifest.secrets:
        days = facts.secret_days.get(secret.name)
        name = f"secret {secret.name}"
        fix = f"stockbridge systems secret {facts.system} {secret.name}"
        if days is None:
            detail = f"is not set; {secret.help}"
            yield Check(name, not secret.required, detail, fix if secret.required else "")
        elif secret.days_valid is not None and days >= secret.days_valid:
            detail = f"is {days:.0f} days old, it is good for {secret.days_valid}"
            yield Check(name, False, detail, fix)
        else:
            yield Check(name, True, f"set {days:.0f} days ago")


def _life(facts: Facts) -> Iterator[Check]:
    if facts.lifecycle == "retired":
        fix = "make a new system; a retired one does not come back"
        yield Check("lifecycle", False, "is retired", fix)
        return
    yield Check("lifecycle", True, f"is {facts.lifecycle} in {facts.environment}")


def _clock(facts: Facts) -> Iterator[Check]:
    apart = abs(facts.clock_seconds)
    detail = f"{apart:.1f} s between this machine and the database"
    fix = "keep both clocks by NTP; signatures and leases depend on them"
    is_good = apart <= CLOCK_SECONDS_MAX
    yield Check("clock", is_good, detail, "" if is_good else fix)


def _channel(facts: Facts) -> Iterator[Check]:
    named = facts.config.get(CHANNEL)
    fix = f'PUT /v1/channels/{named or "CODE"} with "system": "{facts.system}"'
    if named is not None and named not in facts.channels:
        yield Check("channel", False, f"channel {named} is not bound to {facts.system}", fix)
    elif facts.manifest.stock is not None and not facts.channels:
        yield Check("channel", False, f"no channel is bound to {facts.system}", fix)
    elif facts.channels:
        yield Check("channel", True, f"bound: {', '.join(facts.channels)}")


def _locations(facts: Facts) -> Iterator[Check]:
    if facts.unknown_locations:
        named = ", ".join(facts.unknown_locations)
        fix = f"PUT /v1/locations/CODE, or correct the table {LOCATIONS}"
        yield Check("locations", False, f"{named}: no location of ours", fix)
    stock = facts.manifest.stock
    mapped = facts.config.get(LOCATIONS) or {}
    if stock is not None and stock.per_location:
        absent = [code for code in facts.sources if code not in mapped]
        fix = f"add the partner's id of each to the table {LOCATIONS}"
        detail = f"not mapped: {', '.join(absent)}" if absent else f"{len(mapped)} mapped"
        yield Check("locations mapped", not absent, detail, fix if absent else "")


def _names(facts: Facts) -> Iterator[Check]:
    stock = facts.manifest.stock
    if stock is None or stock.item_key != "alias":
        return
    fix = f"stockbridge systems discover {facts.system}, or stockbridge import aliases FILE"
    if facts.unnamed:
        detail = f"listed without an alias: {', '.join(facts.unnamed)}"
        yield Check("aliases", False, detail, fix)
    elif not facts.aliases:
        detail = f"no item has an alias in the namespace {facts.system}"
        yield Check("aliases", False, detail, fix)
    else:
        yield Check("aliases", True, f"{facts.aliases} aliases, {facts.listings} listings")
