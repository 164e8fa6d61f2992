"""Partners' systems over HTTP: set up, tested, certified, set going and stopped, discovered."""

import asyncio
import contextlib
from functools import partial

import msgspec
import psycopg
from psycopg_pool import PoolTimeout

from stockbridge.contracts.base import Code, Shape
from stockbridge.contracts.masters import PutSystem
from stockbridge.domain.masters.rules import STEPS
from stockbridge.governance import audit
from stockbridge.ingress import answers, discovery, systems_setup
from stockbridge.ingress.call import Answer, Call, Route, answer_json
from stockbridge.ingress.commands import submit
from stockbridge.ingress.operations import NoBody
from stockbridge.ingress.paging import Page, PageQuery, page
from stockbridge.ingress.polling_connector import sync_feeds
from stockbridge.ingress.reviving import try_soon
from stockbridge.kernel.errors import Misconfigured, Refusal, Retry
from stockbridge.store.sql import load

SQL = load(__package__)
MASTERS_SQL = load("stockbridge.domain.masters")
_WRITE = ("master:write",)
_READ = ("ops:read", "master:write")
_SYSTEM = "/v1/systems/{code}"
_FIRST_ERROR = 400
_SUMMARIES = {
    "certify": "Certify a system whose test was good",
    "activate": "Set a certified system going",
    "suspend": "Stop calling a system",
    "resume": "Call a suspended system again",
    "retire": "End a system for good",
}


class DiscoverSystem(Shape, frozen=True):
    """Aliases only, or on this `channel` of the system listings too."""

    channel: Code | None = None


async def put_system(call: Call) -> Answer | Refusal:
    """Make or replace a system; a configuration that is wrong is refused, naming each field."""
    body: PutSystem = call.body
    connectors = call.hub.partners.connectors
    complete = systems_setup.configured(connectors, body)
    if isinstance(complete, Refusal):
        return complete
    call.body = complete
    answer = await submit(call)
    if answer.status < _FIRST_ERROR:
        manifest = connectors.manifest(body.connector) if body.connector else None
        await sync_feeds(call.hub.pool, body.code, manifest)
        async with call.hub.pool.connection() as conn:
            await try_soon(conn, body.code)
        call.hub.partners.forget(body.code)
    return answer


async def get_system(call: Call) -> Answer | Refusal:
    """A system; its secrets are nowhere shown."""
    code = call.path["code"]
    async with call.hub.pool.connection() as conn:
        row = await (await conn.execute(MASTERS_SQL.system_document, {"code": code})).fetchone()
    if row is None:
        return Refusal("unknown_system", f"system {code} does not exist", 404)
    return answer_json(row[0])


async def list_systems(call: Call) -> Answer | Refusal:
    """Systems by code."""
    return await page(call, SQL.systems_page, number=False)


async def test_system(call: Call) -> Answer | Refusal:
    """Try configuration, secrets, names and the way to the partner; changes nothing there."""
    tested = await systems_setup.run_test(
        call.hub.pool, call.hub.partners, call.path["code"],
        actor=call.key.key_id, correlation_id=call.correlation_id,
    )  # fmt: skip
    return tested if isinstance(tested, Refusal) else answer_json(tested)


async def step_system(call: Call, step: str) -> Answer | Refusal:
    """Move a system on in its life."""
    code = call.path["code"]
    moved = await systems_setup.take_step(
        call.hub.pool, code, step, actor=call.key.key_id, correlation_id=call.correlation_id
    )
    call.hub.partners.forget(code)
    return moved if isinstance(moved, Refusal) else Answer(200, msgspec.json.encode(moved))


async def discover_system(call: Call) -> Answer | Refusal:
    """Match what the partner lists with our items, and list it; the job tells how it goes."""
    hub, code, actor = call.hub, call.path["code"], call.key.key_id
    job = await discovery.begin(
        hub.dsn, hub.partners, code, actor=actor, correlation_id=call.correlation_id
    )
    if isinstance(job, Refusal):
        return job
    async with hub.pool.connection() as conn:
        said = {"job": job, "channel": call.body.channel}
        subject = f"system/{code}"
        await audit.record(conn, actor, "system.discover", subject, said, call.correlation_id)
    context = discovery.context_of(actor, call.correlation_id)

    async def work() -> None:
        # The job row tells the caller; nobody waits for this task.
        with contextlib.suppress(Retry, Misconfigured, psycopg.Error, PoolTimeout):
            await discovery.discover(
                hub.dsn, hub.pool, hub.partners, code, job, context, call.body.channel
            )

    task = asyncio.create_task(work(), name=f"discovery {job}")
    hub.tasks.add(task)
    task.add_done_callback(hub.tasks.discard)
    place = (b"location", f"/v1/imports/{job}".encode())
    return answer_json(answers.ImportAccepted(job), 202)._replace(headers=(place,))


def _step(step: str) -> Route:
    handler = partial(step_system, step=step)
    handler.__doc__ = step_system.__doc__
    return Route(
        "POST", f"{_SYSTEM}/{step}", handler, _SUMMARIES[step], _WRITE, {200: answers.System},
        body=NoBody, operation=f"{step}_system",
    )  # fmt: skip


ROUTES = (
    Route("PUT", _SYSTEM, put_system, "Make or replace a system", _WRITE,
          {200: answers.System, 201: answers.System}, body=PutSystem, path_fields=("code",)),
    Route("GET", _SYSTEM, get_system, "A system", _READ, {200: answers.System}),
    Route("GET", "/v1/systems", list_systems, "Systems", _READ, {200: Page[answers.System]},
          query=PageQuery),
    Route("POST", f"{_SYSTEM}/test", test_system, "Test a system", _WRITE,
          {200: systems_setup.SystemTest}, body=NoBody),
    *map(_step, STEPS),
    Route("POST", f"{_SYSTEM}/discover", discover_system, "Find what a partner lists", _WRITE,
          {202: answers.ImportAccepted}, body=DiscoverSystem),
)  # fmt: skip
