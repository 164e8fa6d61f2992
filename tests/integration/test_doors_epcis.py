"""EPCIS 2.0: what each kind of event does to stock, capture jobs, declarations of error."""

import asyncio
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from stockbridge.contracts import epcis
from stockbridge.contracts.epcis.identifiers import check_digit, place, thing, word
from stockbridge.contracts.events.decoding import Undecodable
from tests.doors import balance, settled, systems
from tests.http_api import scalar, serving

EXAMPLES = Path(__file__).parent / "epcis_examples"
LINK = "https://id.gs1.org/01/04012345123456"
SGLN = "urn:epc:id:sgln:4012345.00001.0"
OTHER = "https://id.gs1.org/414/4012345000023"
PO = {"type": "po", "bizTransaction": "urn:epcglobal:cbv:bt:4012345000016:PO1"}


def event(
    number: int, step: str | None = "receiving", quantity: Any = 10, **more: Any
) -> dict[str, Any]:
    base = {
        "type": "ObjectEvent",
        "eventID": f"urn:uuid:00000000-0000-4000-8000-{number:012d}",
        "eventTime": "2026-11-20T10:00:00Z",
        "eventTimeZoneOffset": "+01:00",
        "action": "OBSERVE",
        "bizStep": step,
        "quantityList": [{"epcClass": LINK, "quantity": quantity}],
        "bizLocation": {"id": SGLN},
        "bizTransactionList": [PO],
    }
    return {name: value for name, value in (base | more).items() if value is not None}


def document(*events: Any) -> dict[str, Any]:
    return {
        "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-11-20T10:00:00Z",
        "epcisBody": {"eventList": list(events)},
    }


@pytest.fixture
async def api(dsn, tmp_path):
    async with serving(dsn, tmp_path) as client:
        for code, gln in (("MAIN", "4012345000016"), ("W2", "4012345000023")):
            made = await client.put(f"/v1/locations/{code}", {"gln": gln})
            assert made.status_code == 201, made.text
        await client.put("/v1/items/A", {"gtin": "4012345123456"})
        await client.put("/v1/items/B", {"aliases": [{"namespace": "epc", "alias": "urn:x:b"}]})
        yield client


async def post(api: Any, what: str, body: Any, **headers: str) -> Any:
    text = body if isinstance(body, bytes) else json.dumps(body)
    return await api.raw(
        "POST", f"/v1/epcis/{what}", text, content_type="application/json", **headers
    )


async def captured(api: Any, *events: Any, **headers: str) -> Any:
    """The finished capture job of the events."""
    return await finished(api, await post(api, "capture", document(*events), **headers))


async def finished(api: Any, answer: Any) -> Any:
    """The capture job of the answer, once nothing of it is on its way."""
    assert answer.status_code == 202, answer.text
    assert answer.headers["gs1-epcis-version"] == "2.0.0"
    while True:
        job = (await api.get(answer.headers["location"])).json()
        if not job["running"]:
            return job
        await asyncio.sleep(0.02)


QUANTITY = [{"epcClass": LINK, "quantity": 3}]
BETWEEN = {
    "sourceList": [{"type": "location", "source": SGLN}],
    "destinationList": [{"type": "location", "destination": OTHER}],
}
RMA = [{"type": "rma", "bizTransaction": "urn:x:RMA7"}]
UNITS = [f"urn:epc:id:sgtin:4012345.012345.{n}" for n in range(3)]
# Starts with 10 received at MAIN; (events, what A is at MAIN then).
EFFECTS = {
    "received": ([], {"available": 10}),
    "received damaged": (
        [event(2, quantity=2, disposition="damaged")], {"available": 10, "quarantined": 2}
    ),
    "counted in web vocabulary": (
        [event(2, "https://ref.gs1.org/cbv/BizStep-cycle_counting", 7)], {"available": 7}
    ),
    "counted by serial": (
        [event(2, "stock_taking", epcList=[f"{LINK}/21/{n}" for n in range(4)], quantityList=None)],
        {"available": 4},
    ),
    "picked": ([event(2, "picking", 3)], {"available": 7, "picked": 3}),
    "packed, then picked": (
        [event(2, "packing", 3), event(3, "picking", 3)], {"available": 7, "picked": 3}
    ),
    "shipped before picked": (
        [event(2, "shipping", 3), event(3, "picking", 3)], {"available": 7}
    ),
    "shipped to another place": (
        [event(2, "shipping", 3, **BETWEEN)], {"available": 7}
    ),
    "held": ([event(2, "inspecting", 3, disposition="damaged")],
             {"available": 7, "quarantined": 3}),
    "inspected and good": ([event(2, "inspecting", 3, disposition="conformant")],
                           {"available": 10}),
    "held and destroyed": (
        [event(2, "holding", 3), event(3, "destroying", 3)], {"available": 7}
    ),
    "returned": ([event(2, quantity=3, bizTransactionList=RMA)],
                 {"available": 10, "quarantined": 3}),
    "a step that says nothing": ([event(2, "encoding", 3)], {"available": 10}),
    "aggregated": (
        [event(2, "packing", type="AggregationEvent", parentID="urn:epc:id:sscc:4012345.1234567890",
               quantityList=None)],
        {"available": 10},
    ),
    "transformed": (
        [event(2, None, type="TransformationEvent", action=None, quantityList=None,
               inputQuantityList=QUANTITY, outputQuantityList=[{"epcClass": "urn:x:b",
                                                                "quantity": 1}])],
        {"available": 7},
    ),
    "shipped and voided": (
        [event(2, "shipping", 3), event(3, "void_shipping", 3)], {"available": 10}
    ),
    "voided before it is shipped": (
        [event(3, "void_shipping", 3), event(2, "shipping", 3)], {"available": 10}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EFFECTS)
async def test_what_events_do(api, name):
    events, expected = EFFECTS[name]
    job = await captured(api, event(1), *events)
    assert job["success"], job
    assert await balance(api.app.dsn, "A") == expected


async def test_a_transfer_is_on_its_way(api):
    await captured(api, event(1), event(2, "shipping", 3, **BETWEEN))
    assert await balance(api.app.dsn, "A", "W2") == {"in_transit": 3}
    await captured(api, event(3, "receiving", 3, bizLocation={"id": OTHER}, **BETWEEN))
    assert await balance(api.app.dsn, "A", "W2") == {"available": 3}


async def test_lots_and_serials(api):
    units = [f"{LINK}/21/S{n}" for n in range(2)]
    job = await captured(api, event(1, epcList=units, quantityList=None), event(2, quantityList=[
        {"epcClass": f"{LINK}/10/L1", "quantity": 4}]))  # fmt: skip
    assert job["success"], job
    serials = "SELECT string_agg(serial, ',' ORDER BY serial) FROM serial_unit"
    assert await scalar(api.app.dsn, serials) == "S0,S1"
    assert await scalar(api.app.dsn, "SELECT lot || available FROM lot_balance") == "L14"


async def test_declared_wrong_once(api):
    first = event(1)
    await captured(api, first, event(2, "shipping", 3))
    wrong = deepcopy(first) | {
        "errorDeclaration": {
            "declarationTime": "2026-11-21T10:00:00Z",
            "reason": "urn:epcglobal:cbv:er:did_not_occur",
            "correctiveEventIDs": ["urn:uuid:00000000-0000-4000-8000-000000000009"],
        }
    }
    for _ in range(2):
        assert (await captured(api, wrong))["success"]
    assert await balance(api.app.dsn, "A") == {"available": -3}
    named = (
        "SELECT count(*) FROM movement r JOIN movement o ON o.movement_id = r.reverses"
        " WHERE r.reason = 'did_not_occur' AND r.quantity = o.quantity"
    )
    assert await scalar(api.app.dsn, named) == 1
    caused = "SELECT causation_id FROM message WHERE causation_id IS NOT NULL"
    assert await scalar(api.app.dsn, caused) == first["eventID"]
    shown = await api.get(f"/v1/epcis/events/{first['eventID']}")
    assert shown.json() == wrong
    # Declared wrong before it is heard of: it is not booked when it comes.
    later = event(5, quantity=9, bizTransactionList=[PO | {"bizTransaction": "urn:x:PO5"}])
    await captured(api, later | {"errorDeclaration": wrong["errorDeclaration"]})
    await captured(api, later)
    assert await balance(api.app.dsn, "A") == {"available": -3}


async def test_an_event_is_captured_once(api):
    made = await post(api, "events", event(1))
    assert (made.status_code, made.content) == (201, b"")
    assert (await post(api, "events", event(1))).status_code == 201
    other = await post(api, "events", event(1, quantity=11))
    assert (other.status_code, other.json()["type"]) == (
        409, "epcisException:ResourceAlreadyExistsException"
    )  # fmt: skip
    assert await settled(api.app.dsn) == {"applied": 1, "rejected": 1}
    assert await balance(api.app.dsn, "A") == {"available": 10}
    assert (await api.get(made.headers["location"])).json() == event(1)
    kinds = "SELECT string_agg(kind, ',') FROM exception"
    assert await scalar(api.app.dsn, kinds) == "message_conflict"
    assert (await api.get("/v1/epcis/events/urn:x:none")).status_code == 404
    anonymous = event(7, eventID=None, recordTime="2026-11-20T10:00:01Z")
    again = anonymous | {"recordTime": "2026-11-20T10:00:02Z"}
    places = [
        (await post(api, "events", each)).headers["location"] for each in (anonymous, anonymous)
    ]
    assert places[0] == places[1]
    assert (await post(api, "events", again)).status_code == 409


async def test_rollback_and_proceed(api):
    bad = event(2) | {"eventTimeZoneOffset": "later"}
    job = await captured(api, event(1), bad)
    assert (job["success"], job["captureErrorBehaviour"]) == (False, "rollback")
    assert [(e["index"], e["type"]) for e in job["errors"]] == [
        (1, "epcisException:ValidationException")
    ]
    assert await scalar(api.app.dsn, "SELECT count(*) FROM message") == 0
    job = await captured(api, event(1), bad, gs1_capture_error_behaviour="proceed")
    assert (job["success"], len(job["errors"])) == (False, 1)
    assert await balance(api.app.dsn, "A") == {"available": 10}


async def test_what_is_missing_is_waited_for(api):
    unknown = event(1, quantityList=[{"epcClass": "https://id.gs1.org/01/09506000134352",
                                      "quantity": 2}])  # fmt: skip
    elsewhere = event(2, bizLocation={"id": "urn:epc:id:sgln:9506000.00001.0"})
    job = await captured(api, unknown, elsewhere)
    assert [error["title"] for error in job["errors"]] == ["Parked", "Parked"]
    await api.put("/v1/items/C", {"gtin": "9506000134352"})
    await api.put("/v1/locations/W3", {"gln": "9506000000015"})
    for _ in range(1_200):
        if await settled(api.app.dsn) == {"applied": 2}:
            break
        await asyncio.sleep(0.05)
    assert await balance(api.app.dsn, "C") == {"available": 2}
    assert await balance(api.app.dsn, "A", "W3") == {"available": 10}


REFUSED = {
    "not JSON": (b"{", 400, "ValidationException"),
    "no document": ({"type": "ObjectEvent"}, 400, "ValidationException"),
    "no events": (document(), 400, "ValidationException"),
    "too many": (document(*[1] * 1_001), 413, "CaptureLimitExceededException"),
    "too wide": (b"[" + b"1," * 250_000 + b"1]", 413, "CaptureLimitExceededException"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_documents_that_are_refused(api, name):
    body, status, kind = REFUSED[name]
    answer = await post(api, "capture", body)
    assert (answer.status_code, answer.json()["type"]) == (status, f"epcisException:{kind}")


# Whole documents, one of each form the standard has: what A is at MAIN, and at other places; or
# the reason why not.
ACCEPTED = {
    "object_event_receiving_every_field": {"available": 10},
    "object_event_web_vocabulary": {"quarantined": 5},
    "object_event_commissioning_ilmd": {},
    "object_event_between_locations": {"available": 6},
    "object_event_error_declaration": {"available": 7},
    "object_event_sensor_of_a_place": {},
    "aggregation_event": {},
    "transaction_event": {"available": 3},
    "transformation_event": {"available": -4},
    "association_event": {},
}
ELSEWHERE = {
    "object_event_between_locations": ("A", "W2", {"in_transit": 4}),
    "transformation_event": ("B", "MAIN", {"available": 2}),
}
NOT_CAPTURED = {
    "query_document": "'EPCISQueryDocument', not EPCISDocument",
    "event_without_a_document": "'ObjectEvent', not EPCISDocument",
    "master_data_only": "no events in epcisBody.eventList",
}
NOT_BOOKED = {
    "weight_that_is_no_whole_number": "200.5 KGM is no whole number; send it in a smaller unit",
    "logistic_unit_only": "a logistic unit does not say what is in it",
    "event_of_a_draft": "missing required field `type`",
    "object_event_about_nothing": "needs an epcList, a quantityList, or a sensorElementList",
    "error_declaration_without_time": "missing required field `declarationTime`",
}


def test_every_example_is_told_of():
    told = [*ACCEPTED, *NOT_CAPTURED, *NOT_BOOKED]
    assert sorted(told) == sorted(path.stem for path in EXAMPLES.glob("*.json"))


async def sent(api: Any, name: str) -> Any:
    text = (EXAMPLES / f"{name}.json").read_text()
    return await api.raw("POST", "/v1/epcis/capture", text, content_type="application/ld+json")


@pytest.mark.parametrize("name", ACCEPTED)
async def test_examples_that_are_accepted(api, name):
    for _ in range(2):
        job = await finished(api, await sent(api, name))
        assert (job["success"], job["errors"]) == (True, [])
        assert await balance(api.app.dsn, "A") == ACCEPTED[name]
        sku, place_code, states = ELSEWHERE.get(name, ("A", "W2", {}))
        assert await balance(api.app.dsn, sku, place_code) == states


@pytest.mark.parametrize("name", [*NOT_CAPTURED, *NOT_BOOKED])
async def test_examples_that_are_refused_with_a_reason(api, name):
    answer = await sent(api, name)
    if name in NOT_CAPTURED:
        assert answer.status_code == 400
        problem, reason = answer.json(), NOT_CAPTURED[name]
    else:
        job = await finished(api, answer)
        assert not job["success"]
        (problem,) = job["errors"]
        reason = NOT_BOOKED[name]
    assert problem["type"] == "epcisException:ValidationException"
    assert reason in problem["detail"]
    assert await balance(api.app.dsn, "A") == {}


async def test_a_bound_key_captures_its_own(api):
    await systems(api, "wms")
    await api.put("/v1/locations/MAIN", {"gln": "4012345000016", "authority": "wms"})
    bound = await api.key("events:write", system="wms")
    answer = await post(bound, "events", event(1))
    assert answer.status_code == 201, answer.text
    answer = await post(bound, "events", event(2, bizLocation={"id": OTHER}))
    assert (answer.status_code, answer.json()["type"]) == (403, "epcisException:SecurityException")
    await post(api, "events", event(3))
    assert (await bound.get(f"/v1/epcis/events/{event(1)['eventID']}")).status_code == 200
    assert (await bound.get(f"/v1/epcis/events/{event(3)['eventID']}")).status_code == 404
    await bound.http.aclose()


UNBOOKABLE = {
    "no place": event(1, bizLocation=None),
    "only a logistic unit": event(1, quantityList=None,
                                  epcList=["urn:epc:id:sscc:4012345.1234567890"]),
    "half a unit": event(1, quantity=1.5),
    "no quantity": event(1, quantityList=[{"epcClass": LINK}]),
    "a wrong check digit": event(1, quantityList=[{"epcClass": LINK[:-1] + "5", "quantity": 1}]),
    "an EPC of the wrong length": event(1, epcList=["urn:epc:id:sgtin:401.0.1"]),
    "more than can be": event(1, quantity=10**30),
    "none": event(1, quantity=0),
    "voids nothing": event(1, "void_shipping", bizTransactionList=None),
    "transforms nothing": event(1, type="TransformationEvent", action=None, quantityList=None),
    "no offset": event(1, eventTimeZoneOffset=None),
    "no zone in the time": event(1, eventTime="2026-11-20T10:00:00"),
    "no action": event(1, action=None),
    "nothing in it": event(1, quantityList=None),
    "no documents": event(1, type="TransactionEvent", bizTransactionList=None),
    "another type": event(1, type="QuantityEvent"),
    "a year that is none": event(1, eventTime="0001-01-01T00:00:00Z"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNBOOKABLE)
def test_what_cannot_be_booked_says_why(name):
    told = epcis.decode(json.dumps(UNBOOKABLE[name]).encode())
    assert isinstance(told, Undecodable), told
    assert told.detail


NAMES = {
    "urn:epc:id:sgtin:0614141.112345.400": ("gtin", "10614141123459", None, "400"),
    "urn:epc:class:lgtin:4012345.012345.998877": ("gtin", "04012345123456", "998877", None),
    "urn:epc:idpat:sgtin:4012345.012345.*": ("gtin", "04012345123456", None, None),
    "https://example.com/some/01/4012345123456/21/x%2Fy": ("gtin", "04012345123456", None, "x/y"),
    "https://id.gs1.org/01/04012345123456/10/L%201": ("gtin", "04012345123456", "L 1", None),
    "urn:acme:item:7": ("epc", "urn:acme:item:7", None, None),
    "urn:epc:id:sscc:4012345.1234567890": None,
    "https://id.gs1.org/00/340123450123456784": None,
}


@pytest.mark.parametrize("uri", NAMES)
def test_names_of_things(uri):
    found = thing(uri)
    assert (None if found is None else tuple(found)) == NAMES[uri]


def test_names_of_places_and_words():
    assert place("urn:epc:id:sgln:0614141.00777.0") == "gln:0614141007776"
    assert place("https://id.gs1.org/414/0614141007776/254/12") == "gln:0614141007776"
    assert place("https://hub.example/locations/MAIN") == "MAIN"
    assert check_digit("629104150021") == "3"
    words = ("receiving", "urn:epcglobal:cbv:bizstep:receiving", "cbv:BizStep-receiving")
    assert {word(each) for each in words} == {"receiving"}


def test_an_event_without_an_id_gets_one_of_its_content():
    bare = json.dumps(event(1, eventID=None)).encode()
    spaced = json.dumps(event(1, eventID=None), indent=1).encode()
    odd = bare.replace(b'"action"', b'"\xaa": 1, "action"')
    deep = bare.replace(b'"action"', b'"x": ' + b"[" * 5_000 + b"]" * 5_000 + b', "action"')
    names = []
    for body in (bare, spaced, odd, deep):
        read = epcis.read_event(body)
        if not isinstance(read, Undecodable):
            names.append(epcis.identity(read, body))
    assert names[0] == names[1]
    assert len(set(names)) == len(names) - 1
