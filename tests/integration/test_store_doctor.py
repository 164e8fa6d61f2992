"""The doctor: finds what is wrong, says what to do, changes nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from stockbridge.kernel.settings import load_settings
from stockbridge.store import doctor
from stockbridge.store.doctor import Check, diagnose
from tests.integration.inbox_desk import desk, envelope

GOOD = {
    "version": "18.6",
    "version_number": 180006,
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "data_checksums": "on",
}


def by_name(checks) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_a_good_database_passes_but_for_fsync(dsn, tmp_path):
    settings = load_settings({"dsn": dsn}, {}, tmp_path)
    checks = by_name(diagnose(settings, {"STOCKBRIDGE_PROT": "1"}))
    assert {name: check.status for name, check in checks.items() if check.status != "ok"} == {
        "durability": "fail",  # the throw-away test server runs without fsync
        "variable STOCKBRIDGE_PROT": "warn",
    }
    assert checks["setting dsn"].detail.endswith("(flag --dsn)")
    assert checks["setting port"].detail == "8080 (default)"
    assert checks["durability"].fix == "set fsync to on: promises may be lost"
    assert all(check.fix for check in checks.values() if check.status != "ok")


def test_an_embedded_server_that_is_not_running_is_a_warning(tmp_path):
    checks = by_name(diagnose(load_settings({"data_dir": str(tmp_path / "hub")}, {}, tmp_path)))
    assert checks["database"].status == "warn"
    assert "stockbridge up" in checks["database"].fix
    assert checks["postgres programs"].status == "ok"
    assert not (tmp_path / "hub").exists()


def test_an_unreachable_database_fails_without_its_password(tmp_path):
    settings = load_settings({"dsn": "postgresql://hub:hunter2@127.0.0.1:9/stock"}, {}, tmp_path)
    checks = diagnose(settings)
    assert checks[-1].name == "database"
    assert checks[-1].status == "fail"
    assert "hunter2" not in str(checks)


def test_an_unmigrated_database_fails(server, tmp_path):
    checks = by_name(diagnose(load_settings({"dsn": server.dsn}, {}, tmp_path)))
    assert checks["migrations"].status == "fail"
    assert "0001_pre_spine.sql" in checks["migrations"].detail
    assert checks["partitions"].status == "warn"


def test_a_changed_migration_fails(dsn, tmp_path):
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE schema_migration SET sha256 = 'other'")
    checks = by_name(diagnose(load_settings({"dsn": dsn}, {}, tmp_path)))
    assert checks["migrations"].status == "fail"
    assert "changed after it was applied" in checks["migrations"].detail


@pytest.mark.parametrize(
    "check,status",
    [
        (doctor.check_python((3, 10)), "fail"),
        (doctor.check_python((3, 14)), "ok"),
        (doctor.check_version(GOOD), "ok"),
        (doctor.check_version(GOOD | {"version_number": 140012}), "fail"),
        (doctor.check_durability(GOOD), "ok"),
        (doctor.check_durability(GOOD | {"data_checksums": "off"}), "warn"),
        (doctor.check_durability(GOOD | {"synchronous_commit": "off"}), "fail"),
        (doctor.check_durability(GOOD | {"full_page_writes": "off"}), "fail"),
        (doctor.check_durability(GOOD | {"synchronous_commit": "remote_apply"}), "ok"),
        (doctor.check_skew(0.2), "ok"),
        (doctor.check_skew(-2.0), "warn"),
        (doctor.check_skew(60.0), "fail"),
        (doctor.check_due("deliveries", 9, 90.0, 0), "warn"),
        (doctor.check_due("deliveries", 9, 90.0, 2), "ok"),
        (doctor.check_due("listings", 9, 5.0, 0), "ok"),
        (doctor.check_partners(["SHOP"]), "warn"),
        (doctor.check_inbox({"waiting": 0, "oldest_seconds": 0.0, "appliers": 0}), "ok"),
        (doctor.check_inbox({"waiting": 9, "oldest_seconds": 5.0, "appliers": 1}), "ok"),
        (doctor.check_inbox({"waiting": 9, "oldest_seconds": 90.0, "appliers": 1}), "warn"),
        (doctor.check_data_dir(Path("/proc/version/hub")), "fail"),
    ],
)
def test_each_judgement(check, status):
    assert check.status == status
    assert bool(check.fix) == (status != "ok")


def test_a_full_disk_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "_FREE_BYTES_WARN", 1 << 62)
    assert doctor.check_data_dir(tmp_path).status == "warn"
    monkeypatch.setattr(doctor, "_FREE_BYTES_FAIL", 1 << 61)
    assert doctor.check_data_dir(tmp_path).status == "fail"


def test_the_clocks_agree_here(dsn):
    with psycopg.connect(dsn) as connection:
        row = connection.execute(doctor.SQL.server_facts).fetchall()[0]
    assert abs(row[-1] - datetime.now(UTC)) < timedelta(seconds=5)


async def test_messages_that_nobody_applies_are_told(dsn, tmp_path):
    settings = load_settings({"dsn": dsn}, {}, tmp_path)
    async with desk(dsn, applying=False, grace_seconds=0) as it:
        await it.send(envelope("m1"), envelope("m2"))
        await it.rows("UPDATE message SET due_at = now() - interval '2 min' RETURNING 1")
        check = by_name(diagnose(settings))["inbox"]
        assert check.status == "warn"
        assert check.detail.startswith("2 messages due, applied by 0 processes; the oldest is due")
        assert "--role worker" in check.fix
        await it.applier.start()
        await it.settle()
        check = by_name(diagnose(settings))["inbox"]
        assert (check.status, check.detail) == ("ok", "0 messages due, applied by 1 processes")
