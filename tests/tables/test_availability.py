"""Availability as a table: stock at two warehouses, the policy, and the figure shown, last.

Channel 1 draws on locations 1 and 2.
"""

import pytest

from stockbridge.domain.availability import rules
from stockbridge.domain.masters.model import Policy

NOW = 1_000 * rules.DAY
OURS, OTHERS = 1, 2
W1 = {"free": (1, 10, 0, 0, 0), "promised": (1, 10, 4, 0, 0), "short": (1, 3, 8, 0, 0)}
W2 = (2, 7, 0, 2, 0)
ELSEWHERE = (3, 99, 0, 0, 0)

# Columns: the name, rows, fences, pipeline as (location, units, days), policy, stale; the figure.
TABLE = [
    ("nothing anywhere", [], [], [], {}, False, 0),
    ("one warehouse", [W1["free"]], [], [], {}, False, 10),
    ("promises are off", [W1["promised"]], [], [], {}, False, 6),
    ("safety stock is off", [W2], [], [], {}, False, 5),
    ("two warehouses add up", [W1["promised"], W2], [], [], {}, False, 11),
    ("a shortage takes nothing elsewhere", [W1["short"], W2], [], [], {}, False, 5),
    ("another channel's location", [ELSEWHERE, W2], [], [], {}, False, 5),
    ("policy's safety where none is set", [W1["free"], W2], [], [], {"safety_stock": 3}, False, 12),
    ("fence of another", [W1["free"]], [(1, OTHERS, 8)], [], {}, False, 2),
    ("own fence is inside the pool", [W1["free"]], [(1, OURS, 8)], [], {}, False, 10),
    ("ring-fenced", [W1["free"]], [(1, OURS, 8)], [], {"kind": "ring_fenced"}, False, 8),
    ("ring-fenced, stock gone", [W1["promised"]], [(1, OURS, 8)], [], {"kind": "ring_fenced"},
     False, 6),
    ("ring-fenced without a fence", [W1["free"]], [], [], {"kind": "ring_fenced"}, False, 0),
    ("percent rounds down", [W2], [], [], {"kind": "percent", "percent": 50}, False, 2),
    ("no percent", [W2], [], [], {"kind": "percent", "percent": 0}, False, 0),
    ("pipeline without a horizon", [W2], [], [(2, 9, 1)], {}, False, 5),
    ("pipeline in time", [W2], [], [(2, 9, 1)], {"horizon_days": 1}, False, 14),
    ("pipeline too late", [W2], [], [(2, 9, 2)], {"horizon_days": 1}, False, 5),
    ("pipeline is not shared by percent", [W2], [], [(2, 9, 1)],
     {"kind": "percent", "percent": 50, "horizon_days": 1}, False, 11),
    ("pipeline covers a shortage first", [W1["short"]], [], [(1, 9, 1)], {"horizon_days": 7},
     False, 4),
    ("pipeline elsewhere covers nothing", [W1["short"], W2], [], [(2, 9, 1)], {"horizon_days": 7},
     False, 14),
    ("pipeline covers backorders first", [(1, 0, 0, 0, 6)], [], [(1, 9, 1)], {"horizon_days": 7},
     False, 3),
    ("pipeline covers fences of others", [(1, 2, 0, 0, 0)], [(1, OTHERS, 5)], [(1, 9, 1)],
     {"horizon_days": 7}, False, 6),
    ("pipeline where nothing lies", [], [], [(1, 9, 1)], {"horizon_days": 7}, False, 9),
    ("buffer in units", [W1["free"]], [], [], {"buffer_units": 3}, False, 7),
    ("buffer in percent rounds up", [W1["free"]], [], [], {"buffer_percent": 25}, False, 7),
    ("both buffers", [W1["free"]], [], [], {"buffer_units": 1, "buffer_percent": 25}, False, 6),
    ("more buffer than stock", [W1["free"]], [], [], {"buffer_units": 30}, False, 0),
    ("buffer from pipeline", [], [], [(1, 9, 1)], {"buffer_units": 2, "horizon_days": 7}, False, 7),
    ("stale, served", [W1["free"]], [], [], {}, True, 10),
    ("stale, buffered", [W1["free"]], [], [], {"on_stale": "buffer", "stale_buffer_units": 4},
     True, 6),
    ("fresh, not buffered", [W1["free"]], [], [], {"on_stale": "buffer", "stale_buffer_units": 4},
     False, 10),
    ("stale, zero", [W1["free"]], [], [], {"on_stale": "zero"}, True, 0),
    ("at the floor", [W1["free"]], [], [], {"floor": 10}, False, 10),
    ("below the floor", [W1["free"]], [], [], {"floor": 11}, False, 0),
    ("capped", [W1["free"]], [], [], {"cap": 4}, False, 4),
    ("below the cap", [W1["free"]], [], [], {"cap": 40}, False, 10),
    ("cap of nothing", [W1["free"]], [], [], {"cap": 0}, False, 0),
    ("the floor sees the figure before the cap", [W1["free"]], [], [], {"floor": 5, "cap": 3},
     False, 3),
]  # fmt: skip


def part(rows, fences=(), pipeline=(), units=1):
    arrivals = [
        (location, quantity, NOW + days * rules.DAY) for location, quantity, days in pipeline
    ]
    return rules.gather(7, units, rows, fences, arrivals, channel_id=OURS, sources=(1, 2))


@pytest.mark.parametrize(
    "rows,fences,pipeline,policy,stale,figure",
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_figures(rows, fences, pipeline, policy, stale, figure):
    chosen = Policy(**policy)
    until = rules.horizon_end(chosen, NOW)
    assert rules.figure([part(rows, fences, pipeline)], chosen, stale, until).available == figure


# Columns: the name, components as (units in a kit, rows), figure
KITS = [
    ("the scarcer component decides", [(1, [(1, 10, 0, 0, 0)]), (2, [(1, 9, 0, 0, 0)])], 4),
    ("a kit comes from one location", [(1, [(1, 5, 0, 0, 0)]), (1, [(2, 5, 0, 0, 0)])], 0),
    (
        "kits of two locations add up",
        [(1, [(1, 5, 0, 0, 0), (2, 1, 0, 0, 0)]), (3, [(1, 7, 0, 0, 0), (2, 9, 0, 0, 0)])],
        3,
    ),
    ("one component in multiples", [(4, [(1, 11, 0, 0, 0)])], 2),
    ("a missing component", [(1, [(1, 5, 0, 0, 0)]), (1, [])], 0),
]


@pytest.mark.parametrize(
    "components,figure", [row[1:] for row in KITS], ids=[row[0] for row in KITS]
)
def test_kits(components, figure):
    parts = [part(rows, units=units) for units, rows in components]
    assert rules.figure(parts, Policy(), stale=False, until=None).available == figure


# Columns: quantity, by in days, can fulfil, promisable in days. 5 now, +4 in 3 days, +6 in 10.
DATED = [
    (5, None, True, 0),
    (6, None, False, 3),
    (9, 3, True, 3),
    (9, 2, False, 3),
    (10, 9, False, 10),
    (15, 10, True, 10),
    (16, 99, False, None),
    (1, -1, False, 0),
]


@pytest.mark.parametrize("quantity,by,can,days", DATED)
def test_dated(quantity, by, can, days):
    asked = [part([W2], pipeline=[(2, 6, 10), (1, 4, 3)])]
    limit = None if by is None else NOW + by * rules.DAY
    got = rules.promise(asked, Policy(), False, NOW, quantity, limit)
    assert got == (can, None if days is None else NOW + days * rules.DAY)
