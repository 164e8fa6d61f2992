"""What the inbox takes, keeps and answers."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, Protocol


class Envelope(NamedTuple):
    """One message as a door hands it over: who sent it, under which ids, and its exact bytes.

    `source_message_id` is unique within `system`: the same id with the same bytes is a repeat.
    `sequence` numbers the messages of (`system`, `flow`), where the source does so. `contract` is
    the CloudEvents type, `mapping:NAME.vN` or `epcis`, version included. `is_exact`: the id names
    no version of a content, so other bytes under it contradict it, also from a connector.
    """

    system: str
    source_message_id: str
    flow: str
    sequence: int | None
    correlation_id: str
    causation_id: str | None
    principal: str
    door: str
    contract: str
    content_type: str
    body: bytes
    is_exact: bool = False


class Accepted(NamedTuple):
    """What became of an envelope: `received`, `duplicate` (of that message) or `conflict`.

    A conflict is kept under its own id as a rejected message.
    """

    message_id: int
    status: str


class Message(NamedTuple):
    """A stored message on its way through the applier; `attempts` counts those that ended."""

    message_id: int
    received_at: datetime
    system: str
    flow: str
    sequence: int | None
    correlation_id: str
    principal: str
    contract: str
    content_type: str
    body: bytes
    attempts: int


class Settlement(NamedTuple):
    """What became of a message: a status of the table, why, and for parked ones the wait keys.

    Status `received` means: try again after `again_seconds`.
    """

    status: str
    reason_code: str | None = None
    reason: str | None = None
    wait_keys: tuple[str, ...] = ()
    again_seconds: int = 0


class Flow(NamedTuple):
    """How patient a source's flow is."""

    is_strict: bool = False
    wait_seconds_max: int = 300
    park_seconds_max: int = 86_400
    owner_team: str = "operations"


class Undecodable(Protocol):
    """Why bytes could not be read: `code` is stable, `detail` names the place and the fix.

    `missing` are wait keys: once their things exist the bytes may be readable.
    """

    @property
    def code(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def missing(self) -> tuple[str, ...]: ...


Decode = Callable[[str, str, bytes], "list[Any] | Undecodable"]
"""(contract, content type, bytes) -> the command bodies of stockbridge.contracts, or why not."""
