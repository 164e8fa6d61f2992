"""From lines to promises: where stock is taken from, and what is kept, backordered or refused."""

from stockbridge.domain.masters.model import Channel, Policy
from stockbridge.domain.reservations.rules import (
    is_plain,
    percent_shares,
    promisable,
    promise,
    take_plain,
)
from stockbridge.domain.reservations.sourcing import Demand, Pool, Take, source
from stockbridge.domain.world.model import Hold, Reservation, ReservationLine
from stockbridge.domain.world.resolve import row_error
from stockbridge.domain.world.world import World
from stockbridge.kernel.accounts import BACKORDERED, RESERVED
from stockbridge.kernel.errors import Refusal


def take_new(world: World, channel: Channel, lines: list[ReservationLine]) -> list[Take]:
    """Where the lines of a new order come from."""
    policy = channel.policy_at(world.now)
    if policy.kind == "shared" and is_plain(world, channel, lines):
        return take_plain(world, channel, policy.safety_stock, lines)
    return choose(world, channel, [demand_of(channel, line, line.units) for line in lines])


def demand_of(channel: Channel, line: ReservationLine, units: int) -> Demand:
    """A line's wish for `units`, at its own location or the channel's."""
    sources = channel.sources if line.location_id is None else (line.location_id,)
    return Demand(line.line_no, line.parts, units, sources)


def choose(
    world: World,
    channel: Channel,
    demands: list[Demand],
    returned: dict[tuple[int, int], int] | None = None,
) -> list[Take]:
    """Choose locations; `returned` are units about to be given back at a place."""
    common = None if channel.item_policies else channel.policy_at(world.now)

    def policy_of(item_id: int) -> Policy:
        return common or channel.policy_at(world.now, item_id)

    def free(item_id: int, location_id: int) -> int:
        place = (item_id, location_id)
        back = returned.get(place, 0) if returned else 0
        return promisable(world, channel, policy_of(item_id), place, back)

    limits: dict[int, int] = {}
    if common is None or common.kind == "percent":
        for item_id in {part for demand in demands for part, _ in demand.parts}:
            limits.update(percent_shares(world, channel, policy_of(item_id), [item_id]))
    fewest = channel.sourcing == "fewest_splits"
    return source(demands, lambda: Pool(free, limits), fewest_splits=fewest)


def units_by_line(takes: list[Take]) -> dict[int, int]:
    """Units taken for each line."""
    units: dict[int, int] = {}
    for take in takes:
        units[take.line_no] = units.get(take.line_no, 0) + take.units
    return units


def promise_takes(
    world: World, reservation: Reservation, takes: list[Take], correlation_id: str
) -> None:
    """Keep the takes as holds of the reservation."""
    lines, number, channel_id = (
        reservation.lines,
        reservation.reservation_id,
        reservation.channel_id,
    )
    for line_no, location_id, units in takes:
        for item_id, each in lines[line_no - 1].parts:
            hold = Hold(number, line_no, item_id, location_id, RESERVED, units * each)
            promise(world, hold, channel_id, correlation_id)


def backorder(
    world: World,
    channel: Channel,
    reservation: Reservation,
    short: list[ReservationLine],
    taken: dict[int, int],
    correlation_id: str,
) -> None:
    """Accept without stock what was not taken of the short lines."""
    number, channel_id = reservation.reservation_id, channel.channel_id
    for line in short:
        missing = line.units - taken.get(line.line_no, 0)
        place = line.location_id if line.location_id is not None else channel.sources[0]
        for item_id, each in line.parts:
            hold = Hold(number, line.line_no, item_id, place, BACKORDERED, missing * each)
            promise(world, hold, channel_id, correlation_id)


def insufficient(short: list[ReservationLine], taken: dict[int, int]) -> Refusal:
    """The refusal that says what is short, line by line."""
    errors = []
    for line in short:
        units = taken.get(line.line_no, 0)
        detail = f"{line.sku}: {line.units} wanted, {units} can be promised"
        error = row_error(line.line_no - 1, "quantity", "insufficient_stock", detail)
        errors.append(error | {"sku": line.sku, "requested": line.units, "promisable": units})
    detail = "; ".join(error["detail"] for error in errors[:5])
    return Refusal("insufficient_stock", detail, 409, errors)
