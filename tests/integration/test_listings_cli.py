"""The commands about listings."""

import psycopg
import pytest
from typer.testing import CliRunner

from stockbridge.cli.root import cli
from stockbridge.kernel.errors import Misconfigured

RUN = CliRunner()


@pytest.fixture
def shop(dsn):
    with psycopg.connect(dsn) as conn:
        conn.execute(
            "INSERT INTO system (code, kind, connector) VALUES ('PORTAL', 'portal', 'generic');"
            "INSERT INTO channel (code, system) VALUES ('web', 'PORTAL');"
            "INSERT INTO item (sku) VALUES ('A'), ('B');"
            "INSERT INTO item_alias SELECT 'PORTAL', 'p-' || sku, item_id FROM item"
        )
    return dsn


def run(dsn, *words):
    done = RUN.invoke(cli, ["listings", *words, "--dsn", dsn])
    if isinstance(done.exception, Misconfigured):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_items_are_listed_shown_and_ended(shop):
    assert "2 listings made" in run(shop, "add", "web", "--all")
    assert run(shop, "list", "--channel", "web").count("web") == 2
    assert "0 listings are due again" in run(shop, "retry", "--system", "PORTAL")
    assert "0 listings are read back" in run(shop, "verify", "--sku", "A")
    assert "1 listings end" in run(shop, "end", "--sku", "A", "--as-is")
    assert "suspended" in run(shop, "list", "--sku", "A")


def test_items_are_listed_by_a_connector_of_ones_own(shop, tmp_path, monkeypatch):
    made = RUN.invoke(cli, ["connectors", "new", "bazaar", "--dir", str(tmp_path)])
    assert made.exit_code == 0, made.output
    monkeypatch.setenv("STOCKBRIDGE_CONNECTORS_DIR", str(tmp_path))
    with psycopg.connect(shop) as conn:
        conn.execute("UPDATE system SET connector = 'bazaar'")
    assert "1 listings made" in run(shop, "add", "web", "--sku", "A")


def test_a_file_names_items_as_the_partner_does(shop, tmp_path):
    file = tmp_path / "listings.csv"
    file.write_text("sku,item,lead_time\nA,their-a,3\nX,their-x,\n")
    made = run(shop, "add", "web", "--file", str(file))
    assert "1 listings made" in made
    assert "X" in made
    with psycopg.connect(shop) as conn:
        rows = conn.execute("SELECT item, attributes FROM listing").fetchall()
    assert rows == [("their-a", {"lead_time": "3"})]


@pytest.mark.parametrize(
    "words,cause",
    [
        (("retry",), "name at least one of"),
        (("add", "web"), "give either"),
        (("add", "none", "--all"), "no channel has the code"),
    ],
)
def test_what_is_refused(shop, words, cause):
    with pytest.raises(Misconfigured, match=cause):
        run(shop, *words)
