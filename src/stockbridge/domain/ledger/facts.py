"""One way to book every kind of fact: resolve, recognise repeats by business key, book, answer.

A kind of fact is a `FactSpec`: how its document is named, which locations it touches, and what a
change of one line books. Everything else (units, duplicates, conflicts, running totals, counts in
between, exceptions, feeds) is here.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from stockbridge.domain.ledger.lines import (
    Level,
    Levels,
    beyond,
    changes,
    of_lot,
    plain,
    says_nothing_new,
    with_report,
    with_the_rest,
)
from stockbridge.domain.ledger.posting import Posting
from stockbridge.domain.ledger.rules import WITHDRAWN, check_balance, conflict, fact_key, rank
from stockbridge.domain.masters.model import Catalog
from stockbridge.domain.world.command import Command, Decision
from stockbridge.domain.world.model import Fact, Report, Reports, Serial, Stated
from stockbridge.domain.world.needs import Needs
from stockbridge.domain.world.resolve import (
    ResolvedLine,
    find_location,
    need_items,
    resolve_lines,
    row_error,
)
from stockbridge.domain.world.world import World
from stockbridge.kernel.accounts import AVAILABLE
from stockbridge.kernel.clock import microseconds, moment
from stockbridge.kernel.errors import Refusal

FUTURE_MAX = timedelta(days=1)
"""How far ahead of our clock a source's clock may be before its fact is refused as a mistake."""


class FactLine(NamedTuple):
    """A resolved line, its business key, its document line's key, and the line as it was asked."""

    key: str
    line_key: str
    line: ResolvedLine
    asked: Any


Extra = dict[str, Any] | None
Book = Callable[[Posting, FactLine, Level], Extra]
"""Books a change of a line's level (below zero takes back); extra fields of the answer."""


class FactSpec(NamedTuple):
    """What makes a kind of fact. Functions take the request body (and what else they name).

    `document_type`, `kind` and `number` name the document; `places` its location codes, the
    first being the one that reports; `parts` are further parts of a line's business key; `check`
    may refuse the whole document beforehand. `levels` tells what a line's reports come to; a kind
    without it (counts) books each as it stands. `track` is the stage a report belongs to, `line`
    names the line that several kinds share, `of_lots` says how many of its stages can be of a lot
    (None: all), `stated` is what a statement is told apart by, and statements are not reversible.
    `settle` does what follows once the line is booked, `again` what follows from a report that
    changed nothing, `finish` what follows from the whole document, `leaves_in` names the account
    that a line's units end in.
    """

    document_type: Callable[[Any], str]
    kind: Callable[[Any], str]
    number: Callable[[Any], str]
    places: Callable[[Any], list[str]]
    parts: Callable[[Any, Any], tuple[object, ...]]
    book: Book
    levels: Levels | None = plain
    leaves_in: Callable[[Any, Any], int] = lambda _body, _line: AVAILABLE
    track: Callable[[Any, Any], int] = lambda _body, _line: 0
    line: Callable[[Any, Any], str] | None = None
    of_lots: int | None = None
    stated: Callable[[Posting], Stated] | None = None
    settle: Callable[[Posting, FactLine, Reports, Reports], Extra] | None = None
    again: Callable[[Posting, FactLine, Reports], Extra] | None = None
    finish: Callable[[Posting], None] = lambda _posting: None
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
    lines = fact_lines(spec, body, masters)
    if isinstance(lines, Refusal):
        return
    needs.resolved[id(body)] = lines
    needs.facts = True
    needs.documents.add(spec.number(body))
    for fact in lines:
        needs.fact_keys.add(fact.key)
        needs.line_keys.add(fact.line_key)
        needs.item_ids.add(fact.line.item.item_id)
    for code in spec.places(body):
        needs.locations.add(masters.locations[code].location_id)
    spec.more_rows(body, lines, masters, needs)


def decide_fact(spec: FactSpec, command: Command, world: World) -> Decision:
    """Book what is new of the document; repeats move nothing, contradictions open exceptions."""
    posting = open_posting(spec, command, world)
    if isinstance(posting, Refusal):
        return posting
    lines = world.resolved.get(id(command.body)) or fact_lines(spec, command.body, world.masters)
    if isinstance(lines, Refusal):
        return lines
    refusal = spec.check(world, command.body)
    if refusal is not None:
        return refusal
    start = len(world.movements)
    answers = [_book_line(spec, posting, fact) for fact in lines]
    spec.finish(posting)
    for place in {(m.item_id, m.location_id) for m in world.movements[start:]}:
        check_balance(world, *place, command.correlation_id)
    world.feeds[posting.places[0].location_id] = world.now
    booked = any(answer["outcome"] in ("booked", "corrected") for answer in answers)
    return (201 if booked else 200), {
        "document": {"type": posting.document_type, "number": posting.document_number},
        "occurred_at": posting.occurred_at,
        "recorded_at": world.now,
        "lines": answers,
    }


def open_posting(spec: FactSpec, command: Command, world: World) -> Posting | Refusal:
    """The document being booked; refused when a place is unknown or the time is ahead."""
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


def fact_lines(spec: FactSpec, body: Any, masters: Catalog) -> list[FactLine] | Refusal:
    """The resolved lines of a document with their keys."""
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
    found = []
    for line in lines:
        asked = body.lines[line.row]
        about = (number, line.name, line.item.item_id, *place_ids)
        family = spec.line(body, asked) if spec.line else kind
        key = fact_key(kind, *about, *spec.parts(body, asked))
        found.append(FactLine(key, fact_key("line", family, *about), line, asked))
    return found


def _book_line(spec: FactSpec, posting: Posting, fact: FactLine) -> dict[str, Any]:
    """Add the report to its line, book what that changes, and say what became of it."""
    line = fact.line
    before = posting.world.lines.get(fact.line_key, {})
    if _serials(fact):
        _see_serials(spec, posting, fact)
    is_total = getattr(fact.asked, "quantity_mode", "increment") == "cumulative"
    add = _add_total if is_total and spec.levels else _add_report
    outcome, after = add(spec, posting, fact, before)
    answer = {"line": line.name, "sku": line.item.sku, "quantity": line.units, "outcome": outcome}
    if outcome in ("booked", "corrected") or after is not before:
        for extra in book_changes(spec, posting, fact, before, after):
            answer.update(extra or {})
    elif spec.again is not None:
        answer.update(spec.again(posting, fact, after) or {})
    return answer


def book_changes(
    spec: FactSpec, posting: Posting, fact: FactLine, before: Reports, after: Reports
) -> Iterator[Extra]:
    """Book what the line's reports now come to beyond what was booked before."""
    if spec.levels is None:
        yield spec.book(posting, fact, (fact.line.units,))
        return
    lot = _lot(fact)
    own = whole = list(changes(spec.levels, before, after))
    if lot is not None:
        own = list(changes(spec.levels, of_lot(before, lot), of_lot(after, lot)))
        if spec.of_lots is not None:
            own = with_the_rest(own, whole, spec.of_lots)
    for at, change in own:
        yield spec.book(_named(posting, fact, at, lot), fact, change)
    if own != whole:
        for at, change in beyond(whole, own):
            yield spec.book(replace(posting, occurred_at=moment(at)), fact, change)
    posting.world.put_line(fact.line_key, after)
    if spec.settle is not None:
        yield spec.settle(posting, fact, before, after)


def _named(posting: Posting, fact: FactLine, at: int, lot: str | None) -> Posting:
    """The posting at a moment of the line's reports, of the units the line names."""
    serials = _serials(fact)
    same = lot == posting.lot and serials == posting.serials
    if same and at == microseconds(posting.occurred_at):
        return posting
    return replace(posting, occurred_at=moment(at), lot=lot, serials=serials)


def _lot(fact: FactLine) -> str | None:
    return getattr(fact.asked, "lot", None)


def _serials(fact: FactLine) -> tuple[str, ...]:
    return tuple(getattr(fact.asked, "serials", ()))


def _see_serials(spec: FactSpec, posting: Posting, fact: FactLine) -> None:
    """The units named were seen where the report leaves them, unless it was taken back."""
    known = posting.world.facts.get(fact.key)
    if known is not None and known.rank == WITHDRAWN:
        return
    account = spec.leaves_in(posting.body, fact.asked)
    place = Serial(posting.places[-1].location_id, account, posting.occurred_at)
    for serial in _serials(fact):
        posting.world.see_serial(fact.line.item.item_id, serial, place, fact.key)


def _add_total(
    spec: FactSpec, posting: Posting, fact: FactLine, before: Reports
) -> tuple[str, Reports]:
    """A running total counts unless it says nothing new."""
    track, units = spec.track(posting.body, fact.asked), fact.line.units
    at, lot = microseconds(posting.occurred_at), _lot(fact)
    report = Report(track, at, units, is_total=True, lot=lot)
    key = fact_key("total", track, units, *([] if lot is None else [lot]))
    if says_nothing_new(before, key, report):
        return "duplicate", before
    return "booked", with_report(before, key, report)


def _add_report(
    spec: FactSpec, posting: Posting, fact: FactLine, before: Reports
) -> tuple[str, Reports]:
    """A single report counts once; of two that disagree the lower rank stands."""
    world = posting.world
    fresh = fact_of(spec, posting, fact)
    known = world.facts.get(fact.key)
    if known is not None and known.rank == WITHDRAWN and known.source == fresh.source:
        return "duplicate", before
    at = microseconds(posting.occurred_at)
    track, stated = spec.track(posting.body, fact.asked), spec.stated and spec.stated(posting)
    report = Report(track, at, fact.line.units, lot=_lot(fact), stated=stated)
    if known is not None and known.quantity == fresh.quantity:
        if fresh.rank >= known.rank:
            return "duplicate", before
        # Confirmed by one who outranks the first: a third who outranks only him must lose, and
        # the time is his.
        world.put_fact(fact.key, fresh)
        return "duplicate", with_report(before, fact.key, report) if spec.levels else before
    if known is not None:
        world.open_exceptions([conflict(fresh, known, posting.command.correlation_id)])
        if fresh.rank >= known.rank:
            return "conflict", before
    world.put_fact(fact.key, fresh)
    return ("corrected" if known else "booked"), with_report(before, fact.key, report)


def fact_of(spec: FactSpec, posting: Posting, fact: FactLine) -> Fact:
    """The business key's record of this report."""
    source, units = posting.source, fact.line.units
    return Fact(
        kind=spec.kind(posting.body),
        item_id=fact.line.item.item_id,
        location_id=posting.places[0].location_id,
        quantity=units,
        source=source,
        document_number=posting.document_number,
        rank=rank(
            posting.places[0].authority,
            source,
            (posting.command.flow, posting.body.sequence),
            (units, microseconds(posting.occurred_at)),
        ),
    )
