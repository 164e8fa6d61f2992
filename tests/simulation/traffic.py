"""Random, seeded operations on the small enterprise: what a busy day's callers would ask."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from stockbridge.contracts import commands as c
from stockbridge.contracts.base import Document
from stockbridge.engine import Outcome
from tests.tables.masters import LOCATIONS, SKUS

CHANNELS = ("web", "shop", "few", "half", "vip")
KIT_PARTS = {"KIT": 3, "DUO": 2}
OPEN_MAX = 200


class Effect(NamedTuple):
    """What an accepted operation leaves in the store exactly once.

    `kind` is `reservation` (one with this number as its reference), a kind of fact (of this
    document number, `units` in all), or empty.
    """

    kind: str = ""
    number: str = ""
    units: int = 0


class Promise(NamedTuple):
    """A reservation this trader holds: its public id, its lines, where they come from."""

    reservation: str
    lines: list[dict[str, Any]]


class Trader:
    """Makes up operations; `name` makes its numbers its own."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.rng = random.Random(f"{seed} {name}")
        self.promises: list[Promise] = []
        self._number = 0
        self._makers: list[tuple[int, Callable[[], tuple[Any, Effect]]]] = [
            (30, self._reserve),
            (8, self._change),
            (10, self._confirm),
            (8, self._release),
            (12, self._ship_promised),
            (8, self._ship),
            (14, self._receive),
            (3, self._transfer),
            (2, self._count),
            (2, self._adjust),
            (2, self._return),
            (2, self._move_state),
            (1, self._fence),
            (1, self._safety),
            (2, self._expire),
        ]

    def next(self) -> tuple[Any, Effect]:
        """A command's body and what it will have done if accepted."""
        weights, makers = zip(*self._makers, strict=True)
        return self.rng.choices(makers, weights)[0]()

    def hear(self, body: Any, outcome: Outcome) -> None:
        """Learn from an answer: new promises may be changed, confirmed, shipped later."""
        if isinstance(body, c.ReserveStock) and outcome.status == 201:
            told = outcome.document
            self.promises.append(Promise(told["id"], told["lines"]))
            if len(self.promises) > OPEN_MAX:
                self.promises.pop(0)

    def number(self, kind: str) -> str:
        """A document number nobody else uses."""
        self._number += 1
        return f"{kind}-{self.name}-{self._number}"

    def _sku(self) -> str:
        """Few items, the first far more often than the last: hot rows."""
        return self.rng.choices(SKUS, (8, 4, 2, 1))[0]

    def _place(self) -> str:
        return self.rng.choice(LOCATIONS)

    def _promise(self) -> Promise | None:
        return self.rng.choice(self.promises) if self.promises else None

    def _past(self) -> datetime | None:
        if self.rng.random() < 0.5:
            return None
        return datetime.now(UTC) - timedelta(seconds=self.rng.randint(0, 600))

    def _reserve(self) -> tuple[Any, Effect]:
        number = self.number("R")
        skus = [self.rng.choice((self._sku(), self._sku(), self._sku(), "KIT", "DUO"))
                for _ in range(self.rng.choice((1, 1, 2, 3)))]  # fmt: skip
        lines = [
            c.ReserveLine(
                sku,
                self.rng.randint(1, 4),
                location=self._place() if self.rng.random() < 0.1 else None,
            )
            for sku in skus
        ]
        mode = self.rng.choice(("all_or_nothing", "all_or_nothing", "partial", "backorder"))
        ttl = 1 if self.rng.random() < 0.1 else 900
        body = c.ReserveStock(self.rng.choice(CHANNELS), number, lines, mode, ttl)  # type: ignore[arg-type]
        return body, Effect("reservation", number, 1)

    def _change(self) -> tuple[Any, Effect]:
        promise = self._promise()
        if promise is None:
            return self._reserve()
        line = self.rng.randint(1, len(promise.lines))
        changes = [c.ChangeLine(line, self.rng.randint(0, 5))]
        ttl = 900 if self.rng.random() < 0.3 else None
        return c.ChangeReservation(promise.reservation, changes, ttl), Effect()

    def _confirm(self) -> tuple[Any, Effect]:
        promise = self._promise()
        if promise is None:
            return self._reserve()
        return c.ConfirmReservation(promise.reservation), Effect()

    def _release(self) -> tuple[Any, Effect]:
        if not self.promises:
            return self._reserve()
        promise = self.promises.pop(self.rng.randrange(len(self.promises)))
        return c.ReleaseReservation(promise.reservation), Effect()

    def _ship_promised(self) -> tuple[Any, Effect]:
        promise = self._promise()
        if promise is None:
            return self._reserve()
        line = self.rng.choice(promise.lines)
        units = self.rng.randint(1, max(1, line["reserved"]))
        source = self.rng.choice(line["sources"] or [{"location": self._place()}])
        return self._shipment(line["sku"], units, source["location"], promise.reservation)

    def _ship(self) -> tuple[Any, Effect]:
        return self._shipment(self._sku(), self.rng.randint(1, 2), self._place(), None)

    def _shipment(
        self, sku: str, units: int, place: str, reservation: str | None
    ) -> tuple[Any, Effect]:
        number = self.number("S")
        stage = self.rng.choice(("allocated", "picked", "packed", "shipped", "shipped"))
        body = c.ReportShipment(
            shipment=number, location=place, stage=stage,  # type: ignore[arg-type]
            lines=[c.QuantityLine(sku=sku, quantity=units)],
            reservation=reservation, occurred_at=self._past(),
        )  # fmt: skip
        return body, Effect(stage, number, units * KIT_PARTS.get(sku, 1))

    def _receive(self) -> tuple[Any, Effect]:
        number = self.number("P")
        lines = [c.ReceiptLine(sku=self._sku(), quantity=self.rng.randint(1, 20)) for _ in range(2)]
        body = c.ReportReceipt(
            document=Document("po", number), location=self._place(), lines=lines,
            occurred_at=self._past(),
        )  # fmt: skip
        return body, Effect("receipt_po", number, sum(line.quantity for line in lines))

    def _transfer(self) -> tuple[Any, Effect]:
        number, units = self.number("T"), self.rng.randint(1, 5)
        origin, destination = self.rng.sample(LOCATIONS, 2)
        stage = self.rng.choice(("shipped", "received"))
        body = c.ReportTransfer(
            transfer=number, from_location=origin, to_location=destination,
            stage=stage,  # type: ignore[arg-type]
            lines=[c.QuantityLine(sku=self._sku(), quantity=units)], occurred_at=self._past(),
        )  # fmt: skip
        return body, Effect(f"transfer_{stage}", number, units)

    def _count(self) -> tuple[Any, Effect]:
        number, units = self.number("C"), self.rng.randint(0, 30)
        body = c.ReportCount(
            count=number, location=self._place(),
            lines=[c.CountLine(sku=self._sku(), quantity=units)], occurred_at=self._past(),
        )  # fmt: skip
        return body, Effect("count", number, units)

    def _adjust(self) -> tuple[Any, Effect]:
        number, units = self.number("J"), self.rng.choice((-3, -2, -1, 1, 2, 3))
        body = c.AdjustStock(
            adjustment=number, location=self._place(), reason="CORRECTION",
            lines=[c.AdjustLine(sku=self._sku(), quantity=units)], occurred_at=self._past(),
        )  # fmt: skip
        return body, Effect("adjustment", number, units)

    def _return(self) -> tuple[Any, Effect]:
        number, units = self.number("M"), self.rng.randint(1, 3)
        to = self.rng.choice((None, "restock", "scrap"))
        body = c.ReportReturn(
            rma=number, location=self._place(),
            lines=[c.ReturnLine(sku=self._sku(), quantity=units, disposition=to)],  # type: ignore[arg-type]
            occurred_at=self._past(),
        )  # fmt: skip
        return body, Effect("return", number, units)

    def _move_state(self) -> tuple[Any, Effect]:
        number, units = self.number("Q"), self.rng.randint(1, 3)
        movement = self.rng.choice(("hold", "release"))
        body = c.MoveState(
            document=Document("qc", number), location=self._place(),
            movement=movement,  # type: ignore[arg-type]
            lines=[c.QuantityLine(sku=self._sku(), quantity=units)], occurred_at=self._past(),
        )  # fmt: skip
        return body, Effect(movement, number, units)

    def _fence(self) -> tuple[Any, Effect]:
        line = c.FenceLine(self._sku(), self._place(), self.rng.randint(0, 10))
        return c.SetFences(self.rng.choice(("vip", "shop")), [line]), Effect()

    def _safety(self) -> tuple[Any, Effect]:
        line = c.SafetyLine(self._sku(), self._place(), self.rng.randint(0, 3))
        return c.SetSafetyStock([line]), Effect()

    def _expire(self) -> tuple[Any, Effect]:
        promise = self._promise()
        if promise is None:
            return self._reserve()
        return c.ExpireReservations([promise.reservation]), Effect()
