"""Contracts and mappings over HTTP: list, show, publish, and on through their life."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from stockbridge.contracts.base import Code, Shape, Text
from stockbridge.contracts.mapping import Failure, Manifest
from stockbridge.governance import contracts, keys, mappings
from stockbridge.ingress import asyncapi
from stockbridge.ingress.call import Answer, Call, Route
from stockbridge.ingress.operations import NoBody
from stockbridge.ingress.paging import Page, PageQuery, page
from stockbridge.kernel.errors import Refusal
from stockbridge.store.sql import load

SQL = load("stockbridge.governance")
READ = ("ops:read",)
_SENDERS = ("ops:read", "events:write")
_ADMIN = (keys.ADMIN,)
_SCHEMA_TYPE = b"application/schema+json"

Version = Annotated[int, Meta(ge=1, le=contracts.VERSION_MAX)]


class ContractsQuery(PageQuery, frozen=True):
    """Contracts in a `status`."""

    status: Literal["draft", "active", "deprecated", "retired"] | None = None


class PublishContract(Shape, frozen=True, kw_only=True):
    """A version of a message contract; `schema` is JSON Schema 2020-12, complete in itself."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    version: Version
    schema: dict[str, Any]
    owner_team: Code
    description: Text = ""
    status: Literal["draft", "active"] = "active"


class DeprecateContract(Shape, frozen=True):
    """The last day on which messages of the contract are read."""

    sunset_on: date


class PublishMapping(Shape, frozen=True):
    """A version of a mapping; `active` only when every sample passes."""

    manifest: Manifest
    status: Literal["draft", "active"] = "draft"


class ContractSummary(msgspec.Struct):
    """A contract in a list."""

    name: str
    version: int
    status: str
    direction: Literal["reported", "told"]
    owner_team: str
    description: str
    published_at: datetime | None
    deprecated_at: datetime | None
    sunset_on: date | None


class Contract(ContractSummary):
    """A contract with its JSON Schema."""

    schema: Any


class MappingSummary(msgspec.Struct):
    """A mapping in a list."""

    system: str
    name: str
    version: int
    status: str
    author: str
    recorded_at: datetime


class MappingDocument(MappingSummary):
    """A mapping with its manifest."""

    manifest: Manifest


class MappingTried(msgspec.Struct):
    """Samples that fail, and how; none: it may be activated."""

    failures: list[Failure]


def _version(call: Call) -> int | None:
    text = call.path["version"]
    usable = text.isascii() and text.isdigit() and len(text) <= len(str(contracts.VERSION_MAX))
    return int(text) if usable else None


def _unknown(call: Call) -> Refusal:
    named = f"{call.path['name'][:200]}.v{call.path['version'][:20]}"
    return Refusal("unknown_contract", f"no contract {named}", 404)


async def _row(call: Call, statement: bytes, key: dict[str, Any]) -> tuple[str, str] | None:
    """(document, schema or manifest) of one version, as JSON."""
    if key["version"] is None:
        return None
    async with call.hub.pool.connection() as conn:
        row = await (await conn.execute(statement, key)).fetchone()
    return (row[0], row[1]) if row else None


async def list_contracts(call: Call) -> Answer | Refusal:
    """Contracts by name and version."""
    return await page(call, SQL.contracts_page, number=False, status=call.query.status)


async def get_contract(call: Call) -> Answer | Refusal:
    """One version of a contract."""
    key = {"name": call.path["name"], "version": _version(call)}
    row = await _row(call, SQL.contract_document, key)
    return Answer(200, row[0].encode()) if row else _unknown(call)


async def get_schema(call: Call) -> Answer | Refusal:
    """The JSON Schema of one version of a contract, where its `$id` says."""
    text = call.path["file"].removesuffix(".json")
    call.path["version"] = text if text != call.path["file"] else ""
    row = await _row(
        call, SQL.contract_document, {"name": call.path["name"], "version": _version(call)}
    )
    return Answer(200, row[1].encode(), _SCHEMA_TYPE) if row else _unknown(call)


async def publish_contract(call: Call) -> Answer | Refusal:
    """Publish a version; a change that breaks the users of a published one is refused."""
    body: PublishContract = call.body
    async with call.hub.pool.connection() as conn:
        refusal = await contracts.publish(
            conn, body.name, body.version, body.schema,
            owner_team=body.owner_team, description=body.description, status=body.status,
            actor=call.key.key_id, correlation_id=call.correlation_id,
        )  # fmt: skip
    call.path |= {"name": body.name, "version": str(body.version)}
    return refusal or await _made(call)


async def _made(call: Call) -> Answer | Refusal:
    answer = await get_contract(call)
    return answer._replace(status=201) if isinstance(answer, Answer) else answer


async def _move(call: Call, status: contracts.Status, sunset_on: date | None = None) -> Any:
    version = _version(call)
    if version is None:
        return _unknown(call)
    async with call.hub.pool.connection() as conn:
        refusal = await contracts.move(
            conn, call.path["name"], version, status,
            actor=call.key.key_id, today=contracts.today(), sunset_on=sunset_on,
            correlation_id=call.correlation_id,
        )  # fmt: skip
    return refusal or await get_contract(call)


async def activate_contract(call: Call) -> Answer | Refusal:
    """A draft is published: its messages are read from now on."""
    outcome: Answer | Refusal = await _move(call, "active")
    return outcome


async def deprecate_contract(call: Call) -> Answer | Refusal:
    """Senders are told with every answer until when the contract is read."""
    outcome: Answer | Refusal = await _move(call, "deprecated", call.body.sunset_on)
    return outcome


async def retire_contract(call: Call) -> Answer | Refusal:
    """Messages of the contract are no longer read; only after its last day."""
    outcome: Answer | Refusal = await _move(call, "retired")
    return outcome


async def list_mappings(call: Call) -> Answer | Refusal:
    """Mappings by system, name and version."""
    return await page(call, SQL.mappings_page, number=False)


async def get_mapping(call: Call) -> Answer | Refusal:
    """One version of a mapping."""
    key = {"system": call.path["system"], "name": call.path["name"], "version": _version(call)}
    row = await _row(call, SQL.mapping_document, key)
    if row is None:
        named = f"{call.path['name']}.v{call.path['version']}"
        return Refusal("unknown_mapping", f"{call.path['system']} has no mapping {named}", 404)
    return Answer(200, row[0].encode())


async def publish_mapping(call: Call) -> Answer | Refusal:
    """Keep a version of a mapping as a draft, or make it the active one."""
    body: PublishMapping = call.body
    manifest = body.manifest
    async with call.hub.pool.connection() as conn:
        refusal = await mappings.publish(
            conn, manifest, status=body.status,
            actor=call.key.key_id, correlation_id=call.correlation_id,
        )  # fmt: skip
    call.path |= {
        "system": manifest.system, "name": manifest.name, "version": str(manifest.version)
    }  # fmt: skip
    if refusal is not None:
        return refusal
    answer = await get_mapping(call)
    return answer._replace(status=201) if isinstance(answer, Answer) else answer


async def activate_mapping(call: Call) -> Answer | Refusal:
    """A draft becomes the active version when every sample passes."""
    version = _version(call)
    if version is None:
        return await get_mapping(call)
    async with call.hub.pool.connection() as conn:
        refusal = await mappings.activate(
            conn, call.path["system"], call.path["name"], version,
            actor=call.key.key_id, correlation_id=call.correlation_id,
        )  # fmt: skip
    return refusal or await get_mapping(call)


async def try_mapping(call: Call) -> Answer | Refusal:
    """Run a manifest's samples; nothing is kept."""
    failed = await mappings.tried(call.body)
    if isinstance(failed, Refusal):
        return failed
    return Answer(200, msgspec.json.encode({"failures": failed}))


async def get_asyncapi(call: Call) -> Answer | Refusal:
    """Messages in and out as AsyncAPI 3.0."""
    async with call.hub.pool.connection() as conn:
        rows = await (await conn.execute(SQL.published_contracts)).fetchall()
    return Answer(200, msgspec.json.encode(asyncapi.document(map(asyncapi.Row._make, rows))))


_CONTRACT = {200: Contract}
_OF_CONTRACT = "/v1/contracts/{name}/{version}"
_OF_MAPPING = "/v1/mappings/{system}/{name}/{version}"

ROUTES = (
    Route("GET", "/v1/contracts", list_contracts, "Message contracts", _SENDERS,
          {200: Page[ContractSummary]}, query=ContractsQuery, bound_keys=True),
    Route("GET", _OF_CONTRACT, get_contract, "A message contract", _SENDERS, _CONTRACT,
          bound_keys=True),
    Route("POST", "/v1/contracts", publish_contract, "Publish a message contract", _ADMIN,
          {201: Contract}, body=PublishContract),
    Route("POST", f"{_OF_CONTRACT}/activate", activate_contract, "Publish a draft", _ADMIN,
          _CONTRACT, body=NoBody),
    Route("POST", f"{_OF_CONTRACT}/deprecate", deprecate_contract, "Announce the end", _ADMIN,
          _CONTRACT, body=DeprecateContract),
    Route("POST", f"{_OF_CONTRACT}/retire", retire_contract, "End a contract", _ADMIN,
          _CONTRACT, body=NoBody),
    Route("GET", "/v1/mappings", list_mappings, "Declarative mappings", READ,
          {200: Page[MappingSummary]}, query=PageQuery),
    Route("GET", _OF_MAPPING, get_mapping, "A declarative mapping", READ, {200: MappingDocument}),
    Route("POST", "/v1/mappings", publish_mapping, "Keep a mapping, or activate it", _ADMIN,
          {201: MappingDocument}, body=PublishMapping),
    Route("POST", "/v1/mappings/try", try_mapping, "Run a mapping's samples", _ADMIN,
          {200: MappingTried}, body=Manifest),
    Route("POST", f"{_OF_MAPPING}/activate", activate_mapping, "Make a mapping the active one",
          _ADMIN, {200: MappingDocument}, body=NoBody),
    Route("GET", "/asyncapi.json", get_asyncapi, "Messages in and out as AsyncAPI", (),
          {200: dict[str, Any]}),
    Route("GET", "/schemas/{name}/{file}", get_schema, "A contract's JSON Schema", (),
          {200: None}),
)  # fmt: skip
