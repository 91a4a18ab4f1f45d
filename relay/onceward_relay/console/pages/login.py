"""Log-in and log-out."""

from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from onceward_relay.console.guard import cookie_name, home_of, let_in
from onceward_relay.console.routes import Route


async def enter(request: Request) -> Response:
    """Show how to log in; without log-in, begin a session for whoever is at this machine."""
    to = _inside(request.query_params.get("to", "/"))
    if request.state.visit is not None:
        return RedirectResponse(to, 303)
    if request.app.state.login == "none":
        home = home_of(request)
        return let_in(request, RedirectResponse(to, 303), await home.begin(await home.someone_here()))
    raise HTTPException(404, "there is no way to log in")


async def leave(request: Request) -> Response:
    """End the session."""
    if token := request.cookies.get(cookie_name(request.app)):
        await home_of(request).end(token)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(cookie_name(request.app), path="/")
    return answer


def _inside(to: str) -> str:
    """Return a path of the console, whatever was asked for: a log-in leads to no other site."""
    parts = urlsplit(to)
    inside = not parts.scheme and not parts.netloc and to.startswith("/") and not to.startswith(("//", "/\\"))
    return to if inside else "/"


ROUTES = (
    Route("GET", "/login", enter, None, public=True),
    Route("POST", "/logout", leave, None),
)
