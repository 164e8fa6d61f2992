"""Signing in and out."""

from typing import Final

from stockbridge.dashboard.desk import Desk
from stockbridge.dashboard.frame import render
from stockbridge.dashboard.web import Ask, Reply, see, session_cookie, session_token
from stockbridge.governance import users
from stockbridge.kernel.errors import Refusal

_HOME: Final = "/"


async def login_page(_desk: Desk, ask: Ask) -> Reply | Refusal:
    """Asks for name and password."""
    return render("login.html", ask, "", onward=ask.query.get("onward", _HOME), refusal=None)


async def login(desk: Desk, ask: Ask) -> Reply | Refusal:
    """Sign in, and on to the page that was asked for."""
    onward = ask.form.get("onward", _HOME)
    async with desk.pool.connection() as conn:
        token = await users.sign_in(
            conn, ask.form.get("name", ""), ask.form.get("password", ""),
            correlation_id=ask.correlation_id,
        )  # fmt: skip
    if isinstance(token, Refusal):
        status = token.status
        return render("login.html", ask, "", onward=onward, refusal=token, status=status)
    return see(onward, session_cookie(token, users.SESSION_SECONDS, encrypted=ask.is_encrypted))


async def logout(desk: Desk, ask: Ask) -> Reply | Refusal:
    """Sign out of this session."""
    async with desk.pool.connection() as conn:
        await users.sign_out(conn, session_token(ask.headers), correlation_id=ask.correlation_id)
    return see("/login", session_cookie("", 0, encrypted=ask.is_encrypted))
