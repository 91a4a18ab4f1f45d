"""Log-in by an OpenID Connect provider: there, and back."""

import logging
import secrets
import unicodedata
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from onceward_relay.console.config import OidcSettings
from onceward_relay.console.guard import (
    address_of,
    cookie_name,
    give_cookie,
    home_of,
    let_in,
    record_denied,
    take_cookie,
)  # fmt: skip
from onceward_relay.console.home import logins, people
from onceward_relay.console.oidc import Identity, Issuer, IssuerError, NotBelieved
from onceward_relay.console.pages.forms import inside
from onceward_relay.console.pages.login import refusal, show
from onceward_relay.console.routes import Route

log = logging.getLogger(__name__)
BROWSER = "onceward-login"
"""Cookie that binds a log-in to the browser in which it began."""
NO_GROUP = "none of your groups has a role here; ask whoever keeps the groups"
LONGEST_NAME = 90
"""Of a new person's; a number may follow."""


async def go(request: Request) -> Response:
    """Send somebody to the provider."""
    issuer = _issuer(request)
    to = inside(request.query_params.get("to", "/"))
    try:
        sent = await issuer.send_off()
    except IssuerError as error:
        return _unreachable(request, error, to)
    browser = secrets.token_urlsafe(32)
    pending = logins.Pending(sent.nonce, sent.verifier, to)
    await logins.send_off(home_of(request), sent.state, browser, pending)
    return give_cookie(request, RedirectResponse(sent.url, 303), BROWSER, browser, logins.PENDING)


async def back(request: Request) -> Response:
    """Let somebody in for whom the provider vouches, and to whose groups a role belongs."""
    issuer, asked = _issuer(request), request.query_params
    browser = request.cookies.get(cookie_name(request.app, BROWSER), "")
    pending = await logins.come_back(home_of(request), asked.get("state", ""), browser)
    if pending is None:
        page = show(request, "/", 400, "This log-in began in another browser, too long ago, or was used. Begin anew.")
        return take_cookie(request, page, BROWSER)
    if "code" not in asked:
        why = asked.get("error", "no code")[:100]
        await record_denied(request, "log-in", f"the OpenID provider refuses: {why}")
        return show(request, pending.goes_to, 403, f"The provider has not let you in ({why}). Begin anew.")
    try:
        who = await issuer.identify(asked["code"], asked.get("iss"), pending.nonce, pending.verifier)
    except IssuerError as error:
        return _unreachable(request, error, pending.goes_to)
    except NotBelieved as error:
        log.warning("a log-in was not believed, from %s: %s", address_of(request), error)
        await record_denied(request, "log-in", str(error))
        return show(request, pending.goes_to, 403, f"Nobody was logged in: {error}. Begin anew.")
    return take_cookie(request, await _entered(request, who, pending.goes_to), BROWSER)


async def _entered(request: Request, who: Identity, to: str) -> Response:
    oidc: OidcSettings = request.app.state.settings.oidc
    groups = set(who.groups(oidc.groups_claim))
    roles = [(given.participant, given.role) for given in oidc.role if given.group in groups]
    wanted = name_for(who, oidc.name_claim)
    person = await people.came_by_oidc(home_of(request), who.issuer, who.subject, wanted, roles)
    why = NO_GROUP if person is None or not person["has_role"] else refusal(person)
    if why is not None:
        await record_denied(request, "log-in", why, f"{wanted}, {who.subject} at {who.issuer}")
        return show(request, to, 403, f"{who.issuer} knows you as {wanted}, but {why}.")
    assert person is not None
    return await let_in(request, RedirectResponse(to, 303), person["id"])


def name_for(who: Identity, claim: str) -> str:
    """Return how somebody is called who comes for the first time: by a claim, else by their identity."""
    given: Any = who.claims.get(claim)
    for text in (given if isinstance(given, str) else "", who.subject):
        kept = "".join(mark for mark in unicodedata.normalize("NFKC", text) if mark.isprintable())
        if name := " ".join(kept.split())[:LONGEST_NAME].strip():
            return name
    return "somebody"


def _unreachable(request: Request, error: IssuerError, to: str) -> Response:
    oidc: OidcSettings = request.app.state.settings.oidc
    return show(request, to, 503, f"{oidc.issuer} {error}. Nobody can log in until it does as it must.")


def _issuer(request: Request) -> Issuer:
    issuer: Issuer | None = request.app.state.issuer
    if issuer is None:
        raise HTTPException(404, "nobody logs in here by OpenID Connect")
    return issuer


ROUTES = (
    Route("GET", "/login/oidc", go, None, public=True),
    Route("GET", "/login/oidc/callback", back, None, public=True),
)
