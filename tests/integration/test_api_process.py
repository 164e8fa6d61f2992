"""Health, readiness, metrics and pages of a process."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from stockbridge.app import build, running
from stockbridge.engine.inbox.health import InboxMetrics
from stockbridge.ingress.platform import readiness
from stockbridge.kernel.errors import Misconfigured
from stockbridge.kernel.settings import Settings
from stockbridge.store.database import connect
from tests.http_api import scalar, serving, warehouse
from tests.integration.inbox_desk import envelope


async def test_ready_says_each_condition(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        for _ in range(1_200):
            answer = await api.get("/readyz")
            if answer.status_code == 200:
                break
            await asyncio.sleep(0.02)
        names = {"database", "migrations", "engine", "view", "keys", "inbox", "applier"}
        names |= {"deliveries", "listings", "partners"}
        assert set(answer.json()["checks"]) == names
        assert answer.json()["ready"] is True
        assert (await api.http.get("/healthz")).json() == {"status": "ok"}
        async with await connect(dsn) as conn:
            await conn.execute(b"DELETE FROM schema_migration")
        answer = await api.get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
        assert "pending" in answer.json()["checks"]["migrations"]["detail"]
        with pytest.raises(Misconfigured, match="stockbridge migrate"):
            await build(Settings(dsn=dsn, data_dir=tmp_path))
        await api.app.applier.stop()
        assert (await api.get("/readyz")).json()["checks"]["applier"]["ok"] is False
        await api.app.engine.stop()
        assert (await api.get("/readyz")).json()["checks"]["engine"]["ok"] is False
        assert (await api.http.get("/healthz")).status_code == 200


async def test_the_backlog_of_the_inbox_is_told(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await api.app.applier.stop()
        sent = [envelope("m1"), envelope("m2")]
        assert [each.status for each in await api.app.inbox.accept(sent)] == ["received"] * 2
        checks = (await api.get("/readyz")).json()["checks"]
        assert checks["inbox"]["ok"] is True
        assert "2 to be applied, the oldest for" in checks["inbox"]["detail"]
        for _ in range(1_200):
            if "stockbridge_inbox_backlog " in (await api.http.get("/metrics")).text:
                break
            await asyncio.sleep(0.05)
        registry = CollectorRegistry()
        await InboxMetrics(registry).look(api.app.pool)
        assert registry.get_sample_value("stockbridge_inbox_backlog") == 2
        age = registry.get_sample_value("stockbridge_inbox_backlog_age_seconds")
        assert (age or 0) > 0
        await api.app.inbox.stop()
        checks = (await api.get("/readyz")).json()["checks"]
        assert checks["inbox"] == {"ok": False, "detail": "does not take messages"}


async def test_a_process_that_only_serves_applies_nothing(dsn, tmp_path):
    async with running(Settings(dsn=dsn, port=0, data_dir=tmp_path), "api") as app:
        assert not app.applier.is_running
        assert (await readiness(app.hub))["applier"].ok


async def test_reads_survive_cut_connections(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await warehouse(api)
        await api.stock("A", MAIN=1)
        async with await connect(dsn) as conn:
            cut = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
            await conn.execute(cut.encode())
        calls = [
            *(api.get("/v1/items") for _ in range(20)),
            *(api.get("/v1/availability/A?channel=web") for _ in range(20)),
            *(api.put(f"/v1/items/N{n}", {}) for n in range(5)),
        ]
        for answer in await asyncio.gather(*calls):
            assert answer.status_code in {200, 201, 503}, answer.text
            if answer.status_code == 503:
                assert answer.headers["retry-after"]
        for _ in range(1_200):
            if (await api.get("/readyz")).status_code == 200:
                break
            await asyncio.sleep(0.05)
        assert (await api.get("/v1/items/A")).status_code == 200


async def test_metrics_count_by_route_and_never_by_name(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await warehouse(api)
        await api.stock("SECRET-SKU", MAIN=1)
        await api.get("/v1/items/SECRET-SKU")
        await api.get("/nothing")
        text = (await api.http.get("/metrics")).text
        sample = 'requests_total{method="GET",route="/v1/items/{sku}",status="200"} 1.0'
        assert f"stockbridge_http_{sample}" in text
        assert 'route="unmatched",status="404"' in text
        for name in (
            "engine_batch_commands_count",
            "engine_queue",
            "view_age_seconds",
            "view_items",
        ):
            assert f"stockbridge_{name}" in text
        assert "SECRET-SKU" not in text


async def test_timers_run_in_workers_and_not_in_api_processes(dsn, tmp_path):
    async with serving(dsn, tmp_path, "api") as api:
        await warehouse(api)
        await api.stock("A", MAIN=1)
        body = {"channel": "web", "reference": "R", "lines": [{"sku": "A", "quantity": 1}]}
        made = await api.post("/v1/reservations", body | {"ttl_seconds": 1})
        assert made.status_code == 201
        await asyncio.sleep(2.5)
        reserved = "SELECT sum(reserved) FROM balance"
        sealed = "SELECT count(*) > 0 FROM seal"
        assert await scalar(dsn, reserved) == 1
        # Whoever asks is told the truth all the same.
        read = await api.get(f"/v1/reservations/{made.json()['id']}")
        assert read.json()["state"] == "expired"
        async with running(Settings(dsn=dsn, data_dir=tmp_path), "worker") as worker:
            assert worker.url == ""
            for _ in range(1_200):
                if await scalar(dsn, reserved) == 0 and await scalar(dsn, sealed):
                    break
                await asyncio.sleep(0.05)
        assert await scalar(dsn, reserved) == 0
        assert await scalar(dsn, sealed)


async def test_what_leaves_is_told_and_keeps_nobody_from_asking(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        async with await connect(dsn) as conn:
            await conn.execute(b"INSERT INTO breaker (system, state) VALUES ('SHOP', 'open')")
        answer = await api.get("/readyz")
        checks = answer.json()["checks"]
        assert answer.status_code == 200, checks
        assert checks["partners"]["detail"] == "cannot be reached: SHOP"
        for name in ("deliveries", "listings"):
            assert checks[name]["detail"] == f"0 {name} due, seen to by 1 processes"
        await api.app.listings.stop()
        answer = await api.get("/readyz")
        assert (answer.status_code, answer.json()["checks"]["listings"]["ok"]) == (503, False)
