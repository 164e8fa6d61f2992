"""The wire of a Vendure shop's Admin API."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from stockbridge.connectors.kit.canonical import at, parsed
from stockbridge.connectors.kit.http import Fixed, Http
from stockbridge.connectors.kit.outcomes import Failed, Reply
from stockbridge.connectors.kit.signing import is_standard
from stockbridge.connectors.kit.tokens import Token, Tokens
from stockbridge.connectors.vendure import documents, mapping
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import (
    CatalogEntry,
    Check,
    Connector,
    Delivery,
    Observed,
    Opened,
    Outcome,
    Page,
    Received,
    StockUpdate,
    WebhookRequest,
)
from stockbridge.contracts.partners.operations import CancelOrder, ConfirmShipment

_PAGE: Final = 100
_SESSION_SECONDS: Final = 43_200.0
_FORBIDDEN: Final = "FORBIDDEN"
_REFUSED: Final = frozenset({"ENTITY_NOT_FOUND", "USER_INPUT_ERROR", "BAD_USER_INPUT"})
_Variants = dict[str, Mapping[str, Any]]


def connect(opened: Opened, http: Http) -> Connector:
    """A connection to one shop."""
    return Shop(opened, http)


class Shop:
    """One shop, opened."""

    manifest: Manifest

    def __init__(self, opened: Opened, http: Http) -> None:
        self._config, self._secrets, self._http = opened.config, opened.secrets, http
        self._url = str(opened.config["url"])
        self._place = str(opened.config.get("stock_location") or "1")
        token = opened.config.get("channel_token")
        self._headers = {"vendure-token": str(token)} if token else {}
        self._tokens = Tokens(http, self._sign_in)
        http.auth = self._tokens

    async def close(self) -> None:
        """Nothing beside the connections is held."""

    async def test(self) -> Sequence[Check]:
        """Sign in, and look at what the administrator may do and how the shop keeps stock."""
        about = await self._ask("test", documents.ABOUT)
        channel = at(about, "activeChannel", "code")
        may = {
            name
            for each in at(about, "me", "channels") or ()
            if each["code"] == channel
            for name in each["permissions"]
        }
        lacking = [name for name in mapping.PERMISSIONS if not may & {name, "SuperAdmin"}]
        places = [str(place["id"]) for place in at(about, "stockLocations", "items") or ()]
        token = self._headers.get("vendure-token")
        is_channel = token in (None, at(about, "activeChannel", "token"))
        threshold = at(about, "globalSettings", "outOfStockThreshold") or 0
        return [
            Check("signs in", True, f"as {at(about, 'me', 'identifier')} in channel {channel}"),
            Check("channel_token", is_channel, f"the shop answers as channel {channel}",
                  "correct `channel_token`: the shop has no channel with it (Settings > Channels)"),
            Check("permissions", not lacking, f"lacks {', '.join(lacking)}" if lacking else "",
                  "give the administrator's role these permissions in this channel"),
            Check("stock_location", self._place in places, f"{self._place} of {places}",
                  f"set `stock_location` to one of {', '.join(places)}"),
            Check("backorders", threshold >= 0, f"outOfStockThreshold is {threshold}",
                  "set it to 0 in the shop's global settings: what is on hand must cover orders"),
        ]  # fmt: skip

    async def _sign_in(self) -> Token:
        """A session's token."""
        named = {"username": self._config["username"], "password": self._secrets["password"]}
        try:
            reply = await self._post("token", documents.LOGIN, named, auth=Fixed({}))
        except Failed as error:
            outcome = error.outcome
            told = Outcome("later", outcome.code, f"no session: {outcome.detail}",
                           after_seconds=outcome.after_seconds)  # fmt: skip
            raise Failed(told, error.reply) from None
        said, token = reply.json(), reply.headers.get("vendure-auth-token")
        if at(said, "data", "login", "__typename") != "CurrentUser":
            code = str(at(said, "data", "login", "errorCode") or "no answer")
            raise Failed(Outcome("later", "unauthorized", f"the shop refuses the login: {code}"))
        if not token:
            detail = "the shop gives no bearer token; its authOptions.tokenMethod must have bearer"
            raise Failed(Outcome("later", "no_token", detail))
        return Token(token, _SESSION_SECONDS)

    async def publish(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        """What may be sold is compared, then stock on hand is set so that it becomes the figure."""
        variants, settings = await self._figures("publish", updates)
        found: dict[int, Outcome] = {}
        rows: list[tuple[StockUpdate, int]] = []
        for update in updates:
            plan = mapping.planned(update, variants.get(update.item), settings, self._place)
            if isinstance(plan, Outcome):
                found[update.listing_id] = plan
            else:
                rows.append((update, plan))
        if rows:
            found |= await self._set(rows, settings)
        return [found[update.listing_id] for update in updates]

    async def _set(
        self, rows: Sequence[tuple[StockUpdate, int]], settings: Mapping[str, Any]
    ) -> dict[int, Outcome]:
        """One bad row fails the whole call and nothing is written: then each goes by itself."""
        given = [mapping.set_of(row.item, self._place, on_hand) for row, on_hand in rows]
        try:
            said = await self._ask("publish", documents.SET_FIGURES, {"input": given})
        except Failed as error:
            if error.outcome.kind != "rejected" or len(rows) == 1:
                return {row.listing_id: error.outcome for row, _ in rows}
            found: dict[int, Outcome] = {}
            for row in rows:
                found |= await self._set([row], settings)
            return found
        shown = _by_id(at(said, "updateProductVariants"))
        return {row.listing_id: mapping.after(row, shown.get(row.item), settings)
                for row, _ in rows}  # fmt: skip

    async def observe(self, updates: Sequence[StockUpdate]) -> Sequence[Observed]:
        """What the shop may sell."""
        variants, settings = await self._figures("observe", updates)
        return [mapping.observed(row, variants.get(row.item), settings) for row in updates]

    async def _figures(
        self, operation: str, updates: Sequence[StockUpdate]
    ) -> tuple[_Variants, Mapping[str, Any]]:
        items = list(dict.fromkeys(update.item for update in updates))
        options = {"filter": {"id": {"in": items}}, "take": len(items)}
        said = await self._ask(operation, documents.FIGURES, {"options": options})
        return _by_id(at(said, "productVariants", "items")), at(said, "globalSettings") or {}

    async def send(self, delivery: Delivery) -> Outcome:
        """Look whether it is done, else do it."""
        match delivery.payload:
            case ConfirmShipment() as shipment:
                order = await self._order(shipment.order)
                return _missing(shipment.order) if order is None else await self._ship(
                    delivery, order, shipment
                )  # fmt: skip
            case CancelOrder() as cancellation:
                order = await self._order(cancellation.order)
                return _missing(cancellation.order) if order is None else await self._call_off(
                    delivery, order, cancellation
                )  # fmt: skip
            case other:
                return Outcome("rejected", "not_supported", f"{type(other).__name__} is not taken")

    async def _order(self, code: str) -> Any:
        options = {"filter": {"code": {"eq": code}}, "take": 1}
        said = await self._ask("order", documents.ORDER, {"options": options})
        return at(said, "orders", "items", 0)

    async def _ship(self, delivery: Delivery, order: Any, shipment: ConfirmShipment) -> Outcome:
        """A fulfillment is made pending, which takes its stock, then it is shipped."""
        made = mapping.fulfillment_of(order, shipment)
        if made is None:
            given = {"input": mapping.fulfillment_input(shipment)}
            said = await self._ask(
                "confirm_shipment", documents.FULFILL, given, delivery.correlation_id
            )
            made = at(said, "addFulfillmentToOrder")
            if at(made, "__typename") != "Fulfillment":
                return mapping.refusal(made)
        if mapping.has_left(made):
            return Outcome("confirmed", reference=str(made["id"]))
        step = {"id": made["id"], "state": "Shipped"}
        said = await self._ask("ship", documents.TRANSIT, step, delivery.correlation_id)
        shipped = at(said, "transitionFulfillmentToState")
        if at(shipped, "__typename") != "Fulfillment":
            return mapping.refusal(shipped)
        return Outcome("confirmed", reference=str(made["id"]))

    async def _call_off(
        self, delivery: Delivery, order: Any, cancellation: CancelOrder
    ) -> Outcome:  # fmt: skip
        if mapping.is_called_off(order, cancellation):
            return Outcome("confirmed")
        strange = mapping.strange_lines(order, cancellation.lines)
        if strange:
            return Outcome("rejected", "no_such_line", f"the order has no line {strange[0]}")
        given = mapping.cancel_input(order, cancellation)
        if given is None:
            return Outcome("confirmed", detail="nothing of these lines was left in the shop")
        said = await self._ask(
            "cancel_order", documents.CANCEL, {"input": given}, delivery.correlation_id
        )
        cancelled = at(said, "cancelOrder")
        if at(cancelled, "__typename") != "Order":
            return mapping.refusal(cancelled)
        return Outcome("confirmed")

    async def probe(self, delivery: Delivery) -> Outcome:
        """Sending again is the way to find out: the order remembers what was done."""
        return Outcome("later", "repeat", f"{delivery.operation} may be sent again")

    def receive(self, request: WebhookRequest, secrets: Sequence[str]) -> Received | None:
        """A hint of the plugin, signed as Standard Webhooks are."""
        if not is_standard(request.headers, request.body, secrets, time.time()):
            return None
        parsed(request.body)
        return Received(feeds=["orders"])

    async def poll(self, feed: str, since: datetime | None, cursor: str | None) -> Page:
        """Orders by when they changed, oldest first."""
        options = mapping.orders_after(since, cursor, self._config, _PAGE)
        said = await self._ask(feed, documents.ORDERS, {"options": options})
        orders = at(said, "orders", "items") or []
        is_last = not orders or len(orders) >= (at(said, "orders", "totalItems") or 0)
        return Page(
            [mapping.incoming(order) for order in orders],
            None if is_last else mapping.cursor_after(orders, cursor),
            max((mapping.changed_at(order) for order in orders), default=None),
        )

    async def catalog(self) -> AsyncIterator[CatalogEntry]:
        """Every variant, by id."""
        seen = 0
        while True:
            options = {"sort": {"id": "ASC"}, "skip": seen, "take": _PAGE}
            said = await self._ask("catalog", documents.CATALOG, {"options": options})
            rows = at(said, "productVariants", "items") or []
            for row in rows:
                yield mapping.entry_of(row)
            seen += len(rows)
            if not rows or seen >= (at(said, "productVariants", "totalItems") or 0):
                return

    async def _ask(
        self,
        operation: str,
        document: str,
        variables: Mapping[str, Any] | None = None,
        correlation_id: str = "",
    ) -> Any:
        """The data of a good answer; raises Failed.

        A session that ended is FORBIDDEN like a permission that lacks: a new one is tried once.
        Everything here may be repeated: figures are compared, orders remember what was done.
        """
        for is_last in (False, True):
            used = await self._tokens.headers()
            reply = await self._post(operation, document, variables or {}, correlation_id)
            said = reply.json()
            if is_last or at(said, "errors", 0, "extensions", "code") != _FORBIDDEN:
                break
            self._tokens.renew(used)
        error = at(said, "errors", 0)
        if error is not None:
            raise Failed(_failed(error), reply)
        data = at(said, "data")
        if not isinstance(data, dict):
            raise Failed(Outcome("unknown", "unreadable", "the answer has no data"), reply)
        return data

    async def _post(
        self,
        operation: str,
        document: str,
        variables: Mapping[str, Any],
        correlation_id: str = "",
        auth: Fixed | None = None,
    ) -> Reply:
        name = document.split("(", 1)[0].split("{", 1)[0].split()[1]
        return await self._http.call(
            operation, "POST", self._url, headers=self._headers, auth=auth, is_idempotent=True,
            json={"operationName": name, "query": document, "variables": variables},
            correlation_id=correlation_id,
        )  # fmt: skip


def _by_id(rows: Any) -> _Variants:
    return {str(row["id"]): row for row in rows or ()}


def _missing(number: str) -> Outcome:
    return Outcome("rejected", "no_such_order", f"the shop has no order {number}")


def _failed(error: Any) -> Outcome:
    """An error of GraphQL: the shop has rolled back whatever it had begun."""
    code, detail = str(at(error, "extensions", "code") or ""), str(at(error, "message") or "")
    if code == _FORBIDDEN:
        return Outcome("later", "forbidden", detail)
    if code in _REFUSED:
        return Outcome("rejected", code.lower(), detail)
    return Outcome("later", "internal", detail)
