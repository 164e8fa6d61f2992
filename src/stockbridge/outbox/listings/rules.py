"""What to do with a listing, purely: read first or not, what an answer means, what was sold there.

Unheard sales (domain.md, principle 5 and the classic drift): a partner lowers its own figure when
it sells, and the order reaches us later. Between two moments at which its figure was known

    unheard = unheard before + what the figure fell by - own orders recorded in between

and the figure to publish is what the channel may show less that. A rise of its figure is never
counted, so the sum errs to the side of showing too little; reading the partner's orders to their
end, from after the figure was seen, ends it.
"""

from datetime import datetime, timedelta
from typing import Final

from stockbridge.contracts.partners.manifest import Stock
from stockbridge.contracts.partners.model import Outcome
from stockbridge.outbox.listings.model import LESS, MORE, READ, Row, Settled

MISSES_MAX: Final = 3
"""Times that a figure is accepted and not applied before somebody must look."""
READ_EVERY: Final = 8
"""One call in so many reads back before figures that can wait are published."""
SAMPLE_MAX: Final = 500
"""Most listings that one round has read back."""
RETRY_SECONDS_FIRST: Final = 2.0
RETRY_SECONDS_MAX: Final = 300.0
REJECTED_SECONDS_FIRST: Final = 3600.0
REJECTED_SECONDS_MAX: Final = 86_400.0
FORGOTTEN: Final = timedelta(hours=24)
"""Where no orders are ever read to their end, sales not heard of count for so long."""
_EXACT: Final = timedelta(seconds=10)
_DOUBLINGS_MAX: Final = 16


def order_of_classes(turn: int) -> tuple[int, ...]:
    """The classes that can wait, in the order in which call number `turn` looks for work."""
    return (READ, LESS, MORE) if turn % READ_EVERY == 0 else (LESS, MORE, READ)


def needs_read(row: Row, stock: Stock, risk: int) -> bool:
    """Whether the partner's figure must be read before anything is written.

    A call whose end is not known is looked after; and where a figure is set without comparing, a
    read shows what was sold in the meantime. Zero needs no such read, as nothing is put back,
    unless it is reckoned anew and may become more.
    """
    if risk == READ or row.published is None or row.before in ("sending", "unknown"):
        return True
    if stock.mode != "absolute":
        return row.sent is not None
    return stock.reads_first and (row.target > 0 or needs_reckoning(row, row.claimed_at))


def needs_reckoning(row: Row, now: datetime) -> bool:
    """Whether the figure in memory is not enough: units were, or just had been, unheard of."""
    if row.is_ending:
        return False
    return row.unheard > 0 or (row.reckoned_at is not None and row.reckoned_at > now - _EXACT)


def base_of(row: Row, observed: int) -> int:
    """What the partner showed before, of the figures it may have shown the one that fits.

    Where none fits the higher one: then more counts as sold.
    """
    known = [figure for figure in (row.published, row.sent) if figure is not None]
    return observed if observed in known else max(known, default=observed)


def unheard_after(unheard: int, drop: int, heard: int, *, is_read: bool) -> int:
    """Units sold there and not heard of, after its figure fell by `drop` more.

    `heard`: own orders recorded since `unheard` was known. `is_read`: its orders were read to
    their end from after that, so at most what was sold since can be unheard.
    """
    left = max(0, unheard + max(0, drop) - heard)
    return min(left, max(0, drop)) if is_read else left


def reckoned(
    row: Row,
    observed: int | None,
    desired: int,
    heard: int,
    now: datetime,
    read_at: datetime | None,
) -> Row:
    """The row as one moment has it: sales not heard of set off against own orders.

    `observed`: what the partner was just seen to show, None if nobody looked. `heard`: units of
    own orders recorded since `row.heard_from`. `read_at`: its orders from before are all here.
    """
    drop = 0 if observed is None else base_of(row, observed) - observed
    seen_at = row.unheard_at
    is_read = seen_at is not None and (
        seen_at < now - FORGOTTEN or (read_at is not None and read_at > seen_at)
    )
    return row._replace(
        desired=desired,
        published=row.published if observed is None else observed,
        unheard=unheard_after(row.unheard, drop, heard, is_read=is_read),
        unheard_at=now if drop > 0 else seen_at,
        heard_from=now,
        reckoned_at=now,
    )


def is_missed(row: Row, observed: int) -> bool:
    """Whether a figure that was accepted is not applied."""
    return (
        row.before in ("accepted", "sending")
        and row.sent is not None
        and row.sent != row.published
        and observed == row.published
    )


def after_read(row: Row, *, changed: bool) -> Settled | None:
    """The end of a row that was read and reckoned; None: it must be published.

    `row.published` is what was observed; `changed`: somebody else had changed it there.
    """
    if row.target == row.published:
        return Settled(row._replace(misses=0), "ok", verified=True, corrected=changed)
    if row.misses < MISSES_MAX:
        return None
    detail = f"accepted {row.misses} times and not applied: it shows {row.published}"
    seconds = REJECTED_SECONDS_FIRST
    return Settled(row, "failed", None, seconds, code="not_applied", detail=detail)


def not_listed(row: Row, problem: str, chance: float) -> Settled:
    """The end of a row whose item the partner does not list; one that ends shows nothing then."""
    if row.is_ending:
        return Settled(row._replace(published=0), "ok", verified=True)
    seconds = _pause(row.attempts, REJECTED_SECONDS_FIRST, REJECTED_SECONDS_MAX, chance)
    detail = problem or f"{row.item} is not listed there"
    return Settled(row, "failed", None, seconds, code="not_listed", detail=detail)


def postponed(row: Row, seconds: float, detail: str) -> Settled:
    """A row that could not be worked on now; what was to be looked after still is."""
    if row.before in ("sending", "unknown"):
        return Settled(row, "unknown", row.sent, seconds, detail=detail)
    if row.before == "accepted":
        return Settled(row, "accepted", row.sent, seconds, detail=detail)
    return Settled(row, "later", row.sent, seconds, detail=detail)


def after_call(row: Row, outcome: Outcome, stock: Stock, chance: float) -> Settled:
    """What an outcome makes of a row that was published; `chance` in [0, 1) spreads retries.

    A stale compare-and-set has to be reckoned before.
    """
    if outcome.kind in ("confirmed", "accepted"):
        row = row._replace(heard_from=max(row.heard_from or row.claimed_at, row.claimed_at))
    if outcome.kind == "confirmed":
        row = row._replace(published=row.target, misses=0)
        return Settled(row, "ok", reference=outcome.reference)
    ended = Settled(
        row, "later", reference=outcome.reference, code=outcome.code, detail=outcome.detail
    )
    if outcome.kind == "accepted":
        seconds = float(stock.verify_after_seconds)
        return ended._replace(end="accepted", sent=row.target, seconds=seconds)
    if outcome.kind == "rejected":
        seconds = _pause(row.attempts, REJECTED_SECONDS_FIRST, REJECTED_SECONDS_MAX, chance)
        return ended._replace(end="failed", seconds=seconds)
    seconds = _pause(row.attempts, RETRY_SECONDS_FIRST, RETRY_SECONDS_MAX, chance)
    if outcome.after_seconds is not None:
        seconds = outcome.after_seconds
    if outcome.kind == "unknown":
        return ended._replace(end="unknown", sent=row.target, seconds=seconds)
    return ended._replace(seconds=seconds)


def is_stale(row: Row, outcome: Outcome) -> bool:
    """Whether a compare-and-set found another figure than we believed."""
    if outcome.kind not in ("rejected", "later") or outcome.observed is None:
        return False
    return outcome.observed != row.published


def version_after(row: Row, judged: Row, *, missed: bool) -> int:
    """The version of a call after a read: the same only where the same call is repeated.

    One that was accepted and not applied must be another: the partner knows the first.
    """
    is_same = row.sent == judged.target and row.published == judged.published and not missed
    return row.sent_version if row.sent is None or is_same else row.sent_version + 1


def sample_size(stock: Stock | None, waiting: int) -> int:
    """How many listings to have read back next: none while the work that waits is more."""
    few = min(SAMPLE_MAX, 4 * stock.observe_rows_max) if stock is not None else 0
    return few if waiting <= few else 0


def _pause(attempts: int, first: float, most: float, chance: float) -> float:
    """Exponential with full jitter, but never at once: between half and all of it."""
    bound = min(most, first * 2.0 ** min(attempts, _DOUBLINGS_MAX))
    return bound * (0.5 + chance / 2)
