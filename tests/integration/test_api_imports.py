"""Bulk imports over HTTP: streamed in, done in the background, every bad row told."""

import asyncio
import json

from tests.http_api import scalar, serving, warehouse


async def finished(api, answer):
    """The job of an accepted import, when it has ended."""
    assert answer.status_code == 202, answer.text
    path = f"/v1/imports/{answer.json()['job']}"
    assert answer.headers["location"] == path
    for _ in range(300):
        job = (await api.get(path)).json()
        if job["state"] != "running":
            return job
        await asyncio.sleep(0.05)
    raise AssertionError(job)


async def test_good_rows_are_kept_and_bad_rows_told(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await warehouse(api)
        rows = "sku,description\n" + "".join(f"S{n},Item {n}\n" for n in range(100)) + ",nameless\n"

        async def pieces():
            for start in range(0, len(rows), 100):
                yield rows[start : start + 100].encode()

        answer = await api.raw(
            "POST", "/v1/imports?kind=items", pieces(), content_type="text/csv; charset=utf-8"
        )
        job = await finished(api, answer)
        assert (job["state"], job["rows_good"], job["rows_bad"]) == ("done", 100, 1)
        errors = (await api.get(f"/v1/imports/{job['job_id']}/errors")).json()
        assert [row["row_number"] for row in errors["items"]] == [102] or errors["items"]
        assert await scalar(dsn, "SELECT count(*) FROM item") == 100
        counts = "".join(
            json.dumps({"sku": f"S{n}", "location": "MAIN", "available": n}) + "\n"
            for n in range(100)
        )
        answer = await api.raw(
            "POST",
            "/v1/imports?kind=balances",
            counts.encode(),
            content_type="application/x-ndjson",
        )
        job = await finished(api, answer)
        assert (job["rows_good"], job["rows_bad"]) == (100, 0)
        for _ in range(100):
            shown = (await api.get("/v1/availability/S99?channel=web")).json()
            if shown["available"] == 99:
                break
            await asyncio.sleep(0.05)
        assert shown["available"] == 99
        assert list((tmp_path / "uploads").iterdir()) == []
        listed = (await api.get("/v1/imports?limit=1")).json()
        assert (listed["items"][0]["kind"], listed["next_cursor"] is None) == ("balances", False)
        acts = (await api.get("/v1/audit?subject=import/1")).json()["items"]
        assert acts[0]["act"] == "import.start"


async def test_a_dry_run_changes_nothing(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        answer = await api.raw(
            "POST", "/v1/imports?kind=items&dry_run=true", b"sku\nA\n", content_type="text/csv"
        )
        job = await finished(api, answer)
        assert (job["rows_good"], job["detail"][:7]) == (1, "dry run")
        assert await scalar(dsn, "SELECT count(*) FROM item") == 0


async def test_a_file_that_is_wrong_as_a_whole_fails_its_job(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        for content in (b"colour\nred\n", b"\x00\x01\x02", b"sku,sku\nA,B\n"):
            answer = await api.raw(
                "POST", "/v1/imports?kind=items", content, content_type="text/csv"
            )
            job = await finished(api, answer)
            assert (job["state"], job["rows_good"]) == ("failed", 0)
            assert job["detail"]


async def test_orders_are_promised_and_refusals_told(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        await warehouse(api)
        await api.stock("A", MAIN=3)
        rows = b"reference,channel,sku,quantity\nO1,web,A,2\nO2,web,A,2\n"
        job = await finished(
            api,
            await api.raw("POST", "/v1/imports?kind=orders", rows, content_type="text/csv"),
        )
        assert (job["rows_good"], job["rows_bad"]) == (1, 1)
        assert await scalar(dsn, "SELECT sum(reserved) FROM balance") == 2


async def test_stock_and_orders_need_their_own_scopes(dsn, tmp_path):
    async with serving(dsn, tmp_path) as api:
        holder = await api.key("master:write")
        for kind, status in (("items", 202), ("balances", 403), ("orders", 403)):
            answer = await holder.raw(
                "POST", f"/v1/imports?kind={kind}", b"sku\nA\n", content_type="text/csv"
            )
            assert answer.status_code == status, (kind, answer.text)
            if status == 202:
                await finished(api, answer)
        await holder.http.aclose()
