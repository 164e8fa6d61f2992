"""A running Vendure, and what customers and staff do in it."""

import contextlib
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2

from stockbridge.connectors.kit.simulator import Listed, Ordered, OrderLine
from tests.vendure.install import HERE, environment

CONNECTOR = HERE.parents[1] / "src/stockbridge/connectors/vendure"
PLUGIN = CONNECTOR / "plugin" / "stockbridge-plugin.js"
USER = PASSWORD = "superadmin"
START_SECONDS_MAX = 120.0
MORE_THAN_THERE_IS = 900

_ORDER = "id code state lines { id quantity productVariant { id sku } } payments { id }"
_ERROR = "__typename ... on ErrorResult { errorCode message }"


class Shop:
    """One shop at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx2.Client(timeout=60)
        self._products = 0
        self._token = ""
        self._ask(
            "admin",
            f"""mutation {{
            login(username: "{USER}", password: "{PASSWORD}") {{ {_ERROR} }} }}""",
        )

    def close(self) -> None:
        self._http.close()

    def config(self) -> dict[str, Any]:
        return {"url": f"{self.url}/admin-api", "channel": "webshop", "username": USER}

    def _ask(self, api: str, query: str, token: str | None = None, **variables: Any) -> Any:
        """The data of an answer; a customer's token is given and given back."""
        used = self._token if token is None else token
        headers = {"authorization": f"Bearer {used}"} if used else {}
        body = {"query": query, "variables": variables}
        answer = self._http.post(f"{self.url}/{api}-api", json=body, headers=headers)
        said = answer.json()
        assert not said.get("errors"), said
        if token is None and not self._token:
            self._token = answer.headers["vendure-auth-token"]
        return said["data"]

    def _done(self, query: str, **variables: Any) -> Any:
        """The one result of a mutation, which must not be an error."""
        (result,) = self._ask("admin", query, **variables).values()
        assert "errorCode" not in result, result
        return result

    # Staff -----------------------------------------------------------------------------------

    def list_item(self, sku: str, quantity: int) -> Listed:
        """A product with one variant."""
        self._products += 1
        words = [{"languageCode": "en", "name": sku, "slug": f"p-{self._products}",
                  "description": ""}]  # fmt: skip
        product = self._done(
            "mutation($i: CreateProductInput!) { createProduct(input: $i) { id } }",
            i={"translations": words},
        )
        (variant,) = self._ask(
            "admin",
            "mutation($i: [CreateProductVariantInput!]!)"
            " { createProductVariants(input: $i) { id } }",
            i=[{"productId": product["id"], "sku": sku, "price": 1000, "stockOnHand": quantity,
                "translations": [{"languageCode": "en", "name": sku}]}],
        )["createProductVariants"]  # fmt: skip
        return Listed(variant["id"], "")

    def change(self, listed: Listed, **fields: Any) -> None:
        """Set fields of a variant."""
        self._ask(
            "admin",
            "mutation($i: [UpdateProductVariantInput!]!)"
            " { updateProductVariants(input: $i) { id } }",
            i=[{"id": listed.item, **fields}],
        )

    def on_hand(self, listed: Listed) -> tuple[int, int]:
        """On hand, and allocated of it."""
        found = self._ask(
            "admin",
            "query($i: ID!) { productVariant(id: $i) {"
            " stockLevels { stockOnHand stockAllocated } } }",
            i=listed.item,
        )
        (level,) = found["productVariant"]["stockLevels"]
        return level["stockOnHand"], level["stockAllocated"]

    def _order(self, number: str) -> Any:
        query = f"""query($c: String!) {{
            orders(options: {{ filter: {{ code: {{ eq: $c }} }} }}) {{ items {{ {_ORDER} }} }} }}"""
        return self._ask("admin", query, c=number)["orders"]["items"][0]

    def state(self, number: str) -> str:
        return str(self._order(number)["state"])

    def cancel(self, number: str) -> None:
        """Call off what is left of an order."""
        lines = self._order(number)["lines"]
        self._cancel(number, {line["id"]: line["quantity"] for line in lines if line["quantity"]})

    def cancel_part(self, number: str, units: Mapping[str, int]) -> None:
        self._cancel(number, units, reason="customer")

    def _cancel(self, number: str, units: Mapping[str, int], **more: str) -> None:
        given = {"orderId": self._order(number)["id"], "lines": _lines(units), **more}
        self._done(f"mutation($i: CancelOrderInput!) {{ cancelOrder(input: $i) {{ {_ERROR} }} }}",
                   i=given)  # fmt: skip

    def fulfill(self, number: str, units: Mapping[str, int]) -> None:
        del number
        arguments = [{"name": "method", "value": "By hand"}, {"name": "trackingCode", "value": ""}]
        given = {"lines": _lines(units),
                 "handler": {"code": "manual-fulfillment", "arguments": arguments}}  # fmt: skip
        self._done(
            f"""mutation($i: FulfillOrderInput!) {{
            addFulfillmentToOrder(input: $i) {{ {_ERROR} }} }}""",
            i=given,
        )

    def edit(self, number: str, sku: str, quantity: int) -> str:
        """Add an item to an order; the line's id."""
        order = self._order(number)
        variant = next(line["productVariant"] for line in order["lines"]
                       if line["productVariant"]["sku"] == sku)  # fmt: skip
        self._done(
            f"""mutation($i: ID!) {{
            transitionOrderToState(id: $i, state: "Modifying") {{ {_ERROR} }} }}""",
            i=order["id"],
        )
        added = [{"productVariantId": variant["id"], "quantity": quantity}]
        given = {"dryRun": False, "orderId": order["id"], "addItems": added}
        self._done(f"mutation($i: ModifyOrderInput!) {{ modifyOrder(input: $i) {{ {_ERROR} }} }}",
                   i=given)  # fmt: skip
        return str(self._order(number)["lines"][-1]["id"])

    # Customers -------------------------------------------------------------------------------

    def shown(self, listed: Listed) -> int | None:
        """How many a customer who wants far too many can have."""
        data = self._ask(
            "shop",
            f"""mutation($v: ID!, $n: Int!) {{ addItemToOrder(productVariantId: $v, quantity: $n) {{
                {_ERROR} ... on InsufficientStockError {{ quantityAvailable }} }} }}""",
            token="", v=listed.item, n=MORE_THAN_THERE_IS,
        )  # fmt: skip
        return int(data["addItemToOrder"]["quantityAvailable"])

    def order(self, lines: Mapping[str, int]) -> Ordered:
        """A customer puts items into the cart, gives an address and pays."""
        items = {row["sku"]: row["id"] for row in self._ask(
            "admin",
            "query($s: [String!]) { productVariants(options: { filter: { sku: { in: $s } } })"
            " { items { id sku } } }",
            s=list(lines),
        )["productVariants"]["items"]}  # fmt: skip
        cart = _Cart(self._http, f"{self.url}/shop-api")
        for sku, quantity in lines.items():
            cart.add(items[sku], quantity)
        number = cart.pay()
        return Ordered(number, [
            OrderLine(line["id"], line["productVariant"]["sku"], line["quantity"])
            for line in self._order(number)["lines"]
        ])  # fmt: skip


class _Cart:
    """A customer's session."""

    def __init__(self, http: httpx2.Client, url: str) -> None:
        self._http, self._url, self._token = http, url, ""

    def _do(self, mutation: str, **variables: Any) -> Any:
        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}
        body = {"query": mutation, "variables": variables}
        answer = self._http.post(self._url, json=body, headers=headers)
        self._token = self._token or answer.headers["vendure-auth-token"]
        said = answer.json()
        assert not said.get("errors"), said
        (result,) = said["data"].values()
        assert isinstance(result, list) or "errorCode" not in result, result
        return result

    def add(self, item: str, quantity: int) -> None:
        self._do(f"""mutation($v: ID!, $n: Int!) {{
            addItemToOrder(productVariantId: $v, quantity: $n) {{ {_ERROR} }} }}""",
            v=item, n=quantity)  # fmt: skip

    def pay(self) -> str:
        self._do(f"""mutation {{ setCustomerForOrder(input: {{
            firstName: "A", lastName: "B", emailAddress: "a.b@example.com" }}) {{ {_ERROR} }} }}""")
        self._do(f"""mutation {{ setOrderShippingAddress(input: {{
            fullName: "A B", streetLine1: "1 Example Road", city: "London", postalCode: "N1",
            countryCode: "GB" }}) {{ {_ERROR} }} }}""")
        (way, *_) = self._do("{ eligibleShippingMethods { id } }")
        self._do(
            f"""mutation($w: [ID!]!) {{
            setOrderShippingMethod(shippingMethodId: $w) {{ {_ERROR} }} }}""",
            w=[way["id"]],
        )
        self._do(f"""mutation {{
            transitionOrderToState(state: "ArrangingPayment") {{ {_ERROR} }} }}""")
        (method, *_) = self._do("{ eligiblePaymentMethods { code } }")
        order = self._do(
            f"""mutation($m: String!) {{
            addPaymentToOrder(input: {{ method: $m, metadata: {{}} }}) {{
                {_ERROR} ... on Order {{ code }} }} }}""",
            m=method["code"],
        )
        return str(order["code"])


def _lines(units: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"orderLineId": line, "quantity": quantity} for line, quantity in units.items()]


@contextlib.contextmanager
def open_shop(
    folder: Path, data_dir: Path, *, hook_url: str = "", secret: str = ""
) -> Iterator[Shop]:
    """A shop with data of its own; its hints go to `hook_url`. It ends with the block."""
    database = data_dir / "shop.sqlite"
    shutil.copy(folder / "template.sqlite", database)
    command = ["node", str(HERE / "shop.js"), "run", str(database), "0"]
    plugin = {"STOCKBRIDGE_PLUGIN": str(PLUGIN)}
    process = subprocess.Popen(
        [*command, hook_url, secret], env={**environment(folder), **plugin}, cwd=data_dir,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    said = _Said(process)
    try:
        shop = Shop(f"http://127.0.0.1:{said.port()}")
        try:
            yield shop
        finally:
            shop.close()
    finally:
        process.kill()
        process.wait()
        said.join()


class _Said:
    """Reads what the process prints, so that it never waits for us."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process, self._lines = process, list[str]()
        self._port = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)
            if line.startswith("READY "):
                self._port = line.split()[1]
                self._ready.set()
        self._ready.set()

    def port(self) -> str:
        assert self._ready.wait(START_SECONDS_MAX), self._lines[-20:]
        assert self._port, self._lines[-20:]
        return self._port

    def join(self) -> None:
        self._thread.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
