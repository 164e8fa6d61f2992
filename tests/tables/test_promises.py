"""Stories of promises: reserve, change, confirm, release, expire, sourcing, fences, shares."""

import pytest

from tests.tables.story import play

STORIES = {
    "reserve all or nothing": """
        receive  PO1 W1 A:10                    | 201 booked
        reserve  r1 web A:4                     | 201 held W1:4
        reserve  r2 web A:7                     | 409 insufficient_stock
        reserve  r3 web A:6                     | 201 held W1:6
        reserve  r4 web A:1                     | 409 insufficient_stock
        A@W1                                    | available=10 reserved=10
    """,
    "all lines or none": """
        receive  PO1 W1 A:10 B:1                | 201 booked booked
        reserve  r1 web A:4 B:2                 | 409 insufficient_stock
        reserve  r2 web A:4 B:1                 | 201 held W1:4 W1:1
        B@W1                                    | available=1 reserved=1
    """,
    "partial takes what there is": """
        receive  PO1 W1 A:3                     | 201 booked
        reserve  r1 web A:5 B:1 mode=partial    | 201 held W1:3 -
        reserve  r2 web A:1 mode=partial        | 409 insufficient_stock
        A@W1                                    | available=3 reserved=3
    """,
    "backorder books what is missing": """
        receive  PO1 W1 A:3                     | 201 booked
        reserve  r1 web A:5 mode=backorder      | 201 held W1:3+back:2
        A@W1                                    | available=3 reserved=3 backordered=2
        release  r1                             | 200 released -
        A@W1                                    | available=3
    """,
    "two lines of one item are summed": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:3 A:3                 | 409 insufficient_stock
        reserve  r2 web A:3 A:2                 | 201 held W1:3 W1:2
    """,
    "names nobody knows": """
        reserve  r1 web Z:1                     | 422 unknown_sku
        reserve  r1 nowhere A:1                 | 422 unknown_channel
        reserve  r1 web A:1@W9                  | 422 unknown_location
        reserve  r1 web Z:1 A:1@W9              | 422 invalid_rows
        reserve  r1 dark A:1                    | 422 channel_without_sources
        confirm  r9                             | 404 unknown_reservation
        release  r9                             | 404 unknown_reservation
        change   r9 1:1                         | 404 unknown_reservation
    """,
    "a draft is not promised": """
        receive  PO1 W1 DRAFT:5                 | 201 booked
        reserve  r1 web DRAFT:1                 | 422 item_not_active
    """,
    "a key bound to a channel": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:1 bound=shop          | 403 channel_forbidden
        reserve  r2 web A:1 bound=web           | 201 held W1:1
        confirm  r2 bound=shop                  | 404 unknown_reservation
        confirm  r2 bound=web                   | 200 confirmed W1:1
    """,
    "units of measure are exact": """
        receive  PO1 W1 A:2CASE                 | 201 booked
        reserve  r1 web A:1CASE                 | 201 held W1:12
        reserve  r2 web A:3HALF                 | 422 fractional_quantity
        reserve  r3 web A:4HALF                 | 201 held W1:2
        reserve  r4 web B:1CASE                 | 422 unknown_uom
        change   r3 1:5                         | 422 fractional_quantity
        A@W1                                    | available=24 reserved=14
    """,
    "a kit is promised as its components": """
        receive  PO1 W1 A:3 B:5                 | 201 booked booked
        reserve  r1 web KIT:3                   | 409 insufficient_stock
        reserve  r2 web KIT:2                   | 201 held W1:2
        B@W1                                    | available=5 reserved=4
        A@W1                                    | available=3 reserved=2
    """,
    "a kit comes whole from one location": """
        receive  PO1 W1 A:1 B:1                 | 201 booked booked
        receive  PO2 W2 B:1                     | 201 booked
        reserve  r1 web KIT:1                   | 409 insufficient_stock
        receive  PO3 W2 A:1 B:1                 | 201 booked booked
        reserve  r2 web KIT:1                   | 201 held W2:1
    """,
    "several kits may come from several locations": """
        receive  PO1 W1 A:1 B:2                 | 201 booked booked
        receive  PO2 W3 A:1 B:2                 | 201 booked booked
        reserve  r1 web KIT:2                   | 201 held W1:1+W3:1
    """,
    "a component shared by two lines is summed": """
        receive  PO1 W1 A:2 B:9 C:9             | 201 booked booked booked
        reserve  r1 web KIT:1 DUO:1 A:1         | 409 insufficient_stock
        reserve  r2 web KIT:1 DUO:1             | 201 held W1:1 W1:1
        reserve  r3 web A:1                     | 409 insufficient_stock
    """,
    "no stock of a kit itself": """
        receive  PO1 W1 KIT:1                   | 422 kit_holds_no_stock
        count    C1 W1 KIT:1                    | 422 kit_holds_no_stock
        fence    vip KIT:1@W1                   | 422 kit_holds_no_stock
    """,
    "sourcing by priority": """
        receive  PO1 W1 A:2                     | 201 booked
        receive  PO2 W2 A:9                     | 201 booked
        receive  PO3 W3 A:9                     | 201 booked
        reserve  r1 web A:3                     | 201 held W1:2+W2:1
    """,
    "sourcing by fewest splits": """
        receive  PO1 W1 A:2 B:1                 | 201 booked booked
        receive  PO2 W2 A:9                     | 201 booked
        receive  PO3 W3 A:3 B:3                 | 201 booked booked
        reserve  r1 few A:3                     | 201 held W2:3
        reserve  r2 few A:3 B:3                 | 201 held W3:3 W3:3
        reserve  r3 few A:8                     | 201 held W1:2+W2:6
    """,
    "sourcing from the location asked for": """
        receive  PO1 W1 A:9                     | 201 booked
        receive  PO2 W2 A:2                     | 201 booked
        reserve  r1 web A:3@W2                  | 409 insufficient_stock
        reserve  r2 web A:2@W2                  | 201 held W2:2
        reserve  r3 dark A:2@W1                 | 201 held W1:2
    """,
    "safety stock is not promised": """
        receive  PO1 W1 A:5                     | 201 booked
        safety   A:2@W1                         | 200
        reserve  r1 web A:4                     | 409 insufficient_stock
        reserve  r2 web A:3                     | 201 held W1:3
        safety   Z:2@W1                         | 422 unknown_sku
        safety   A:2@W9                         | 422 unknown_location
    """,
    "a fence keeps others out": """
        receive  PO1 W1 A:5                     | 201 booked
        fence    vip A:4@W1                     | 200
        reserve  r1 web A:2                     | 409 insufficient_stock
        reserve  r2 web A:1                     | 201 held W1:1
        reserve  r3 vip A:4                     | 201 held W1:4
        fence_of vip A W1                       | 0
    """,
    "a ring fenced channel gets no more than its fence": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 vip A:1                     | 409 insufficient_stock
        fence    vip A:2@W1                     | 200
        reserve  r2 vip A:3                     | 409 insufficient_stock
        reserve  r3 vip A:2                     | 201 held W1:2
    """,
    "a fence cannot hold what is promised or fenced": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:1                     | 201 held W1:1
        fence    vip A:5@W1                     | 422 insufficient_stock
        fence    vip A:3@W1                     | 200
        fence    web A:2@W1                     | 422 insufficient_stock
        fence    web A:1@W1                     | 200
        fence    vip A:4@W1                     | 422 insufficient_stock
        fence    vip A:0@W1                     | 200
        fence    web A:9@W9                     | 422 unknown_location
    """,
    "given back to the fence it came from": """
        receive  PO1 W1 A:5                     | 201 booked
        fence    vip A:3@W1                     | 200
        reserve  r1 vip A:3                     | 201 held W1:3
        fence_of vip A W1                       | 0
        change   r1 1:1                         | 200 held W1:1
        fence_of vip A W1                       | 2
        reserve  r2 web A:3                     | 409 insufficient_stock
        release  r1                             | 200 released -
        fence_of vip A W1                       | 3
    """,
    "used up, a fence does not come back": """
        receive  PO1 W1 A:5                     | 201 booked
        fence    vip A:3@W1                     | 200
        reserve  r1 vip A:3                     | 201 held W1:3
        ship     S1 W1 A:3 for=r1               | 201 booked
        fence_of vip A W1                       | 0
        A@W1                                    | available=2
        reserve  r2 web A:2                     | 201 held W1:2
    """,
    "a shared channel with a fence may draw on both": """
        receive  PO1 W1 A:5                     | 201 booked
        fence    shop A:2@W1                    | 200
        reserve  r1 shop A:4                    | 201 held W1:4
        fence_of shop A W1                      | 0
        change   r1 1:2                         | 200 held W1:2
        fence_of shop A W1                      | 0
        change   r1 1:1                         | 200 held W1:1
        fence_of shop A W1                      | 1
    """,
    "a percent share over all locations": """
        receive  PO1 W1 A:6                     | 201 booked
        receive  PO2 W2 A:4                     | 201 booked
        reserve  r1 half A:6                    | 409 insufficient_stock
        reserve  r2 half A:5                    | 201 held W1:5
        reserve  r3 web A:5                     | 201 held W1:1+W2:4
    """,
    "change down, up, to zero": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:3 A:1                 | 201 held W1:3 W1:1
        change   r1 1:1                         | 200 held W1:1 W1:1
        A@W1                                    | available=5 reserved=2
        change   r1 1:4                         | 200 held W1:4 W1:1
        change   r1 1:5                         | 409 insufficient_stock
        change   r1 2:0 1:5                     | 200 held W1:5 -
        change   r1 1:0                         | 200 released - -
        A@W1                                    | available=5
        change   r1 1:1                         | 409 reservation_released
    """,
    "change wants lines there are, each once": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:5                     | 201 held W1:5
        change   r1 2:1                         | 422 unknown_line
        change   r1 1:1 1:1                     | 422 repeated_line
        A@W1                                    | available=5 reserved=5
    """,
    "change of a backorder": """
        receive  PO1 W1 A:2                     | 201 booked
        reserve  r1 web A:4 mode=backorder      | 201 held W1:2+back:2
        change   r1 1:3                         | 200 held W1:2+back:1
        receive  PO2 W1 A:5                     | 201 booked
        change   r1 1:5                         | 200 held W1:4+back:1
        change   r1 1:1                         | 200 held W1:1
    """,
    "change of a kit": """
        receive  PO1 W1 A:2 B:4                 | 201 booked booked
        receive  PO2 W2 A:2 B:2                 | 201 booked booked
        reserve  r1 web KIT:3                   | 201 held W1:2+W2:1
        change   r1 1:1                         | 200 held W1:1
        B@W1                                    | available=4 reserved=2
        B@W2                                    | available=2
    """,
    "a kit of which one component has left": """
        receive  PO1 W1 A:2 B:4                 | 201 booked booked
        reserve  r1 web KIT:2                   | 201 held W1:2
        ship     S1 W1 B:3 for=r1               | 201 booked
        change   r1 1:0                         | 409 reservation_confirmed
        release  r1                             | 200 released -
        A@W1                                    | available=2
        B@W1                                    | available=1
    """,
    "no change gives out what facts have taken": """
        receive  PO1 W1 A:10                    | 201 booked
        reserve  r1 web A:5 A:3                 | 201 held W1:5 W1:3
        count    C1 W1 A:4                      | 201 booked
        change   r1 1:0 2:8                     | 409 insufficient_stock
        change   r1 1:0 2:4                     | 200 held - W1:4
        A@W1                                    | available=4 reserved=4
    """,
    "confirmed, a reservation is not changed": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:3                     | 201 held W1:3
        confirm  r1                             | 200 confirmed W1:3
        confirm  r1                             | 200 same confirmed W1:3
        change   r1 1:1                         | 409 reservation_confirmed
        release  r1                             | 200 released -
        A@W1                                    | available=5
    """,
    "each end happens once": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:3                     | 201 held W1:3
        release  r1                             | 200 released -
        release  r1                             | 200 same released -
        confirm  r1                             | 409 reservation_released
        A@W1                                    | available=5
    """,
    "released after it has left": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:3                     | 201 held W1:3
        ship     S1 W1 A:3 for=r1               | 201 booked
        release  r1                             | 200 same fulfilled -
        confirm  r1                             | 409 reservation_fulfilled
        A@W1                                    | available=2
    """,
    "released after a part has left": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:3                     | 201 held W1:3
        ship     S1 W1 A:1 for=r1               | 201 booked
        A@W1                                    | available=4 reserved=2
        release  r1                             | 200 released -
        A@W1                                    | available=4
    """,
    "what is due makes room without a sweeper": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:5                     | 201 held W1:5
        reserve  r2 web A:1                     | 409 insufficient_stock
        due      r1
        reserve  r3 web A:5                     | 201 held W1:5
        confirm  r1                             | 409 reservation_expired
        release  r1                             | 200 same expired -
    """,
    "what is due makes room for a change": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:4                     | 201 held W1:4
        reserve  r2 web A:1                     | 201 held W1:1
        due      r1
        change   r2 1:3                         | 200 held W1:3
        A@W1                                    | available=5 reserved=3
    """,
    "the sweeper ends what is due, nothing else": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:2                     | 201 held W1:2
        reserve  r2 web A:2                     | 201 held W1:2
        expire   r1 r2                          | 200 same ended=0
        due      r1
        expire   r1 r2                          | 200 ended=1
        A@W1                                    | available=5 reserved=2
    """,
    "due, it is confirmed or changed no more": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:2                     | 201 held W1:2
        reserve  r2 web A:2                     | 201 held W1:2
        due      r1
        confirm  r1 lapses=r1                   | 409 reservation_expired
        change   r2 1:1                         | 200 held W1:1
        due      r2
        change   r2 1:2 lapses=r2               | 409 reservation_expired
        A@W1                                    | available=5
    """,
    "confirmed, it is never due": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:5 ttl=1               | 201 held W1:5
        confirm  r1                             | 200 confirmed W1:5
        reserve  r2 web A:1                     | 409 insufficient_stock
    """,
    "a retry gets the first answer": """
        receive  PO1 W1 A:5                     | 201 booked
        reserve  r1 web A:3 key=k1              | 201 held W1:3
        reserve  r1 web A:3 key=k1              | 201 replayed same held W1:3
        reserve  r1 web A:2 key=k1              | 422 idempotency_key_reused
        reserve  r2 web A:9 key=k2              | 409 insufficient_stock
        receive  PO2 W1 A:9                     | 201 booked
        reserve  r2 web A:9 key=k2              | 409 replayed insufficient_stock
        A@W1                                    | available=14 reserved=3
    """,
    "another body, another kind of command": """
        receive  PO1 W1 A:5 key=k1              | 201 booked
        count    PO1 W1 A:5 key=k1              | 422 idempotency_key_reused
        receive  PO1 W1 A:5 key=k1              | 201 replayed same booked
    """,
}


@pytest.mark.parametrize("table", STORIES.values(), ids=STORIES)
async def test_story(story_dsn, table):
    await play(story_dsn, table)
