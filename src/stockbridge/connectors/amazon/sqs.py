"""A queue of Amazon SQS: signed calls over the kit's HTTP, nothing of an SDK.

Signature Version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html. The
protocol is AWS JSON 1.0, which SQS speaks beside its older one.
"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from stockbridge.connectors.kit.canonical import at
from stockbridge.connectors.kit.http import Fixed, Http

BATCH: Final = 10
"""The most that SQS gives or deletes at once."""
_KIND: Final = "application/x-amz-json-1.0"
_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_SERVICE: Final = "sqs"
_HIDDEN_SECONDS: Final = 120
"""Messages that were read and not deleted show again after that."""


class Credentials(NamedTuple):
    """A key of an AWS user, and the region it is used in."""

    key_id: str
    secret: str
    region: str


class Message(NamedTuple):
    """A message of the queue; `receipt` deletes it."""

    message_id: str
    receipt: str
    body: str


def signed(
    host: str, headers: Mapping[str, str], body: bytes, by: Credentials, now: datetime
) -> dict[str, str]:
    """The headers that sign a POST to `/`: X-Amz-Date and Authorization."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    covered = {name.lower(): value.strip() for name, value in headers.items()}
    covered |= {"host": host, "x-amz-date": stamp}
    names = ";".join(sorted(covered))
    lines = "".join(f"{name}:{covered[name]}\n" for name in sorted(covered))
    request = f"POST\n/\n\n{lines}\n{names}\n{sha256(body).hexdigest()}"
    scope = f"{stamp[:8]}/{by.region}/{_SERVICE}/aws4_request"
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    key = f"AWS4{by.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    given = f"Credential={by.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {"X-Amz-Date": stamp, "Authorization": f"{_ALGORITHM} {given}"}


def region_of(queue_url: str, configured: str) -> str:
    """The region that a queue's address names, unless one is configured."""
    host = (urlsplit(queue_url).hostname or "").split(".")
    return configured or (host[1] if host[0] == _SERVICE and len(host) > 1 else "us-east-1")


class Queue:
    """One queue."""

    def __init__(self, http: Http, queue_url: str, by: Credentials) -> None:
        self._http, self._url, self._by = http, queue_url, by
        parts = urlsplit(queue_url)
        self._origin, self._host = f"{parts.scheme}://{parts.netloc}", parts.netloc

    async def check(self) -> int:
        """About how many messages wait; raises Failed."""
        asked = {"AttributeNames": ["ApproximateNumberOfMessages"]}
        found = await self._call("test", "GetQueueAttributes", asked)
        return int(at(found, "Attributes", "ApproximateNumberOfMessages") or 0)

    async def receive(self, operation: str) -> list[Message]:
        """Some that wait, hidden from others for a while; raises Failed."""
        asked = {"MaxNumberOfMessages": BATCH, "WaitTimeSeconds": 0,
                 "VisibilityTimeout": _HIDDEN_SECONDS}  # fmt: skip
        found = await self._call(operation, "ReceiveMessage", asked)
        return [
            Message(str(each["MessageId"]), str(each["ReceiptHandle"]), str(each["Body"]))
            for each in at(found, "Messages") or ()
        ]

    async def delete(self, receipts: Sequence[str]) -> None:
        """Take messages away for good; those that stay are heard again. Raises Failed."""
        entries = [
            {"Id": str(place), "ReceiptHandle": receipt} for place, receipt in enumerate(receipts)
        ]
        await self._call("delete", "DeleteMessageBatch", {"Entries": entries})

    async def _call(self, operation: str, action: str, asked: Mapping[str, Any]) -> Any:
        body = msgspec.json.encode({"QueueUrl": self._url, **asked})
        headers = {"Content-Type": _KIND, "X-Amz-Target": f"AmazonSQS.{action}"}
        credentials = signed(self._host, headers, body, self._by, datetime.now(UTC))
        reply = await self._http.call(
            operation, "POST", f"{self._origin}/", headers=headers, body=body,
            is_idempotent=True, auth=Fixed(credentials),
        )  # fmt: skip
        return reply.json()
