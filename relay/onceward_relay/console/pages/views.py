"""Saved views: filters of the worklist under a name, each person's own."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from onceward_relay.console.filters import Filters
from onceward_relay.console.guard import home_of
from onceward_relay.console.home.store import Home, Visit
from onceward_relay.console.routes import Route

MOST = 50
"""Views of one person."""
LONGEST_NAME = 60


async def views_of(home: Home, visit: Visit) -> list[dict[str, Any]]:
    """Return a person's views by name."""
    query = (
        "SELECT name, query FROM onceward_console.saved_view WHERE person_id = %(person)s ORDER BY lower(name), name"
    )
    return list(await home.rows(query, {"person": visit.person_id}))


async def save(request: Request) -> Response:
    """Keep filters under a name; the same name again keeps others."""
    visit, home, form = request.state.visit, home_of(request), request.state.form
    name = _name(form)
    filters = Filters.kept(str(form.get("query", "")))
    if not filters.query:
        raise HTTPException(400, "query: choose a filter first; the whole list needs no name")
    known = [view["name"] for view in await views_of(home, visit)]
    if name not in known and len(known) >= MOST:
        raise HTTPException(400, f"name: you have {MOST} views already; delete one first")
    query = """
        INSERT INTO onceward_console.saved_view (person_id, name, query) VALUES (%(person)s, %(name)s, %(query)s)
        ON CONFLICT (person_id, name) DO UPDATE SET query = excluded.query, saved_at = clock_timestamp()"""
    await home.rows(query, {"person": visit.person_id, "name": name, "query": filters.query})
    return RedirectResponse(f"/?{filters.query}", 303)


async def delete(request: Request) -> Response:
    """Forget a view."""
    query = "DELETE FROM onceward_console.saved_view WHERE person_id = %(person)s AND name = %(name)s"
    parameters = {"person": request.state.visit.person_id, "name": _name(request.state.form)}
    await home_of(request).rows(query, parameters)
    back = Filters.kept(str(request.state.form.get("query", ""))).query
    return RedirectResponse(f"/?{back}" if back else "/", 303)


def _name(form: Any) -> str:
    name = " ".join(str(form.get("name", "")).split())
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise HTTPException(400, f"name: give the view one of 1 to {LONGEST_NAME} characters")
    return name


ROUTES = (
    Route("POST", "/views", save, "look"),
    Route("POST", "/views/delete", delete, "look"),
)
