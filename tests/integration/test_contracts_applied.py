"""From a partner's bytes through contract or mapping to the ledger, waiting where it must."""

import asyncio
import json
from typing import Any

import msgspec

from stockbridge.connectors.mapped import folders
from stockbridge.engine.inbox.model import Envelope
from tests.doors import balance, settled
from tests.http_api import scalar, serving
from tests.unit.test_contracts_events import TYPES, data_of

NORTHWIND: dict[str, Any] = msgspec.to_builtins(folders.read(folders.find("northwind_3pl")))
SAMPLES = {sample["name"]: sample["input"] for sample in NORTHWIND["samples"]}
ACTIVITY = "mapping:northwind-3pl:activity.v1"


def envelope(number: str, contract: str, body: str, system: str = "northwind-3pl") -> Envelope:
    return Envelope(
        system, number, "", None, f"c-{number}", None, "test", "test", contract,
        "application/json", body.encode(),
    )  # fmt: skip


async def northwind(api, *aliases: str) -> None:
    await api.put("/v1/systems/northwind-3pl", {"kind": "3pl"})
    for code in ("3PL-HAM", "3PL-MUC"):
        await api.put(f"/v1/locations/{code}", {})
    for alias in aliases:
        item = {"aliases": [{"namespace": "northwind-3pl", "alias": alias}],
                "uoms": [{"uom": "CASE", "numerator": 12}]}  # fmt: skip
        await api.put(f"/v1/items/{alias[3:]}", item)
    body = {"manifest": NORTHWIND, "status": "active"}
    assert (await api.post("/v1/mappings", body)).status_code == 201


async def status(dsn, expected: str, seconds: float = 60.0) -> None:
    """Wait until the newest message has this status."""
    found = None
    async with asyncio.timeout(seconds):
        while found != expected:
            found = await scalar(dsn, "SELECT status FROM message ORDER BY message_id DESC LIMIT 1")
            await asyncio.sleep(0.02)


async def test_a_partner_without_code_moves_stock(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await northwind(api, "NW-4711", "NW-4712")
        received = envelope("1", ACTIVITY, SAMPLES["goods_received"])
        await api.app.inbox.accept([received])
        assert await settled(dsn) == {"applied": 1}
        assert await balance(dsn, "4711", "3PL-MUC") == {"quarantined": 48}
        await api.app.inbox.accept([received])
        assert await settled(dsn) == {"applied": 1}
        assert await balance(dsn, "4711", "3PL-MUC") == {"quarantined": 48}


async def test_a_mapped_message_waits_for_the_alias_it_names(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await northwind(api)
        await api.app.inbox.accept([envelope("1", ACTIVITY, SAMPLES["goods_received"])])
        await status(dsn, "parked")
        await northwind_item(api, "NW-4711")
        await status(dsn, "applied")
        assert await balance(dsn, "4711", "3PL-MUC") == {"quarantined": 48}


async def northwind_item(api, alias: str) -> None:
    aliases = [{"namespace": "northwind-3pl", "alias": alias}]
    assert (await api.put(f"/v1/items/{alias[3:]}", {"aliases": aliases})).status_code == 201


async def test_a_new_site_waits_for_the_mapping_that_knows_it(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await northwind(api, "NW-4711")
        await api.put("/v1/locations/3PL-BRE", {})
        new_site = SAMPLES["goods_received"].replace("MUC2", "BRE9")
        await api.app.inbox.accept([envelope("1", ACTIVITY, new_site)])
        await status(dsn, "parked")
        key = "contract:mapping:northwind-3pl:activity.v2"
        assert await scalar(dsn, "SELECT wait_key FROM parked") == key
        assert await scalar(dsn, "SELECT reason_code FROM message") == "unmapped_code"
        locations = NORTHWIND["tables"]["locations"] | {"BRE9": "3PL-BRE"}
        kept = [s for s in NORTHWIND["samples"] if s["name"] != "new_site"]
        second = NORTHWIND | {
            "version": 2, "samples": kept, "tables": NORTHWIND["tables"] | {"locations": locations}
        }  # fmt: skip
        answer = await api.post("/v1/mappings", {"manifest": second, "status": "active"})
        assert answer.status_code == 201, answer.text
        await status(dsn, "applied")
        assert await balance(dsn, "4711", "3PL-BRE") == {"quarantined": 48}


async def test_an_unpublished_contract_waits_and_then_is_judged(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await api.app.inbox.accept([envelope("1", "com.acme.held.v1", '{"a": 1}')])
        await status(dsn, "parked")
        schema = {"type": "object", "required": ["rows"]}
        body = {"name": "com.acme.held", "version": 1, "owner_team": "x", "schema": schema}
        assert (await api.post("/v1/contracts", body)).status_code == 201
        await status(dsn, "rejected")
        reason = await scalar(dsn, "SELECT reason FROM message")
        assert "'rows' is a required property" in reason


async def test_every_reported_event_is_booked(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await api.put("/v1/reason-codes/shrinkage", {})
        for code in ("MAIN", "SHOP"):
            await api.put(f"/v1/locations/{code}", {})
        envelopes = []
        for name, _, _ in TYPES:
            sku = name.replace(".", "-")
            await api.stock(sku, MAIN=10)
            document = {"type": "other", "number": f"D-{sku}", "line": "7"}
            body = json.dumps(data_of(name) | {"sku": sku, "document": document})
            envelopes.append(envelope(name, f"io.stockbridge.{name}.v1", body, "wms"))
        await api.app.inbox.accept(envelopes)
        found = await settled(dsn)
        reasons = await scalar(dsn, "SELECT string_agg(contract || ' ' || reason, '; ') "
                                    "FROM message")  # fmt: skip
        assert found == {"applied": len(TYPES)}, reasons
        for name, balances in BOOKED.items():
            assert await balance(dsn, name.replace(".", "-")) == balances, name


# What the events of the table leave at MAIN of the 10 that were counted later than they happened.
BOOKED = {
    "stock.allocated": {"available": 10, "allocated": 3},
    "supply.ordered": {"available": 10, "on_order": 3},
    "supply.shipped": {"available": 10, "in_transit": 3},
}
