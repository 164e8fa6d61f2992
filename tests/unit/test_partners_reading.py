"""Messages of systems with a connector: their bytes to commands, and what they wait for."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from stockbridge.contracts.catalog import Catalog
from stockbridge.contracts.events import Undecodable
from stockbridge.contracts.partners.model import Decoded, EventData
from stockbridge.contracts.partners.reading import Configured, PartnerReader, contract_of
from tests.doors import fact

RECEIVED = "io.stockbridge.stock.received.v1"


class Decoding:
    """The decoding half of connectors: the body says what is answered."""

    def decode(self, name: str, topic: str, body: bytes, config: Mapping[str, Any]) -> Decoded:
        said = json.loads(body)
        if isinstance(said, dict):
            return Undecodable(said["code"], f"{name} {topic}", tuple(said.get("missing", ())))
        assert config["system"] in ("shop", "eu:shop")
        added = {name: value for name, value in config.items() if name != "system"}
        return [EventData(each["type"], each["data"] | added) for each in said]


def read(contract: str, said: Any) -> Any:
    systems = {
        "shop": Configured("generic", {}, 7),
        "eu:shop": Configured("generic", {"location": "EAST"}, 8),
    }
    reader = PartnerReader(Decoding(), systems)  # type: ignore[arg-type]
    return Catalog(reader=reader).decode(contract, "text/odd", json.dumps(said).encode())


def received(number: str) -> dict[str, Any]:
    return {"type": RECEIVED, "data": fact(number)}


def test_events_become_commands():
    found = read(contract_of("shop", "receipts"), [received("1"), received("2")])
    assert [command.document.number for command in found] == ["1", "2"]
    assert read(contract_of("shop", "receipts"), []) == []


@pytest.mark.parametrize("topic", ["a", "orders/create", "a:b"])
def test_the_configuration_of_the_system_decides(topic):
    (found,) = read(contract_of("eu:shop", topic), [received("1")])
    assert found.location == "EAST"
    refused = read(contract_of("eu:shop", topic), {"code": "x"})
    assert refused == Undecodable("x", f"generic {topic}")


@pytest.mark.parametrize(
    "system,said,code,missing",
    [
        ("shop", {"code": "unknown_location", "missing": ["config"]}, None, ("system:shop:7",)),
        ("shop", {"code": "x", "missing": ["alias:shop:1"]}, None, ("alias:shop:1",)),
        ("shop", {"code": "malformed"}, None, ()),
        ("shop", {"code": "decoder_failed"}, None, ("decoder:shop:t",)),
        ("shop", {"code": "connector_missing"}, None, ("system:shop:7",)),
        ("shop", [{"type": "io.none.v1", "data": {}}], "decoder_failed", ("decoder:shop:t",)),
        ("shop", [{"type": RECEIVED, "data": {}}], "decoder_failed", ("decoder:shop:t",)),
        ("gone", [], "no_connector", ("system:gone:0",)),
    ],
)
def test_what_cannot_be_read_says_what_it_waits_for(system, said, code, missing):
    found = read(contract_of(system, "t"), said)
    assert isinstance(found, Undecodable)
    assert found.code == (code or said["code"])
    assert found.missing == missing
