"""A trading floor: the hub over HTTP, simulated partners on loopback, customers between them.

The floor keeps books of its own: what lies in the warehouse, what each partner sold. Customers buy
only what a partner shows at that moment, so the hub is to blame for whatever is oversold.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stockbridge.app import Role
from stockbridge.connectors.kit.registry import Registry
from stockbridge.connectors.kit.sending import Sent, Weather, send
from stockbridge.connectors.kit.simulator import Listed, Ordered, Simulator
from stockbridge.contracts.partners.model import WebhookRequest
from tests.http_api import Client, serving

FAIR = Weather()
PLACE = "LONDON"
SECRET_KEY = "k" * 32
SECONDS_MAX = 40.0
"""A bound for failures; nothing waits for it."""
UNSETTLED = ("waiting", "sending", "accepted")


async def until(condition: Callable[[], Any], what: str, seconds: float = SECONDS_MAX) -> Any:
    """Wait until it holds, and what it gave; a condition may be a coroutine."""
    found: Any = None
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = condition()
                if isinstance(found, Awaitable):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"never: {what}") from None


class Shop:
    """A simulated partner, its system in the hub, and what it sold.

    `orders` are all that customers placed; `off` those that were called off; `gone` the units that
    left, by order and line.
    """

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self.code = sim.name
        self.listed: dict[str, Listed] = {}
        self.orders: dict[str, Ordered] = {}
        self.off: set[str] = set()
        self.gone: set[str] = set()
        sim.retry_after_seconds = 1
        sim.delivers_to = f"https://hub.example.com/v1/webhooks/{self.code}"

    @property
    def channel(self) -> str:
        return str(self.sim.config()["channel"])

    @property
    def config(self) -> dict[str, Any]:
        """The simulator's own, its one place being ours in London."""
        config = self.sim.config()
        places = config.get("locations")
        return config | ({"locations": {PLACE: next(iter(places.values()))}} if places else {})

    def enlist(self, sku: str, quantity: int = 0) -> None:
        self.listed[sku] = self.sim.between(lambda: self.sim.list_item(sku, quantity))

    def left(self, sku: str) -> int:
        """What customers can buy."""
        if hasattr(self.sim, "left_to_sell"):
            return int(self.sim.left_to_sell(sku))
        return self.sim.shown(self.listed[sku]) or 0

    def sell(self, sku: str, wanted: int = 1) -> Ordered | None:
        """A customer buys, at most what is shown."""

        def buy() -> Ordered | None:
            units = min(wanted, self.left(sku))
            return self.sim.order({sku: units}) if units > 0 else None

        ordered = self.sim.between(buy)
        if ordered is not None:
            self.orders[ordered.number] = ordered
        return ordered

    def cancel(self, number: str) -> None:
        """The customer calls the whole order off."""
        self.off.add(number)
        self.sim.between(lambda: self.sim.cancel(number))

    def units(self, sku: str, numbers: Iterable[str] | None = None) -> int:
        """Units sold of an item, in these orders (in all that stand)."""
        chosen = self.orders.keys() - self.off if numbers is None else set(numbers)
        lines = [line for number in chosen for line in self.orders[number].lines]
        return sum(line.quantity for line in lines if line.sku == sku)

    def waiting(self, sku: str) -> int:
        """Units sold that have not left."""
        return self.units(sku) - self.units(sku, self.gone)

    def doubled(self) -> dict[tuple[str, str], int]:
        """Effects on its business that happened more than once; figures are absolute."""
        return {
            effect: times
            for effect, times in self.sim.effects.items()
            if times > 1 and effect[0] != "publish"
        }

    async def hears(
        self,
        api: Client,
        weather: Weather = FAIR,
        seed: int = 0,
        late: list[WebhookRequest] | None = None,
    ) -> Sent:
        """The webhooks that are due, or some that come late, travel to the hub."""
        due = self.sim.between(self.sim.webhooks) if late is None else late
        url = f"{api.app.url}/v1/webhooks/{self.code}"
        return await send(url, due, weather, seed)


class Floor:
    """The hub and the shops."""

    def __init__(self, api: Client, shops: Mapping[str, Shop]) -> None:
        self.api = api
        self.shops = dict(shops)
        self.units_there: Counter[str] = Counter()
        self._documents = 0

    # The hub's masters, by its public API ------------------------------------------------------

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A call that must be good."""
        answer = await self.api.call(method, path, body)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def all(self, path: str) -> list[Any]:
        """Every row of a list."""
        rows: list[Any] = []
        cursor: str | None = ""
        while cursor is not None:
            mark = f"cursor={cursor}&" if cursor else ""
            page = await self.ask("GET", path.replace("?", f"?{mark}"))
            rows += page["items"]
            cursor = page["next_cursor"]
        return rows

    async def open(self, shop: Shop) -> None:
        """Add the shop's system with secrets and channel, find its items, test it, set it going."""
        await self.add(shop, shop.code, {}, {}, "sandbox")
        if shop.listed:
            await self.discover(shop)
            test = await self.ask("POST", f"/v1/systems/{shop.code}/test", {})
            assert test["is_good"], test
            for step in ("certify", "activate"):
                await self.ask("POST", f"/v1/systems/{shop.code}/{step}", {})

    async def add(
        self,
        shop: Shop,
        code: str,
        config: Mapping[str, Any],
        secrets: Mapping[str, str],
        environment: str = "production",
    ) -> None:
        """Put a system for the shop, its channel, and all secrets but the empty ones."""
        said = {name: value for name, value in (shop.config | dict(config)).items() if value}
        body = {
            "kind": "portal", "connector": shop.sim.name, "config": said,
            "lifecycle": "testing", "environment": environment,
            "owner_team": f"team-{shop.code}",
        }  # fmt: skip
        await self.ask("PUT", f"/v1/systems/{code}", body)
        channel = {"system": code, "sources": [PLACE], "freshness_seconds_max": 600}
        await self.ask("PUT", f"/v1/channels/{shop.channel}", channel)
        await self.give_secrets(code, shop.sim.secrets() | dict(secrets))

    async def give_secrets(self, code: str, secrets: Mapping[str, str]) -> None:
        for name, secret in secrets.items():
            if secret:
                await self.ask("PUT", f"/v1/systems/{code}/secrets/{name}", {"secret": secret})

    async def discover(self, shop: Shop) -> None:
        """Its items become listings of its channel."""
        body = {"channel": shop.channel}
        job = (await self.ask("POST", f"/v1/systems/{shop.code}/discover", body))["job"]

        async def ended() -> Any:
            found = await self.ask("GET", f"/v1/imports/{job}")
            return found if found["state"] != "running" else None

        found = await until(ended, f"the discovery of {shop.code} ends")
        assert (found["state"], found["rows_bad"]) == ("done", 0), found

    # The warehouse -----------------------------------------------------------------------------

    def _document(self) -> str:
        self._documents += 1
        return f"D{self._documents}"

    async def count(self, units: Mapping[str, int]) -> None:
        """Somebody counts what lies there, sold or not."""
        self.units_there.update({sku: n - self.units_there[sku] for sku, n in units.items()})
        lines = [{"sku": sku, "quantity": quantity} for sku, quantity in units.items()]
        body = {"count": self._document(), "location": PLACE, "lines": lines}
        await self.ask("POST", "/v1/counts", body)

    async def receive(self, sku: str, quantity: int) -> None:
        """Goods come in."""
        self.units_there[sku] += quantity
        body = {
            "document": {"type": "po", "number": self._document()}, "location": PLACE,
            "lines": [{"sku": sku, "quantity": quantity}],
        }  # fmt: skip
        await self.ask("POST", "/v1/receipts", body)

    async def ship(self, shop: Shop, number: str) -> None:
        """All of an order leaves in one parcel."""
        shop.gone.add(number)
        lines = [{"sku": line.sku, "quantity": line.quantity} for line in shop.orders[number].lines]
        for line in shop.orders[number].lines:
            self.units_there[line.sku] -= line.quantity
        body = {
            "shipment": f"S-{number}", "location": PLACE, "lines": lines,
            "document": {"type": "order", "number": number},
            "carrier": "DHL", "tracking": f"T-{number}",
        }  # fmt: skip
        await self.ask("POST", "/v1/shipments", body)

    def available(self, sku: str) -> int:
        """What is really there and not sold."""
        return self.units_there[sku] - sum(
            shop.waiting(sku) for shop in self.shops.values() if sku in shop.listed
        )

    # What the hub knows ------------------------------------------------------------------------

    async def order(self, shop: Shop, number: str) -> Any:
        """An order as the hub has it; None: not yet."""
        answer = await self.api.get(f"/v1/channels/{shop.channel}/orders/{number}")
        return answer.json() if answer.status_code == 200 else None

    async def knows(self, shop: Shop, number: str) -> bool:
        found = await self.order(shop, number)
        return found is not None and found["state"] != "received"

    async def feed(self, shop: Shop) -> Any:
        return await self.ask("GET", f"/v1/systems/{shop.code}/feeds/orders")

    async def poll(self, shop: Shop) -> None:
        """Have its orders read to their end by a poll that begins now."""
        before = (await self.feed(shop))["began_at"]
        await self.ask("POST", f"/v1/systems/{shop.code}/feeds/orders/poll", {})

        async def is_read() -> bool:
            told = await self.feed(shop)
            return bool(told["began_at"] != before and not told["failures"])

        try:
            await until(is_read, f"{shop.code} is polled")
        except AssertionError as error:
            raise AssertionError(f"{error}: {await self.feed(shop)}") from None
        await self.booked()

    async def booked(self) -> None:
        """Every message that was kept is applied."""

        async def none_waits() -> bool:
            return not (await self.ask("GET", "/v1/messages?status=received&limit=1"))["items"]

        await until(none_waits, "all messages are applied")

    async def listings(self, query: str = "") -> list[Any]:
        return await self.all(f"/v1/listings?limit=500{query}")

    async def listing(self, shop: Shop, sku: str) -> Any:
        found = await self.listings(f"&system={shop.code}&sku={sku}")
        assert len(found) == 1, found
        return found[0]

    async def shows(self, shop: Shop, sku: str, quantity: int) -> None:
        """Wait until the partner shows it and the hub knows."""

        async def is_shown() -> bool:
            found = await self.listing(shop, sku)
            if found["state"] == "accepted":
                await self.ask("POST", "/v1/listings/verify", {"id": found["id"]})
            is_right = shop.left(sku) == quantity and found["state"] == "ok"
            return is_right and found["unheard"] == 0

        try:
            await until(is_shown, "")
        except AssertionError:
            told = await self.listing(shop, sku)
            raise AssertionError(f"{shop.code} shows {shop.left(sku)}, {told}") from None

    async def open_cases(self, kind: str) -> list[Any]:
        rows = await self.all(f"/v1/exceptions?kind={kind}&limit=500")
        return [row for row in rows if row["resolved_at"] is None]

    # The end -----------------------------------------------------------------------------------

    async def settled(self, shops: Iterable[Shop] | None = None) -> None:
        """Wait until all is heard, told, and read back, and compare with the floor's books."""
        chosen = list(self.shops.values() if shops is None else shops)
        for shop in chosen:
            await self.poll(shop)
        await self.told()
        try:
            await until(lambda: self._all_true(chosen), "every listing is true")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.untrue(chosen)}") from None
        for shop in chosen:
            await self._judge(shop)

    async def told(self) -> None:
        """Every delivery is settled."""
        await until(self._all_told, "every delivery is settled")

    async def _all_told(self) -> bool:
        for state in UNSETTLED:
            if (await self.ask("GET", f"/v1/deliveries?state={state}&limit=1"))["items"]:
                return False
        return True

    async def _all_true(self, shops: Iterable[Shop]) -> bool:
        """Whether all listings are read back from now on, and right."""
        began_at = datetime.now(UTC).isoformat()
        codes = {shop.code for shop in shops}
        for shop in shops:
            await self.poll(shop)

        def is_read(row: Any) -> bool:
            return bool((row["verified_at"] or "") > began_at)

        async def are_read() -> bool:
            rows = [row for row in await self.listings() if row["system"] in codes]
            for row in rows:
                if row["state"] == "ok" and not row["due_at"] and not is_read(row):
                    await self.ask("POST", "/v1/listings/verify", {"id": row["id"]})
            return all(row["state"] == "ok" and is_read(row) for row in rows)

        await until(are_read, "all listings are read back")
        return not self.untrue(shops)

    def untrue(self, shops: Iterable[Shop]) -> list[str]:
        """What shops show that is not what is available."""
        return [
            f"{shop.code} shows {shop.left(sku)} of {sku}, {self.available(sku)} are available"
            for shop in shops
            for sku in shop.listed
            if shop.left(sku) != max(0, self.available(sku))
        ]

    async def _judge(self, shop: Shop) -> None:
        assert not shop.doubled(), shop.doubled()
        for number, ordered in shop.orders.items():
            found = await self.order(shop, number)
            assert found is not None, f"{shop.code} {number} is not known"
            assert sorted((line["sku"], line["quantity"]) for line in found["lines"]) == sorted(
                (line.sku, line.quantity) for line in ordered.lines
            )
            is_off, is_gone = found["state"] == "cancelled", found["state"] == "completed"
            assert (is_off, is_gone) == (number in shop.off, number in shop.gone), found
        told = sum(n for (what, _), n in shop.sim.effects.items() if what == "confirm_shipment")
        assert told == len(shop.gone), f"{shop.code} heard of {told} parcels: {shop.gone}"


@contextlib.asynccontextmanager
async def trading(
    dsn: str,
    data_dir: Path,
    names: Iterable[str],
    units: Mapping[str, int],
    role: Role = "all",
) -> AsyncIterator[Floor]:
    """A hub and the shops of these connectors, with so many of each item in London.

    An item called SHOP.NAME that shop, one called ALL.NAME all do.
    """
    with ExitStack() as stack:
        registry = Registry()
        shops = {
            name: Shop(stack.enter_context(registry.module(name, "simulator").Simulator()))
            for name in names
        }
        async with serving(dsn, data_dir, role, secret_key=SECRET_KEY) as api:
            floor = Floor(api, shops)
            await floor.ask("PUT", f"/v1/locations/{PLACE}", {})
            for sku in units:
                await floor.ask("PUT", f"/v1/items/{sku}", {})
                owner = sku.partition(".")[0]
                for shop in shops.values():
                    if owner in ("ALL", shop.code):
                        shop.enlist(sku)
            if units:
                await floor.count(units)
            for shop in shops.values():
                await floor.open(shop)
            for shop in shops.values():
                for sku in shop.listed:
                    await floor.shows(shop, sku, units[sku])
            yield floor
