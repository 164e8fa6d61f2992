"""The states of a delivery: what to do with one, and what becomes of it. Pure."""

from typing import Final, Literal, NamedTuple

from stockbridge.contracts.partners.model import Outcome
from stockbridge.outbox.retry import PATIENCE, Patience, is_over, pause_seconds

State = Literal["waiting", "sending", "accepted", "confirmed", "rejected", "dead", "cancelled"]
Act = Literal["send", "probe", "give_up"]
UNSETTLED: Final = ("waiting", "sending", "accepted")

_UNKNOWN = (
    "it was sent and no answer came; the partner offers no way to look it up and knows no "
    "idempotency keys, so sending it again could do it twice"
)


class Ability(NamedTuple):
    """What the partner offers for an operation: looking it up, and knowing a repeated key."""

    can_probe: bool
    is_idempotent: bool


class Next(NamedTuple):
    """The next state of a delivery; `pause_seconds` until it is looked at again.

    `may_be_done`: it was sent and nobody knows, so it is probed first. `is_hinted`: the partner
    named the pause.
    """

    state: State
    pause_seconds: float = 0.0
    may_be_done: bool = False
    is_hinted: bool = False
    code: str = ""
    detail: str = ""
    reference: str = ""


def act_of(*, may_be_done: bool, is_accepted: bool, ability: Ability) -> Act:
    """What to do with a due delivery. One that may be done already is never simply sent again."""
    if not may_be_done and not is_accepted:
        return "send"
    if ability.can_probe:
        return "probe"
    return "send" if ability.is_idempotent else "give_up"


def after(
    act: Act,
    outcome: Outcome,
    *,
    attempts: int,
    age_seconds: float,
    is_accepted: bool,
    ability: Ability,
    chance: float,
    patience: Patience = PATIENCE,
) -> Next:
    """What becomes of a delivery by its outcome.

    `attempts` counts this one. A probe's `later` means: not done, may be sent.
    """
    said = (outcome.code, outcome.detail, outcome.reference)
    hint = outcome.after_seconds
    if outcome.kind in ("confirmed", "rejected"):
        return Next(outcome.kind, 0.0, False, False, *said)
    if outcome.kind == "accepted" and not ability.can_probe:
        code = outcome.code or "accepted_unprobed"
        return Next("confirmed", 0.0, False, False, code, *said[1:])
    if act == "send" and outcome.kind == "unknown" and ability == (False, False):
        code = outcome.code or "outcome_unknown"
        return Next("dead", 0.0, True, False, code, _because(_UNKNOWN, outcome), said[2])
    is_patient = hint is not None and outcome.kind == "later" and act == "send"
    may_be_done = outcome.kind in ("unknown", "accepted") and ability.can_probe
    if is_over(0 if is_patient else attempts, age_seconds, patience):
        return Next("dead", 0.0, may_be_done, False, outcome.code or "gave_up", *said[1:])
    if act == "probe" and outcome.kind == "later" and hint is None:
        return Next("waiting", 0.0, False, False, *said)
    pause = pause_seconds(attempts, chance, hint, patience)
    is_still_accepted = outcome.kind == "accepted" or (is_accepted and may_be_done)
    state: State = "accepted" if is_still_accepted else "waiting"
    return Next(state, pause, may_be_done, hint is not None, *said)


def given_up(reference: str) -> Next:
    """What becomes of a delivery that may be done and cannot be looked up."""
    return Next("dead", 0.0, True, False, "outcome_unknown", _UNKNOWN, reference)


def _because(text: str, outcome: Outcome) -> str:
    return f"{outcome.detail}: {text}" if outcome.detail else text
