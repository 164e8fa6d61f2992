"""One way to book every kind of fact: resolve, recognise repeats by business key, book, answer.

A kind of fact is a `FactSpec`: how its document is named, which locations it touches, and what
one new line books. Everything else (units, duplicates, conflicts, exceptions, feeds) is here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from stockbridge.domain.ledger.rules import check_balance, conflict, fact_key, record
from stockbridge.domain.masters.model import Catalog, Location
from stockbridge.domain.world.command import Command, Decision
from stockbridge.domain.world.model import Fact, Movement
from stockbridge.domain.world.needs import Needs
from stockbridge.domain.world.resolve import (
    ResolvedLine,
    find_location,
    need_items,
    resolve_lines,
    row_error,
)
from stockbridge.domain.world.world import World
from stockbridge.kernel.errors import Refusal

FUTURE_MAX = timedelta(days=1)
"""How far ahead of our clock a source's clock may be before its fact is refused as a mistake."""


@dataclass(slots=True)
class Posting:
    """One document being booked: where, when, under which numbers."""

    world: World
    command: Command
    document_type: str
    document_number: str
    places: list[Location]
    occurred_at: datetime

    @property
    def body(self) -> Any:
        """The request."""
        return self.command.body

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
        place = location or self.places[0]
        return Movement(
            kind=kind,
            item_id=line.item.item_id,
            location_id=place.location_id,
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
        """Record a movement of this document; zero moves nothing."""
        if quantity:
            entry = self.movement(kind, line, accounts, quantity, location=location, reason=reason)
            record(self.world, entry)


class FactLine(NamedTuple):
    """A resolved line with its business key and the line as it was asked."""

    key: str
    line: ResolvedLine
    asked: Any


class FactSpec(NamedTuple):
    """What makes a kind of fact. Functions take the request body (and, for `book`, the posting).

    `document_type`, `kind` and `number` name the document; `places` its location codes, the
    first being the one that reports; `parts` are further parts of a line's business key; `book` books one new line
    and may return extra fields of its answer; `check` may refuse the whole document beforehand.
    """

    document_type: Callable[[Any], str]
    kind: Callable[[Any], str]
    number: Callable[[Any], str]
    places: Callable[[Any], list[str]]
    parts: Callable[[Any, Any], tuple[object, ...]]
    book: Callable[[Posting, FactLine], dict[str, Any] | None]
    check: Callable[[World, Any], Refusal | None] = lambda _world, _body: None
    explode_kits: bool = False
    more_names: Callable[[Any, Needs], None] = lambda _body, _needs: None
    more_rows: Callable[[Any, list[FactLine], Catalog, Needs], None] = (
        lambda _body, _lines, _masters, _needs: None
    )


def fact_names(spec: FactSpec, body: Any, needs: Needs) -> None:
    """Collect the items a document names."""
    need_items(body.lines, needs)
    spec.more_names(body, needs)


def fact_rows(spec: FactSpec, body: Any, masters: Catalog, needs: Needs) -> None:
    """Collect the rows a document's lines touch."""
    lines = _fact_lines(spec, body, masters)
    if isinstance(lines, Refusal):
        return
    needs.facts = True
    needs.documents.add(spec.number(body))
    for fact in lines:
        needs.fact_keys.add(fact.key)
        needs.item_ids.add(fact.line.item.item_id)
    for code in spec.places(body):
        needs.locations.add(masters.locations[code].location_id)
    spec.more_rows(body, lines, masters, needs)


def decide_fact(spec: FactSpec, command: Command, world: World) -> Decision:
    """Book what is new of the document; repeats move nothing, contradictions open exceptions."""
    posting = _open(spec, command, world)
    if isinstance(posting, Refusal):
        return posting
    lines = _fact_lines(spec, command.body, world.masters)
    if isinstance(lines, Refusal):
        return lines
    refusal = spec.check(world, command.body)
    if refusal is not None:
        return refusal
    answers = [_book_line(spec, posting, fact) for fact in lines]
    for place in {(f.line.item.item_id, p.location_id) for f in lines for p in posting.places}:
        if place in world.balances_changed:
            check_balance(world, *place, command.correlation_id)
    world.feeds[posting.places[0].location_id] = world.now
    booked = any(answer["outcome"] == "booked" for answer in answers)
    return (201 if booked else 200), {
        "document": {"type": posting.document_type, "number": posting.document_number},
        "occurred_at": posting.occurred_at,
        "recorded_at": world.now,
        "lines": answers,
    }


def heard_source(command: Command) -> str:
    """Who reports: as the body says, else the caller's system, else the caller."""
    return command.body.source or command.system or command.principal


def _open(spec: FactSpec, command: Command, world: World) -> Posting | Refusal:
    body = command.body
    places = []
    for code in spec.places(body):
        place = find_location(world.masters, code)
        if isinstance(place, Refusal):
            return place
        places.append(place)
    occurred_at = body.occurred_at or world.now
    if occurred_at > world.now + FUTURE_MAX:
        detail = f"occurred_at {occurred_at.isoformat()} is more than a day ahead of our clock"
        error = row_error(0, "occurred_at", "occurred_in_future", detail)
        return Refusal("occurred_in_future", detail, 422, [error])
    return Posting(world, command, spec.document_type(body), spec.number(body), places, occurred_at)


def _fact_lines(
    spec: FactSpec,
    body: Any,
    masters: Catalog,
) -> list[FactLine] | Refusal:
    lines = resolve_lines(masters, body.lines, explode_kits=spec.explode_kits)
    if isinstance(lines, Refusal):
        return lines
    kind, number = spec.kind(body), spec.number(body)
    place_ids = []
    for code in spec.places(body):
        place = find_location(masters, code)
        if isinstance(place, Refusal):
            return place
        place_ids.append(place.location_id)
    return [
        FactLine(
            fact_key(
                kind, number, line.name, line.item.item_id, *place_ids,
                *spec.parts(body, body.lines[line.row]),
            ),
            line,
            body.lines[line.row],
        )
        for line in lines
    ]  # fmt: skip


def _book_line(spec: FactSpec, posting: Posting, fact: FactLine) -> dict[str, Any]:
    world, command, line = posting.world, posting.command, fact.line
    report = Fact(
        kind=spec.kind(command.body),
        item_id=line.item.item_id,
        location_id=posting.places[0].location_id,
        quantity=line.units,
        source=heard_source(command),
        document_number=posting.document_number,
    )
    answer = {"line": line.name, "sku": line.item.sku, "quantity": line.units}
    known = world.facts.get(fact.key)
    if known is None:
        world.put_fact(fact.key, report)
        return {**answer, "outcome": "booked", **(spec.book(posting, fact) or {})}
    if known.quantity == line.units:
        return {**answer, "outcome": "duplicate"}
    world.open_exceptions([conflict(report, known, command.correlation_id)])
    return {**answer, "outcome": "conflict", "booked_quantity": known.quantity}
