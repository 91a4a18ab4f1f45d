"""What is a person's own: password, sessions, tokens."""

from datetime import timedelta
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from onceward_relay.console.guard import address_of, cookie_name, home_of, record_denied
from onceward_relay.console.home import forms, logins, people, sessions, tokens
from onceward_relay.console.home.store import hashed
from onceward_relay.console.pages.forms import typed_of
from onceward_relay.console.pages.settings import LASTS, ROLES, back, page
from onceward_relay.console.passwords import Passwords, problem
from onceward_relay.console.routes import Route


async def password(request: Request) -> Response:
    """Change the password. The other sessions end, and other browsers are known no more."""
    if request.app.state.login != "local":
        raise HTTPException(404, "nobody has a password here")
    visit, home, form = request.state.visit, home_of(request), request.state.form
    now, new, again = (str(form.get(name, "")) for name in ("now", "new", "again"))
    passwords: Passwords = request.app.state.passwords
    person = await people.local(home, visit.person)
    tries = await logins.tries_of(home, people.same(visit.person), address_of(request), None)
    if wait := await logins.wait(home, tries):
        seconds = max(1, round(wait.total_seconds()))
        return await page(
            request, status=429, form="password", wrong=f"Too many wrong ones; try in {seconds:,} seconds."
        )
    if person is None or not await passwords.verified(person["password"], now):
        await record_denied(request, "password", "the present password is wrong")
        return await page(request, status=400, form="password", wrong="now: this is not your present password")
    await logins.forgive(home, tries)
    why = problem(new, visit.person) or ("it is the one you have" if new == now else None)
    if why or new != again:
        return await page(request, status=400, form="password", wrong=f"new: {why or 'the two differ; type it again'}")
    session = hashed(request.cookies.get(cookie_name(request.app), ""))
    await people.set_password(home, visit.person_id, await passwords.hashed(new), but=session)
    return back("password", "password")


async def end_session(request: Request) -> Response:
    """End one of one's other sessions, or all of them."""
    mark = str(request.state.form.get("mark", "")) or None
    token = request.cookies.get(cookie_name(request.app), "")
    await sessions.end_others(home_of(request), request.state.visit.person_id, token, mark)
    return back("session" if mark else "sessions", "sessions")


async def new_token(request: Request) -> Response:
    """Make a token and show it, once."""
    visit, home, typed = request.state.visit, home_of(request), await typed_of(request)
    name, role, at = typed.text("name"), typed.choice("role", dict.fromkeys(ROLES)), typed.text("participant")
    days, once = typed.choice("lasts", LASTS), typed.uuid("once")
    if not 1 <= len(name) <= 60 or not name.isprintable():
        typed.mistakes.setdefault("name", "say what it is for, in 1 to 60 characters")
    if at != "*" and at not in request.app.state.participants:
        typed.mistakes["participant"] = "choose one of those that the console knows"
    if not typed.mistakes and not await forms.first(home, once, visit.person_id):
        typed.mistakes["name"] = "this form was sent before, and its token was shown; if you have lost it, revoke it"
    if not typed.mistakes:
        token = await tokens.create(home, visit.person_id, name, at, role, timedelta(days=int(days)))
        if token is not None:
            return await page(request, token=token)
        typed.mistakes["name"] = f"you have {tokens.MOST} tokens already; revoke one first"
    field, why = next(iter(typed.mistakes.items()))
    return await page(request, status=400, form="token", typed=typed.texts, wrong=f"{field}: {why}")


async def revoke(request: Request) -> Response:
    """Let a token count no more."""
    try:
        token = UUID(str(request.state.form.get("token", "")))
    except ValueError:
        raise HTTPException(400, "token: is none of yours") from None
    if not await tokens.revoke(home_of(request), request.state.visit.person_id, token):
        raise HTTPException(404, "token: is none of yours, or counts no more already")
    return back("revoked", "tokens")


ROUTES = (
    Route("POST", "/settings/password", password, None),
    Route("POST", "/settings/sessions/end", end_session, None),
    Route("POST", "/settings/tokens", new_token, None),
    Route("POST", "/settings/tokens/revoke", revoke, None),
)
