"""The states of a delivery and of a breaker, one line a case."""

import pytest

from stockbridge.contracts.partners.model import Outcome
from stockbridge.outbox import breaker as b
from stockbridge.outbox.breaker import Breaker
from stockbridge.outbox.retry import Patience, is_over, pause_seconds
from stockbridge.outbox.states import Ability, act_of, after

BOTH, PROBE = Ability(True, True), Ability(True, False)
KEY, NONE = Ability(False, True), Ability(False, False)
PATIENCE = Patience(attempts_max=5, age_seconds_max=1_000.0)
ANY = (BOTH, PROBE, KEY, NONE)

# act, outcome, may be looked up or sent twice, attempts, age, was accepted
# -> state, pause (chance 0.5), may be done, hinted
CASES = [
    ("send", "confirmed", None, ANY, 1, 0, False, "confirmed", 0, False, False),
    ("send", "rejected", None, ANY, 9, 9e9, False, "rejected", 0, False, False),
    ("send", "accepted", None, (BOTH, PROBE), 1, 0, False, "accepted", 1, True, False),
    ("send", "accepted", None, (KEY, NONE), 1, 0, False, "confirmed", 0, False, False),
    ("send", "accepted", None, (BOTH, PROBE), 5, 0, False, "dead", 0, True, False),
    ("send", "later", None, ANY, 1, 0, False, "waiting", 1, False, False),
    ("send", "later", None, ANY, 3, 0, False, "waiting", 4, False, False),
    ("send", "later", 7.0, ANY, 3, 0, False, "waiting", 7.35, False, True),
    ("send", "later", None, ANY, 5, 0, False, "dead", 0, False, False),
    ("send", "later", 7.0, ANY, 50, 0, False, "waiting", 7.35, False, True),
    ("send", "later", 7.0, ANY, 1, 1_000, False, "dead", 0, False, False),
    ("send", "unknown", None, (BOTH, PROBE), 1, 0, False, "waiting", 1, True, False),
    ("send", "unknown", None, (KEY,), 1, 0, False, "waiting", 1, False, False),
    ("send", "unknown", None, (NONE,), 1, 0, False, "dead", 0, True, False),
    ("send", "unknown", None, (BOTH, PROBE), 5, 0, False, "dead", 0, True, False),
    ("probe", "confirmed", None, (BOTH, PROBE), 2, 0, True, "confirmed", 0, False, False),
    ("probe", "rejected", None, (BOTH, PROBE), 2, 0, True, "rejected", 0, False, False),
    ("probe", "accepted", None, (BOTH, PROBE), 2, 0, True, "accepted", 2, True, False),
    ("probe", "later", None, (BOTH, PROBE), 2, 0, False, "waiting", 0, False, False),
    ("probe", "later", None, (BOTH, PROBE), 2, 0, True, "waiting", 0, False, False),
    ("probe", "later", None, (BOTH, PROBE), 5, 0, False, "dead", 0, False, False),
    ("probe", "unknown", None, (BOTH, PROBE), 2, 0, False, "waiting", 2, True, False),
    ("probe", "unknown", None, (BOTH, PROBE), 2, 0, True, "accepted", 2, True, False),
    ("probe", "unknown", None, (BOTH, PROBE), 5, 0, False, "dead", 0, True, False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}-{case[4]}")
def test_what_becomes_of_a_delivery(case):
    act, kind, hint, abilities, attempts, age, is_accepted, *expected = case
    for ability in abilities:
        told = after(
            act, Outcome(kind, after_seconds=hint), attempts=attempts, age_seconds=age,
            is_accepted=is_accepted, ability=ability, chance=0.5, patience=PATIENCE,
        )  # fmt: skip
        found = [told.state, pytest.approx(told.pause_seconds), told.may_be_done, told.is_hinted]
        assert found == expected


@pytest.mark.parametrize(
    "may_be_done,is_accepted,ability,act",
    [
        (False, False, BOTH, "send"),
        (False, False, NONE, "send"),
        (True, False, BOTH, "probe"),
        (True, False, PROBE, "probe"),
        (True, False, KEY, "send"),
        (True, False, NONE, "give_up"),
        (False, True, PROBE, "probe"),
    ],
)
def test_what_to_do_with_a_due_delivery(may_be_done, is_accepted, ability, act):
    told = act_of(may_be_done=may_be_done, is_accepted=is_accepted, ability=ability)
    assert told == act


def test_pauses_double_under_full_jitter_and_hints_win():
    pauses = [pause_seconds(n, 1.0, None) for n in (1, 2, 3, 9, 10, 99)]
    assert pauses == [2.0, 4.0, 8.0, 512.0, 900.0, 900.0]
    assert pause_seconds(4, 0.0, None) == 0.0
    assert 30.0 <= pause_seconds(9, 0.99, 30.0) < 33.0
    assert [is_over(*tried) for tried in ((1, 1.0), (15, 1.0), (1, 3 * 86_400.0))] == [
        False, True, True,
    ]  # fmt: skip


# breaker, good, bad, now -> breaker
OPEN = Breaker("open", 5, 1, 105.0)
TRIAL = Breaker("half_open", 5, 1, 170.0)
BREAKS = [
    (Breaker(), 1, 0, 100.0, Breaker()),
    (Breaker(), 0, 4, 100.0, Breaker("closed", 4)),
    (Breaker("closed", 4), 1, 3, 100.0, Breaker()),
    (Breaker("closed", 4), 0, 1, 100.0, OPEN),
    (OPEN, 0, 3, 101.0, Breaker("open", 8, 1, 105.0)),
    (OPEN, 1, 0, 101.0, Breaker()),
    (TRIAL, 0, 1, 111.0, Breaker("open", 6, 2, 121.0)),
    (TRIAL, 0, 0, 111.0, TRIAL),
    (TRIAL, 1, 0, 111.0, Breaker()),
    (Breaker("half_open", 99, 50, 170.0), 0, 1, 111.0, Breaker("open", 100, 51, 411.0)),
]


@pytest.mark.parametrize("before,good,bad,now,expected", BREAKS)
def test_what_becomes_of_a_breaker(before, good, bad, now, expected):
    assert b.after(before, good, bad, now) == expected


def test_who_may_call():
    assert b.permit(Breaker("closed", 4), 100.0) == (None, 0.0, Breaker("closed", 4))
    assert b.permit(OPEN, 101.0) == (0, 4.0, OPEN)
    assert b.permit(OPEN, 105.0) == (1, 60.0, Breaker("half_open", 5, 1, 165.0))
    assert b.permit(TRIAL, 120.0) == (0, 50.0, TRIAL)
    assert b.permit(TRIAL, 170.0) == (1, 60.0, Breaker("half_open", 5, 1, 230.0))


@pytest.mark.parametrize(
    "act,kind,hint,reached",
    [
        ("send", "confirmed", None, True),
        ("send", "rejected", None, True),
        ("send", "later", 3.0, True),
        ("send", "later", None, False),
        ("send", "unknown", None, False),
        ("probe", "later", None, True),
        ("probe", "unknown", None, False),
    ],
)
def test_whether_the_partner_answered(act, kind, hint, reached):
    assert b.reached(act, Outcome(kind, after_seconds=hint)) is reached
