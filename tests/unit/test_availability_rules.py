"""Laws of the availability formula, over random stock, policies and feeds."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from stockbridge.domain.availability import rules
from stockbridge.domain.availability.model import Arrival, Part, Shelf
from stockbridge.domain.availability.terms import explain
from stockbridge.domain.masters.model import Channel, Policy

NOW = 1_000 * rules.DAY

units = st.integers(0, 500)
any_units = st.integers(-200, 500)
locations = st.integers(1, 4)
policies = st.builds(
    Policy,
    version=st.integers(0, 9),
    kind=st.sampled_from(["shared", "percent", "ring_fenced"]),
    percent=st.integers(0, 100),
    buffer_units=st.integers(0, 30),
    buffer_percent=st.integers(0, 100),
    cap=st.none() | units,
    floor=st.integers(0, 20),
    horizon_days=st.integers(0, 30),
    safety_stock=st.integers(0, 20),
    on_stale=st.sampled_from(["serve", "buffer", "zero"]),
    stale_buffer_units=st.integers(0, 30),
)
rows = st.dictionaries(
    locations, st.tuples(any_units, units, st.integers(0, 30), st.integers(0, 20)), max_size=4
)
fences = st.lists(st.tuples(locations, st.integers(1, 2), st.integers(0, 80)), max_size=4)
arrivals = st.lists(
    st.tuples(locations, units, st.integers(-5, 60).map(lambda days: NOW + days * rules.DAY)),
    max_size=5,
)


@st.composite
def part(draw, units_max=1):
    """An item at up to four locations, three of which are channel 1's."""
    stock = [(location, *values) for location, values in draw(rows).items()]
    return rules.gather(
        7,
        draw(st.integers(1, units_max)),
        stock,
        draw(fences),
        draw(arrivals),
        channel_id=1,
        sources=(1, 2, 3),
    )


kits = st.lists(part(units_max=4), min_size=2, max_size=3)
questions = st.one_of(part().map(lambda one: [one]), kits)


@given(questions, policies, st.booleans(), st.none() | st.integers(0, 60))
@settings(max_examples=400)
def test_the_terms_sum_to_the_figure(parts, policy, stale, days):
    until = None if days is None else NOW + days * rules.DAY
    terms = explain(parts, policy, stale, until)
    assert terms[-1].total == rules.figure(parts, policy, stale, until).available
    assert sum(term.value for term in terms) == terms[-1].total


@given(questions, policies, st.booleans())
def test_a_figure_is_never_negative_nor_more_than_pool_and_pipeline(parts, policy, stale):
    got = rules.figure(parts, policy, stale, rules.horizon_end(policy, NOW))
    assert 0 <= got.available <= got.pool + got.pipeline
    if policy.kind != "ring_fenced":
        assert got.share <= got.pool
    assert policy.cap is None or got.available <= policy.cap


@given(questions, policies, st.booleans(), st.data())
@settings(max_examples=300)
def test_more_available_never_shows_less(parts, policy, stale, data):
    until = rules.horizon_end(policy, NOW)
    before = rules.figure(parts, policy, stale, until).available
    chosen = data.draw(st.integers(0, len(parts) - 1))
    if not parts[chosen].shelves:
        return
    shelf, *others = parts[chosen].shelves
    more = shelf._replace(available=shelf.available + data.draw(st.integers(1, 200)))
    parts[chosen] = parts[chosen]._replace(shelves=(more, *others))
    assert rules.figure(parts, policy, stale, until).available >= before


@given(part(), policies, st.booleans())
def test_a_kit_of_one_item_shows_what_the_item_shows(one, policy, stale):
    until = rules.horizon_end(policy, NOW)
    twin = one._replace(item_id=8)
    assert rules.figure([one, twin], policy, stale, until) == rules.figure(
        [one], policy, stale, until
    )


@given(questions, policies, st.booleans(), st.integers(1, 300))
def test_the_promised_moment_is_the_first_that_suffices(parts, policy, stale, quantity):
    promised = rules.promise(parts, policy, stale, NOW, quantity, by=None).promisable_at
    ample = rules.figure(parts, policy, stale, NOW + 100 * rules.DAY).available >= quantity
    assert (promised is not None) == ample
    if promised is not None:
        assert rules.promise(parts, policy, stale, NOW, quantity, by=promised).can_fulfil
        if promised > NOW:
            before = rules.promise(parts, policy, stale, NOW, quantity, by=promised - 1)
            assert not before.can_fulfil


@given(st.lists(st.none() | st.integers(0, NOW), max_size=4), st.none() | st.integers(1, 10**9))
def test_an_unknown_feed_is_stale_wherever_a_threshold_is_set(times, limit):
    channel = Channel(1, "WEB", sources=(1, 2), freshness_seconds_max=limit)
    got = rules.freshness_of(times, channel, NOW)
    if not times or None in times:
        assert got == (None, limit is not None)
    else:
        age = NOW - min(times)
        assert got == (age, limit is not None and age > limit * rules.SECOND)


@given(rows, policies, st.dictionaries(locations, st.integers(0, NOW)), st.none() | st.just(60))
def test_the_quick_look_up_gives_the_same_answer(stock, policy, seen, limit):
    channel = Channel(1, "WEB", sources=(1, 2, 3), freshness_seconds_max=limit)
    chosen = replace(policy, kind="percent" if policy.kind == "ring_fenced" else policy.kind)
    flat = [(location, *values) for location, values in stock.items()]
    one = rules.gather(7, 1, flat, (), (), channel_id=1, sources=channel.sources)
    fresh = rules.freshness([one], channel, seen, NOW)
    expected = rules.figure([one], chosen, fresh.stale, until=None).available
    got = rules.look_up(flat, frozenset(channel.sources), seen, channel, chosen, NOW)
    assert got == (expected, *fresh)


def test_only_locations_that_hold_the_item_make_it_stale():
    channel = Channel(1, "WEB", sources=(1, 2), freshness_seconds_max=60)
    held = Part(7, 1, (Shelf(1, 5), Shelf(2, kept=False)), (Arrival(2, 3, NOW),))
    seen = {1: NOW - 10 * rules.SECOND, 2: NOW - 600 * rules.SECOND}
    assert not rules.freshness([held], channel, seen, NOW).stale
    assert rules.freshness([Part(7, 1, ())], channel, seen, NOW).stale
    assert rules.freshness([held], replace(channel, freshness_seconds_max=9), seen, NOW).stale
