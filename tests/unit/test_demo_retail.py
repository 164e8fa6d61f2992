"""How real order lines are cleaned and classified, line by line."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from stockbridge.demo.retail import (
    Kind,
    Line,
    channel_of,
    classify,
    clean,
    documents,
    note_of,
    read_rows,
    reason_of,
)
from stockbridge.kernel.errors import Misconfigured


def row(invoice="536365", sku="22423", description="REGENCY CAKESTAND", quantity=6, price=2.5,
        customer=17850, at="12/1/10 8:26", country="United Kingdom"):  # fmt: skip
    return clean(
        {
            "InvoiceNo": invoice,
            "StockCode": sku,
            "Description": description,
            "Quantity": quantity,
            "InvoiceDate": at,
            "UnitPrice": price,
            "CustomerID": customer,
            "Country": country,
        }
    )


# invoice, code, quantity, price, customer, rows of the invoice, kind
LINES = [
    ("536365", "85123A", 6, 2.55, 17850, 7, Kind.SALE),
    ("536365", "85123A", 6, 0.0, 17850, 7, Kind.SALE),
    ("536365", "85123A", 6, 0.0, 17850, 1, Kind.SALE),
    ("537534", "22676", 3, 0.0, None, 58, Kind.SALE),
    ("540001", "22676", 3, 0.0, None, 1, Kind.ADJUSTMENT),
    ("540001", "22676", 3, 4.1, None, 1, Kind.SALE),
    ("536589", "21777", -10, 0.0, None, 1, Kind.ADJUSTMENT),
    ("C536379", "22423", -1, 27.5, 14527, 1, Kind.RETURN),
    ("C536379", "D", -1, 27.5, 14527, 1, Kind.SERVICE),
    ("C536758", "m", -1, 9.0, None, 1, Kind.SERVICE),
    ("536370", "POST", 3, 18.0, 12583, 20, Kind.SERVICE),
    ("536544", "DOT", 1, 569.77, None, 527, Kind.SERVICE),
    ("536540", "C2", 1, 50.0, 14911, 17, Kind.SERVICE),
    ("536557", "S", -1, 12.0, None, 1, Kind.SERVICE),
    ("C537651", "AMAZONFEE", -1, 13541.33, None, 1, Kind.SERVICE),
    ("C538680", "BANK CHARGES", -1, 20.99, None, 1, Kind.SERVICE),
    ("540678", "gift_0001_10", 1, 8.33, None, 90, Kind.SERVICE),
    ("550193", "PADS", 1, 0.001, 13952, 5, Kind.SALE),
    ("541000", "DCGSSBOY", 3, 3.29, None, 60, Kind.SALE),
    ("541000", "22423", 0, 3.29, None, 60, Kind.NOTHING),
]


@pytest.mark.parametrize("invoice, sku, quantity, price, customer, rows, kind", LINES)
def test_classify(invoice, sku, quantity, price, customer, rows, kind):
    line = row(invoice, sku, quantity=quantity, price=price, customer=customer)
    assert classify(line, rows) is kind


# note, quantity, reason code
NOTES = [
    ("damages", -3, "DAMAGED"),
    ("wet/rusty", -3, "DAMAGED"),
    ("Thrown away-rusty", -3, "DAMAGED"),
    ("throw away", -3, "DAMAGED"),
    ("incorrectly made-thrown away.", -3, "DAMAGED"),
    ("samples", -3, "SAMPLE"),
    ("showroom", -3, "SAMPLE"),
    ("mia", -3, "LOST"),
    ("?lost", -3, "LOST"),
    ("Found", 3, "FOUND"),
    ("returned", 3, "FOUND"),
    ("found", -3, "CORRECTION"),
    ("damages", 3, "CORRECTION"),
    ("?", -3, "CORRECTION"),
    ("", -3, "CORRECTION"),
    ("sold as set on dotcom", -3, "CORRECTION"),
]


@pytest.mark.parametrize("note, quantity, reason", NOTES)
def test_reason_of_note(note, quantity, reason):
    assert reason_of(note, quantity) == reason


def test_goods_in_capitals_are_no_note():
    assert note_of(row(description="HEART GARLAND RUSTIC")) == ""
    assert note_of(row("C536379", description="HEART GARLAND RUSTIC", quantity=-1)) == ""
    assert note_of(row(description="Found")) == "Found"
    assert note_of(row(description="DAMAGES", quantity=-1)) == "DAMAGES"


@pytest.mark.parametrize(
    "customer, country, channel",
    [
        ("17850", "United Kingdom", "uk-wholesale"),
        ("", "United Kingdom", "uk-dotcom"),
        ("17850", "Unit", "uk-wholesale"),
        ("12583", "France", "export"),
        ("", "Hong Kong", "export"),
    ],
)
def test_channel(customer, country, channel):
    assert channel_of(customer, country) == channel


def test_clean_mends_case_spaces_and_gaps():
    line = row(" c536379", "85123a ", "  WHITE   HEART ", -1, 2.55, None, "1/9/11 13:05")
    assert (line.invoice, line.sku, line.description) == ("C536379", "85123A", "WHITE HEART")
    assert (line.price, line.customer) == (Decimal("2.55"), "")
    assert line.at == datetime(2011, 1, 9, 13, 5, tzinfo=UTC)
    assert row(description=None).description == ""


def test_documents_add_up_and_part_by_kind():
    found = documents(
        [
            row("536370", "POST", quantity=3),
            row("536370", "22423a", quantity=2, at="12/1/10 8:45"),
            row("536370", "22423A", quantity=4, at="12/1/10 8:44"),
            row("536370", "21777", quantity=1),
            row("C536001", "22423A", quantity=-9, at="12/1/10 7:00"),
        ]
    )
    assert [(d.kind, d.number, d.rows, d.lines) for d in found] == [
        (Kind.RETURN, "C536001", 1, (Line("22423A", 9),)),
        (Kind.SALE, "536370", 3, (Line("22423A", 6), Line("21777", 1))),
        (Kind.SERVICE, "536370", 1, (Line("POST", 3),)),
    ]


def test_a_return_with_a_note_of_damage_is_scrapped():
    (document,) = documents([row("C536379", description="came back broken", quantity=-2)])
    assert document.scrap
    (document,) = documents([row("C536379", quantity=-2)])
    assert not document.scrap


def test_a_bad_row_is_named(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "1,22423,X,6,12/1/10 8:26,2.5,1,France\n"
        "1,22423,X,six,12/1/10 8:26,2.5,1,France\n"
    )
    with pytest.raises(Misconfigured, match=r"orders.csv, row 2: .*'six'"):
        read_rows(path)
    with pytest.raises(Misconfigured, match="no such file"):
        read_rows(tmp_path / "none.csv")
    path.write_text("a,b\n1,2\n")
    with pytest.raises(Misconfigured, match="expected the columns InvoiceNo"):
        read_rows(path)
