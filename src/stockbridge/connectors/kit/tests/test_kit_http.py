"""HTTP towards partners, against a real server: what is called, and what each failure means."""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from structlog.testing import capture_logs

from stockbridge.connectors.kit import http as kit_http
from stockbridge.connectors.kit import simulator
from stockbridge.connectors.kit.http import Fixed, Http, traceparent, unreached
from stockbridge.connectors.kit.outcomes import Failed
from stockbridge.connectors.kit.simulator import Listed, Served
from stockbridge.connectors.kit.tokens import Token, Tokens, oauth
from stockbridge.contracts.partners.manifest import Manifest
from stockbridge.contracts.partners.model import LimitSeen, Opened
from stockbridge.kernel.errors import Misconfigured

SECRET = "s3cret-and-long"


class Partner(simulator.Simulator):
    name = "partner"

    def __init__(self) -> None:
        super().__init__()
        self.status, self.content = 200, b"{}"
        self.headers: dict[str, str] = {}
        self.tokens: Counter[str] = Counter()
        self.good = "none"
        self.token_delay = 0.0

    def config(self) -> dict[str, str]:
        return {"url": self.url}

    def secrets(self) -> dict[str, str]:
        return {"key": SECRET}

    def rotate(self) -> None: ...

    def list_item(self, sku: str, quantity: int) -> Listed:
        raise NotImplementedError

    def shown(self, listed: Listed) -> int | None:
        raise NotImplementedError

    def served(self) -> Sequence[Served]:
        return [
            *(Served("any", method, "/any", self._any) for method in ("GET", "PUT", "POST")),
            Served("echo", "POST", "/echo/{rest:path}", self._echo),
            Served("moved", "GET", "/moved", self._moved),
            Served("token", "POST", "/token", self._token),
            Served("safe", "GET", "/safe", self._safe),
        ]

    async def _any(self, request: Request) -> Response:
        self.did("any", request.method)
        return Response(self.content, self.status, self.headers)

    async def _echo(self, request: Request) -> Response:
        body = (await request.body()).decode()
        raw = request.scope["raw_path"].decode()
        return JSONResponse({"path": raw, "headers": dict(request.headers), "body": body})

    async def _moved(self, _request: Request) -> Response:
        return RedirectResponse("/any")

    async def _token(self, _request: Request) -> Response:
        await asyncio.sleep(self.token_delay)
        self.tokens["given"] += 1
        self.good = f"token-{self.tokens['given']}"
        return JSONResponse({"access_token": self.good, "expires_in": 900})

    async def _safe(self, request: Request) -> Response:
        is_good = request.headers.get("authorization") == f"Bearer {self.good}"
        return JSONResponse({}, 200 if is_good else 401)


@pytest.fixture
def partner():
    with Partner() as made:
        yield made


def manifest(hosts: Sequence[str] = ("{url}",)) -> Manifest:
    return msgspec.convert(
        {
            "name": "partner", "title": "Partner", "kind": "portal", "version": "1",
            "summary": "x", "hosts": list(hosts), "timeout_seconds": 20.0,
            "config": [{"name": "url", "help": "x", "type": "url"}],
        },
        Manifest,
    )  # fmt: skip


@pytest.fixture
async def heard() -> list[LimitSeen]:
    return []


@pytest.fixture
async def http(partner: Partner, heard: list[LimitSeen]) -> AsyncIterator[Http]:
    made = open_http(partner.url, heard)
    yield made
    await made.close()


def open_http(url: str, heard: list[LimitSeen] | None = None, seconds: float = 20.0) -> Http:
    hear = None if heard is None else heard.append
    opened = Opened("shop", {"url": url}, {"key": SECRET}, "sandbox", hear)
    return Http(manifest(), opened, timeout_seconds=seconds)


async def failure(http: Http, method: str, url: str, **more: object) -> Failed:
    with pytest.raises(Failed) as found:
        await http.call("any", method, url, **more)  # type: ignore[arg-type]
    return found.value


ANSWERS = [
    # status, headers, method, idempotent: kind, code, after
    (429, {"Retry-After": "7"}, "POST", False, "later", "throttled", 7.0),
    (429, {}, "POST", False, "later", "throttled", None),
    (503, {"Retry-After": "2.5"}, "POST", False, "later", "unavailable", 2.5),
    (503, {}, "POST", False, "unknown", "http_503", None),
    (500, {}, "POST", False, "unknown", "http_500", None),
    (500, {}, "POST", True, "later", "http_500", None),
    (502, {}, "GET", None, "later", "http_502", None),
    (401, {}, "POST", False, "later", "unauthorized", None),
    (403, {}, "POST", False, "later", "forbidden", None),
    (400, {}, "POST", False, "rejected", "http_400", None),
    (404, {}, "GET", None, "rejected", "http_404", None),
    (409, {}, "POST", True, "rejected", "http_409", None),
    (422, {"Retry-After": "nonsense"}, "POST", True, "rejected", "http_422", None),
]


@pytest.mark.parametrize("status,headers,method,safe,kind,code,after", ANSWERS)
async def test_what_an_answer_means(
    partner: Partner, http: Http, status: int, headers: Mapping[str, str], method: str,
    safe: bool | None, kind: str, code: str, after: float | None,
) -> None:  # fmt: skip
    partner.status, partner.headers = status, dict(headers)
    found = await failure(http, method, f"{partner.url}/any", is_idempotent=safe)
    outcome = found.outcome
    assert (outcome.kind, outcome.code, outcome.after_seconds) == (kind, code, after)
    assert found.reply is not None
    assert found.reply.status == status
    assert partner.effects["any", method] == 1


async def test_retry_after_as_a_date_counts_by_the_partners_clock(
    partner: Partner, http: Http
) -> None:
    partner.status = 429
    partner.headers = {
        "Date": "Tue, 24 Nov 2020 09:00:00 GMT",
        "Retry-After": "Tue, 24 Nov 2020 09:00:30 GMT",
    }
    found = await failure(http, "GET", f"{partner.url}/any")
    assert found.outcome.after_seconds == 30.0


async def test_redirects_are_not_followed(partner: Partner, http: Http) -> None:
    found = await failure(http, "GET", f"{partner.url}/moved")
    assert (found.outcome.kind, found.outcome.code) == ("later", "redirected")
    assert not partner.effects


@pytest.mark.parametrize("method,kind", [("PUT", "unknown"), ("POST", "unknown"), ("GET", "later")])
async def test_a_connection_lost_after_sending(
    partner: Partner, http: Http, method: str, kind: str
) -> None:
    await http.call("any", method, f"{partner.url}/any")
    partner.fault("drop_after", times=2)
    found = await failure(http, method, f"{partner.url}/any", is_idempotent=True)
    assert (found.outcome.kind, found.outcome.code) == (kind, "connection_lost")
    # What changes something is sent once; a read may go out again.
    assert partner.effects["any", method] == (3 if method == "GET" else 2)


async def test_a_time_out_after_sending_is_unknown(partner: Partner) -> None:
    http = open_http(partner.url, seconds=1.0)
    partner.fault("time_out_after")
    found = await failure(http, "POST", f"{partner.url}/any")
    assert (found.outcome.kind, found.outcome.code) == ("unknown", "timeout")
    await http.close()


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    http = open_http(url)
    found = await failure(http, "POST", f"{url}/any")
    assert (found.outcome.kind, found.outcome.code) == ("later", "unreachable")
    await http.close()


async def test_no_such_host() -> None:
    http = open_http("https://nobody.invalid")
    found = await failure(http, "POST", "https://nobody.invalid/any")
    assert found.outcome.kind == "later"
    await http.close()


async def test_a_plain_server_is_no_secure_one(partner: Partner) -> None:
    url = partner.url.replace("http://", "https://")
    http = open_http(url)
    found = await failure(http, "POST", f"{url}/any")
    assert (found.outcome.kind, found.outcome.code) == ("later", "tls")
    assert not partner.effects
    await http.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "http://localhost/any",
        "https://127.0.0.1/any",
        "http://user:word@127.0.0.1/any",
        "file:///etc/passwd",
    ],
)
async def test_only_configured_hosts_are_called(http: Http, url: str) -> None:
    with pytest.raises((Misconfigured, ValueError)):
        await http.call("any", "GET", url)


async def test_a_name_that_leads_into_this_machine_is_refused() -> None:
    resolver = kit_http._Resolver(())
    with pytest.raises(OSError, match="inside this machine"):
        await resolver.resolve("localhost", 80)


async def test_an_answer_may_not_be_endless(
    partner: Partner, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit_http, "BODY_BYTES_MAX", 1_000)
    partner.content = b"x" * 1_001
    found = await failure(http, "POST", f"{partner.url}/any")
    assert (found.outcome.kind, found.outcome.code) == ("unknown", "too_large")


async def test_what_is_sent(partner: Partner, http: Http) -> None:
    http.auth = Fixed({"X-Key": "k"})
    trace = "0af7651916cd43dd8448eb211c80319c"
    said = await http.call(
        "echo", "POST", f"{partner.url}/echo/a%2Fb", json={"a": 1}, correlation_id=trace
    )
    told = said.json()
    assert told["path"] == "/echo/a%2Fb"
    assert told["body"] == '{"a":1}'
    assert told["headers"]["x-key"] == "k"
    assert told["headers"]["x-correlation-id"] == trace
    assert told["headers"]["traceparent"].startswith(f"00-{trace}-")
    form = await http.call("echo", "POST", f"{partner.url}/echo/", form={"a": "1 &=2"})
    assert form.json()["body"] == "a=1+%26%3D2"
    assert len(traceparent("order 7").split("-")[1]) == 32


async def test_limits_are_heard(partner: Partner, http: Http, heard: list[LimitSeen]) -> None:
    partner.status, partner.headers = 429, {"Retry-After": "7"}
    await failure(http, "GET", f"{partner.url}/any")
    http.limits = lambda operation, reply: LimitSeen(operation, remaining=float(reply.status))
    partner.status = 200
    await http.call("any", "GET", f"{partner.url}/any")
    assert heard == [LimitSeen("any", wait_seconds=7.0), LimitSeen("any", remaining=200.0)]


async def test_a_limit_that_cannot_be_read_harms_nothing(
    partner: Partner, http: Http, heard: list[LimitSeen]
) -> None:
    http.limits = lambda _operation, reply: LimitSeen("*", float(reply.headers.get("x-left", "?")))
    assert (await http.call("any", "GET", f"{partner.url}/any")).is_good
    assert heard == []


async def test_secrets_are_scrubbed(
    partner: Partner, http: Http, caplog: pytest.LogCaptureFixture
) -> None:
    partner.status, partner.content = 400, f"bad key {SECRET} of you".encode()
    http.auth = Fixed({"Authorization": f"Bearer {SECRET}"})
    with caplog.at_level(logging.DEBUG), capture_logs() as logs:
        found = await failure(http, "GET", f"{partner.url}/any", params={"key": SECRET})
    assert "bad key *** of you" in found.outcome.detail
    assert SECRET not in f"{found!r} {found} {logs} {caplog.text}"


async def test_one_token_for_all_who_wait(partner: Partner, http: Http) -> None:
    partner.token_delay = 0.05
    http.auth = Tokens(http, oauth(http, f"{partner.url}/token", {"grant_type": "x"}))
    await asyncio.gather(*(http.call("safe", "GET", f"{partner.url}/safe") for _ in range(20)))
    assert partner.tokens["given"] == 1


async def test_a_token_is_fetched_again_once_after_a_refusal(partner: Partner, http: Http) -> None:
    http.auth = Tokens(http, oauth(http, f"{partner.url}/token", {}))
    await http.call("safe", "GET", f"{partner.url}/safe")
    partner.good = "something else"
    await http.call("safe", "GET", f"{partner.url}/safe")
    assert partner.tokens["given"] == 2
    partner.fault("garbage", "token")
    partner.good = "something else"
    found = await failure(http, "GET", f"{partner.url}/safe")
    assert found.outcome.kind in ("later", "unknown")
    assert len(partner.called("safe")) == 4


async def test_a_token_is_renewed_before_it_ends(partner: Partner, http: Http) -> None:
    now = [1_000.0]
    made = iter(range(1, 9))

    async def fetch() -> Token:
        return Token(f"t{next(made)}", 900.0)

    tokens = Tokens(http, fetch, clock=lambda: now[0])
    assert (await tokens.headers())["Authorization"] == "Bearer t1"
    now[0] += 839
    assert (await tokens.headers())["Authorization"] == "Bearer t1"
    now[0] += 2
    assert (await tokens.headers())["Authorization"] == "Bearer t2"
    assert tokens.renew({"Authorization": "Bearer t1"})
    assert (await tokens.headers())["Authorization"] == "Bearer t2"


async def test_without_a_token_nothing_was_sent(partner: Partner, http: Http) -> None:
    http.auth = Tokens(http, oauth(http, f"{partner.url}/any", {}))
    partner.status = 400
    found = await failure(http, "POST", f"{partner.url}/safe")
    assert (found.outcome.kind, found.outcome.code) == ("later", "unauthorized")
    partner.status, partner.content = 200, b"[]"
    found = await failure(http, "POST", f"{partner.url}/safe")
    assert (found.outcome.kind, found.outcome.code) == ("later", "no_token")


def test_any_other_failure_after_sending_is_unknown() -> None:
    assert unreached(TimeoutError(), is_read=False).kind == "unknown"
    assert unreached(ConnectionResetError(), is_read=False).kind == "unknown"
    assert unreached(ConnectionResetError(), is_read=True).kind == "later"
