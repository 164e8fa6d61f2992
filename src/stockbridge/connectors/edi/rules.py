"""Numbers that must follow one another, and documents that come twice: history in, verdict out.

Facts commute, so a gap never holds anything back; it is shown. What protects from booking twice is
the business key, because a partner that extracts a document again gives it new numbers.
"""

from typing import Final, Literal

import msgspec

from stockbridge.connectors.edi.findings import Finding, finding

CONTROL_MAX: Final = 999_999_999
MISSING_MAX: Final = 1_000
"""Gaps larger than this are told by their ends, not number by number."""

Outcome = Literal["first", "retransmission", "conflict"]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What we know of one counter (partner and level): the highest number, and numbers to digests.

    `digests` holds the numbers inside the window that the profile sets; older ones are forgotten.
    """

    last: int | None = None
    digests: dict[int, str] = {}


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a number means. `missing` are numbers between it and the one before, not seen yet."""

    outcome: Outcome
    last: int
    missing: list[int] = []
    findings: list[Finding] = []


def judge_number(seen: Seen, number: int, digest: str, *, may_reset: bool = False) -> Verdict:
    """Judge a control number that comes with content of `digest`.

    The same number with the same content is a retransmission: answer as before, apply nothing. With
    other content it is a conflict, unless the partner may start its counter again (`may_reset`).
    """
    known = seen.digests.get(number)
    last = seen.last if seen.last is not None else number
    if known == digest:
        message = f"number {number} came before with the same content"
        return Verdict(
            outcome="retransmission", last=last, findings=[finding("DUPLICATE_CONTROL", message)]
        )
    if known is not None and not may_reset:
        message = f"number {number} came before with other content"
        found = finding("DUPLICATE_CONTROL_DIFFERENT_CONTENT", message)
        return Verdict(outcome="conflict", last=last, findings=[found])
    if known is not None or is_reset(seen, number, may_reset=may_reset):
        message = f"the counter starts again at {number}, after {seen.last}"
        return Verdict(outcome="first", last=number, findings=[finding("SEQ_RESET", message)])
    return _followed(seen, number)


def is_reset(seen: Seen, number: int, *, may_reset: bool) -> bool:
    """Whether a counter starts again: after its highest number, or where the partner may."""
    if seen.last is None or number >= seen.last:
        return False
    if seen.last == CONTROL_MAX:
        return True
    return may_reset and number == 1


def _followed(seen: Seen, number: int) -> Verdict:
    if seen.last is None or number == seen.last + 1:
        return Verdict(outcome="first", last=number)
    if number < seen.last:
        message = f"number {number} comes after {seen.last}"
        return Verdict(outcome="first", last=seen.last, findings=[finding("SEQ_LATE", message)])
    missing = range(seen.last + 1, number)
    message = (
        f"numbers {missing[0]} to {missing[-1]} have not come"
        if len(missing) > 1
        else (f"number {missing[0]} has not come")
    )
    return Verdict(
        outcome="first",
        last=number,
        missing=list(missing[:MISSING_MAX]),
        findings=[finding("SEQ_GAP", message)],
    )


Action = Literal["apply", "replace", "cancel", "change", "duplicate", "conflict"]
# Element 353, X12 004010: what a document wants with the one of its business key.
PURPOSES: Final[dict[str, Action]] = {
    **dict.fromkeys(("00", "06", "22"), "apply"),
    "01": "cancel",
    **dict.fromkeys(("02", "03", "04"), "change"),
    "05": "replace",
    "07": "duplicate",
}


def judge_document(
    key: str, purpose: str, digest: str, known: str | None
) -> tuple[Action, list[Finding]]:
    """What to do with a document: `known` is the digest of the one that has its business key.

    A second original with another content is a conflict and never overwrites the first.
    """
    action = PURPOSES.get(purpose, "apply")
    if known is not None and known == digest:
        return "duplicate", [finding("BUSINESS_DUPLICATE", f"{key} is known, with this content")]
    if action == "apply" and known is not None:
        return "conflict", [finding("BUSINESS_CONFLICT", f"{key} is known, with other content")]
    return action, []
