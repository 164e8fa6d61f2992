"""Set-based changes of masters: what a bulk import merges, one chunk in one transaction.

A merge takes columns (name -> one value a row; None is "not stated") and answers what was refused:
row index -> reason. Rows that are not refused are written; the later of two rows of one key wins.
"""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from psycopg import Connection

from stockbridge.domain.masters.model import Context
from stockbridge.store.sql import load

SQL = load(__package__)
Columns = Mapping[str, Sequence[Any]]
Refused = dict[int, str]
Conn = Connection[Any]


class Known(NamedTuple):
    """Items by SKU, and the exact decimal texts of those item ids that have a cost."""

    ids: dict[str, int]
    costs: dict[int, str]


def array(values: Iterable[int]) -> str:
    """Whole numbers as the text of a PostgreSQL array, cheaper to send than a list."""
    return "{" + ",".join(map(str, values)) + "}"


def resolve_skus(conn: Conn, skus: Collection[str]) -> Known:
    """The items of SKUs; unknown ones are absent. No SKU holds a newline."""
    given = {"skus": "\n".join(skus)}
    rows = conn.cursor(binary=True).execute(SQL.resolve_skus, given).fetchall()
    costs = {row[1]: row[2] for row in rows if row[2] is not None}
    return Known({row[0]: row[1] for row in rows}, costs)


def lock_items(conn: Conn, item_ids: Iterable[int]) -> None:
    """Lock items, lowest id first, until the transaction ends."""
    conn.execute(SQL.lock_items, {"items": array(item_ids)})


def lock_stock(conn: Conn, item_ids: Iterable[int]) -> set[int]:
    """Lock items as `lock_items` does; answers the kits among them, which hold no stock."""
    items = {"items": array(item_ids)}
    conn.execute(SQL.lock_items, items)
    return {row[0] for row in conn.execute(SQL.kits_among, items)}


def location_ids(conn: Conn) -> dict[str, int]:
    """Every location's id by its code."""
    return dict(conn.execute(SQL.location_ids).fetchall())


def channel_codes(conn: Conn) -> set[str]:
    """Every channel's code."""
    return {row[0] for row in conn.execute(SQL.channel_codes)}


def merge_items(conn: Conn, columns: Columns, context: Context) -> Refused:
    """Make or change items; refused: another base unit for an item in use."""
    conn.execute(SQL.lock_masters)
    refused = _base_units_in_use(conn, columns) if "base_uom" in columns else {}
    kept = _last(columns["sku"], refused)
    known = resolve_skus(conn, columns["sku"]).ids
    old = [n for n in kept if columns["sku"][n] in known]
    new = [n for n in kept if columns["sku"][n] not in known]
    if old:
        conn.execute(SQL.update_items, _values(columns, old, context))
    if new:
        conn.execute(SQL.insert_items, _values(columns, new, context))
    return _told(conn, refused)


def _base_units_in_use(conn: Conn, columns: Columns) -> Refused:
    named = {"sku": columns["sku"], "base_uom": columns["base_uom"]}
    rows = {"rows": _json(named, range(len(columns["sku"])))}
    changes = conn.execute(SQL.base_unit_changes, rows).fetchall()
    if not changes:
        return {}
    items = sorted({row[1] for row in changes})
    lock_items(conn, items)
    used = {row[0] for row in conn.execute(SQL.items_in_use, {"items": items})}
    return {
        n: f"base_uom: the item has stock or movements in {base_uom!r}; make a new item for "
        f"{columns['base_uom'][n]!r}, or add it as a unit"
        for n, item_id, base_uom in changes
        if item_id in used
    }


def merge_uoms(conn: Conn, columns: Columns, _context: Context) -> Refused:
    """Make or change units; refused: unknown SKU, a base unit that is not one of itself."""
    conn.execute(SQL.lock_masters)
    rows = {"rows": _json(columns, range(len(columns["sku"])))}
    refused = {
        n: _no_sku(columns["sku"][n])
        if base_uom is None
        else f"uom: {base_uom!r} is the base unit, so it is 1/1 of itself; leave the row out"
        for n, base_uom in conn.execute(SQL.uom_problems, rows)
    }
    kept = _last(zip(columns["sku"], columns["uom"], strict=True), refused)
    conn.execute(SQL.merge_uoms, {"rows": _json(columns, kept)})
    return _told(conn, refused)


def merge_aliases(conn: Conn, columns: Columns, _context: Context) -> Refused:
    """Give items aliases; refused: unknown SKU, an alias of another item."""
    conn.execute(SQL.lock_masters)
    names = list(zip(columns["namespace"], columns["alias"], strict=True))
    rows = {"rows": _json(columns, range(len(names)))}
    refused = {
        n: _no_sku(columns["sku"][n]) if owner is None else _taken(names[n], owner)
        for n, owner in conn.execute(SQL.alias_problems, rows)
    }
    owners: dict[Hashable, str] = {}
    for n, name in enumerate(names):
        if n not in refused and owners.setdefault(name, columns["sku"][n]) != columns["sku"][n]:
            refused[n] = _taken(name, owners[name])
    conn.execute(SQL.merge_aliases, {"rows": _json(columns, _last(names, refused))})
    return _told(conn, refused)


def merge_locations(conn: Conn, columns: Columns, context: Context) -> Refused:
    """Make or change locations; refused: unknown authority."""
    conn.execute(SQL.lock_masters)
    refused = _unknown_systems(conn, columns, "authority")
    kept = _last(columns["code"], refused)
    conn.execute(SQL.merge_locations, _values(columns, kept, context))
    return _told(conn, refused)


def merge_channels(conn: Conn, columns: Columns, context: Context) -> Refused:
    """Make or change channels; refused: unknown system, unknown or repeated location."""
    conn.execute(SQL.lock_masters)
    refused = _unknown_systems(conn, columns, "system")
    known = location_ids(conn)
    for n, sources in enumerate(columns.get("sources", ())):
        absent = [code for code in sources or () if code not in known]
        if absent:
            refused[n] = f"sources: no location {absent[0]!r}; import it first"
        elif len(set(sources or ())) < len(sources or ()):
            refused[n] = "sources: a location stands twice; name each once"
    values = _values(columns, _last(columns["code"], refused), context)
    conn.execute(SQL.merge_channels, values)
    conn.execute(SQL.clear_channel_sources, {"rows": values["rows"]})
    conn.execute(SQL.add_channel_sources, {"rows": values["rows"]})
    return _told(conn, refused)


def _unknown_systems(conn: Conn, columns: Columns, field: str) -> Refused:
    codes = columns.get(field, ())
    wanted = sorted({code for code in codes if code is not None})
    unknown = {row[0] for row in conn.execute(SQL.unknown_systems, {"codes": wanted})}
    return {
        n: f"{field}: no system {code!r}; put it first"
        for n, code in enumerate(codes)
        if code in unknown
    }


def _told(conn: Conn, refused: Refused) -> Refused:
    conn.execute(SQL.bump_epoch)
    return refused


def _no_sku(sku: str) -> str:
    return f"sku: no item {sku!r}; import it first"


def _taken(name: tuple[str, str], owner: str) -> str:
    return f"alias: {name[1]!r} in {name[0]!r} is item {owner!r}; take it from there first"


def _last(keys: Iterable[Hashable], refused: Mapping[int, str]) -> list[int]:
    """The last row of each key among those not refused, in file order."""
    last = {key: n for n, key in enumerate(keys) if n not in refused}
    return sorted(last.values())


def _json(columns: Columns, kept: Sequence[int]) -> str:
    names = list(columns)
    lists = [columns[name] for name in names]
    cells = zip(kept, *([column[n] for n in kept] for column in lists), strict=True)
    rows = [dict(zip(("n", *names), row, strict=True)) for row in cells]
    return msgspec.json.encode(rows).decode()


def _values(columns: Columns, kept: Sequence[int], context: Context) -> dict[str, Any]:
    stamps = {"now": context.now, "correlation_id": context.correlation_id}
    return stamps | {"rows": _json(columns, kept)}
