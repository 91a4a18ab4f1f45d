"""Log-in and log-out. How people prove who they are stands in modules of their own."""

import logging
import secrets
from datetime import timedelta
from math import ceil
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from onceward_relay.console.guard import (
    FORM,
    SESSION,
    address_of,
    cookie_name,
    give_cookie,
    home_of,
    let_in,
    record_denied,
    take_cookie,
)  # fmt: skip
from onceward_relay.console.home import logins, people
from onceward_relay.console.pages.forms import inside
from onceward_relay.console.passwords import Passwords, outdated
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Route

log = logging.getLogger(__name__)
DEVICE = "onceward-device"
"""Cookie of a browser in which somebody has logged in before."""
FORM_LASTS = timedelta(hours=12)
BYTES = 24
LENGTH = len(secrets.token_urlsafe(BYTES))
"""Of a form's token."""
WRONG = "The name or the password is wrong. Nobody was logged in."


async def enter(request: Request) -> Response:
    """Show how to log in; without log-in, begin a session for whoever is at this machine."""
    to = inside(request.query_params.get("to", "/"))
    if request.state.visit is not None:
        return RedirectResponse(to, 303)
    if request.app.state.login == "none":
        return await let_in(request, RedirectResponse(to, 303), await home_of(request).someone_here())
    return show(request, to)


def show(request: Request, to: str, status: int = 200, said: str | None = None, name: str = "") -> Response:
    """Return the page to log in on, whose form counts in this browser alone."""
    known = request.cookies.get(cookie_name(request.app, FORM))
    token = known if known and len(known) == LENGTH and known.isascii() else secrets.token_urlsafe(BYTES)
    oidc = request.app.state.settings.oidc
    page = render(
        request, "login.html", status=status, to=to, said=said, name=name, form_token=token,
        issuer=oidc.issuer if oidc else None,
    )  # fmt: skip
    return give_cookie(request, page, FORM, token, FORM_LASTS)


async def log_in(request: Request) -> Response:
    """Let a local user in who knows the password."""
    if request.app.state.login != "local":
        raise HTTPException(404, "nobody logs in here with a password")
    form, home = request.state.form, home_of(request)
    name, password, to = str(form.get("name", ""))[:400], str(form.get("password", "")), inside(str(form.get("to", "")))
    device = request.cookies.get(cookie_name(request.app, DEVICE))
    tries = await logins.tries_of(home, _subject(name), address_of(request), device)
    if wait := await logins.wait(home, tries):
        seconds = ceil(wait.total_seconds())
        said = f"Too many log-ins have failed. Try again in {seconds:,} second{'s' if seconds != 1 else ''}."
        page = show(request, to, 429, said, name)
        page.headers["Retry-After"] = str(seconds)
        return page
    person = await people.local(home, name)
    passwords: Passwords = request.app.state.passwords
    if not await passwords.verified(person["password"] if person else None, password) or person is None:
        log.warning("a log-in failed, from %s", address_of(request))
        await record_denied(request, "log-in", "a wrong name or password", person["name"] if person else "somebody")
        return show(request, to, 401, WRONG, name)
    if why := refusal(person):
        await logins.forgive(home, tries)
        await record_denied(request, "log-in", why, person["name"])
        return show(request, to, 403, f"You are {person['name']}, but {why}.", name)
    if outdated(person["password"]):
        await people.rehash(home, person["id"], await passwords.hashed(password))
    answer = await let_in(request, RedirectResponse(to, 303), person["id"])
    return give_cookie(request, answer, DEVICE, await logins.succeeded(home, tries, person["id"]), logins.DEVICE)


def refusal(person: dict[str, Any]) -> str | None:
    """Return why somebody who has proved who they are may not enter; None if they may."""
    if person.get("disabled_at") is not None or person.get("disabled"):
        return "an admin has decided that you may not enter any more"
    if not person["has_role"]:
        return "you have no role here: an admin has to give you one"
    return None


def _subject(name: str) -> str:
    try:
        return people.same(name)
    except people.NotPossible:
        return name


async def leave(request: Request) -> Response:
    """End the session."""
    if token := request.cookies.get(cookie_name(request.app)):
        await home_of(request).end(token)
    return take_cookie(request, RedirectResponse("/login", 303), SESSION)


ROUTES = (
    Route("GET", "/login", enter, None, public=True),
    Route("POST", "/login", log_in, None, public=True),
    Route("POST", "/logout", leave, None),
)
