"""What a change of masters must keep: pure checks, each returning what is wrong."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import msgspec

from stockbridge.contracts.masters import (
    Alias,
    ChangeItem,
    ChangeLocation,
    KitComponent,
    PutItem,
    PutLocation,
    PutPolicy,
    PutSystem,
    UnitOfMeasure,
)
from stockbridge.kernel.errors import Refusal

NEXT_LIFECYCLES: Final[Mapping[str | None, tuple[str, ...]]] = {
    None: ("draft", "testing"),
    "draft": ("testing", "retired"),
    "testing": ("draft", "certified", "retired"),
    "certified": ("testing", "live", "retired"),
    "live": ("suspended", "retired"),
    "suspended": ("testing", "live", "retired"),
    "retired": (),
}
"""Where a system may go from each state; None is a system that does not exist yet."""

STEPS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "certify": (("draft", "testing"), "certified"),
    "activate": (("certified",), "live"),
    "suspend": (("live",), "suspended"),
    "resume": (("suspended",), "live"),
    "retire": (("draft", "testing", "certified", "live", "suspended"), "retired"),
}
"""What an operator may do with a system: from which states, to which."""
TESTED_STEPS: Final = frozenset({"certify", "activate"})
"""Those that a system with a connector takes only after a test that found nothing wrong."""

WHOLE_PERCENT: Final = 100
Error = dict[str, Any]


def row_error(index: int, field: str, code: str, detail: str) -> Error:
    """One bad row of a list, counted from 0."""
    return {"index": index, "field": field, "code": code, "detail": detail}


def refusal(errors: list[Error], subject: str, status: int = 422) -> Refusal | None:
    """All the bad rows as one refusal, named after the first; None when there are none."""
    if not errors:
        return None
    return Refusal(errors[0]["code"], f"{subject}: {errors[0]['detail']}", status, errors)


def repeated(values: Iterable[Any], field: str, code: str) -> list[Error]:
    """A value may stand once in its list."""
    first: dict[Any, int] = {}
    errors: list[Error] = []
    for index, value in enumerate(values):
        if value in first:
            detail = f"{value!r} stands in row {first[value]} already; keep one"
            errors.append(row_error(index, field, code, detail))
        first.setdefault(value, index)
    return errors


def unknown(values: Iterable[str], known: Collection[str], field: str, noun: str) -> list[Error]:
    """Every value must be known."""
    return [
        row_error(index, field, f"unknown_{noun}", f"no {noun} {value!r}; put it first")
        for index, value in enumerate(values)
        if value not in known
    ]


def check_uoms(uoms: list[UnitOfMeasure], base_uom: str) -> list[Error]:
    """A unit stands once, and the base unit is one of itself."""
    errors = repeated([unit.uom for unit in uoms], "uoms", "duplicate_uom")
    for index, unit in enumerate(uoms):
        if unit.uom == base_uom and unit.numerator != unit.denominator:
            detail = f"{unit.uom!r} is the base unit, so it is 1/1 of itself; leave it out"
            errors.append(row_error(index, "uoms", "base_unit_factor", detail))
    return errors


def check_components(
    sku: str, components: list[KitComponent], kits: Mapping[str, bool]
) -> list[Error]:
    """Components exist, stand once, and are neither the kit itself nor kits."""
    skus = [component.sku for component in components]
    errors = repeated(skus, "components", "duplicate_component")
    errors += unknown([s for s in skus if s != sku], kits, "components", "sku")
    for index, component in enumerate(skus):
        if component == sku:
            detail = "a kit does not contain itself; name other items"
            errors.append(row_error(index, "components", "kit_of_kits", detail))
        elif kits.get(component):
            detail = f"{component!r} is a kit itself; name its components instead"
            errors.append(row_error(index, "components", "kit_of_kits", detail))
    return errors


def check_aliases(
    sku: str, aliases: list[Alias], owners: Mapping[tuple[str, str], str]
) -> list[Error]:
    """An alias names one item."""
    errors = []
    for index, alias in enumerate(aliases):
        owner = owners.get((alias.namespace, alias.alias))
        if owner is not None and owner != sku:
            detail = (
                f"{alias.alias!r} in {alias.namespace!r} is {owner!r}; take it from there first"
            )
            errors.append(row_error(index, "aliases", "alias_taken", detail))
    return errors


def changed_item(known: Mapping[str, Any], body: ChangeItem) -> PutItem:
    """The item as `body` changes it; `known` is its document, empty for a new one."""
    said = msgspec.structs.asdict(body)
    told = {name: value for name, value in said.items() if value is not None}
    kept = {
        name: known[name]
        for name in PutItem.__struct_fields__
        if name in known and name not in ("uoms", "aliases", "components")
    }
    attributes = {**kept.get("attributes", {}), **body.attributes}
    return msgspec.convert({**kept, **told, "attributes": attributes}, PutItem)


def changed_location(known: Mapping[str, Any], body: ChangeLocation) -> PutLocation:
    """The location as `body` changes it; `known` is its document, empty for a new one."""
    said = msgspec.structs.asdict(body)
    told = {name: value for name, value in said.items() if value is not None}
    kept = {name: known[name] for name in PutLocation.__struct_fields__ if name in known}
    return msgspec.convert({**kept, **told}, PutLocation)


def check_use(
    body: PutItem, base_uom: str, *, stocked: bool, moved: bool, component: bool
) -> Refusal | None:
    """What an item already in use forbids; `base_uom` is the one it has today."""
    if body.base_uom != base_uom and (stocked or moved):
        detail = (
            f"item {body.sku!r} is kept in {base_uom!r} and has stock or movements; "
            f"make a new item for {body.base_uom!r}, or add it as a unit"
        )
        return Refusal("base_unit_in_use", detail, 409)
    if body.components and stocked:
        detail = f"item {body.sku!r} holds stock, a kit does not; move the stock out first"
        return Refusal("kit_holds_stock", detail, 409)
    if body.components and component:
        detail = f"item {body.sku!r} is a component of a kit, so it cannot become one"
        return Refusal("kit_of_kits", detail, 422)
    return None


def check_lifecycle(code: str, current: str | None, wanted: str) -> Refusal | None:
    """A system goes through its states in order; `current` is None for a new one."""
    following = NEXT_LIFECYCLES[current]
    if wanted == current or wanted in following:
        return None
    state = f"is {current!r}" if current else "is new"
    choices = ", ".join(following) or "nothing, it has ended"
    detail = f"system {code!r} {state}, so it cannot become {wanted!r}; possible next: {choices}"
    return Refusal("lifecycle_step_not_allowed", detail, 409)


def check_connector(body: PutSystem, current: str | None, connector: str | None) -> Refusal | None:
    """What a system with a connector may not become by being put; `connector` is today's."""
    if body.connector != connector and current not in {None, "draft", "testing"}:
        detail = (
            f"system {body.code!r} is {current!r}, so its connector stays {connector!r}; "
            f"make a new system for {body.connector!r}"
        )
        return Refusal("connector_in_use", detail, 409)
    is_new_state = body.lifecycle not in {None, current}
    certifies = body.lifecycle == "certified" or (body.lifecycle, current) == ("live", "certified")
    if body.connector is not None and is_new_state and certifies:
        verb = "certify" if body.lifecycle == "certified" else "activate"
        detail = (
            f"system {body.code!r} becomes {body.lifecycle!r} by a test that finds nothing wrong: "
            f"POST /v1/systems/{body.code}/{verb}"
        )
        return Refusal("test_needed", detail, 409)
    return None


def next_lifecycle(code: str, current: str, step: str) -> str | Refusal:
    """Where a step of STEPS leads from the current state."""
    sources, following = STEPS[step]
    if current in sources:
        return following
    possible = [name for name, (states, _) in STEPS.items() if current in states]
    choices = ", ".join(possible) or "nothing, it has ended"
    detail = f"system {code!r} is {current!r}; to {step} it must be {' or '.join(sources)}"
    return Refusal("lifecycle_step_not_allowed", f"{detail}; possible now: {choices}", 409)


def may_be_called(lifecycle: str, environment: str) -> bool:
    """Whether the hub calls a system: certified and live ones, and a sandbox that is tested."""
    return lifecycle in {"certified", "live"} or (lifecycle, environment) == ("testing", "sandbox")


def check_policy(body: PutPolicy) -> Refusal | None:
    """The numbers of a policy fit one another."""
    if body.cap is not None and body.floor > body.cap:
        detail = f"floor {body.floor} is above cap {body.cap}, so nothing would ever be shown"
        return Refusal("floor_above_cap", f"{detail}; lower the floor or raise the cap")
    if body.kind != "percent" and body.percent != WHOLE_PERCENT:
        detail = f"percent {body.percent} has no effect on kind {body.kind!r}; use kind 'percent'"
        return Refusal("percent_without_kind", detail)
    if body.stale_buffer_units and body.on_stale != "buffer":
        detail = f"stale_buffer_units has no effect with on_stale {body.on_stale!r}; use 'buffer'"
        return Refusal("stale_buffer_without_action", detail)
    return None
