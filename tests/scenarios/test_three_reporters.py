"""Real order lines, told by a WMS, a 3PL and an ERP over HTTP: noise changes nothing."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.simulation.reporters import SYSTEMS, Event, noisy, simulate

LINES = 2_000
SEED = 20_110_110


@pytest.fixture
def twin(server, template) -> Iterator[str]:
    """A second migrated database."""
    with psycopg.connect(server.dsn, dbname="postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE twin TEMPLATE {template}".encode())
        yield make_conninfo(server.dsn, dbname="twin")
        admin.execute(b"DROP DATABASE twin WITH (FORCE)")


@pytest.mark.timeout(300)
async def test_noise_changes_nothing(dsn, twin, tmp_path):
    assert await simulate(dsn, twin, tmp_path, LINES, SEED) == []


def test_the_noise_is_what_it_says():
    sent_at = datetime(2011, 1, 10, tzinfo=UTC)
    events = [
        Event(system, number, sent_at + timedelta(days=number // 500), "shipped", {})
        for number in range(1, 2_001)
        for system in SYSTEMS
    ]
    noise = noisy(events, random.Random(SEED))
    numbers = Counter((event.system, event.sequence) for event in noise.told)
    assert len(noise.lost) + len(numbers) == len(events)
    assert 0.007 < len(noise.lost) / len(events) < 0.013
    assert 0.18 < sum(times == 2 for times in numbers.values()) / len(numbers) < 0.22
    days = [event.sent_at for event in noise.told]
    assert days == sorted(days)
    firsts = list(dict.fromkeys(e.sequence for e in noise.told if e.system == "wms"))
    assert sum(a > b for a, b in pairwise(firsts)) > len(firsts) // 20
