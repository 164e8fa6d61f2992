"""What is done with a listing, as tables: one line a case, what comes of it last."""

from datetime import timedelta

import pytest

from stockbridge.contracts.partners.manifest import Stock
from stockbridge.contracts.partners.model import Outcome
from stockbridge.outbox.listings import rules
from stockbridge.outbox.listings.model import LESS, MORE, READ, ZERO
from tests.properties.test_listings import START, row

COMPARES = Stock(mode="compare_and_set", verify_after_seconds=60)
ABSOLUTE = Stock(mode="absolute")
BLIND = Stock(mode="absolute", reads_first=False)


@pytest.mark.parametrize(
    "stock,risk,known,expected",
    [
        (COMPARES, MORE, {"desired": 5, "published": 3}, False),
        (COMPARES, MORE, {"desired": 5, "published": 3, "sent": 4}, True),
        (COMPARES, MORE, {"desired": 5, "published": None}, True),
        (COMPARES, READ, {"desired": 5, "published": 5, "before": "ok"}, True),
        (COMPARES, LESS, {"desired": 5, "published": 9, "before": "unknown", "sent": 5}, True),
        (COMPARES, LESS, {"desired": 5, "published": 9, "before": "sending", "sent": 5}, True),
        (ABSOLUTE, LESS, {"desired": 5, "published": 9}, True),
        (ABSOLUTE, ZERO, {"desired": 0, "published": 9}, False),
        (ABSOLUTE, ZERO, {"desired": 2, "unheard": 2, "published": 9}, True),
        (BLIND, LESS, {"desired": 5, "published": 9}, False),
    ],
)
def test_a_read_comes_first(stock, risk, known, expected):
    assert rules.needs_read(row(**known), stock, risk) is expected


@pytest.mark.parametrize(
    "outcome,end,sent,published,seconds",
    [
        (Outcome("confirmed"), "ok", None, 5, (0, 0)),
        (Outcome("accepted"), "accepted", 5, 9, (60, 60)),
        (Outcome("later", after_seconds=7.0), "later", None, 9, (7, 7)),
        (Outcome("later"), "later", None, 9, (1, 2)),
        (Outcome("unknown"), "unknown", 5, 9, (1, 2)),
        (Outcome("rejected", "gone"), "failed", None, 9, (1800, 3600)),
    ],
)
def test_an_outcome_ends_the_work(outcome, end, sent, published, seconds):
    settled = rules.after_call(row(desired=5, published=9), outcome, COMPARES, 0.5)
    assert (settled.end, settled.sent, settled.row.published) == (end, sent, published)
    assert seconds[0] <= settled.seconds <= seconds[1]
    assert settled.code == outcome.code


@pytest.mark.parametrize(
    "unheard,drop,heard,is_read,left",
    [
        (0, 3, 0, False, 3),
        (0, 3, 2, False, 1),
        (2, 1, 0, False, 3),
        (2, 0, 2, False, 0),
        (2, -4, 0, False, 2),
        (0, 0, 5, False, 0),
        (2, 0, 0, True, 0),
        (2, 1, 1, True, 1),
        (2, 3, 0, True, 3),
    ],
)
def test_what_is_unheard(unheard, drop, heard, is_read, left):
    assert rules.unheard_after(unheard, drop, heard, is_read=is_read) == left


@pytest.mark.parametrize(
    "published,sent,observed,base",
    [(9, None, 7, 9), (9, 5, 5, 5), (9, 5, 9, 9), (9, 5, 4, 9), (None, None, 4, 4)],
)
def test_what_it_showed_before(published, sent, observed, base):
    assert rules.base_of(row(published=published, sent=sent), observed) == base


def test_a_figure_that_is_never_applied_fails_after_three_times():
    known = {"desired": 5, "published": 9, "sent": 5, "before": "accepted"}
    assert rules.is_missed(row(**known), 9)
    assert not rules.is_missed(row(**known), 5)
    assert rules.after_read(row(**known, misses=2), changed=False) is None
    settled = rules.after_read(row(**known, misses=3), changed=False)
    assert settled is not None
    assert (settled.end, settled.code) == ("failed", "not_applied")


@pytest.mark.parametrize(
    "before,end,sent",
    [
        ("sending", "unknown", 5),
        ("unknown", "unknown", 5),
        ("accepted", "accepted", 5),
        ("dirty", "later", 5),
    ],
)
def test_what_must_be_looked_after_stays_so_when_it_cannot_be_now(before, end, sent):
    settled = rules.postponed(row(before=before, sent=5), 3.0, "down")
    assert (settled.end, settled.sent, settled.seconds) == (end, sent, 3.0)


def test_a_version_stays_only_for_the_same_call():
    sent = row(desired=5, published=9, sent=5, sent_version=4)
    same = sent._replace(published=9)
    assert rules.version_after(sent, same, missed=False) == 4
    assert rules.version_after(sent, same, missed=True) == 5
    assert rules.version_after(sent, sent._replace(published=8), missed=False) == 5
    assert rules.version_after(sent, sent._replace(desired=6), missed=False) == 5


def test_reads_and_figures_that_go_up_both_have_their_turn():
    firsts = {rules.order_of_classes(turn)[0] for turn in range(20)}
    assert firsts == {READ, LESS}
    assert all(set(rules.order_of_classes(turn)) == {LESS, READ, MORE} for turn in range(9))


def test_a_sample_is_taken_only_while_little_waits():
    stock = Stock(observe_rows_max=10)
    assert rules.sample_size(stock, 0) == 40
    assert rules.sample_size(stock, 41) == 0
    assert rules.sample_size(Stock(observe_rows_max=1000), 0) == rules.SAMPLE_MAX
    assert rules.sample_size(None, 0) == 0


def test_an_exact_figure_is_asked_for_while_sales_are_or_were_unheard():
    assert not rules.needs_reckoning(row(), START)
    assert rules.needs_reckoning(row(unheard=1), START)
    assert rules.needs_reckoning(row(reckoned_at=START - timedelta(seconds=1)), START)
    assert not rules.needs_reckoning(row(reckoned_at=START - timedelta(seconds=60)), START)
    assert not rules.needs_reckoning(row(unheard=1, is_ending=True), START)
