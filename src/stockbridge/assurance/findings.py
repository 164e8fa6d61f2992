"""What a check found wrong: which record, what it should be, what it is, how to mend it."""

from typing import Final, NamedTuple


class Finding(NamedTuple):
    """One broken record; `law` names the rule it breaks."""

    law: str
    table: str
    key: str
    expected: str
    found: str
    repair: str

    def __str__(self) -> str:
        return (
            f"{self.table} {self.key}: {self.law}: expected {self.expected}, "
            f"found {self.found}; {self.repair}"
        )


class Law(NamedTuple):
    """The table a law is about, and how a break of it is mended."""

    table: str
    repair: str


_FROM_LEDGER = (
    "the ledger is right unless its digests say otherwise: under the item's lock, set the balance "
    "to the sum of its movements"
)
_FROM_HOLDS = (
    "under the item's lock, post the difference as a movement between demand and the state"
)
_RESTORE = "restore the rows from a backup older than the change, and find out who made it"

LAWS: Final = {
    "balance_is_sum_of_movements": Law("balance", _FROM_LEDGER),
    "accounts_sum_to_zero": Law("balance", _FROM_LEDGER),
    "transfers_close": Law("movement", "find the half of the transfer's batch that is missing"),
    "promises_are_holds": Law("balance", _FROM_HOLDS),
    "holds_are_of_open_reservations": Law("hold", "release the hold, or reopen its reservation"),
    "open_reservations_hold": Law("reservation", "close the reservation: it binds nothing"),
    "fenced_within_hold": Law("hold", "set fenced between 0 and the hold's quantity"),
    "fences_not_negative": Law("fence", "set the fence to what is to be kept, 0 or more"),
    "never_oversold": Law(
        "movement", "a promise was made of what was not free: report this defect"
    ),
    "batch_digest": Law("batch", f"movements of the batch were changed: {_RESTORE}"),
    "batch_exists": Law("movement", f"movements without a batch: {_RESTORE}"),
    "sealed_once": Law("seal", f"each batch is in one seal or waits in `unsealed`: {_RESTORE}"),
    "seal_chain": Law("seal", f"a seal or a digest under it was changed: {_RESTORE}"),
    "anchor": Law("seal", f"the chain is not the one that was anchored: {_RESTORE}"),
}


def finding(law: str, key: str, expected: object, found: object) -> Finding:
    """A break of one of LAWS."""
    table, repair = LAWS[law]
    return Finding(law, table, key, str(expected), str(found), repair)
