import pytest

from stockbridge.domain.ledger.bulk import Counts, compare, pair_key
from stockbridge.kernel.accounts import AVAILABLE, IN_TRANSIT, PICKED

KEY = pair_key(7, 1)


def counts(figures, safety=None):
    rows = len(next(iter(figures.values()))) if figures else len(safety)
    items = list(range(7, 7 + rows))
    return Counts(items, [1] * rows, list(range(2, 2 + rows)), [None] * rows, figures, safety)


@pytest.mark.parametrize(
    "stated,safety,before,moves,fresh,changed,columns",
    [
        # A new pair: what is stated moves in; zero moves nothing but makes the balance.
        ({AVAILABLE: [5]}, None, {}, [(0, AVAILABLE, 5)], [0], [], [5, 0, 0, 0, 0, 0, 0]),
        ({AVAILABLE: [0]}, None, {}, [], [0], [], [0] * 7),
        ({}, [3], {}, [], [0], [], [0, 0, 0, 0, 0, 0, 3]),
        # A known pair: the difference moves, equal figures move nothing.
        ({AVAILABLE: [5]}, None, (5, 0, 2, 0, 0, 0, 1), [], [], [], [5, 0, 2, 0, 0, 0, 1]),
        ({AVAILABLE: [4]}, None, (5, 0, 2, 0, 0, 0, 1), [(0, AVAILABLE, -1)], [], [0],
         [4, 0, 2, 0, 0, 0, 1]),
        # Not stated keeps what is there, in every column.
        ({AVAILABLE: [None], PICKED: [0]}, [None], (5, 0, 2, 0, 0, 0, 1), [(0, PICKED, -2)],
         [], [0], [5, 0, 0, 0, 0, 0, 1]),
        ({AVAILABLE: [5]}, [9], (5, 0, 0, 0, 0, 0, 1), [], [], [0], [5, 0, 0, 0, 0, 0, 9]),
        # Below zero is corrected upwards.
        ({AVAILABLE: [2]}, None, (-3, 0, 0, 0, 0, 0, 0), [(0, AVAILABLE, 5)], [], [0],
         [2, 0, 0, 0, 0, 0, 0]),
        # Several states of one pair are several movements.
        ({AVAILABLE: [1], IN_TRANSIT: [2]}, None, {}, [(0, AVAILABLE, 1), (0, IN_TRANSIT, 2)],
         [0], [], [1, 0, 0, 0, 2, 0, 0]),
    ],
)  # fmt: skip
def test_difference(stated, safety, before, moves, fresh, changed, columns):
    held = {KEY: before} if before else {}
    difference, after = compare(counts(stated, safety), held)
    assert list(zip(*difference, strict=True)) == moves
    assert (list(after.fresh), after.changed) == (fresh, changed)
    assert [column[0] for column in after.columns] == columns


def test_known_and_new_pairs_in_one_chunk():
    stated = {AVAILABLE: [5, 6, 7], PICKED: [None, 1, None]}
    difference, after = compare(counts(stated), {pair_key(8, 1): (6, 0, 0, 0, 0, 0, 0)})
    assert sorted(zip(*difference, strict=True)) == [
        (0, AVAILABLE, 5), (1, PICKED, 1), (2, AVAILABLE, 7)
    ]  # fmt: skip
    assert (after.fresh, after.changed) == ([0, 2], [1])
