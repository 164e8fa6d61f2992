"""Takes a reported fact back: it did not occur, or not so.

The report stays in its line with no units, above every other rank, so a fact and its reversal
commute: whichever is heard first, nothing is left. What had been booked is taken back by opposite
movements that name the ones they reverse.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from stockbridge.contracts.commands import ReverseFact
from stockbridge.domain.ledger.facts import (
    FactLine,
    FactSpec,
    book_changes,
    fact_lines,
    fact_names,
    fact_of,
    fact_rows,
    open_posting,
)
from stockbridge.domain.ledger.lines import with_report
from stockbridge.domain.ledger.posting import Posting
from stockbridge.domain.ledger.rules import WITHDRAWN, check_balance, conflict
from stockbridge.domain.masters.model import Catalog
from stockbridge.domain.world.command import Command, Decision
from stockbridge.domain.world.model import Booked, Movement, Report
from stockbridge.domain.world.needs import Needs
from stockbridge.domain.world.world import World
from stockbridge.kernel.accounts import COUNT
from stockbridge.kernel.clock import microseconds
from stockbridge.kernel.errors import Refusal

SpecOf = Callable[[Any], FactSpec]


def reversal_names(spec_of: SpecOf, body: ReverseFact, needs: Needs) -> None:
    """What the fact names."""
    fact_names(spec_of(body.fact), body.fact, needs)


def reversal_rows(spec_of: SpecOf, body: ReverseFact, masters: Catalog, needs: Needs) -> None:
    """What the fact touches, and what was booked for its document."""
    spec = spec_of(body.fact)
    fact_rows(spec, body.fact, masters, needs)
    lines = fact_lines(spec, body.fact, masters)
    if not isinstance(lines, Refusal):
        number = spec.number(body.fact)
        needs.booked.update((fact.line.item.item_id, number) for fact in lines)


def decide_reversal(spec_of: SpecOf, command: Command, world: World) -> Decision:
    """Book the opposite of what the fact's lines came to; once."""
    reversal: ReverseFact = command.body
    spec = spec_of(reversal.fact)
    command = replace(command, body=reversal.fact)
    posting = open_posting(spec, command, world)
    if isinstance(posting, Refusal):
        return posting
    lines = fact_lines(spec, reversal.fact, world.masters)
    if isinstance(lines, Refusal):
        return lines
    if spec.levels is None or spec.stated is not None or any(_is_total(fact) for fact in lines):
        return _not_reversible(spec, reversal.fact)
    start = len(world.movements)
    answers = [_take_back(spec, posting, fact) for fact in lines]
    _name_reversed(world, start, reversal.reason)
    spec.finish(posting)
    for place in {(m.item_id, m.location_id) for m in world.movements[start:]}:
        check_balance(world, *place, command.correlation_id)
    world.feeds[posting.places[0].location_id] = world.now
    status = 201 if any(answer["outcome"] == "reversed" for answer in answers) else 200
    return status, {
        "document": {"type": posting.document_type, "number": posting.document_number},
        "occurred_at": posting.occurred_at,
        "recorded_at": world.now,
        "lines": answers,
    }


def _is_total(fact: FactLine) -> bool:
    return getattr(fact.asked, "quantity_mode", "increment") == "cumulative"


def _not_reversible(spec: FactSpec, body: Any) -> Refusal:
    detail = (
        f"{spec.kind(body)} {spec.number(body)} states a figure; report the right figure "
        "with a later time instead of taking this one back"
    )
    return Refusal("not_reversible", detail)


def _take_back(spec: FactSpec, posting: Posting, fact: FactLine) -> dict[str, Any]:
    """The line's answer; a second reversal of a line takes nothing back."""
    world = posting.world
    answer = {"line": fact.line.name, "sku": fact.line.item.sku, "quantity": fact.line.units}
    known = world.facts.get(fact.key)
    if known is not None and known.rank == WITHDRAWN:
        again = spec.again and spec.again(posting, fact, world.lines.get(fact.line_key, {}))
        return answer | (again or {}) | {"outcome": "duplicate"}
    gone = fact_of(spec, posting, fact)._replace(quantity=0, rank=WITHDRAWN)
    if known is not None and known.source != gone.source:
        world.open_exceptions([conflict(gone, known, posting.command.correlation_id)])
    world.put_fact(fact.key, gone)
    world.withdraw_sightings(fact.key)
    before = world.lines.get(fact.line_key, {})
    report = Report(spec.track(posting.body, fact.asked), microseconds(posting.occurred_at), 0)
    after = with_report(before, fact.key, report)
    for extra in book_changes(spec, posting, fact, before, after):
        answer.update(extra or {})
    return answer | {"outcome": "reversed"}


def _name_reversed(world: World, start: int, reason: str) -> None:
    """Give the opposite movements the ids of what they reverse, newest first."""
    originals = _originals(world, start)
    for index in range(start, len(world.movements)):
        move = world.movements[index]
        if move.kind == COUNT:
            continue
        found = originals.get((*_place(move), move.to_account, move.from_account))
        reverses = found.pop() if found else None
        world.movements[index] = move._replace(reverses=reverses, reason=reason)


def _place(move: Movement | Booked) -> tuple[int, int, str, str]:
    return (move.item_id, move.location_id, move.document_number, move.document_line)


def _originals(world: World, start: int) -> dict[tuple[Any, ...], list[int]]:
    """Ids of what was booked by place, document line and accounts, oldest first."""
    found: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    moves: Iterable[tuple[int, Movement | Booked]] = (
        *((booked.movement_id, booked) for booked in world.booked),
        # Of this batch: numbered when it is saved.
        *((~index, move) for index, move in enumerate(world.movements[:start])),
    )
    for movement_id, move in moves:
        if move.reverses is None:
            found[*_place(move), move.from_account, move.to_account].append(movement_id)
        else:
            _forget(found, move.reverses)
    return found


def _forget(found: dict[tuple[Any, ...], list[int]], movement_id: int) -> None:
    for ids in found.values():
        if movement_id in ids:
            ids.remove(movement_id)
