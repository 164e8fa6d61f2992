"""Where promises are taken from, without a store."""

import pytest

from stockbridge.domain.reservations.sourcing import Demand, Pool, Take, source

A, B, C = 1, 2, 3
W1, W2, W3 = 1, 2, 3
ANY = (W1, W2, W3)
KIT = ((A, 1), (B, 2))


def plain(line_no, item, units, locations=ANY):
    return Demand(line_no, ((item, 1),), units, locations)


CASES = {
    # stock, demands, fewest splits: takes
    "the first location that has it": (
        {(A, W1): 1, (A, W2): 9}, [plain(1, A, 3)], False, {(1, W1, 1), (1, W2, 2)},
    ),
    "one location where one can": (
        {(A, W1): 1, (A, W2): 9}, [plain(1, A, 3)], True, {(1, W2, 3)},
    ),
    "the smallest set where none can": (
        {(A, W1): 1, (A, W2): 2, (A, W3): 2}, [plain(1, A, 4)], True, {(1, W2, 2), (1, W3, 2)},
    ),
    "all there is where it is not enough": (
        {(A, W1): 1, (A, W2): 2}, [plain(1, A, 9)], False, {(1, W1, 1), (1, W2, 2)},
    ),
    "one set for all lines": (
        {(A, W1): 5, (B, W3): 5, (A, W3): 5},
        [plain(1, A, 2), plain(2, B, 2)], True, {(1, W3, 2), (2, W3, 2)},
    ),
    "a kit is whole": (
        {(A, W1): 5, (B, W2): 9}, [Demand(1, KIT, 1, ANY)], False, set(),
    ),
    "as many kits as the scarcest part gives": (
        {(A, W1): 5, (B, W1): 5}, [Demand(1, KIT, 4, ANY)], False, {(1, W1, 2)},
    ),
    "kits before plain items": (
        {(A, W1): 1, (B, W1): 2, (A, W2): 1},
        [plain(1, A, 1), Demand(2, KIT, 1, ANY)], False, {(2, W1, 1), (1, W2, 1)},
    ),
    "bound lines before free ones": (
        {(A, W1): 1, (A, W2): 1},
        [plain(1, A, 1), plain(2, A, 1, (W1,))], False, {(2, W1, 1), (1, W2, 1)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("stock,demands,fewest,takes", CASES.values(), ids=CASES)
def test_sources(stock, demands, fewest, takes):
    def pool():
        return Pool(lambda item, place: stock.get((item, place), 0))

    assert set(source(demands, pool, fewest_splits=fewest)) == {Take(*take) for take in takes}


def test_a_share_is_over_all_locations():
    def pool():
        return Pool(lambda _item, _place: 5, {A: 6})

    takes = source([plain(1, A, 4), plain(2, A, 4)], pool, fewest_splits=False)
    assert sum(take.units for take in takes) == 6
