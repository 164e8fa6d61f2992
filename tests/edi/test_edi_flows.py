"""Flows end to end: a partner's folder on one side, the hub's own API on the other."""

import pytest

from stockbridge.connectors.edi.tests.partners import PROFILE
from stockbridge.domain.snapshots.work import work_on_all
from stockbridge.outbox.journal.journal import SystemJournal
from stockbridge.outbox.journal.watch import tell_overdue
from tests.edi.exchange import trading

pytestmark = pytest.mark.timeout(180)


async def test_an_order_is_asked_of_the_building_and_leaves_in_two_parts(dsn, tmp_path):
    async with trading(dsn, tmp_path, shorts_channel="web") as acme:
        lines = [{"sku": "MUG-1", "quantity": 10, "line": "1"}]
        order = {"channel": "web", "number": "SO-1", "lines": lines}
        await acme.ask("POST", "/v1/orders", order)
        await acme.until(lambda: acme.got("940"), "a 940 is written")
        (asked,) = acme.got("940")
        assert asked.document.number == "SO-1"
        assert [ln.quantity for group in asked.document.groups for ln in group.lines] == [10]
        number = int(asked.interchange.control)

        ack = acme.body("997", f"AK1*OW*{number};AK9*A*1*1*1;")
        acme.put("ack.edi", acme.interchange(ack))
        first = "W06*F*SO-1*20260131*S1;N1*WH**92*DC1;LX*1;MAN*GM*001;"
        first += "W12*SS*10*4*6*EA**SK*MUG-1;N9*LI*1;W03*4;"
        acme.put("945-1.edi", acme.interchange(acme.body("945", first)))
        await acme.polled()
        assert await acme.answer_of(number) == "accepted"
        told = await acme.ask("GET", "/v1/channels/web/orders/SO-1")
        assert told["state"] == "shipped"

        last = "W06*F*SO-1*20260131*S2;N1*WH**92*DC1;LX*1;MAN*GM*002;"
        last += "W12*CC*6*6**EA**SK*MUG-1;N9*LI*1;W03*6;"
        acme.put("945-2.edi", acme.interchange(acme.body("945", last)))
        await acme.polled()
        told = await acme.ask("GET", "/v1/channels/web/orders/SO-1")
        assert told["state"] == "completed"
        assert (await acme.stock("MUG-1")) == {
            "available": 10, "quarantined": 0, "reserved": 0, "allocated": 0,
        }  # fmt: skip
        answers = acme.got("997")
        assert [read.segments[0][:2] for read in answers] == [["AK1", "SW"]] * 2
        assert len(acme.files("archive")) == 3
        assert not acme.files("quarantine")


async def test_a_closed_short_is_called_off_and_a_repeat_is_no_harm(dsn, tmp_path):
    async with trading(dsn, tmp_path, shorts_channel="web") as acme:
        lines = [{"sku": "MUG-1", "quantity": 10, "line": "1"}]
        await acme.ask("POST", "/v1/orders", {"channel": "web", "number": "SO-1", "lines": lines})
        short = "W06*F*SO-1*20260131*S1;N1*WH**92*DC1;LX*1;MAN*GM*001;"
        short += "W12*CP*10*7*3*EA**SK*MUG-1;N9*LI*1;W03*7;"
        text = acme.interchange(acme.body("945", short))
        acme.put("945.edi", text)
        await acme.polled()
        told = await acme.ask("GET", "/v1/channels/web/orders/SO-1")
        assert told["state"] == "completed"
        after = {"available": 13, "quarantined": 0, "reserved": 0, "allocated": 0}
        assert await acme.stock("MUG-1") == after

        # Sent again as it was, extracted again in another envelope, and with another content.
        acme.put("945-again.edi", text)
        acme.put("945-anew.edi", acme.interchange(acme.body("945", short)))
        await acme.polled()
        assert await acme.stock("MUG-1") == after
        statuses = await acme.messages()
        assert len(statuses) == 2
        assert {status for status, _ in statuses} <= {"applied", "duplicate"}
        assert len(acme.got("997")) == 2
        other = short.replace("W12*CP*10*7*3", "W12*CP*10*9*1").replace("W03*7", "W03*9")
        acme.put("945-other.edi", acme.interchange(acme.body("945", other), control=1))
        await acme.polled()
        assert (await acme.messages())[-1] == ("rejected", "content_conflict")
        assert len(await acme.cases("message_conflict")) == 1
        assert await acme.stock("MUG-1") == after
        assert len(acme.got("997")) == 2


async def test_goods_come_in_with_some_damaged(dsn, tmp_path):
    async with trading(dsn, tmp_path) as acme:
        text = "W17*F*20260131*R1*PO-9;N1*WH**92*DC1;"
        text += "W07*12*EA**SK*MUG-1;N9*LI*1;W13*2*EA*01;W14*12;"
        acme.put("944.edi", acme.interchange(acme.body("944", text)))
        await acme.polled()
        found = await acme.stock("MUG-1")
        assert (found["available"], found["quarantined"]) == (30, 2)


async def test_corrections_with_reasons_and_signs(dsn, tmp_path):
    async with trading(dsn, tmp_path) as acme:
        text = "W15*20260131*A1;N1*WH**92*DC1;"
        text += "W19*07*-3*EA**SK*MUG-1;W19*51*5*EA**SK*MUG-2;W19*05*-4*EA**SK*MUG-2;"
        acme.put("947.edi", acme.interchange(acme.body("947", text)))
        await acme.polled()
        first, second = await acme.stock("MUG-1"), await acme.stock("MUG-2")
        assert (first["available"], first["quarantined"]) == (17, 0)
        assert (second["available"], second["quarantined"]) == (21, 4)
        assert await acme.messages() == [("applied", None)]


async def test_one_bad_set_stops_no_other_and_its_owner_hears(dsn, tmp_path):
    async with trading(dsn, tmp_path) as acme:
        good = acme.body("947", "W15*20260131*A1;N1*WH**92*DC1;W19*07*-3*EA**SK*MUG-1;")
        bad = acme.body("947", "W15*20260131*A2;N1*WH**92*DC1;W19*07*x*EA**SK*MUG-1;")
        acme.put("947.edi", acme.interchange(good, bad, good.replace("A1", "A3")))
        await acme.polled()
        assert (await acme.stock("MUG-1"))["available"] == 14
        assert await acme.messages() == [("rejected", "set_refused")]
        (case,) = await acme.cases("message_rejected")
        assert "947 0002" in case["cause"]
        (answer,) = acme.got("997")
        assert [s[1] for s in answer.segments if s[0] == "AK5"] == ["A", "R", "A"]
        assert answer.segments[-1][:5] == ["AK9", "P", "3", "3", "2"]


async def test_a_word_more_in_the_profile_mends_a_refused_set(dsn, tmp_path):
    async with trading(dsn, tmp_path) as acme:
        text = "W15*20260131*A1;N1*WH**92*DC9;W19*07*-3*EA**SK*MUG-1;"
        acme.put("947.edi", acme.interchange(acme.body("947", text)))
        await acme.polled()
        assert await acme.messages() == [("parked", "set_refused")]
        await acme.configure("live", profile=PROFILE.replace("DC2 =", 'DC9 = "AUSTIN", DC2 ='))

        async def is_booked():
            return await acme.messages() == [("applied", None)]

        await acme.until(is_booked, "the set is read again")
        assert (await acme.stock("MUG-1"))["available"] == 17


async def test_a_stock_report_is_compared(dsn, tmp_path):
    async with trading(dsn, tmp_path) as acme:
        text = "BIA*00*SI*77*20260131*1100;N1*WH**92*DC1;"
        text += "LIN*1*SK*MUG-1;QTY*33*20*EA;LIN*2*SK*MUG-2;QTY*33*18*EA;CTT*2;"
        acme.put("846.edi", acme.interchange(acme.body("846", text)))
        await acme.polled()
        app = acme.api.app
        await work_on_all(app.dsn, app.engine.submit)
        (report,) = (await acme.ask("GET", "/v1/snapshots?system=acme"))["items"]
        assert (report["state"], report["rows"], report["rows_different"]) == ("compared", 2, 1)
        assert (await acme.stock("MUG-2"))["available"] == 20
        assert len(acme.got("997")) == 1


async def test_numbers_that_did_not_come_are_listed(dsn, tmp_path):
    async with trading(dsn, tmp_path) as acme:
        text = "W15*20260131*A{};N1*WH**92*DC1;W19*07*-1*EA**SK*MUG-1;"
        for control in (5, 8):
            body = acme.body("947", text.format(control))
            acme.put(f"{control}.edi", acme.interchange(body, control=control))
        await acme.polled()
        (gap,) = (await acme.ask("GET", "/v1/questions/out-of-sequence"))["items"]
        assert (gap["system"], gap["flow"]) == ("acme", "interchanges")
        assert "6" in str(gap)


@pytest.mark.parametrize(
    "text,reason",
    [("this is no EDI", "interchange_refused"), (None, "not_agreed")],
)
async def test_what_is_none_of_ours_is_set_apart(dsn, tmp_path, text, reason):
    async with trading(dsn, tmp_path) as acme:
        body = acme.body("947", "W15*20260131*A1;N1*WH**92*DC1;W19*07*-1*EA**SK*MUG-1;")
        acme.put("odd.edi", text or acme.interchange(body, is_test=True))
        await acme.polled()
        ((_, found),) = await acme.messages()
        assert found == reason
        assert len(acme.files("quarantine")) == 1
        assert not acme.files("archive")
        assert not acme.files("outbound")
        assert (await acme.stock("MUG-1"))["available"] == 20


async def test_a_posted_file_is_taken_as_one_of_the_folder(dsn, tmp_path):
    async with trading(dsn, tmp_path) as acme:
        secret = {"secret": "t" * 40}
        await acme.ask("PUT", "/v1/systems/acme/secrets/upload", secret)
        body = acme.body("947", "W15*20260131*A1;N1*WH**92*DC1;W19*07*-1*EA**SK*MUG-1;")
        text = acme.interchange(body)
        wrong = await acme.post(text, "u" * 40)
        assert wrong.status_code == 401

        async def is_taken():
            return (await acme.post(text, "t" * 40)).status_code == 202

        await acme.until(is_taken, "the secret is known")
        acme.put("same.edi", text)
        await acme.polled()
        assert await acme.messages() == [("applied", None)]
        assert (await acme.stock("MUG-1"))["available"] == 19
        await acme.until(lambda: acme.got("997"), "the posted file is answered")
        assert len(acme.got("997")) == 1


async def test_a_buyers_order_is_answered_and_its_parcel_noticed(dsn, tmp_path):
    agreed = PROFILE + "[acknowledge]\nwarn_minutes = 1\n"
    async with trading(dsn, tmp_path, agreed, channel="acme-b2b") as acme:
        text = "BEG*00*SA*PO-7**20260130;CUR*BY*USD;N1*ST*Store 9*92*009;N4*Austin*TX*78701*US;"
        text += "PO1*1*6*EA*9.25**SK*MUG-1;PO1*2*2*EA*4**VN*V-2;CTT*2;"
        alias = {"namespace": "acme", "alias": "V-2"}
        await acme.ask("PUT", "/v1/items/MUG-2", {"aliases": [alias]})
        acme.put("850.edi", acme.interchange(acme.body("850", text)))
        await acme.polled()
        await acme.until(lambda: acme.got("855"), "an 855 is written")
        (answer,) = acme.got("855")
        said = [(ln.line, ln.quantity, ln.answers[0].status) for ln in answer.document.lines]
        assert (answer.document.number, said) == ("PO-7", [("1", 6, "IA"), ("2", 2, "IA")])

        # Changed before anything left: MUG-1 to 4.
        change = "BCH*04*SA*PO-7**1*20260131;POC*1*QD*4*2*EA*9.25**SK*MUG-1;CTT*1;"
        acme.put("860.edi", acme.interchange(acme.body("860", change)))
        await acme.polled()
        assert (await acme.stock("MUG-1"))["reserved"] == 4
        shipped = {
            "shipment": "P1", "location": "AUSTIN", "document": {"type": "order", "number": "PO-7"},
            "lines": [{"sku": "MUG-1", "quantity": 4, "line": "1"}], "carrier": "ABCD",
        }  # fmt: skip
        await acme.ask("POST", "/v1/shipments", shipped)
        await acme.until(lambda: acme.got("856"), "an 856 is written")
        (notice,) = acme.got("856")
        items = [lv for lv in notice.document.levels if lv.level == "I"]
        assert [(lv.shipped_line, lv.shipped) for lv in items] == [("1", 4)]


async def test_what_is_not_acknowledged_is_told_and_an_answer_ends_that(dsn, tmp_path):
    async with trading(dsn, tmp_path) as acme:
        journal = SystemJournal(acme.api.app.pool, "acme")
        sent = await journal.take("interchange", "order 1", answer_due=(0, 3600))
        assert await journal.take("interchange", "order 1") == sent
        late = await journal.take("interchange", "order 2", answer_due=(0, 0))
        assert late.number == sent.number + 1
        await journal.take("interchange", "an answer")
        assert await tell_overdue(acme.api.app.pool) == 2
        assert await tell_overdue(acme.api.app.pool) == 0
        told = {case["severity"] for case in await acme.cases("interchange_unacknowledged")}
        assert told == {3}
        good = acme.body("997", f"AK1*OW*{sent.number};AK9*A*1*1*1;")
        bad = acme.body("997", f"AK1*OW*{late.number};AK2*940*0001;AK5*R*5;AK9*R*1*1*0;")
        acme.put("997.edi", acme.interchange(good, bad))
        await acme.polled()
        assert await acme.cases("interchange_unacknowledged") == []
        (refused,) = await acme.cases("interchange_refused")
        assert "940 0001 rejected 5" in refused["cause"]
        assert not await journal.answer("interchange", 999, "accepted")


async def test_a_building_is_asked_again_for_what_came_in_later(dsn, tmp_path):
    async with trading(dsn, tmp_path) as acme:
        lines = [{"sku": "MUG-1", "quantity": 30, "line": "1"}]
        order = {"channel": "web", "number": "SO-1", "mode": "backorder", "lines": lines}
        await acme.ask("POST", "/v1/orders", order)
        await acme.until(lambda: acme.got("940"), "a 940 is written")
        text = "W06*F*SO-1*20260131*S1;N1*WH**92*DC1;LX*1;MAN*GM*001;"
        text += "W12*SS*20*5*15*EA**SK*MUG-1;N9*LI*1;W03*5;"
        acme.put("945.edi", acme.interchange(acme.body("945", text)))
        await acme.polled()
        text = "W17*F*20260131*R1*PO-9;N1*WH**92*DC1;W07*12*EA**SK*MUG-1;N9*LI*1;W14*12;"
        acme.put("944.edi", acme.interchange(acme.body("944", text)))
        await acme.polled()
        await acme.until(lambda: len(acme.got("940")) > 1, "a second 940 is written")
        asked = [
            (read.document.purpose, ln.quantity)
            for read in acme.got("940")
            for group in read.document.groups
            for ln in group.lines
        ]
        assert asked == [("N", 20), ("B", 10)]
