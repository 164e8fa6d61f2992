"""The overview page: what there is, what moves, what is wrong."""

from typing import Final

from stockbridge.dashboard.desk import Desk
from stockbridge.dashboard.frame import render
from stockbridge.dashboard.web import Ask, Reply
from stockbridge.kernel.accounts import ACCOUNT_NAMES, KIND_NAMES
from stockbridge.kernel.errors import Refusal

_CARDS: Final = (
    ("items", "/items"),
    ("locations", ""),
    ("channels", ""),
    ("open promises", ""),
    ("open exceptions", "/exceptions"),
)


async def page(desk: Desk, ask: Ask) -> Reply | Refusal:
    """The overview."""
    facts = await desk.overview.facts(desk.pool)
    cards = [(*card, count) for card, count in zip(_CARDS, facts.figures, strict=True)]
    return render(
        "overview.html", ask, "overview",
        cards=cards, facts=facts, health=await desk.health(),
        kinds=KIND_NAMES, accounts=ACCOUNT_NAMES,
    )  # fmt: skip
