"""The five kinds of limits: the statement does what the rules say, and no limit is ever passed."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stockbridge.contracts.partners.manifest import (
    Concurrency,
    CostBucket,
    DailyBudget,
    LimitRule,
    TokenBucket,
    Window,
)
from stockbridge.contracts.partners.model import LimitSeen
from stockbridge.kernel.clock import microseconds
from stockbridge.outbox.limits import gate, rules
from stockbridge.outbox.limits.model import BULK, NORMAL, URGENT, Entry, Lease, State
from stockbridge.store.database import connect

START = datetime(2026, 11, 24, 23, 58, tzinfo=UTC)
COST = CostBucket(capacity=100.0, per_second=5.0, cost=10.0)
TOKENS = TokenBucket(burst=3.0, per_second=0.3)
WINDOW = Window(calls=7, seconds=10.0)
AT_ONCE = Concurrency(calls=4)
DAY = DailyBudget(calls=12)
RULES = [
    LimitRule(operations=["*"], limit=COST),
    LimitRule(operations=["observe"], limit=CostBucket(capacity=100.0, per_second=5.0, cost=2.0),
              scope="shared"),
    LimitRule(operations=["publish"], limit=TOKENS),
    LimitRule(operations=["publish", "observe"], limit=WINDOW, scope="shared"),
    LimitRule(operations=["confirm"], limit=AT_ONCE),
    LimitRule(operations=["confirm", "revise"], limit=DAY),
]  # fmt: skip

TAKE = st.tuples(
    st.just("take"),
    st.sampled_from(["publish", "observe", "confirm", "revise", "other"]),
    st.sampled_from(["A", "B"]),
    st.integers(1, 15),
    st.sampled_from([URGENT, NORMAL, BULK, 0.3]),
)
CORRECT = st.tuples(
    st.just("correct"),
    st.sampled_from(["publish", "observe", "confirm", "*"]),
    st.none() | st.sampled_from([0.0, 1.0, 17.5, 500.0]),
    st.none() | st.sampled_from([50.0, 200.0]),
    st.none() | st.sampled_from([0.1, 20.0]),
    st.none() | st.sampled_from([0.5, 8.0]),
)
RELEASE = st.tuples(st.just("release"), st.integers(0, 3), st.integers(1, 4))
STEPS = st.lists(
    st.tuples(st.integers(-500_000, 12_000_000), TAKE | TAKE | TAKE | CORRECT | RELEASE),
    max_size=15,
)


class Model:
    """The rules applied to states in memory."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, str], State] = {}

    def take(self, operation, item, wanted, now, share, lease):
        under = rules.budgets(RULES, operation, item)
        keys = [(b.name, b.object) for b in under]
        known = [self.states.get(key, State()) for key in keys]
        grant, after = rules.take(under, known, wanted, now, share, lease)
        self.states.update(zip(keys, after, strict=True))
        return grant

    def correct(self, seen, now):
        for budget in rules.budgets(RULES, seen.operation):
            key = (budget.name, budget.object)
            if key in self.states:
                self.states[key] = rules.corrected(budget, self.states[key], seen, now)

    def release(self, lease_key, calls):
        for key, state in self.states.items():
            left = [
                entry._replace(calls=entry.calls - calls) if entry.key == lease_key else entry
                for entry in state.entries
            ]
            self.states[key] = state._replace(entries=tuple(e for e in left if e.calls > 0))


async def replay(dsn, steps):
    model, leases = Model(), []
    now = START
    async with await connect(dsn) as conn:
        await conn.execute(b"TRUNCATE throttle")
        for number, (micros, (act, *what)) in enumerate(steps):
            now += timedelta(microseconds=micros)
            seconds = microseconds(now) / 1e6
            if act == "take":
                operation, item, wanted, share = what
                lease = Lease(number + 1, 30.0)
                leases.append(lease.key)
                under = rules.budgets(RULES, operation, item)
                told = await gate.take(conn, "S", under, wanted, share=share, lease=lease, at=now)
                meant = model.take(operation, item, wanted, seconds, share, lease)
                assert told.granted == meant.granted
                assert told.wait_seconds == pytest.approx(meant.wait_seconds, abs=1e-5)
            elif act == "correct":
                seen = LimitSeen(*what)
                await gate.correct(conn, "S", RULES, seen, at=now)
                model.correct(seen, seconds)
            elif leases:
                key = leases[what[0] % len(leases)]
                await gate.release(conn, "S", {key: what[1]})
                model.release(key, what[1])
        rows = await (await conn.execute(
            b"SELECT name, object, level, at, keys, counts, ends, blocked_until, capacity_seen, "
            b"per_second_seen FROM throttle"
        )).fetchall()  # fmt: skip
    found = {
        row[:2]: State(row[2], row[3], tuple(map(Entry, row[4], row[5], row[6])), *row[7:])
        for row in rows
    }
    assert found.keys() == model.states.keys()
    for key, state in model.states.items():
        assert found[key].level == pytest.approx(state.level)
        assert found[key]._replace(level=None) == state._replace(level=None)


@settings(
    max_examples=40, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(steps=STEPS)
def test_the_statement_does_what_the_rules_say(enterprise_of_laws, steps):
    asyncio.run(replay(enterprise_of_laws, steps))


@given(
    pauses=st.lists(st.floats(0, 4, allow_nan=False), min_size=1, max_size=60),
    wanted=st.integers(1, 9),
)
def test_a_window_allows_its_calls_in_any_stretch(pauses, wanted):
    budget = rules.budgets([LimitRule(operations=["*"], limit=WINDOW)], "any")[0]
    state, now, sent = State(), 1_000.0, []
    for pause in pauses:
        now += pause
        grant, (state,) = rules.take([budget], [state], wanted, now, URGENT, Lease(1, 1.0))
        sent += [now] * grant.granted
    for moment in sent:
        assert sum(moment - 10.0 < other <= moment for other in sent) <= 7


@given(
    pauses=st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=60),
    wanted=st.integers(1, 9),
)
def test_a_bucket_allows_its_burst_and_its_refill(pauses, wanted):
    budget = rules.budgets([LimitRule(operations=["*"], limit=TOKENS)], "any")[0]
    state, now, sent = State(), 1_000.0, 0
    for pause in pauses:
        now += pause
        grant, (state,) = rules.take([budget], [state], wanted, now, URGENT, Lease(1, 1.0))
        sent += grant.granted
        assert sent <= 3 + (now - 1_000.0) * 0.3 + 1e-6


@given(wanted=st.integers(1, 300))
def test_who_waits_as_told_gets_a_call(wanted):
    for limit in (COST, TOKENS, WINDOW, AT_ONCE, DAY):
        under = rules.budgets([LimitRule(operations=["*"], limit=limit)], "any", "A")
        states, now = [State()], 1_000.0
        while True:
            grant, states = rules.take(under, states, wanted, now, BULK, Lease(int(now), 5.0))
            if grant.granted < wanted:
                break
            now += 0.001
        now += grant.wait_seconds + 1e-6
        again, _ = rules.take(under, states, 1, now, BULK, Lease(9, 5.0))
        assert again.granted == 1, limit


def test_budgets_are_named_by_what_shares_them():
    named = {op: [b.name for b in rules.budgets(RULES, op, "A")] for op in ("publish", "observe")}
    assert named == {
        "publish": ["cost:100/5", "tokens:publish", "window10:observe+publish"],
        "observe": ["cost:100/5", "window10:observe+publish"],
    }
    costs = {op: rules.budgets(RULES, op)[0].cost for op in ("publish", "observe", "other")}
    assert costs == {"publish": 10.0, "observe": 2.0, "other": 10.0}
    assert [b.object for b in rules.budgets(RULES, "revise", "A")] == ["", "A"]


def test_what_is_held_back_is_there_for_what_is_urgent():
    under = rules.budgets([LimitRule(operations=["*"], limit=COST)], "any")
    bulk, states = rules.take(under, [State()], 1_000, 0.0, BULK, Lease(1, 1.0))
    normal, states = rules.take(under, states, 1_000, 0.0, NORMAL, Lease(1, 1.0))
    urgent, states = rules.take(under, states, 1_000, 0.0, URGENT, Lease(1, 1.0))
    assert (bulk.granted, normal.granted, urgent.granted) == (9, 1, 0)
    assert bulk.wait_seconds == pytest.approx(2.0)
    more, _ = rules.take(under, states, 5, 2.0, BULK, Lease(1, 1.0))
    assert more.granted == 0
    assert more.wait_seconds == pytest.approx(2.0)


def test_rows_of_objects_are_forgotten_after_their_day(enterprise_of_laws):
    async def use() -> list:
        async with await connect(enterprise_of_laws) as conn:
            await conn.execute(b"TRUNCATE throttle")
            for item, days in (("OLD", -2), ("NEW", 0)):
                under = rules.budgets(RULES, "revise", item)
                at = datetime.now(UTC) + timedelta(days=days)
                lease = Lease(1, 1.0)
                await gate.take(conn, "S", under, 1, share=URGENT, lease=lease, at=at)
            await gate.forget(conn)
            rows = await conn.execute(b"SELECT object FROM throttle WHERE object <> ''")
            return await rows.fetchall()

    assert asyncio.run(use()) == [("NEW",)]
