"""Stock movements: documents made and done once, found again by their reference."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from stockbridge.connectors.tryton import mapping
from stockbridge.connectors.tryton.mapping import Document, Party, Places
from stockbridge.connectors.tryton.names import Names
from stockbridge.connectors.tryton.rpc import Rpc
from stockbridge.connectors.tryton.sales import Sales
from stockbridge.contracts.partners.model import Delivery, Outcome
from stockbridge.contracts.partners.operations import PostMovements

_STEPS_MAX: Final = 8
_UNDONE: Final = ("draft", "request", "waiting")


class Postings:
    """The postings to one Tryton."""

    def __init__(self, rpc: Rpc, names: Names, sales: Sales, config: Any) -> None:
        self._rpc, self._names, self._sales, self._config = rpc, names, sales, config

    async def post(self, delivery: Delivery, posting: PostMovements) -> Outcome:
        """Make the documents that are not there, do those that are not done, compare the totals."""
        fault = mapping.total_fault(posting)
        if fault is not None:
            return Outcome("rejected", "totals_differ", fault)
        documents = mapping.documents(posting)
        found = await self._found(documents)
        lacking = [document for document in documents if document.reference not in found]
        if lacking:
            await self._make(delivery, lacking)
            found = await self._found(documents)
        await self._do(delivery, documents, found)
        return await self._judged(posting, documents)

    async def probe(self, posting: PostMovements) -> Outcome:
        """Whether all of it is done already; sending does what is not."""
        return await self._judged(posting, mapping.documents(posting))

    async def _judged(self, posting: PostMovements, documents: Sequence[Document]) -> Outcome:
        found = await self._found(documents)
        states = {document.reference: found.get(document.reference) for document in documents}
        gone = [name for name, row in states.items() if row and row["state"] == "cancelled"]
        if gone:
            return Outcome("rejected", "cancelled_there", f"cancelled in Tryton: {', '.join(gone)}")
        if any(row is None or row["state"] != "done" for row in states.values()):
            return Outcome("later", "not_done", f"posting {posting.posting} is not done")
        units = await self._units(documents, found)
        numbers = ", ".join(str(row["number"]) for row in found.values())[:200]
        if units != posting.units:
            detail = f"Tryton moved {units:g} units in {numbers}, the posting has {posting.units}"
            return Outcome("rejected", "totals_differ", detail)
        return Outcome("confirmed", reference=numbers)

    async def _units(
        self, documents: Sequence[Document], found: dict[str, dict[str, Any]]
    ) -> float:
        units = 0.0
        for model, some in _by_model(documents).items():
            moves = [move for d in some for move in found[d.reference][mapping.MOVES[model]]]
            domain = [["id", "in", moves], ["state", "=", "done"]]
            rows = await self._rpc.found("read_moves", "stock.move", domain, ["quantity"])
            units += sum(float(row["quantity"]) for row in rows)
        return units

    async def _found(self, documents: Sequence[Document]) -> dict[str, dict[str, Any]]:
        """Documents by reference; of several of one reference the first, the others are undone."""
        found: dict[str, dict[str, Any]] = {}
        for model, some in _by_model(documents).items():
            domain = [["reference", "in", [document.reference for document in some]]]
            fields = ["reference", "state", "number", mapping.MOVES[model]]
            rows = await self._rpc.found("find_documents", model, domain, fields)
            again = [row for row in rows if found.setdefault(row["reference"], row) is not row]
            doubles = [row["id"] for row in again if row["state"] in _UNDONE]
            if doubles:
                await self._rpc.model("cancel_double", f"{model}.cancel", doubles)
        return found

    async def _make(self, delivery: Delivery, lacking: Sequence[Document]) -> None:
        """Create the documents, all of a model in one call, once all their names are known."""
        sale_lines = await self._sale_lines(delivery, lacking)
        made: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for document in lacking:
            places = await self._places(document, sale_lines)
            made[document.model].append(mapping.shipment(document, places))
        for model, values in made.items():
            await self._rpc.model(
                "make_documents", f"{model}.create", values, correlation_id=delivery.correlation_id
            )

    async def _sale_lines(
        self, delivery: Delivery, documents: Sequence[Document]
    ) -> dict[tuple[str, str, int], int]:
        """Lines of the sales whose goods leave; the sales are confirmed."""
        orders = sorted({d.order for d in documents if d.order and d.kind == "ship"})
        sales = await self._sales.confirmed(delivery.operation, orders)
        return {
            (order, str(row["note"]), int(row["product"])): int(row["id"])
            for order, sale in sales.items()
            for row in await self._sales.lines(sale)
        }

    async def _places(
        self, document: Document, sale_lines: dict[tuple[str, str, int], int]
    ) -> Places:
        names = self._names
        party: Party | None = None
        if document.kind == "receive":
            party = await names.supplier()
        elif document.kind in ("ship", "return_receive"):
            party = await names.customer("")
        passes = document.kind.startswith("transfer")
        return Places(
            await names.warehouse(document.location), party,
            await names.transit() if passes else None, await names.company(),
            await names.currency(str(self._config["currency"])),
            await names.products(line.sku for line in document.lines), sale_lines,
        )  # fmt: skip

    async def _do(
        self, delivery: Delivery, documents: Sequence[Document], found: dict[str, dict[str, Any]]
    ) -> None:
        """Press one button after the other, each for all documents of a model and state."""
        for model, some in _by_model(documents).items():
            waiting: dict[str, list[int]] = defaultdict(list)
            for row in (found[d.reference] for d in some if d.reference in found):
                waiting[row["state"]].append(row["id"])
            for state, ids in waiting.items():
                await self._press_on(delivery, model, state, ids)

    async def _press_on(self, delivery: Delivery, model: str, state: str, ids: list[int]) -> None:
        for _ in range(_STEPS_MAX):
            button = mapping.BUTTONS[model].get(state)
            if button is None:
                return
            operation = delivery.operation if button == "do" else "prepare"
            await self._rpc.model(
                operation, f"{model}.{button}", ids, correlation_id=delivery.correlation_id
            )
            rows = await self._rpc.found("read_states", model, [["id", "in", ids]], ["state"])
            state = rows[0]["state"]


def _by_model(documents: Sequence[Document]) -> dict[str, list[Document]]:
    found: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        found[document.model].append(document)
    return found
