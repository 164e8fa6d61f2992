"""Who may see the control tower, how people sign in and out, what browsers are told."""

import pytest
from typer.testing import CliRunner

from stockbridge.cli.root import cli
from stockbridge.dashboard.tower import PAGES
from stockbridge.governance import users
from stockbridge.kernel.errors import Misconfigured, Refusal
from stockbridge.store.database import connect
from tests.http_api import scalar, serving
from tests.integration.dashboard_desk import PASSWORD, Browser, add_user, signed_in


@pytest.fixture
async def api(dsn, data_dir):
    async with serving(dsn, data_dir) as client:
        yield client


@pytest.fixture
async def browser(api):
    async with Browser.of(api) as opened:
        yield opened


async def test_once_somebody_can_sign_in_everybody_must(api, dsn, browser):
    assert (await browser.get("/orders")).status_code == 200
    await add_user(dsn, "ana", "viewer")
    answer = await browser.get("/orders?state=shipped")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?onward=%2Forders%3Fstate%3Dshipped"
    wrong = await browser.sign_in("ana", "wrong password")
    assert (wrong.status_code, "name or password is wrong" in wrong.text) == (401, True)
    right = await browser.post("/login", name="ana", password=PASSWORD, onward="/orders?a=b")
    assert (right.status_code, right.headers["location"]) == (303, "/orders?a=b")
    cookie = right.headers["set-cookie"]
    assert "HttpOnly; SameSite=Strict" in cookie
    assert "ana" in await browser.page("/orders")
    left = await browser.post("/logout")
    assert left.headers["location"] == "/login"
    assert (await browser.get("/orders")).status_code == 303


async def test_a_session_ends_in_the_store_whatever_the_browser_keeps(api, dsn, browser):
    await signed_in(browser, dsn, "ana", "admin")
    kept = dict(browser.http.cookies)
    await browser.post("/logout")
    browser.http.cookies.update(kept)
    assert (await browser.get("/")).status_code == 303
    await browser.sign_in("ana")
    async with await connect(dsn) as conn:
        assert await users.revoke(conn, "ana", actor="test") is None
    # Nobody is left who could sign in, and the process listens on its own machine only.
    assert "stockbridge users add" in await browser.page("/")
    assert (await browser.sign_in("ana")).status_code == 401


async def test_a_session_is_over_after_its_time(api, dsn, browser):
    await signed_in(browser, dsn, "ana", "admin")
    await scalar(dsn, "UPDATE user_session SET expires_at = now() RETURNING 1")
    assert (await browser.get("/")).status_code == 303


async def test_wrong_passwords_make_an_account_wait(api, dsn, browser):
    await add_user(dsn, "ana", "viewer")
    for _ in range(users.FAILURES_MAX):
        assert (await browser.sign_in("ana", "wrong")).status_code == 401
    assert (await browser.sign_in("ana")).status_code == 429
    past = f"now() - interval '{users.WAIT_SECONDS} seconds'"
    await scalar(dsn, f"UPDATE user_account SET failed_at = {past} RETURNING 1")
    assert (await browser.sign_in("ana")).status_code == 303
    assert await scalar(dsn, "SELECT failures FROM user_account") == 0


async def test_a_reachable_server_shows_nothing_to_strangers(dsn, data_dir):
    everywhere = "0.0.0.0"  # noqa: S104 - that is what the test is about
    async with serving(dsn, data_dir, host=everywhere) as api, Browser.of(api) as browser:
        browser.http.base_url = api.app.url.replace(everywhere, "127.0.0.1")
        for page in PAGES:
            if page.method == "GET" and page.role != "anybody":
                path = page.path.replace("{", "").replace("}", "")
                assert (await browser.get(path)).status_code == 303, path
        assert "stockbridge users add" in await browser.page("/login")


async def test_open_pages_are_open_to_this_machine_only(browser):
    assert (await browser.get("/orders")).status_code == 200
    for headers in ({"host": "evil.example"}, {"x-forwarded-for": "10.1.2.3"}):
        answer = await browser.http.get("/orders", headers=headers)
        assert answer.status_code == 303, headers


async def test_acts_need_a_person_even_where_reading_does_not(api, browser):
    for page in PAGES:
        if page.role == "operator":
            path = page.path.replace("{", "").replace("}", "")
            call = browser.post if page.method == "POST" else browser.get
            assert (await call(path)).headers["location"].startswith("/login"), path


@pytest.mark.parametrize(
    "place", ["https://evil.example", "//evil.example", "/\\evil", "javascript:1", ""]
)
async def test_signing_in_leads_to_pages_of_ours_only(api, dsn, browser, place):
    await add_user(dsn, "ana", "viewer")
    answer = await browser.post("/login", name="ana", password=PASSWORD, onward=place)
    assert answer.headers["location"] == "/"


async def test_pages_allow_nothing_inline_and_no_frame(api, browser):
    for path in ("/", "/login", "/messages/x"):
        policy = (await browser.get(path)).headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
    for path in ("/style.css", "/assets/app.js", "/assets/htmx.min.js"):
        assert (await browser.get(path)).status_code == 200


async def test_behind_tls_the_cookie_is_bound_to_the_host(api, dsn, browser):
    await add_user(dsn, "ana", "viewer")
    headers = {"sec-fetch-site": "same-origin", "x-forwarded-proto": "https"}
    answer = await browser.post("/login", headers, name="ana", password=PASSWORD)
    assert answer.headers["set-cookie"].startswith("__Host-stockbridge=")
    assert answer.headers["set-cookie"].endswith("; Secure")


async def test_signing_in_and_out_is_audited_and_no_secret_is_kept(api, dsn, browser):
    await signed_in(browser, dsn, "ana", "operator")
    token = next(iter(browser.http.cookies.values()))
    await browser.sign_in("ana", "wrong")
    await browser.post("/logout")
    acts = "SELECT string_agg(act, ' ' ORDER BY audit_id) FROM audit WHERE subject = 'user/ana'"
    assert await scalar(dsn, acts) == "user.put user.sign_in user.refused user.sign_out"
    kept = "SELECT string_agg(a::text, '') || (SELECT string_agg(u::text, '') FROM user_account u)"
    everything = await scalar(dsn, f"{kept} FROM audit a")
    assert token not in everything
    assert PASSWORD not in everything


@pytest.mark.parametrize("name, password, roles", [
    ("Ana", PASSWORD, ["viewer"]), ("", PASSWORD, ["viewer"]), ("ana", "short", ["viewer"]),
    ("ana", PASSWORD, []), ("ana", PASSWORD, ["king"]),
])  # fmt: skip
async def test_accounts_that_are_not_taken(pool, name, password, roles):
    async with pool.connection() as conn:
        with pytest.raises(Misconfigured):
            await users.put(conn, name, password, roles, actor="test")
        assert not await users.any_exists(conn)
        assert isinstance(await users.revoke(conn, "nobody", actor="test"), Refusal)


def test_people_are_added_listed_and_revoked_by_command(dsn):
    run = CliRunner()
    add = ["users", "add", "ana", "--role", "operator", "--password-stdin", "--dsn", dsn]
    assert run.invoke(cli, add, input=f"{PASSWORD}\n").exit_code == 0
    assert "operator" in run.invoke(cli, ["users", "list", "--dsn", dsn]).stdout
    assert run.invoke(cli, ["users", "revoke", "ana", "--dsn", dsn]).exit_code == 0
    assert "revoked" in run.invoke(cli, ["users", "list", "--dsn", dsn]).stdout
    assert run.invoke(cli, ["users", "revoke", "bob", "--dsn", dsn]).exit_code != 0
