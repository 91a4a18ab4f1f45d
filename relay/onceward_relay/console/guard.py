"""What stands before every page: headers, hosts, sizes, the session, permissions, and that a form is one of ours."""

import hmac
import logging
import secrets
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import quote, urlsplit
from uuid import UUID

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onceward_relay.console.config import Network
from onceward_relay.console.home.store import LONGEST, Home, Visit
from onceward_relay.console.routes import Endpoint, Route

log = logging.getLogger(__name__)
MOST_BYTES = 2 * 2**20
"""Of a request's body: evidence may have 1 MiB."""
MOST_FIELDS = 200
SESSION, FORM = "onceward", "onceward-form"
"""Cookies: the session; what a form carries before there is one, so that no other site logs anybody in."""
BY_ITSELF = "x-onceward-by-itself"
"""Header of what an open page asks without a person: it keeps no session from idling."""
FOREIGN = ("cross-site", "same-site")
"""Sec-Fetch-Site of requests that another site caused."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


class Guard:
    """ASGI middleware: safe headers on every answer, one host, and bodies of a bounded size."""

    def __init__(self, app: ASGIApp, address: str) -> None:
        self._app = app
        parts = urlsplit(address)
        self._hosts = {parts.netloc}
        if parts.port is None and parts.hostname:
            self._hosts.add(f"{parts.hostname}:{443 if parts.scheme == 'https' else 80}")
        self._secure = parts.scheme == "https"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        scope.setdefault("state", {})["nonce"] = nonce

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", policy(nonce))
                if self._secure:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        if not self._is_ours(scope):
            refusal = Response("This console has another name.\n", 421, media_type="text/plain")
            await refusal(scope, receive, with_headers)
            return
        await self._app(scope, _bounded(scope, receive), with_headers)

    def _is_ours(self, scope: Scope) -> bool:
        """Return whether the host is the console's: another name that leads here is a page that rebinds its own."""
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        return len(hosts) == 1 and (hosts[0] in self._hosts or scope["path"].startswith("/health"))


def policy(nonce: str) -> str:
    """Return the content security policy of a page: our own style and script, and nothing from elsewhere."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )


def _bounded(scope: Scope, receive: Receive) -> Receive:
    """Refuse more bytes than a route takes. Before it is known who asks for what, that is what any takes."""
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        most = scope["state"].get("most_bytes") or MOST_BYTES
        if taken > most:
            raise HTTPException(413, f"at most {most:,} bytes are taken")
        return message

    return bounded


def guarded(route: Route) -> Endpoint:
    """Return a route's endpoint behind its checks, in their order: session, origin, permission."""

    async def checked(request: Request) -> Response:
        visit = await visit_of(request)
        request.state.visit = visit
        if visit is not None and _may(route, visit, request.path_params.get("participant")):
            request.state.most_bytes = route.most_bytes
        if request.method == "POST":
            await _check_form(request, route, visit)
        if route.public:
            return await route.endpoint(request)
        if visit is None:
            return _to_login(request)
        if not _may(route, visit, request.path_params.get("participant")):
            await _deny(request, route)
        return await route.endpoint(request)

    async def endpoint(request: Request) -> Response:
        try:
            return await checked(request)
        finally:
            await request.close()  # files that were uploaded

    endpoint.__name__ = getattr(route.endpoint, "__name__", "endpoint")
    return endpoint


def _may(route: Route, visit: Visit, participant: str | None) -> bool:
    if route.permission is None:
        return True
    if participant is not None:
        return visit.may(route.permission, participant)
    return visit.may(route.permission) or (not route.everywhere and bool(visit.where(route.permission)))


async def _deny(request: Request, route: Route) -> None:
    participant = request.path_params.get("participant")
    reason = f"needs the permission to {route.permission}{' at all participants' if route.everywhere else ''}"
    if participant is not None and participant not in request.app.state.participants:
        raise HTTPException(404, "there is no such participant")
    await record_denied(request, f"{route.method} {route.path}", reason)
    raise HTTPException(403, f"This {reason}, which you have not{f' at {participant}' if participant else ''}.")


async def record_denied(request: Request, action: str, reason: str, person: str = "somebody") -> None:
    """Record in the console's own database what somebody tried and may not do; `person`, where nobody is logged in."""
    visit, home = request.state.visit, home_of(request)
    await home.denied(
        visit.person if visit else person,
        action,
        reason,
        address=address_of(request),
        participant=request.path_params.get("participant"),
        subject=str(next((v for k, v in request.path_params.items() if k != "participant"), "")) or None,
    )


async def visit_of(request: Request) -> Visit | None:
    """Return who is logged in; None if nobody is."""
    token = request.cookies.get(cookie_name(request.app))
    by_itself = request.url.path == "/events" or BY_ITSELF in request.headers
    known = list(request.app.state.participants)
    return await home_of(request).visit(token, known, used=not by_itself) if token else None


def home_of(request: Request) -> Home:
    """Return the console's own database."""
    home: Home = request.app.state.home
    return home


def address_of(request: Request) -> str:
    """Return from where a request comes: what a proxy says counts only if the configuration names that proxy."""
    proxies = request.app.state.settings.console.networks
    address = request.client.host if request.client else ""
    said = [part.strip() for value in request.headers.getlist("x-forwarded-for") for part in value.split(",")]
    while said and _is_in(address, proxies):
        address = said.pop()
    return address[:64]


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)


async def _check_form(request: Request, route: Route, visit: Visit | None) -> None:
    """Refuse what another site sends in a person's name.

    Raises:
        HTTPException: 403; nothing was changed.

    """
    if request.headers.get("sec-fetch-site") in FOREIGN:
        raise HTTPException(403, "another site sent this form; open the console and do it there")
    origin = request.headers.get("origin")
    if origin is not None and origin != request.app.state.address:
        raise HTTPException(403, "another site sent this form; open the console and do it there")
    form = await request.form(max_files=10, max_fields=MOST_FIELDS, max_part_size=MOST_BYTES)
    request.state.form = form
    given = str(form.get("form_token", "")).encode()
    expected = request.cookies.get(cookie_name(request.app, FORM), "") if route.public else visit and visit.form_token
    if expected is not None and not (expected and hmac.compare_digest(given, expected.encode())):
        raise HTTPException(403, "this form is of another session; go back, load the page again and send it anew")


def _to_login(request: Request) -> Response:
    if request.method == "POST":
        raise HTTPException(401, "your session has ended and nothing was changed; log in, and do it again")
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?to={quote(here, safe='')}", 303)


def cookie_name(app: Starlette, of: str = SESSION) -> str:
    """Return a cookie's name; `__Host-` binds it to this host alone, which needs TLS."""
    return f"__Host-{of}" if app.state.address.startswith("https:") else of


def give_cookie(request: Request, response: Response, of: str, token: str, lasts: timedelta) -> Response:
    """Give the browser a token that no script reads and no other site sends along with a form."""
    secure = request.app.state.address.startswith("https:")
    response.set_cookie(
        cookie_name(request.app, of), token, max_age=int(lasts.total_seconds()), path="/", secure=secure, httponly=True,
        samesite="lax",
    )  # fmt: skip
    return response


def take_cookie(request: Request, response: Response, of: str) -> Response:
    """Have the browser forget a token."""
    secure = request.app.state.address.startswith("https:")
    response.delete_cookie(cookie_name(request.app, of), path="/", secure=secure, httponly=True, samesite="lax")
    return response


async def let_in(request: Request, response: Response, person: UUID) -> Response:
    """Begin a session and give the browser its token; one that the browser had before ends."""
    if before := request.cookies.get(cookie_name(request.app)):
        await home_of(request).end(before)
    take_cookie(request, response, FORM)
    return give_cookie(request, response, SESSION, await home_of(request).begin(person), LONGEST)
