"""`stockbridge edi`: show, check, convert."""

import json

import pytest
from typer.testing import CliRunner

from stockbridge.cli.root import cli
from stockbridge.connectors.edi.tests.bodies import edifact_text, x12_text
from stockbridge.connectors.edi.tests.files import interchange
from stockbridge.connectors.edi.tests.partners import PROFILE
from stockbridge.kernel.errors import Misconfigured

GOOD = interchange(x12_text("846"), x12_text("846"))
BAD = GOOD.replace("QTY*33*10*EA", "QTY*33*ten*EA", 1)


@pytest.fixture
def run(tmp_path):
    def run(*words: str, **files: str):
        paths = []
        for name, text in files.items():
            path = tmp_path / f"{name}.edi"
            path.write_text(text, "utf-8")
            paths.append(str(path))
        return CliRunner().invoke(cli, ["edi", words[0], *paths, *words[1:]])

    return run


def test_show_marks_what_is_wrong(run):
    shown = run("show", file=BAD).stdout.splitlines()
    at = next(i for i, line in enumerate(shown) if "QTY*33*ten" in line)
    assert "ELEMENT_NUMBER" in shown[at + 1]
    assert shown[0].startswith("interchange 000000001 x12 00401: ZZ:SENDER -> ZZ:RECEIVER")


def test_check_says_all_is_well(run):
    result = run("check", file=GOOD)
    assert (result.exit_code, result.stdout) == (0, "2 sets, no error\n")


def test_check_fails_for_a_refused_set_and_prints_the_answer(run):
    result = run("check", "--answer", file=BAD)
    assert result.exit_code == 1
    assert isinstance(result.exception, Misconfigured)
    assert "AK9*P*2*2*1" in result.stdout


def test_check_follows_numbers_over_files(run):
    third = GOOD.replace("000000001", "000000003")
    assert "b.edi: noted SEQ_GAP: number 2 has not come" in run("check", a=GOOD, b=third).stdout


def test_convert_to_json_and_ndjson(run):
    whole = json.loads(run("convert", file=GOOD).stdout)
    lines = run("convert", "--to", "ndjson", file=GOOD).stdout.splitlines()
    assert whole == [json.loads(line) for line in lines]
    assert [(d["set"], d["control"], d["kind"]) for d in whole] == [
        ("846", "0001", "StockReport"),
        ("846", "0002", "StockReport"),
    ]
    assert whole[0]["document"]["lines"][0]["amounts"][0]["quantity"] == "10"


def test_convert_rewrites_in_its_own_syntax(run):
    wrong_count = GOOD.replace("IEA*1", "IEA*9")
    assert run("convert", "--to", "x12", file=wrong_count).stdout == GOOD
    message = edifact_text("ORDERS")
    assert run("convert", "--to", "edifact", file=message).stdout == f"UNA:+.? '{message}"
    assert isinstance(run("convert", "--to", "x12", file=message).exception, Misconfigured)


@pytest.fixture
def agreed(tmp_path):
    path = tmp_path / "acme.toml"
    path.write_text(PROFILE, "utf-8")
    return str(path)


def test_meaning_says_what_would_be_compared(run, agreed):
    lines = run("meaning", "--profile", agreed, file=GOOD).stdout.splitlines()
    told = [json.loads(line) for line in lines]
    assert [(one["set"], one["means"], len(one["rows"])) for one in told] == [
        ("846", "Snapshot", 4),
        ("846", "Snapshot", 4),
    ]


def test_reply_acknowledges(run, agreed):
    shown = run("reply", "--profile", agreed, "--control", "17", file=GOOD).stdout
    assert "*000000017*" in shown
    assert "AK9*A*2*2*2~" in shown


def test_write_says_documents(run, agreed):
    lines = run("convert", "--to", "ndjson", file=GOOD).stdout
    text = run("write", "--profile", agreed, documents=lines).stdout
    assert text.count("ST*846") == 2
    assert "CTT*2~" in text


def test_a_profile_that_makes_no_sense_is_one_message(run, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("name = 1", "utf-8")
    result = run("meaning", "--profile", str(path), file=GOOD)
    assert isinstance(result.exception, Misconfigured)
    assert "bad.toml" in str(result.exception)
