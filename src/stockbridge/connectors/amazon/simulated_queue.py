"""An SQS queue on loopback: messages are hidden while they are read, and deleted by receipt."""

import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stockbridge.connectors.amazon import sqs
from stockbridge.connectors.kit.simulator import Clock

_SKEW_SECONDS: Final = 300


class SimulatedQueue:
    """One queue; `key` gives the host and the access key that calls must be signed by."""

    def __init__(self, clock: Clock, key: Callable[[], tuple[str, str, str]]) -> None:
        self._clock, self._key = clock, key
        self._messages: list[dict[str, Any]] = []

    def put(self, body: str) -> None:
        """Add a message."""
        self._messages.append({"MessageId": os.urandom(8).hex(), "Body": body, "at": 0.0,
                               "ReceiptHandle": os.urandom(16).hex()})  # fmt: skip

    def bodies(self) -> list[str]:
        """Of all messages that were not deleted."""
        return [message["Body"] for message in self._messages]

    async def answer(self, request: Request) -> Response:
        """A call of AWS JSON 1.0."""
        body, headers = await request.body(), dict(request.headers)
        if not self._is_signed(headers, body):
            kind = "com.amazon.coral.service#InvalidSignatureException"
            return JSONResponse({"__type": kind, "message": "does not match"}, 403)
        asked = msgspec.json.decode(body)
        match headers["x-amz-target"]:
            case "AmazonSQS.DeleteMessageBatch":
                return JSONResponse(self._delete(asked))
            case "AmazonSQS.GetQueueAttributes":
                count = str(len(self._messages))
                return JSONResponse({"Attributes": {"ApproximateNumberOfMessages": count}})
            case _:
                return JSONResponse(self._receive(asked))

    def _delete(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        gone = {entry["ReceiptHandle"] for entry in asked["Entries"]}
        self._messages = [m for m in self._messages if m["ReceiptHandle"] not in gone]
        done = [{"Id": entry["Id"]} for entry in asked["Entries"]]
        return {"Successful": done, "Failed": []}

    def _receive(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        now = self._clock.time()
        found = [m for m in self._messages if m["at"] <= now][: asked["MaxNumberOfMessages"]]
        for message in found:
            message["at"] = now + asked["VisibilityTimeout"]
        shown = [{name: m[name] for name in ("MessageId", "ReceiptHandle", "Body")} for m in found]
        return {"Messages": shown} if shown else {}

    def _is_signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        host, key_id, secret = self._key()
        given = headers.get("x-amz-date", "")
        if not re.fullmatch(r"\d{8}T\d{6}Z", given):
            return False
        when = datetime.strptime(given, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        covered = {name: headers.get(name, "") for name in ("content-type", "x-amz-target")}
        by = sqs.Credentials(key_id, secret, "us-east-1")
        wanted = sqs.signed(host, covered, body, by, when)
        is_now = abs((datetime.now(UTC) - when).total_seconds()) < _SKEW_SECONDS
        return is_now and headers.get("authorization") == wanted["Authorization"]


def notification(kind: str, payload: Any, now: str) -> str:
    """The body of a message, as Amazon puts it on the queue."""
    metadata = {"ApplicationId": "amzn1.sellerapps.app.1", "SubscriptionId": "s-1",
                "PublishTime": now, "NotificationId": os.urandom(8).hex()}  # fmt: skip
    told = {"NotificationVersion": "1.0", "NotificationType": kind, "PayloadVersion": "1.0",
            "EventTime": now, "Payload": payload, "NotificationMetadata": metadata}  # fmt: skip
    return msgspec.json.encode(told).decode()


def order_change(order: Mapping[str, Any], seller: str, kind: str, now: str) -> dict[str, Any]:
    """The payload of ORDER_CHANGE."""
    status = order["fulfillment"]["fulfillmentStatus"].title()
    items = [
        {"OrderItemId": item["orderItemId"], "SellerSKU": item["product"]["sellerSku"],
         "SupplySourceId": "d7679e14-031b-4ab3-a81b-ec4fc7a460b3",
         "OrderItemStatus": status, "Quantity": item["quantityOrdered"],
         "QuantityShipped": item["fulfillment"]["quantityFulfilled"],
         "IsBuyerRequestedCancel": kind == "BuyerRequestedChange"}
        for item in order["orderItems"]
    ]  # fmt: skip
    summary = {
        "MarketplaceId": order["salesChannel"]["marketplaceId"], "OrderStatus": status,
        "PurchaseDate": order["createdTime"], "DestinationPostalCode": "98101",
        "FulfillmentType": "MFN", "OrderType": "StandardOrder", "OrderItems": items,
    }  # fmt: skip
    change = {
        "NotificationLevel": "OrderLevel", "SellerId": seller, "AmazonOrderId": order["orderId"],
        "OrderChangeType": kind, "Summary": summary,
        "OrderChangeTrigger": {"TimeOfOrderChange": now, "ChangeReason": kind},
    }  # fmt: skip
    return {"OrderChangeNotification": change}
