"""Records as Tryton keeps and finds them, as far as the simulator needs: search, read, children."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from stockbridge.connectors.tryton.mapping import amount, moment

Row = dict[str, Any]
_MOVES: Final = ("stock.move", "shipment")
CHILDREN: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    ("sale.sale", "lines"): ("sale.line", "sale"),
    ("stock.shipment.out", "outgoing_moves"): _MOVES,
    ("stock.shipment.in", "incoming_moves"): _MOVES,
    ("stock.shipment.out.return", "incoming_moves"): _MOVES,
    ("stock.shipment.internal", "moves"): _MOVES,
    ("product.product", "cost_prices"): ("product.cost_price", "product"),
}
"""Fields whose records belong to their parent: (model, the field that names the parent)."""
PARENTS: Final[Mapping[tuple[str, str], str]] = {
    ("product.product", "template"): "product.template",
    ("product.product", "default_uom"): "product.uom",
}
"""Fields that name one record of another model."""
_TESTS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "in": lambda a, b: a in b,
    ">": lambda a, b: a is not None and a > b,
    ">=": lambda a, b: a is not None and a >= b,
}


class Records:
    """Every model's rows by id."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._tables: dict[str, dict[int, Row]] = defaultdict(dict)
        self._last: dict[str, int] = defaultdict(int)

    def add(self, model: str, **values: Any) -> int:
        """A new record with its children; its id."""
        self._last[model] += 1
        row_id = self._last[model]
        row: Row = {"id": row_id, "create_date": moment(self._now()), "write_date": None}
        self._tables[model][row_id] = row
        self.change(model, row_id, values, marks=False)
        return row_id

    def change(
        self, model: str, row_id: int, values: Mapping[str, Any], *, marks: bool = True
    ) -> None:
        """Set fields; children are created, written and deleted as they are told."""
        row = self._tables[model][row_id]
        if marks:
            row["write_date"] = moment(self._now().astimezone(UTC))
        for name, value in values.items():
            child = CHILDREN.get((model, name))
            if child is None:
                row[name] = value
                continue
            for command, *told in value:
                self._command(child, f"{model},{row_id}", command, told)

    def _command(
        self, child: tuple[str, str], parent: str, command: str, told: Sequence[Any]
    ) -> None:
        model, field = child
        if command == "create":
            for values in told[0]:
                self.add(model, **values, **{field: parent})
        elif command == "write":
            for row_id in told[0]:
                self.change(model, row_id, told[1])
        else:
            for row_id in told[0]:
                del self._tables[model][row_id]

    def row(self, model: str, row_id: int) -> Row:
        """One record."""
        return self._tables[model][row_id]

    def children(self, model: str, row_id: int, field: str) -> list[Row]:
        """The records that belong to one."""
        child, back = CHILDREN[model, field]
        parent = f"{model},{row_id}"
        return [row for row in self._tables[child].values() if row.get(back) == parent]

    def search(self, model: str, domain: Sequence[Any]) -> list[Row]:
        """The records that a domain finds, by id."""
        rows = self._tables[model].values()
        return [row for row in rows if self._fits(model, row, domain)]

    def _fits(self, model: str, row: Row, domain: Sequence[Any]) -> bool:
        if domain and domain[0] == "OR":
            return any(self._fits(model, row, [part]) for part in domain[1:])
        return all(
            self._fits(model, row, part)
            if part[0] == "OR"
            else any(
                _TESTS[part[1]](value, _plain(part[2]))
                for value in self._values(model, row, part[0])
            )
            for part in domain
        )

    def _values(self, model: str, row: Row, name: str) -> list[Any]:
        """A field's value, or the values of a field of its children, as they are compared."""
        head, _, rest = name.partition(".")
        if rest and (model, head) in CHILDREN:
            return [_plain(child.get(rest)) for child in self.children(model, row["id"], head)]
        return [_plain(self.value(model, row, name))]

    def value(self, model: str, row: Row, name: str) -> Any:
        """A field; `a.b` goes through the record that `a` names."""
        head, _, rest = name.partition(".")
        if (model, name) in CHILDREN:
            return [child["id"] for child in self.children(model, row["id"], head)]
        found = row.get(head)
        parent = PARENTS.get((model, head))
        if not rest or parent is None or found is None:
            return None if rest else found
        return self.value(parent, self.row(parent, found), rest)

    def read(self, model: str, row: Row, fields: Sequence[str]) -> Row:
        """The fields asked for; those of a record that is named stand under `name.`."""
        found: Row = {"id": row["id"]}
        for name in fields:
            head, _, rest = name.partition(".")
            if not rest:
                found[name] = self.value(model, row, name)
                continue
            parent = PARENTS.get((model, head))
            if (model, head) in CHILDREN:
                found[f"{head}."] = self.children(model, row["id"], head)
            elif parent is None or row.get(head) is None:
                found[f"{head}."] = None
            else:
                inside = self.read(parent, self.row(parent, row[head]), [rest])
                found[f"{head}."] = {**(found.get(f"{head}.") or {}), **inside}
        return found


def _plain(value: Any) -> Any:
    """Something that can be compared: numbers and moments as themselves."""
    if isinstance(value, dict):
        if value.get("__class__") == "datetime":
            return tuple(v for v in value.values() if isinstance(v, int))
        return amount(value) or Decimal()
    return value
