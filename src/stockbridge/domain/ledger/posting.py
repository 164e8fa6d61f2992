"""One document being booked: where, when, under which numbers."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stockbridge.domain.ledger.rules import record
from stockbridge.domain.masters.model import Location
from stockbridge.domain.world.command import Command
from stockbridge.domain.world.model import Movement
from stockbridge.domain.world.resolve import ResolvedLine
from stockbridge.domain.world.world import World


@dataclass(slots=True)
class Posting:
    """A fact's document on its way into the ledger; `places` are its locations, first reporting.

    `lot` and `serials` are of what is being moved; `promises` are the reservations it told about.
    """

    world: World
    command: Command
    document_type: str
    document_number: str
    places: list[Location]
    occurred_at: datetime
    lot: str | None = None
    serials: tuple[str, ...] = ()
    promises: set[int] = field(default_factory=set)

    @property
    def body(self) -> Any:
        """The request; each kind of fact has its own shape."""
        return self.command.body

    @property
    def source(self) -> str:
        """Who reports: as the body says, else the caller's system, else the caller."""
        return self.body.source or self.command.system or self.command.principal

    def movement(
        self,
        kind: int,
        line: ResolvedLine,
        accounts: tuple[int, int],
        quantity: int,
        *,
        location: Location | None = None,
        reason: str | None = None,
    ) -> Movement:
        """A ledger entry of this document."""
        return Movement(
            kind=kind,
            item_id=line.item.item_id,
            location_id=(location or self.places[0]).location_id,
            from_account=accounts[0],
            to_account=accounts[1],
            quantity=quantity,
            occurred_at=self.occurred_at,
            document_type=self.document_type,
            document_number=self.document_number,
            document_line=line.name,
            correlation_id=self.command.correlation_id,
            reason=reason,
            unit_cost=line.item.standard_cost,
            message_id=self.command.message_id,
            lot=self.lot,
            serials=self.serials,
        )

    def move(
        self,
        kind: int,
        line: ResolvedLine,
        accounts: tuple[int, int],
        quantity: int,
        *,
        location: Location | None = None,
        reason: str | None = None,
    ) -> None:
        """Record a movement of this document; zero moves nothing, below zero takes it back."""
        if quantity < 0:
            accounts = (accounts[1], accounts[0])
        if quantity:
            entry = self.movement(
                kind, line, accounts, abs(quantity), location=location, reason=reason
            )
            record(self.world, entry)
