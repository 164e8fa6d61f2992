"""Holds logs against the store: everything acknowledged happened once, nothing else did."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg

from stockbridge.assurance.verify import verify
from stockbridge.engine.request import Request
from tests.simulation.worker import Step, command, digest, read_log

AT_ONCE = 50_000
BREACHES_MAX = 20


def judge(dsn: str, logs: Iterable[Path]) -> list[str]:
    """What is wrong, in words; empty when all is right."""
    breaches: list[str] = []
    with psycopg.connect(dsn, autocommit=True) as conn:
        for path in logs:
            steps = read_log(path)
            while some := list(islice(steps, AT_ONCE)):
                breaches += _steps(conn, some)
    breaches += map(str, verify(dsn).findings)
    return breaches[:BREACHES_MAX]


def _steps(conn: psycopg.Connection[Any], steps: Iterable[Step]) -> list[str]:
    answers = _answers(conn, steps)
    reservations = _reservations(conn, steps)
    facts = _facts(conn, steps)
    return [breach for step in steps for breach in _step(step, answers, reservations, facts)]


def _step(
    step: Step,
    answers: dict[str, tuple[int, str]],
    reservations: dict[str, int],
    facts: dict[tuple[str, str], int],
) -> Iterable[str]:
    stored = answers.get(_request_key(step))
    if step.status is not None and stored != (step.status, step.digest):
        yield f"{step.key}: acknowledged {step.status}, the store has {stored}"
    accepted = stored is not None and stored[0] == 201
    kind, number, units = step.effect
    if kind == "reservation" and reservations.get(number, 0) != accepted:
        yield f"{step.key}: {number} exists {reservations.get(number, 0)} times, answer {stored}"
    if kind and kind != "reservation":
        booked = facts.get((kind, number), 0)
        if booked != (units if accepted else 0):
            yield f"{step.key}: {kind} {number} of {units} booked {booked}, answer {stored}"


def _request_key(step: Step) -> str:
    return Request(command(step)).key


def _answers(conn: psycopg.Connection[Any], steps: Iterable[Step]) -> dict[str, tuple[int, str]]:
    rows = conn.execute(
        "SELECT replace(request_key::text, '-', ''), status, answer FROM request"
        " WHERE request_key = ANY (%s::uuid[])",
        ([_request_key(step) for step in steps],),
    )
    return {key: (status, digest(answer)) for key, status, answer in rows}


def _reservations(conn: psycopg.Connection[Any], steps: Iterable[Step]) -> dict[str, int]:
    numbers = [step.effect.number for step in steps if step.effect.kind == "reservation"]
    rows = conn.execute(
        "SELECT reference, count(*) FROM reservation WHERE reference = ANY (%s) GROUP BY 1",
        (numbers,),
    )
    return dict(rows.fetchall())


def _facts(conn: psycopg.Connection[Any], steps: Iterable[Step]) -> dict[tuple[str, str], int]:
    numbers = [step.effect.number for step in steps if step.effect.kind]
    rows = conn.execute(
        "SELECT kind, document_number, sum(quantity)::bigint FROM fact"
        " JOIN unnest(%s::text[]) AS wanted (document_number) USING (document_number)"
        " GROUP BY 1, 2",
        (numbers,),
    )
    return {(kind, number): units for kind, number, units in rows}
