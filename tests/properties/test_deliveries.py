"""Whatever partners answer and whenever workers die: nothing is done twice, and the end is true."""

from hypothesis import given
from hypothesis import strategies as st

from stockbridge.contracts.partners.model import Outcome
from stockbridge.outbox.retry import Patience
from stockbridge.outbox.states import UNSETTLED, Ability, act_of, after

PATIENCE = Patience(attempts_max=8, age_seconds_max=1e9)
ANSWERS = st.lists(
    st.sampled_from([
        "done", "not_done", "asked_to_wait", "done_unheard", "not_done_unheard", "accepted",
        "killed_before", "killed_after", "blind",
    ]),
    min_size=30, max_size=30,
)  # fmt: skip


class Partner:
    """Does what is sent; knows keys or not."""

    def __init__(self, *, knows_keys: bool) -> None:
        self.knows_keys = knows_keys
        self.effects = 0

    def do(self) -> None:
        if not (self.knows_keys and self.effects):
            self.effects += 1

    def send(self, answer: str) -> Outcome | None:
        """The outcome, None where the worker died."""
        if answer == "killed_before":
            return None
        if answer in ("not_done", "asked_to_wait"):
            return Outcome("later", after_seconds=1.0 if answer == "asked_to_wait" else None)
        if answer in ("not_done_unheard", "blind"):
            return Outcome("unknown")
        self.do()
        kinds = {"done_unheard": Outcome("unknown"), "accepted": Outcome("accepted")}
        return None if answer == "killed_after" else kinds.get(answer, Outcome("confirmed"))

    def probe(self, answer: str) -> Outcome | None:
        if answer in ("killed_before", "killed_after"):
            return None
        if answer in ("blind", "done_unheard", "not_done_unheard"):
            return Outcome("unknown")
        if answer == "accepted" and self.effects:
            return Outcome("accepted")
        return Outcome("confirmed") if self.effects else Outcome("later")


@given(
    answers=ANSWERS,
    can_probe=st.booleans(),
    is_idempotent=st.booleans(),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_nothing_is_done_twice_and_the_end_is_true(answers, can_probe, is_idempotent, chance):
    ability, partner = Ability(can_probe, is_idempotent), Partner(knows_keys=is_idempotent)
    state, may_be_done, attempts = "waiting", False, 0
    for answer in answers:
        is_accepted = state == "accepted"
        act = act_of(may_be_done=may_be_done, is_accepted=is_accepted, ability=ability)
        if act == "give_up":
            state, may_be_done = "dead", True
            break
        attempts += 1
        outcome = partner.send(answer) if act == "send" else partner.probe(answer)
        if outcome is None:
            state, may_be_done = "waiting", True
            continue
        told = after(
            act, outcome, attempts=attempts, age_seconds=0.0, is_accepted=is_accepted,
            ability=ability, chance=chance, patience=PATIENCE,
        )  # fmt: skip
        state, may_be_done = told.state, told.may_be_done
        if state not in UNSETTLED:
            break
    assert partner.effects <= 1
    if state == "confirmed":
        assert partner.effects == 1
    if state in ("waiting", "dead") and not may_be_done and not is_idempotent:
        assert partner.effects == 0
