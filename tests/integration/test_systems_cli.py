"""A system set up from the command line, from nothing to live."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from stockbridge.cli.root import cli
from stockbridge.cli.systems_config import with_words
from stockbridge.connectors.generic.simulator import Simulator
from stockbridge.contracts.partners.manifest import ConfigField, Manifest
from stockbridge.kernel.errors import Misconfigured

MANIFEST = Manifest(
    name="x", title="X", kind="portal", version="1", summary="",
    config=[
        ConfigField(name="url", help="", type="url"),
        ConfigField(name="days", help="", type="integer"),
        ConfigField(name="is_fast", help="", type="boolean"),
        ConfigField(name="locations", help="", type="table"),
    ],
)  # fmt: skip


@pytest.fixture
def portal() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


class Shell:
    """Commands on one database."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    def __call__(self, *arguments: str, given: str = "", **env: str) -> Any:
        used = {"STOCKBRIDGE_SECRET_KEY": "k" * 32, **env}
        words = ["systems", *arguments, "--dsn", self.dsn]
        return CliRunner().invoke(cli, words, input=given, env=used)

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            conn.execute(statement.encode())


@pytest.fixture
def shell(dsn: str) -> Shell:
    return Shell(dsn)


def test_from_nothing_to_live(shell, portal, tmp_path):
    config = portal.config()
    file = tmp_path / "shop.toml"
    file.write_text(f'url = "{config["url"]}"\nchannel = "web"\n')
    made = shell(
        "add", "shop", "--connector", "generic", "--config", str(file),
        "--set", "locations.LONDON=counter-1", "--criticality", "2",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert "secret token is missing: stockbridge systems secret shop token" in made.output
    secrets = portal.secrets()
    kept = shell("secret", "shop", "token", "--stdin", given=secrets["token"] + "\n")
    assert "token of shop is kept; 1 count now" in kept.output, kept.output
    kept = shell("secret", "shop", "webhook", given=secrets["webhook"] + "\n")
    assert kept.exit_code == 0, kept.output
    assert secrets["webhook"] not in kept.output
    kept = shell("secret", "shop", "signing", "--env", "SIGNING", SIGNING=secrets["signing"])
    assert kept.exit_code == 0, kept.output

    tested = shell("test", "shop")
    assert tested.exit_code == 1
    assert "WRONG channel: channel web is not bound to shop" in tested.output
    assert "WRONG locations: LONDON: no location of ours" in tested.output
    assert isinstance(shell("certify", "shop").exception, Misconfigured)

    shell.execute("INSERT INTO location (code) VALUES ('LONDON')")
    shell.execute("INSERT INTO channel (code, system) VALUES ('web', 'shop')")
    tested = shell("test", "shop")
    assert tested.exit_code == 0, tested.output
    for step, lifecycle in (
        ("certify", "certified"), ("activate", "live"), ("suspend", "suspended"),
        ("resume", "live"),
    ):  # fmt: skip
        assert f"shop is {lifecycle}" in shell(step, "shop").output

    changed = shell("add", "shop", "--connector", "generic", "--set", "locations.LONDON=c-2")
    assert changed.exit_code == 0, changed.output
    shown = json.loads(shell("show", "shop").output)
    assert shown["config"] == {
        "url": config["url"], "channel": "web", "locations": {"LONDON": "c-2"}
    }  # fmt: skip
    assert (shown["criticality"], shown["lifecycle"], shown["kind"]) == (2, "live", "portal")
    assert shown["secrets"] == dict.fromkeys(("signing", "webhook", "token"), "set")
    assert [feed["feed"] for feed in shown["feeds"]] == ["orders"]
    assert "shop  portal  generic    production   live" in shell("list").output
    assert "shop is retired" in shell("retire", "shop").output


def test_what_is_not_ours_is_written_to_a_file(shell, portal, tmp_path):
    values = [f"{name}={portal.config()[name]}" for name in ("url", "channel")]
    words = [word for value in values for word in ("--set", value)]
    made = shell(
        "add", "shop", "--connector", "generic", *words,
        "--environment", "sandbox", "--lifecycle", "testing",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    for name, secret in portal.secrets().items():
        shell("secret", "shop", name, "--stdin", given=secret)
    portal.list_item("A", 1)
    portal.list_item("STRANGER", 1)
    shell.execute("INSERT INTO item (sku) VALUES ('A')")
    file = tmp_path / "unmatched.csv"
    done = shell("discover", "shop", "--unmatched", str(file))
    assert "1 matched, 1 not" in done.output, done.output
    assert "STRANGER" in file.read_text()


@pytest.mark.parametrize(
    "arguments,text",
    [
        (("add", "x", "--connector", "nobody"), "no connector nobody"),
        (("add", "x", "--connector", "generic"), "url: is missing"),
        (("add", "x", "--connector", "generic", "--set", "color=red"), "FIELD one of url, channel"),
        (("add", "x", "--connector", "generic", "--kind", "odd"), "Invalid enum value 'odd'"),
        (("add", "x", "--connector", "generic", "--config", "none.toml"), "none.toml"),
        (("secret", "x", "token", "--env", "NOT_SET"), "variable NOT_SET"),
        (("secret", "x", "token", "--stdin"), "no secret was given"),
        (("show", "x"), "system x does not exist"),
        (("test", "x"), "system x does not exist"),
        (("certify", "x"), "system x does not exist"),
        (("discover", "x"), "system x does not exist"),
    ],
)
def test_a_mistake_is_told_in_words(shell, arguments, text):
    ended = shell(*arguments)
    assert isinstance(ended.exception, Misconfigured), ended.output
    assert text in str(ended.exception)


def test_words_change_a_configuration():
    config = {"url": "https://a", "locations": {"A": "1", "B": "2"}}
    words = ["days=7", "is_fast=yes", "url=", "locations.B=", "locations.C=3=4"]
    assert with_words(MANIFEST, config, words) == {
        "days": 7, "is_fast": True, "locations": {"A": "1", "C": "3=4"}
    }  # fmt: skip
    assert with_words(MANIFEST, {}, ["days=soon", "is_fast=maybe"]) == {
        "days": "soon", "is_fast": "maybe"
    }  # fmt: skip
    for wrong in ("days", "none=1", "days.A=1", "locations=1"):
        with pytest.raises(Misconfigured, match=f"--set {wrong}"):
            with_words(MANIFEST, {}, [wrong])
    assert config["locations"] == {"A": "1", "B": "2"}
