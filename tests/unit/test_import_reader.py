import io

import pytest

from stockbridge.ingress import import_reader
from stockbridge.ingress.import_columns import ImportRefused
from stockbridge.ingress.import_reader import read_chunks

HEAD = b"sku,location,available\n"


def read(data: bytes, kind="balances", *, json_lines=False):
    """(rows as (number, *values of the required columns), rejects as (number, reason))."""
    rows, rejects = [], []
    for chunk in read_chunks(kind, io.BytesIO(data), json_lines=json_lines):
        rows += list(zip(chunk.numbers, *chunk.columns.values(), strict=True))
        rejects += [(each.number, each.reason) for each in chunk.rejects]
    return rows, sorted(rejects)


@pytest.mark.parametrize(
    "data,rows",
    [
        (HEAD + b"A,L,1\nB,L,2\n", [(2, "A", "L", 1), (3, "B", "L", 2)]),
        (b"\xef\xbb\xbf" + HEAD + b"A,L,1", [(2, "A", "L", 1)]),
        (HEAD.replace(b"\n", b"\r\n") + b"A,L,1\r\n", [(2, "A", "L", 1)]),
        (b"\n\n" + HEAD + b"\nA,L,1\n\n,,\n", [(5, "A", "L", 1)]),
        (b"available;SKU;Location\n1;A;L\n", [(2, 1, "A", "L")]),
        (b"available\tsku\tlocation\n1\tA\tL\n", [(2, 1, "A", "L")]),
        (HEAD + b' A , L , 1 \n"B","L","2"\n', [(2, "A", "L", 1), (3, "B", "L", 2)]),
        (HEAD + '"Käse, 5""",L,7\n'.encode(), [(2, 'Käse, 5"', "L", 7)]),
        (HEAD, []),
    ],
)
def test_good_rows_are_read(data, rows):
    assert read(data) == (rows, [])


@pytest.mark.parametrize(
    "line,reason",
    [
        (b"A,L", "2 columns where the header has 3"),
        (b"A,L,1,2", "4 columns where the header has 3"),
        (b"A,L,", "available: is empty"),
        (b",L,1", "sku: is empty"),
        (b"A,L,-1", "available: is '-1'; write a whole number from 0"),
        (b"A,L,1.5", "available: is '1.5'; write a whole number"),
        (b"A,L,1e3", "available: is '1e3'"),
        (b"A,L,1_0", "available: is '1_0'"),
        ("A,L,\u0663".encode(), "available: is '\u0663'"),
        (b"A,L,9999999999999999999999", "available: is '9999999999999999999999'"),
        (b"A,L," + b"1" * 5000, "available: is '1111"),
        (b"x" * 129 + b",L,1", "sku: has 129 characters, at most 128"),
        (b"caf\xe9,L,1", "sku: is not UTF-8; save the file as UTF-8"),
        (b"A\x00B,L,1", "sku: holds a control character"),
        (b'"A"x,L,1', "quoting: "),
        (b'"A,L,1', "quoting: "),
        (b"x,y,z\ry", "quoting: "),
        (b",,x", "sku: is empty; fill it in; location: is empty; fill it in; available: is 'x'"),
    ],
)
def test_a_bad_row_is_named_and_harms_no_other(line, reason):
    rows, rejects = read(HEAD + b"G,L,1\n" + line + b"\nH,L,2\n" + b"I,L,3\n")
    assert rows == [(2, "G", "L", 1), (4, "H", "L", 2), (5, "I", "L", 3)]
    assert [number for number, _ in rejects] == [3]
    assert rejects[0][1].startswith(reason)


def test_rows_that_are_uneven_by_turns_are_refused():
    rows, rejects = read(HEAD + b"A,L,1\nB,L\nC,L,1,2\r\nD,L,4\r\n")
    assert rows == [(2, "A", "L", 1), (5, "D", "L", 4)]
    assert [number for number, _ in rejects] == [3, 4]


def test_optional_cells_may_be_empty_in_some_rows():
    head = b"sku,location,available,picked,safety_stock\r\n"
    rows, rejects = read(head + b"A,L,1,,\r\nB,L,2, 7 ,\r\nC,L,3,,\r\n")
    # A column nobody filled in is left out.
    assert (rows, rejects) == (
        [(2, "A", "L", 1, None), (3, "B", "L", 2, 7), (4, "C", "L", 3, None)],
        [],
    )


def test_a_quoted_value_may_span_lines_and_blocks(monkeypatch):
    data = b'sku,description\nA,"one\ntwo, ""three"""\nB,plain\n'
    for block in range(1, len(data) + 1):
        monkeypatch.setattr(import_reader, "BLOCK_BYTES", block)
        rows, rejects = read(data, "items")
        assert (rows, rejects) == ([(2, "A", 'one\ntwo, "three"'), (4, "B", "plain")], []) or (
            # An optional column nobody fills in within a chunk is left out of it.
            rejects == [] and [row[:2] for row in rows] == [(2, "A"), (4, "B")]
        )


def test_a_quote_never_closed_harms_one_row(monkeypatch):
    monkeypatch.setattr(import_reader, "BLOCK_BYTES", 50)
    monkeypatch.setattr(import_reader, "SPAN_MAX", 5)
    lines = b"".join(b"S%d,L,%d\n" % (n, n) for n in range(30))
    rows, rejects = read(HEAD + b'"Q,L,1\n' + lines)
    assert [row[1] for row in rows] == [f"S{n}" for n in range(30)]
    assert [number for number, _ in rejects] == [2]


def test_blocks_and_chunks_keep_the_line_numbers(monkeypatch):
    monkeypatch.setattr(import_reader, "BLOCK_BYTES", 37)
    monkeypatch.setattr(import_reader, "ROWS_MAX", 3)
    lines = [b"S%d,L,%d" % (n, n) if n % 5 else b"S%d,L,bad" % n for n in range(100)]
    rows, rejects = read(HEAD + b"\n".join(lines))
    assert [(row[0], row[1]) for row in rows] == [(n + 2, f"S{n}") for n in range(100) if n % 5]
    assert [number for number, _ in rejects] == [n + 2 for n in range(0, 100, 5)]


@pytest.mark.parametrize(
    "data,message",
    [
        (b"", "the file is empty; its first row names the columns: sku, location, available"),
        (b"\n \n", "the file is empty"),
        (b"sku,location\n", "column 'available' is missing"),
        (b"sku,location,available,colour\n", "column 'colour' is unknown"),
        (b"sku,location,available,sku\n", "column 'sku' stands twice"),
        (b"A,L,1\n", "column 'a' is unknown; column 'l' is unknown; column '1' is unknown"),
        ("sku,location,available\n".encode("utf-16"), "UTF-16; save it as UTF-8"),
        (b'"sku,location\n', "header row: "),
    ],
)
def test_a_wrong_file_is_refused_as_a_whole(data, message):
    with pytest.raises(ImportRefused, match=message):
        read(data)


def test_a_line_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(import_reader, "LINE_BYTES_MAX", 1000)
    monkeypatch.setattr(import_reader, "BLOCK_BYTES", 100)
    with pytest.raises(ImportRefused, match="a line is longer than 1000 bytes"):
        read(b"x" * 5000)


@pytest.mark.parametrize(
    "line,reason",
    [
        (b'{"sku":"A","location":"L","available":', "not JSON: "),
        (b"[1]", "not a JSON object"),
        (b'{"sku":"A","location":"L","availble":1}', "availble: unknown field; known are sku"),
        (b'{"sku":"A","location":"L"}', "available: is empty"),
        (b'{"sku":"A","location":"L","available":1.5}', "available: is '1.5'"),
        (b'{"sku":"A","location":"L","available":true}', "available: is 'true'"),
        (b'{"sku":"A","location":"L","available":{}}', "available: is '{}'"),
        (b'{"sku":"caf\xe9","location":"L","available":1}', "the line is not UTF-8"),
        (b'{"sku":"A\\ud800","location":"L","available":1}', "not JSON: "),
    ],
)
def test_a_bad_json_line_is_named_and_harms_no_other(line, reason):
    good = b'{"sku":"G","location":"L","available":1}\n'
    rows, rejects = read(good + line + b"\n\n" + good, json_lines=True)
    assert rows == [(1, "G", "L", 1), (4, "G", "L", 1)]
    assert [number for number, _ in rejects] == [2]
    assert rejects[0][1].startswith(reason)


def test_json_lists_and_objects_are_read_like_cells():
    line = b'{"code":"web","sources":["A","B"],"freshness_seconds_max":60}\n'
    rows, rejects = read(line, "channels", json_lines=True)
    assert (rows, rejects) == ([(1, "web", ["A", "B"], 60)], [])
    line = b'{"sku":"A","standard_cost":1.25,"attributes":{"hazard":true}}\n'
    rows, rejects = read(line, "items", json_lines=True)
    assert (rows, rejects) == ([(1, "A", "1.25", {"hazard": True})], [])
