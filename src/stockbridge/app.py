"""The composition root: puts one process together, runs it, takes it apart in order."""

import asyncio
import contextlib
import ipaddress
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal, TextIO, cast

import psycopg
import structlog
from prometheus_client import CollectorRegistry, Gauge, Histogram

from stockbridge.assurance.seal import seal_forever
from stockbridge.connectors.kit.registry import Registry
from stockbridge.dashboard import tower
from stockbridge.dashboard.desk import Desk
from stockbridge.dashboard.frame import asset
from stockbridge.dashboard.web import FORM, FORM_BYTES_MAX
from stockbridge.domain.snapshots.work import work_forever
from stockbridge.engine import Engine
from stockbridge.engine.inbox.accept import GRACE_SECONDS, Inbox
from stockbridge.engine.inbox.apply import Applier
from stockbridge.engine.inbox.forgetting import forget_daily
from stockbridge.engine.inbox.health import InboxMetrics
from stockbridge.governance import keys
from stockbridge.governance.keyring import Keyring
from stockbridge.governance.live_catalog import LiveCatalog
from stockbridge.governance.secrets import SecretBox
from stockbridge.ingress.api import Api
from stockbridge.ingress.booked import tell_orders_forever
from stockbridge.ingress.call import Answer, Call, Hub, Route
from stockbridge.ingress.connections import OpenConnectors
from stockbridge.ingress.filler import fill_forever
from stockbridge.ingress.imports import close_dead_jobs
from stockbridge.ingress.metrics import RequestMetrics
from stockbridge.ingress.platform import readiness
from stockbridge.ingress.polling import Poller
from stockbridge.ingress.server import HttpServer, listen
from stockbridge.ingress.sweeper import sweep_forever
from stockbridge.ingress.systems import KnownSystems
from stockbridge.ingress.table import ROUTES
from stockbridge.ingress.webhooks_gate import WebhookGate
from stockbridge.ingress.wire import read_body
from stockbridge.kernel.errors import Misconfigured, Refusal, StockbridgeError
from stockbridge.kernel.process import tune_gc
from stockbridge.kernel.settings import Settings
from stockbridge.outbox.hearing import Hearing
from stockbridge.outbox.listings.service import Listings
from stockbridge.outbox.service import Outbox
from stockbridge.store.database import Pool, connect, open_pool
from stockbridge.store.migrate import ensure_partitions, pending
from stockbridge.views.figures import ViewFigures
from stockbridge.views.stock import StockView

LOG = structlog.get_logger(__name__)
Role = Literal["api", "worker", "all"]
_DAY_SECONDS = 86_400
# A caller is told to try again rather than kept waiting while the database is away.
_CONNECTION_SECONDS_MAX = 5.0
_ASSETS = {
    "/style.css": ("style.css", b"text/css; charset=utf-8"),
    "/assets/app.js": ("app.js", b"text/javascript; charset=utf-8"),
    "/assets/htmx.min.js": ("htmx.min.js", b"text/javascript; charset=utf-8"),
}


@dataclass
class App:
    """One process: its services, and its tasks while it runs."""

    settings: Settings
    role: Role
    dsn: str
    pool: Pool
    engine: Engine
    view: StockView
    keyring: Keyring
    contracts: LiveCatalog
    inbox: Inbox
    applier: Applier
    partners: OpenConnectors
    poller: Poller
    outbox: Outbox
    listings: Listings
    api: Api
    hub: Hub
    server: HttpServer | None = None
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    async def start(self) -> None:
        """Start everything the role needs; raises Misconfigured for what an admin must change."""
        sock = listen(self.settings.host, self.settings.port) if self.role != "worker" else None
        await self.contracts.start()
        await close_dead_jobs(self.dsn)
        await self.engine.start()
        if self.role != "api":
            hub = self.hub
            hub.applier, hub.outbox, hub.listings = self.applier, self.outbox, self.listings
            await self.applier.start()
        await self.inbox.start()
        await self.view.start()
        if sock is not None:
            await self.keyring.start()
            self.server = HttpServer(self.api, sock, self.hub.closing)
            self.tasks.append(await self.server.begin())
            self._run(InboxMetrics(self.hub.registry).look_forever(self.pool), "inbox metrics")
        if self.role != "api":
            self._run(sweep_forever(self.engine, self.pool), "sweeper")
            self._run(fill_forever(self.engine, self.pool), "filler")
            self._run(tell_orders_forever(self.pool, self.inbox), "booked")
            self._run(seal_forever(self.pool), "sealer")
            self._run(work_forever(self.dsn, self.engine.submit), "snapshots")
            self._run(self.poller.run_forever(), "poller")
            await self.outbox.start()
            await self.listings.start()
            self._run(_partitions_daily(self.dsn), "partitions")
            self._run(forget_daily(self.pool, self.settings.identity_days), "old identities")

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self.tasks.append(asyncio.create_task(work, name=name))

    async def stop(self) -> None:
        """Finish what was begun, newest first: answers, timers, commands, reads."""
        if self.server is not None:
            await self.server.end()
        for task in [*self.tasks, *self.hub.tasks]:
            task.cancel()
        await asyncio.gather(*self.tasks, *self.hub.tasks, return_exceptions=True)
        await self.listings.stop()
        await self.outbox.stop()
        await self.inbox.stop()
        if self.role != "api":
            await self.applier.stop()
        await self.engine.stop()
        await self.contracts.stop()
        await self.partners.stop()
        await self.view.stop()
        if self.server is not None:
            await self.keyring.stop()
        await self.pool.close()

    @property
    def url(self) -> str:
        """Where the API answers."""
        if self.server is None:
            return ""
        host, port = self.server.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def build(settings: Settings, role: Role = "all", dsn: str | None = None) -> App:
    """Put a process together on a migrated database; start it with `App.start`.

    `dsn` replaces the settings' when the database is an embedded one. Raises Misconfigured when
    no database is named or its migrations are not current.
    """
    dsn = dsn or settings.dsn
    if dsn is None:
        raise Misconfigured(
            "no database is named: set STOCKBRIDGE_DSN or --dsn, or run `stockbridge up`"
        )
    behind = await asyncio.to_thread(pending, dsn)
    if behind:
        raise Misconfigured(f"migrations are pending ({', '.join(behind)}): `stockbridge migrate`")
    pool = await open_pool(dsn, settings.connections)
    pool.timeout = _CONNECTION_SECONDS_MAX
    registry = CollectorRegistry()
    engine = Engine(dsn, on_batch=_batch_metrics(registry))
    view = StockView(dsn, pool)
    keyring = Keyring(dsn)
    connectors = Registry.of(settings.connectors_dir)
    contracts = LiveCatalog(dsn, connectors)
    applier = Applier(dsn, engine, contracts.decode)
    # A node that only serves leaves what it takes to the others at once.
    grace_seconds = 0 if role == "api" else GRACE_SECONDS
    inbox = Inbox(dsn, on_accepted=applier.offer, grace_seconds=grace_seconds)
    box = SecretBox(settings.secret_key)
    hearing = Hearing()
    partners = OpenConnectors(pool, connectors, box, hearing.hear, settings.exchange)
    poller = Poller(pool, inbox, contracts, box, partners)
    hub = Hub(
        engine,
        view,
        keyring,
        contracts,
        inbox,
        KnownSystems(pool),
        WebhookGate(pool, box, registry),
        partners,
        pool,
        dsn,
        settings.data_dir,
        registry,
    )
    _gauges(registry, engine, view)
    _inbox_gauges(registry, inbox, applier)
    outbox = Outbox(dsn, pool, partners, hearing, registry, days_kept=settings.deliveries_days)
    listings = Listings(dsn, partners, connectors, ViewFigures(view))
    listings.measured_by(registry)
    pages = _pages(hub, is_open=_is_loopback(settings.host))
    api = Api(hub, (*ROUTES, *pages), RequestMetrics(registry))
    return App(
        settings,
        role,
        dsn,
        pool,
        engine,
        view,
        keyring,
        contracts,
        inbox,
        applier,
        partners,
        poller,
        outbox,
        listings,
        api,
        hub,
    )


def _batch_metrics(registry: CollectorRegistry) -> Callable[[int, float], None]:
    sizes = Histogram(
        "stockbridge_engine_batch_commands",
        "Commands of a committed batch",
        buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
        registry=registry,
    )
    seconds = Histogram(
        "stockbridge_engine_batch_seconds", "Time of a batch, commit included", registry=registry
    )

    def observe(size: int, took: float) -> None:
        sizes.observe(size)
        seconds.observe(took)

    return observe


def _gauges(registry: CollectorRegistry, engine: Engine, view: StockView) -> None:
    depth = Gauge("stockbridge_engine_queue", "Commands waiting", registry=registry)
    depth.set_function(lambda: engine.depth)
    age = Gauge(
        "stockbridge_view_age_seconds", "Since the view is known current", registry=registry
    )
    age.set_function(lambda: _number(view.health().age_seconds))
    lag = Gauge(
        "stockbridge_view_lag_seconds", "Last commit to view; worst of a minute", ("which",),
        registry=registry,
    )  # fmt: skip
    lag.labels("last").set_function(lambda: view.health().lag_seconds_last)
    lag.labels("max").set_function(lambda: view.health().lag_seconds_max)
    items = Gauge("stockbridge_view_items", "Items in the view", registry=registry)
    items.set_function(lambda: view.health().items)


def _inbox_gauges(registry: CollectorRegistry, inbox: Inbox, applier: Applier) -> None:
    waiting = Gauge("stockbridge_inbox_queue", "Messages waiting for commit", registry=registry)
    waiting.set_function(lambda: inbox.depth)
    applying = Gauge("stockbridge_inbox_applying", "Messages being applied", registry=registry)
    applying.set_function(lambda: applier.depth)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _pages(hub: Hub, *, is_open: bool) -> tuple[Route, ...]:
    async def health() -> dict[str, tuple[bool, str]]:
        checks = await readiness(hub)
        return {name: (check.ok, check.detail) for name, check in checks.items()}

    desk = Desk(hub.pool, hub.contracts.decode, health, is_open)
    pages = (_page(desk, page) for page in tower.PAGES)
    return (*pages, *(_file(path, *named) for path, named in _ASSETS.items()))


def _page(desk: Desk, page: tower.Page) -> Route:
    async def handler(call: Call) -> Answer | Refusal:
        form = await read_body(call, FORM_BYTES_MAX) if page.method == "POST" else b""
        if isinstance(form, Refusal):
            return form
        reply = await tower.serve(
            desk, page, params=call.path, query=call.query, form=form.decode("utf-8", "replace"),
            headers=call.headers, correlation_id=call.correlation_id,
        )  # fmt: skip
        return Answer(*reply)

    return Route(
        page.method, page.path, handler, page.summary, (), {200: None}, raw=(FORM,), raw_query=True
    )


def _file(path: str, name: str, content_type: bytes) -> Route:
    body = asset(name)

    async def handler(_call: Call) -> Answer | Refusal:
        return Answer(200, body, content_type, ((b"cache-control", b"max-age=300"),))

    return Route("GET", path, handler, name, (), {200: None}, raw_query=True)


async def _partitions_daily(dsn: str) -> None:
    """See every day that the coming months have their partitions."""
    while True:
        try:
            made = await asyncio.to_thread(ensure_partitions, dsn)
            if made:
                LOG.info("partitions made", names=made)
        except (StockbridgeError, psycopg.Error) as error:
            LOG.warning("partitions cannot be made", cause=str(error))
        await asyncio.sleep(_DAY_SECONDS)


async def first_key(dsn: str) -> str | None:
    """Make the administrator's key on a first start; None when keys exist already."""
    async with await connect(dsn) as conn:
        if not await keys.none_exists(conn):
            return None
        made = await keys.create(conn, "first administrator", [keys.ADMIN], actor="up")
    return None if isinstance(made, Refusal) else made[1]


@contextlib.asynccontextmanager
async def running(
    settings: Settings, role: Role = "all", dsn: str | None = None
) -> AsyncIterator[App]:
    """A started process for the time of the block."""
    app = await build(settings, role, dsn)
    try:
        await app.start()
        yield app
    finally:
        await app.stop()


async def run(
    settings: Settings,
    role: Role = "all",
    dsn: str | None = None,
    announce: Callable[[App], None] | None = None,
) -> None:
    """Run a process until SIGINT or SIGTERM; `announce` is called when it is ready.

    Raises Broken when one of its tasks ends by itself.
    """
    configure_logging(settings)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with running(settings, role, dsn) as app:
        tune_gc()
        if announce is not None:
            announce(app)
        ended = asyncio.create_task(stopping.wait())
        done, _ = await asyncio.wait({ended, *app.tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {ended}:
            task.result()
        ended.cancel()


def configure_logging(settings: Settings) -> None:
    """Send everything to stderr, as text for people or one JSON object a line."""
    level = getattr(logging, settings.log_level.upper())
    stderr = cast("TextIO", _StandardError())
    logging.basicConfig(level=max(level, logging.INFO), stream=stderr, format="%(message)s")
    logging.getLogger("uvicorn").setLevel(max(level, logging.WARNING))
    # Plain tracebacks: the pretty ones print local variables, and so secrets.
    shown: list[structlog.types.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if settings.log_format == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *shown,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stderr),
        cache_logger_on_first_use=True,
    )


class _StandardError:
    """Standard error as it is when a line is written: who replaces it may close theirs after."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()
