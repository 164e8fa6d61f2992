"""Administrative acts among the commands: what the audit says of each, in the same transaction."""

from typing import Any, NamedTuple

import msgspec

from stockbridge.contracts import commands, masters
from stockbridge.domain.world.command import Command


class Act(NamedTuple):
    """A row of the audit: `act` is noun.verb, `subject` noun/name."""

    actor: str
    act: str
    subject: str
    detail: str
    correlation_id: str


NOUNS: dict[type, tuple[str, tuple[str, ...]]] = {
    masters.PutItem: ("item.put", ("sku",)),
    masters.ChangeItem: ("item.change", ("sku",)),
    masters.PutLocation: ("location.put", ("code",)),
    masters.ChangeLocation: ("location.change", ("code",)),
    masters.PutChannel: ("channel.put", ("code",)),
    masters.PutSystem: ("system.put", ("code",)),
    masters.PutReasonCode: ("reason_code.put", ("code",)),
    masters.PutPolicy: ("policy.put", ("channel", "sku")),
    masters.PutOrderFlow: ("order_flow.put", ("channel",)),
    commands.SetSafetyStock: ("safety_stock.set", ()),
    commands.SetFences: ("fences.set", ("channel",)),
}
"""The act of each administrative command, and the fields that name its subject."""


def act_of(command: Command) -> Act | None:
    """What the audit keeps of an accepted command; None where it is no administrative act."""
    known = NOUNS.get(type(command.body))
    if known is None:
        return None
    act, fields = known
    body: Any = command.body
    names = [getattr(body, field) for field in fields]
    subject = "/".join([act.partition(".")[0], *[name for name in names if name is not None]])
    detail = msgspec.json.encode(body).decode()
    return Act(command.principal, act, subject, detail, command.correlation_id)
