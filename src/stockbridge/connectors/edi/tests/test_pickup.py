"""The pick-up of files: what is complete, who has a claim, and what a death at any step leaves."""

import asyncio
import itertools

import pytest

from stockbridge.connectors.edi.transport.local import LocalFolder, Places, below
from stockbridge.connectors.edi.transport.model import (
    Found,
    Looked,
    claim_name,
    claimed_at,
    has_end,
    is_plain,
    posted_name,
    ready,
)
from stockbridge.connectors.edi.transport.pickup import Habits, Pickup
from stockbridge.kernel.errors import Misconfigured, Retry

RENAMED = Habits("rename", claim_seconds=0.0)


@pytest.fixture
def inbound(tmp_path):
    (tmp_path / "inbound").mkdir()
    return tmp_path / "inbound"


def pickup(tmp_path, habits=RENAMED):
    return Pickup(LocalFolder(tmp_path, Places(), "acme"), habits)


@pytest.mark.parametrize(
    "name,plain",
    [("a.edi", True), ("a.edi.tmp", False), ("A.PART", False), ("a~", False), (".a", False),
     ("a.done", False), ("a.filepart", False), ("done", True)],
)  # fmt: skip
def test_names(name, plain):
    assert is_plain(name) is plain


@pytest.mark.parametrize(
    "complete_by,beside,looked,taken",
    [
        ("rename", (), {}, True),
        ("done", (), {}, False),
        ("done", ("a.edi.done",), {}, True),
        ("done", ("a.ok",), {}, True),
        ("stable", (), {}, False),
        ("stable", (), {"a.edi": Looked(5, 1.0, 70.0)}, True),
        ("stable", (), {"a.edi": Looked(5, 1.0, 71.0)}, False),
        ("stable", (), {"a.edi": Looked(4, 1.0, 0.0)}, False),
        ("stable", (), {"a.edi": Looked(5, 0.5, 0.0)}, False),
    ],
)
def test_when_a_file_is_complete(complete_by, beside, looked, taken):
    found = [Found("a.edi", 5, 1.0), *(Found(name, 0, 1.0) for name in beside)]
    chosen = ready(found, complete_by, looked, 100.0, 30.0)
    assert [each.name for each in chosen] == (["a.edi"] if taken else [])


@pytest.mark.parametrize(
    "tail,ended",
    [
        (b"SE*2*1~GE*1*1~IEA*1*000000001~\r\n", True),
        (b"GE*1*1~IEA*1*000000001", True),
        (b"UNT+2+1'UNZ+1+REF1'", True),
        (b"SE*2*1~GE*1*1~", False),
        (b"IEA" + b"x" * 400, False),
        (b"", False),
    ],
)
def test_whether_the_end_is_there(tail, ended):
    assert has_end(tail) is ended


def test_claims_tell_whose_and_since_when():
    assert claimed_at(claim_name("abc", 17, 2, "x__y-z.edi")) == ("abc", 17)
    assert claimed_at("some file.edi") == ("", 0)
    assert claimed_at(posted_name("ab" * 32)) == ("posted", 0)


async def test_two_workers_never_take_one_file_twice(tmp_path, inbound):
    for number in range(60):
        (inbound / f"{number}.edi").write_text(str(number))
    patient = Habits("rename", claim_seconds=600.0)
    workers = [pickup(tmp_path, patient) for _ in range(3)]
    taken: list[list[str]] = [[], [], []]

    async def work(at):
        while found := await workers[at].take():
            for each in found:
                taken[at].append(each.data.decode())
                await workers[at].put_away(each.claim, is_sound=True)

    await asyncio.gather(*map(work, range(3)))
    assert sorted(itertools.chain(*taken), key=int) == [str(n) for n in range(60)]
    assert len([p for p in (tmp_path / "archive").rglob("*") if p.is_file()]) == 60


@pytest.mark.parametrize("steps", range(4))
async def test_a_death_at_any_step_loses_and_doubles_nothing(tmp_path, inbound, steps):
    """Steps that the first worker does before it dies: none, claim, read, put away."""
    (inbound / "a.edi").write_text("content")
    first = LocalFolder(tmp_path, Places(), "acme")
    claim = claim_name("dead", 1, 1, "a.edi")
    done = [
        lambda: first.claim("a.edi", claim),
        lambda: first.read(claim, 100),
        lambda: first.finish(claim, "archive/2026/01/31"),
    ]
    for step in done[:steps]:
        await step()
    second = pickup(tmp_path)
    found = await second.take()
    assert [each.data for each in found] == ([b"content"] if steps < 3 else [])
    for each in found:
        await second.put_away(each.claim, is_sound=True)
        await second.put_away(each.claim, is_sound=True)
    assert await second.take() == []
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert [p.read_text() for p in files] == ["content"]
    assert "archive" in files[0].parts


async def test_a_claim_is_left_to_its_holder_for_a_while(tmp_path, inbound):
    (inbound / "a.edi").write_text("content")
    first = pickup(tmp_path, Habits("rename", claim_seconds=600.0))
    (own,) = await first.take()
    assert await pickup(tmp_path, Habits("rename", claim_seconds=600.0)).take() == []
    assert await first.take() == [own]
    assert await pickup(tmp_path).take() == [own]


async def test_a_file_without_an_end_waits_and_is_taken_in_the_end(tmp_path, inbound):
    (inbound / "a.edi").write_text("ISA*half")
    patient = pickup(tmp_path, Habits("stable", 0.0, 3_600.0, 0.0))
    assert [await patient.take() for _ in range(3)] == [[], [], []]
    hasty = pickup(tmp_path, Habits("stable", 0.0, 0.0, 0.0))
    assert await hasty.take() == []
    assert [each.data for each in await hasty.take()] == [b"ISA*half"]


async def test_markers_go_with_their_file(tmp_path, inbound):
    (inbound / "a.edi").write_text("content")
    by_marker = pickup(tmp_path, Habits("done", claim_seconds=0.0))
    assert await by_marker.take() == []
    (inbound / "a.done").touch()
    assert len(await by_marker.take()) == 1
    assert [p.name for p in inbound.iterdir() if p.is_file()] == []


async def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(Retry, match="does not exist"):
        await pickup(tmp_path).take()


@pytest.mark.parametrize("folder", ["..", "/etc", "a/../..", "."])
def test_folders_stay_below_the_setting(tmp_path, folder):
    with pytest.raises(Misconfigured, match="not below"):
        below(tmp_path, folder)
    assert below(tmp_path, "acme/eu") == tmp_path.resolve() / "acme" / "eu"
