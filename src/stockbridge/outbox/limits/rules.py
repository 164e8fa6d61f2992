"""The five kinds of limits, as pure rules; `queries.sql` does the same on the rows.

A cost bucket and a token bucket fill continuously. A window, a number of calls at a time and a
daily budget count calls until each is forgotten. (Kinds: reference cards of the partners.)
"""

from collections.abc import Iterable, Sequence
from math import floor

from stockbridge.contracts.partners.manifest import (
    Concurrency,
    CostBucket,
    DailyBudget,
    LimitRule,
    TokenBucket,
    Window,
)
from stockbridge.contracts.partners.model import LimitSeen
from stockbridge.outbox.limits.model import (
    DAY_SECONDS,
    WINDOW_SLOTS,
    Budget,
    Entry,
    Grant,
    Lease,
    State,
)

TINY = 1e-9
"""What rounding may take from a whole call."""
UNKNOWN_SECONDS = 60.0
"""When to ask again where nothing tells when a call may go."""
EVERY = "*"


def budgets(rules: Sequence[LimitRule], operation: str, object_key: str = "") -> list[Budget]:
    """The budgets a call of the operation on the object is under, each once.

    Cost buckets that are shared and alike are one; the rule that names the operation gives the
    cost.
    """
    found: dict[str, Budget] = {}
    for rule in sorted(rules, key=lambda rule: EVERY not in rule.operations):
        if EVERY in rule.operations:
            name = EVERY
        elif operation in rule.operations:
            name = operation if rule.scope == "operation" else "+".join(sorted(rule.operations))
        else:
            continue
        budget = _budget(rule, name, object_key)
        found[budget.name] = budget
    return list(found.values())


def _budget(rule: LimitRule, name: str, object_key: str) -> Budget:
    limit = rule.limit
    match limit:
        case CostBucket():
            if name == EVERY or rule.scope == "shared":
                name = f"{limit.capacity:g}/{limit.per_second:g}"
            cost = min(limit.cost, limit.capacity)
            return Budget(
                f"cost:{name}",
                "",
                False,
                float(limit.capacity),
                float(limit.per_second),
                float(cost),
            )
        case TokenBucket():
            return Budget(
                f"tokens:{name}", "", False, max(float(limit.burst), 1.0), float(limit.per_second)
            )
        case Window():
            slot = limit.seconds / WINDOW_SLOTS
            named = f"window{limit.seconds:g}:{name}"
            return Budget(named, "", True, float(limit.calls), 0.0, 1.0, slot, limit.seconds)
        case Concurrency():
            return Budget(f"at_once:{name}", "", True, float(limit.calls))
        case DailyBudget():
            return Budget(
                f"day:{name}", object_key, True, float(limit.calls), 0.0, 1.0, DAY_SECONDS
            )


def take(
    under: Sequence[Budget],
    states: Sequence[State],
    wanted: int,
    now: float,
    share: float,
    lease: Lease,
) -> tuple[Grant, list[State]]:
    """Up to `wanted` calls from all budgets together; the states after it.

    `share` of each budget is held back from this call, in whole calls.
    """
    pairs = list(zip(under, states, strict=True))
    granted = max(0, min([wanted, *(room(b, s, now, share) for b, s in pairs)]))
    after = [taken(b, s, now, granted, lease) for b, s in pairs] if granted else list(states)
    wait = 0.0
    if granted < wanted:
        wait = max(wait_seconds(b, s, now, share) for b, s in zip(under, after, strict=True))
    return Grant(granted, wait), after


def room(budget: Budget, state: State, now: float, share: float) -> int:
    """How many calls the budget allows now; below 0 when more are out than it allows."""
    if now < state.blocked_until:
        return 0
    if budget.is_tally:
        used = sum(entry.calls for entry in live(state.entries, now))
        return floor(_capacity(budget, state) - used - held_back(budget, state, share))
    points = level(budget, state, now) - held_back(budget, state, share)
    return floor(points / budget.cost + TINY)


def taken(budget: Budget, state: State, now: float, calls: int, lease: Lease) -> State:
    """The state after so many calls went."""
    if not budget.is_tally:
        left = level(budget, state, now) - calls * budget.cost
        return state._replace(level=left, at=max(state.at, now))
    new = _entry(budget, now, calls, lease)
    same = sum(entry.calls for entry in live(state.entries, now) if entry.key == new.key)
    others = [entry for entry in live(state.entries, now) if entry.key != new.key]
    entries = sorted([*others, new._replace(calls=calls + same)], key=lambda e: (e.ends, e.key))
    return state._replace(entries=tuple(entries))


def wait_seconds(budget: Budget, state: State, now: float, share: float) -> float:
    """In how many seconds the budget allows one call; 0 if it does now."""
    if room(budget, state, now, share) >= 1:
        return 0.0
    if now < state.blocked_until:
        return state.blocked_until - now
    if budget.is_tally:
        ends = [entry.ends for entry in live(state.entries, now)]
        return min(ends) - now if ends else UNKNOWN_SECONDS
    per_second = _per_second(budget, state)
    missing = held_back(budget, state, share) + budget.cost - level(budget, state, now)
    return missing / per_second if per_second > 0 else UNKNOWN_SECONDS


def level(budget: Budget, state: State, now: float) -> float:
    """The points in a bucket now."""
    capacity = _capacity(budget, state)
    gained = max(0.0, now - state.at) * _per_second(budget, state)
    return min(capacity, (capacity if state.level is None else state.level) + gained)


def held_back(budget: Budget, state: State, share: float) -> float:
    """Points or calls of the budget that this call leaves to more urgent ones: whole calls."""
    return floor(share * _capacity(budget, state) / budget.cost) * budget.cost


def live(entries: Iterable[Entry], now: float) -> list[Entry]:
    """Those that still count."""
    return [entry for entry in entries if entry.ends > now]


def corrected(budget: Budget, state: State, seen: LimitSeen, now: float) -> State:
    """The state after the partner told what it knows; what is left is never raised by it."""
    if seen.wait_seconds is not None and not budget.is_leased:
        blocked_until = max(state.blocked_until, now + seen.wait_seconds)
        state = state._replace(blocked_until=blocked_until)
    if budget.is_tally:
        return state
    state = state._replace(
        capacity=state.capacity if seen.capacity is None else seen.capacity,
        per_second=state.per_second if seen.per_second is None else seen.per_second,
    )
    if seen.remaining is not None:
        left = min(level(budget, state, now), seen.remaining)
        state = state._replace(level=left, at=max(state.at, now))
    return state


def _entry(budget: Budget, now: float, calls: int, lease: Lease) -> Entry:
    if budget.is_leased:
        return Entry(lease.key, calls, now + lease.seconds)
    slot = floor(now / budget.slot_seconds)
    return Entry(slot, calls, (slot + 1) * budget.slot_seconds + budget.keep_seconds)


def _capacity(budget: Budget, state: State) -> float:
    return budget.capacity if state.capacity is None else state.capacity


def _per_second(budget: Budget, state: State) -> float:
    return budget.per_second if state.per_second is None else state.per_second
