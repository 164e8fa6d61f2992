"""Webhooks of a simulated partner on their way to the hub."""

import random
from collections.abc import Sequence

import pytest

from stockbridge.connectors.kit.registry import Registry
from stockbridge.connectors.kit.sending import Weather, send, travelled
from stockbridge.contracts.partners.model import WebhookRequest
from stockbridge.kernel.errors import Misconfigured

GENERIC = Registry().module("generic", "simulator").Simulator


def requests(count: int) -> list[WebhookRequest]:
    return [WebhookRequest("POST", "/", "", {}, str(n).encode()) for n in range(count)]


def bodies(found: Sequence[WebhookRequest]) -> list[int]:
    return [int(request.body) for request in found]


def test_in_good_weather_all_arrive_once_and_in_order():
    arriving, lost = travelled(requests(9), Weather(), random.Random(1))
    assert (bodies(arriving), lost) == (list(range(9)), [])


def test_in_bad_weather_some_are_lost_some_come_twice_in_any_order():
    arriving, lost = travelled(requests(1_000), Weather(0.2, 0.3, True), random.Random(1))
    came = bodies(arriving)
    assert sorted({*came, *bodies(lost)}) == list(range(1_000))
    assert not set(came) & set(bodies(lost))
    assert 150 < len(lost) < 250
    assert 180 < len(came) - len(set(came)) < 300
    assert came != sorted(came)


def test_a_simulator_listens_where_it_is_told_and_can_start_again():
    with GENERIC() as first:
        port = int(first.url.rpartition(":")[2])
    second = GENERIC()
    for _ in range(2):
        with second.start(port):
            assert second.url == f"http://127.0.0.1:{port}"


def test_a_port_that_is_taken_is_told():
    with GENERIC() as first, pytest.raises(Misconfigured, match="port"):
        GENERIC().start(int(first.url.rpartition(":")[2]))


async def test_what_nobody_takes_is_lost():
    sent = await send("http://127.0.0.1:1/webhooks", requests(2))
    assert (sent.statuses, bodies(sent.lost)) == ([], [0, 1])


async def test_they_are_sent_as_they_were_signed():
    with GENERIC() as sender, GENERIC() as receiver:
        sender.list_item("MUG", 5)
        sender.order({"MUG": 1})
        due = sender.webhooks()
        # The receiving portal believes what is signed with its own secret only.
        sent = await send(f"{receiver.url}/webhooks", due)
        assert sent.statuses == [401]
        (call,) = receiver.calls
        assert call.body == due[0].body
        assert call.headers["webhook-signature"] == due[0].headers["webhook-signature"]
