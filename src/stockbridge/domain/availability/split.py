"""Shares a channel's figure out among the locations that a partner keeps stock at. Pure."""

from collections.abc import Collection, Iterable, Sequence

from stockbridge.domain.availability import rules
from stockbridge.domain.availability.model import Part
from stockbridge.domain.masters.model import Policy


def split(
    parts: Sequence[Part],
    policy: Policy,
    stale: bool,
    until: int | None,
    sources: Iterable[int],
    kept: Collection[int],
) -> dict[int, int]:
    """The figure of each location in `kept`; their sum is never above `rules.figure`'s.

    The channel's locations are filled in the order of `sources`, each up to what can be had
    there, a location of another channel not at all. A location that the partner does not keep
    takes nothing from the others: what it could give stays unshown.
    """
    reached = rules.reach_all(parts, policy, until)
    left = rules.figure(parts, policy, stale, until).available
    shares = dict.fromkeys(kept, 0)
    for location_id in sources:
        if location_id in shares and location_id in reached:
            each = reached[location_id]
            now = each.fenced if policy.kind == "ring_fenced" else each.pool
            shares[location_id] = min(left, now + each.later - each.pool)
            left -= shares[location_id]
    return shares
