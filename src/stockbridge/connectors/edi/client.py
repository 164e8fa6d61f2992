"""An EDI partner's line: files in by the pick-up, answers and deliveries out, numbered."""

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

import msgspec
import structlog

from stockbridge.connectors.edi.errors import Unwritable
from stockbridge.connectors.edi.intake import Piece, Reply, pieces
from stockbridge.connectors.edi.mapping import Digest, profile_of
from stockbridge.connectors.edi.outgoing import written
from stockbridge.connectors.edi.partner.profile import Profile
from stockbridge.connectors.edi.partner.sending import Numbers, Outgoing, compose
from stockbridge.connectors.edi.transport.local import LocalFolder, Places, below
from stockbridge.connectors.edi.transport.model import Folder, posted_name
from stockbridge.connectors.edi.transport.pickup import Claimed, Habits, Pickup
from stockbridge.connectors.edi.transport.sftp import Login, SftpFolder
from stockbridge.connectors.kit.http import Http
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import (
    CatalogEntry,
    Check,
    Connector,
    Delivery,
    Incoming,
    Journal,
    Numbered,
    Observed,
    Opened,
    Outcome,
    Page,
    Received,
    ReportedStock,
    StockUpdate,
    WebhookRequest,
)
from stockbridge.kernel.errors import Misconfigured, Retry

OUT: Final = "interchange"
IN: Final = "received"
FEED: Final = "files"
_READY_MAX: Final = 100
_BEARER: Final = "bearer "
log = structlog.get_logger(__name__)


def connect(opened: Opened, _http: Http) -> Connector:
    """A connection to one partner."""
    return Exchange(opened)


class Exchange:
    """One partner, opened."""

    manifest: Manifest

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._profile = profile_of(str(opened.config["profile"]))
        self._folder = _folder(opened)
        config = opened.config
        habits = Habits(
            config["complete_by"],
            stable_seconds=float(config["stable_seconds"]),
            claim_seconds=float(config["claim_seconds"]),
        )
        self._pickup = Pickup(self._folder, habits) if self._folder is not None else None
        self._ready: OrderedDict[str, list[Piece]] = OrderedDict()

    async def close(self) -> None:
        """Give the folder's connections back."""
        if self._folder is not None:
            await self._folder.close()

    async def test(self) -> Sequence[Check]:
        """The profile, the folder, and whether numbers can be taken; changes nothing."""
        checks = [Check("profile", True, f"{self._profile.name}, {self._profile.standard}")]
        if self._folder is None:
            return [*checks, Check("transport", True, "files are posted to us; none are fetched")]
        try:
            found = await self._folder.listing()
        except (OSError, Retry) as error:
            fix = "correct folder, host or credentials; make the folders; see that we may write"
            return [*checks, Check("inbound", False, str(error), fix)]
        return [*checks, Check("inbound", True, f"{len(found)} files wait")]

    # In ----------------------------------------------------------------------------------------
    async def poll(self, feed: str, since: datetime | None, cursor: str | None) -> Page:
        """Finish the claims of the cursor, whose messages are kept by now; then take more."""
        del feed, since
        if self._pickup is None:
            return Page([], None)
        for claim in msgspec.json.decode(cursor, type=list[str]) if cursor else ():
            await self._finish(claim)
        taken = await self._pickup.take()
        messages: list[Incoming] = []
        reports: list[ReportedStock] = []
        for each in taken:
            found = await self._read(each)
            messages += [piece.message for piece in found]
            reports += [report for piece in found for report in piece.reports]
        claims = msgspec.json.encode([each.claim for each in taken]).decode()
        return Page(messages, claims if taken else None, None, reports)

    async def _read(self, taken: Claimed) -> list[Piece]:
        if taken.data is None:
            found = [_unreadable(taken.claim)]
        else:
            found = await asyncio.to_thread(_pieces, taken.data, self._profile)
        self._ready[taken.claim] = found
        while len(self._ready) > _READY_MAX:
            self._ready.popitem(last=False)
        return found

    async def _finish(self, claim: str) -> None:
        """Answer what a claimed file asked, note what it acknowledged, and put it away."""
        found = self._ready.pop(claim, None)
        if found is None:
            again = await self._claimed(claim)
            if again is None:
                return
            found = again
        for piece in found:
            await self._answer(piece)
        if self._pickup is not None:
            is_sound = all(piece.is_sound for piece in found)
            await self._pickup.put_away(claim, is_sound=is_sound)

    async def _claimed(self, claim: str) -> list[Piece] | None:
        """The pieces of a claim of an earlier process; None: it is finished."""
        data = await self._pickup.read(claim) if self._pickup is not None else None
        return None if data is None else await asyncio.to_thread(_pieces, data, self._profile)

    async def _answer(self, piece: Piece) -> None:
        journal = self._journal()
        for said in piece.acknowledged:
            if not await journal.answer(OUT, said.number, said.answer, said.detail):
                log.warning(
                    "edi: an answer to what was never sent", system=self._opened.system,
                    number=said.number,
                )  # fmt: skip
        name = piece.message.message_id
        before = await journal.take(IN, name, detail=piece.digest)
        is_conflict = before.detail != piece.digest
        reply = piece.conflict if is_conflict else piece.reply
        if reply.sets or reply.notes:
            key = f"answer/{name}" + (f"/{piece.digest}" if is_conflict else "")
            await self._put(reply, await journal.take(OUT, key))

    def receive(self, request: WebhookRequest, secrets: Sequence[str]) -> Received | None:
        """A posted file is spooled as a claim that nobody holds, and the folder is read now."""
        given = request.headers.get("authorization", "")
        token = given[len(_BEARER) :].strip() if given.lower().startswith(_BEARER) else ""
        if not token or not any(
            hmac.compare_digest(token.encode(), secret.encode()) for secret in secrets
        ):
            return None
        if not isinstance(self._folder, LocalFolder):
            return None
        if request.body:
            self._folder.spool(posted_name(sha256(request.body).hexdigest()), request.body)
        return Received(feeds=[FEED])

    # Out ---------------------------------------------------------------------------------------
    async def send(self, delivery: Delivery) -> Outcome:
        """Put the document into the outbound folder; its acknowledgement is waited for apart."""
        if self._folder is None:
            return Outcome("rejected", "no_folder", "transport upload has no place for our files")
        try:
            outgoing = written(delivery.payload, self._profile)
            due = self._profile.acknowledge
            wanted = (
                None
                if due.functional == "none"
                else (due.warn_minutes * 60, due.breach_minutes * 60)
            )
            numbered = await self._journal().take(OUT, delivery.idempotency_key, answer_due=wanted)
            name = await self._put(Reply([outgoing]), numbered)
        except Unwritable as error:
            return Outcome("rejected", "unwritable", str(error))
        except OSError as error:
            return Outcome("later", "folder", str(error))
        return Outcome("confirmed", reference=f"{numbered.number}", detail=name)

    async def _put(self, reply: Reply, numbered: Numbered) -> str:
        """Publish an interchange; the same number has the same name and the same bytes."""
        if self._folder is None:
            return ""
        numbers = Numbers(interchange=numbered.number, group=numbered.number)
        text = compose(self._profile, numbers, numbered.taken_at, reply.sets, reply.notes)
        name = _name(reply.sets, self._profile, numbered.number)
        await self._folder.put(name, text.encode(self._profile.encoding, "replace"))
        return name

    def _journal(self) -> Journal:
        if self._opened.journal is None:
            raise Misconfigured("this process has no journal, so it has no control numbers")
        return self._opened.journal

    async def probe(self, delivery: Delivery) -> Outcome:
        """Never claimed: a delivery is sent again under its number, as the same file."""
        del delivery
        return Outcome("unknown")

    async def publish(self, updates: Sequence[StockUpdate]) -> Sequence[Outcome]:
        """Never claimed."""
        return [Outcome("rejected", "not_offered")] * len(updates)

    async def observe(self, updates: Sequence[StockUpdate]) -> Sequence[Observed]:
        """Never claimed."""
        return [Observed(each.item, each.location, None) for each in updates]

    async def catalog(self) -> AsyncIterator[CatalogEntry]:
        """Never claimed."""
        nothing: tuple[CatalogEntry, ...] = ()
        for entry in nothing:
            yield entry


def _folder(opened: Opened) -> Folder | None:
    config = opened.config
    places = Places(
        str(config["inbound"]), str(config["outbound"]), str(config["archive"]),
        str(config["quarantine"]),
    )  # fmt: skip
    if config["transport"] == "sftp":
        login = Login(
            str(config["host"]), int(config["port"]), str(config["username"]),
            str(config["known_hosts"]), opened.secrets.get("private_key", ""),
            opened.secrets.get("password", ""),
        )  # fmt: skip
        return SftpFolder(login, str(config.get("folder") or ""), places, opened.system)
    name = str(config["folder"]) if config["transport"] == "folder" else opened.system
    return LocalFolder(below(opened.exchange_dir, name), places, opened.system)


def _pieces(data: bytes, profile: Profile) -> list[Piece]:
    return list(pieces(data, profile))


def _unreadable(claim: str) -> Piece:
    digest = sha256(claim.encode()).hexdigest()
    said = Digest("", digest, 0, ["the file is too large to be read; see the quarantine folder"])
    message = Incoming(f"file/{digest}", "digest", msgspec.json.encode(said))
    return Piece(message=message, digest=digest, is_sound=False)


def _name(sets: Sequence[Outgoing], profile: Profile, number: int) -> str:
    codes = list(dict.fromkeys(one.code for one in sets)) or ["TA1"]
    return f"{'-'.join(codes)}_{profile.name}_{number:09}.edi"
