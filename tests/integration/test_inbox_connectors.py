"""Messages of systems with a connector in the inbox: repeats in other bytes, what they wait for."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from typing import Any

from stockbridge.contracts.events import Undecodable
from stockbridge.contracts.masters import PutSystem
from stockbridge.contracts.partners.model import Decoded, EventData
from stockbridge.contracts.partners.reading import contract_of
from stockbridge.engine.inbox import replay
from stockbridge.engine.inbox.reading import message_document
from stockbridge.governance.live_catalog import LiveCatalog
from stockbridge.store.database import connect
from tests.integration.inbox_desk import RECEIVED, desk, envelope, fact

RECEIPTS = contract_of("shop", "receipts")


class Decoding:
    """The decoding half of connectors: a location of theirs is ours by the configuration."""

    def __init__(self) -> None:
        self.is_broken = True

    def decode(self, _name: str, _topic: str, body: bytes, config: Mapping[str, Any]) -> Decoded:
        said = json.loads(body)
        if said.get("at") == "boom" and self.is_broken:
            return Undecodable("decoder_failed", "KeyError: 'at'")
        if said.get("at") == "nothing":
            return []
        place = config["locations"].get(said["at"])
        if place is None and said["at"] != "boom":
            return Undecodable("unknown_location", f"locations has no {said['at']}", ("config",))
        data = fact(said["number"]) | {"location": place or "W1"}
        return [EventData(RECEIVED, data)]


def shop(**locations: str) -> PutSystem:
    return PutSystem(
        "shop", "storefront", connector="generic", config={"locations": locations}, operations=[]
    )


def message(number: str, at: str, **more: Any):
    body = {"number": number, "at": at} | more
    return envelope(f"receipts:{number}@1", body, contract=RECEIPTS, system="shop")


@contextlib.asynccontextmanager
async def reading(dsn: str, decoding: Decoding) -> AsyncIterator[Any]:
    catalog = LiveCatalog(dsn, decoding)  # type: ignore[arg-type]
    async with desk(dsn, decode_with=catalog.decode) as made:
        await catalog.start()
        try:
            yield made
        finally:
            await catalog.stop()


async def until_it_is(made: Any, message_id: int, *wanted: str | None) -> None:
    """Wait until the message has this status and reason."""
    statement = (
        f"SELECT row(status, reason_code)::text FROM message WHERE message_id = {message_id}"
    )
    await made.until(statement, f"({','.join(each or '' for each in wanted)})")


async def test_the_same_version_in_other_bytes_is_a_repeat(dsn):
    async with reading(dsn, Decoding()) as made:
        await made.master(shop(p1="W1"))
        (first,) = await made.send(message("1", "p1"))
        (again,) = await made.send(message("1", "p1", note="as the poll tells it"))
        assert (first.status, again) == ("received", (first.message_id, "duplicate"))
        both = await made.send(message("2", "p1"), message("2", "p1", note="in one batch"))
        assert [each.status for each in both] == ["received", "duplicate"]
        await until_it_is(made, both[0].message_id, "applied", None)
        assert await made.available() == 10
        assert await made.one("SELECT count(*) FROM exception") == 0
        async with await connect(dsn) as conn:
            document = await message_document(conn, first.message_id, made.applier.decode)
        assert isinstance(document, dict)
        body = json.dumps({"number": "1", "at": "p1"}).encode()
        assert document["content_sha256"] == sha256(body).hexdigest()


async def test_what_the_configuration_lacks_is_waited_for(dsn):
    async with reading(dsn, Decoding()) as made:
        (early,) = await made.send(message("1", "p1"))
        await until_it_is(made, early.message_id, "parked", "no_connector")
        await made.master(shop(p1="W1"))
        await until_it_is(made, early.message_id, "applied", None)
        (late,) = await made.send(message("2", "p2"))
        await until_it_is(made, late.message_id, "parked", "unknown_location")
        await made.master(shop(p1="W1", p2="W1"))
        await until_it_is(made, late.message_id, "applied", None)
        (silent,) = await made.send(message("3", "nothing"))
        await until_it_is(made, silent.message_id, "applied", "nothing_told")


async def test_what_a_broken_decoder_left_is_replayed(dsn):
    decoding = Decoding()
    async with reading(dsn, decoding) as made:
        await made.master(shop(p1="W1"))
        (broken,) = await made.send(message("1", "boom"))
        await until_it_is(made, broken.message_id, "parked", "decoder_failed")
        decoding.is_broken = False
        async with await connect(dsn) as conn:
            selection = replay.Selection(ids=(broken.message_id,))
            assert await replay.replay(conn, selection, actor="tester") == 1
        await until_it_is(made, broken.message_id, "applied", None)
        assert await made.available() == 5
