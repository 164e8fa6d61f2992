"""The short way to source plain orders takes what the general way takes."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from stockbridge.domain.masters.model import Catalog, Channel, Policy
from stockbridge.domain.reservations.rules import is_plain, promisable, take_plain
from stockbridge.domain.reservations.sourcing import Demand, Pool, source
from stockbridge.domain.world.model import Balance, ReservationLine
from stockbridge.domain.world.world import World
from stockbridge.kernel.accounts import AVAILABLE, RESERVED

PLACES = [(item, location) for item in (1, 2) for location in (1, 2, 3)]
STOCK = st.fixed_dictionaries(
    {},
    optional={
        place: st.tuples(st.integers(-3, 12), st.integers(0, 6), st.integers(0, 3))
        for place in PLACES
    },
)
LINES = st.lists(
    st.tuples(st.sampled_from((1, 2)), st.integers(1, 3), st.integers(1, 9)), min_size=1, max_size=5
)


@given(
    stock=STOCK,
    wanted=LINES,
    sources=st.permutations((1, 2, 3)).map(tuple),
    safety=st.integers(0, 2),
)
def test_plain_orders_are_sourced_as_the_rule_says(stock, wanted, sources, safety):
    policy = Policy(safety_stock=safety)
    channel = Channel(1, "web", sources=sources, policies=(policy,))
    world = World(1, datetime(2026, 1, 1, tzinfo=UTC), Catalog())
    for place, (available, reserved, own_safety) in stock.items():
        balance = world.balances[place] = Balance.empty(*place)
        balance.q[AVAILABLE], balance.q[RESERVED] = available, reserved
        balance.safety_stock = own_safety
    lines = [
        ReservationLine(n, item, "S", units, None, units, None, ((item, each),))
        for n, (item, each, units) in enumerate(wanted, 1)
    ]
    assert is_plain(world, channel, lines)

    def free(item_id: int, location_id: int) -> int:
        return promisable(world, channel, policy, (item_id, location_id))

    demands = [Demand(line.line_no, line.parts, line.units, sources) for line in lines]
    general = source(demands, lambda: Pool(free), fewest_splits=False)
    assert take_plain(world, channel, safety, lines) == general
