"""The web application, put together: routes behind the guard, participants and home while it runs."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import psycopg
from psycopg_pool import PoolTimeout
from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount
from starlette.routing import Route as Served
from starlette.staticfiles import StaticFiles

from onceward_relay.console.api.app import mounted
from onceward_relay.console.bulk_work import BulkWork
from onceward_relay.console.chains import Chains
from onceward_relay.console.config import Settings
from onceward_relay.console.guard import Guard, guarded
from onceward_relay.console.guides import Tour
from onceward_relay.console.home.bulk import Bulks
from onceward_relay.console.home.store import Home
from onceward_relay.console.live import Hub
from onceward_relay.console.oidc import Issuer
from onceward_relay.console.pages import api as api_page
from onceward_relay.console.pages import (
    approvals,
    audit,
    bulk,
    calls,
    events,
    flows,
    incidents,
    login,
    messages,
    oidc_login,
    own,
    providers,
    rules,
    search,
    set_aside,
    sources,
    statements,
    verb_forms,
    views,
    who,
    worklist,
)
from onceward_relay.console.pages import settings as settings_page
from onceward_relay.console.participants import Participants, pool_of
from onceward_relay.console.passwords import Passwords
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Route
from onceward_relay.console.samples import Samples
from onceward_relay.console.statements import Works

log = logging.getLogger(__name__)
HOME_CONNECTIONS = 8


async def health(_: Request) -> Response:
    """Say that the process lives. What participants say is on the page."""
    return PlainTextResponse("ok\n")


ROUTES: Sequence[Route] = (
    *login.ROUTES,
    *oidc_login.ROUTES,
    *worklist.ROUTES,
    *views.ROUTES,
    *calls.ROUTES,
    *statements.ROUTES,
    *flows.ROUTES,
    *verb_forms.ROUTES,
    *incidents.ROUTES,
    *approvals.ROUTES,
    *bulk.ROUTES,
    *search.ROUTES,
    *providers.ROUTES,
    *messages.ROUTES,
    *set_aside.ROUTES,
    *sources.ROUTES,
    *audit.ROUTES,
    *events.ROUTES,
    *api_page.ROUTES,
    *settings_page.ROUTES,
    *own.ROUTES,
    *who.ROUTES,
    *rules.ROUTES,
    Route("GET", "/health/live", health, None, public=True),
)
"""Everything that is served, beside static files."""


def application(settings: Settings, tour: Tour = Tour(), more: Sequence[Route] = ()) -> Starlette:  # noqa: B008 -- frozen
    """Return the console as an ASGI application; with a `tour`, and `more` routes for its buttons."""

    @asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(app.state.participants)
            pool = pool_of(settings.console.home_database, HOME_CONNECTIONS, autocommit=True)
            await stack.enter_async_context(pool)
            app.state.home = Home(pool)
            stack.callback(app.state.passwords.close)
            if settings.oidc is not None:
                app.state.issuer = Issuer(settings.oidc, settings.address)
                stack.push_async_callback(app.state.issuer.close)
            app.state.works = Works(app.state.home)
            stack.push_async_callback(app.state.works.close)
            await stack.enter_async_context(_beside(app.state.works.forget()))
            app.state.bulks = Bulks(app.state.home)
            app.state.bulk_work = BulkWork(app.state.bulks, app.state.participants)
            await stack.enter_async_context(_beside(app.state.bulk_work.run()))
            stack.push_async_callback(app.state.chains.close)
            stack.push_async_callback(app.state.samples.close)
            stack.push_async_callback(app.state.live.close)
            app.state.samples.start()
            app.state.live.start(app.state.home)
            yield

    state = State()
    app = Starlette(
        routes=[
            *(Served(route.path, guarded(route), methods=[route.method]) for route in (*ROUTES, *more)),
            mounted(state),
            Mount("/static", StaticFiles(packages=[("onceward_relay.console", "static")])),
        ],
        middleware=[Middleware(Guard, address=settings.address)],
        exception_handlers={HTTPException: refused, PoolTimeout: away, psycopg.Error: failed, Exception: failed},
        lifespan=running,
    )
    app.state = state
    app.state.address = settings.address
    app.state.tour = tour
    app.state.login = settings.console.login
    app.state.settings = settings
    app.state.passwords = Passwords()
    app.state.issuer = None
    app.state.participants = Participants(settings.participant, settings.console.deadline)
    app.state.chains = Chains(app.state.participants)
    app.state.samples = Samples(app.state.participants)
    app.state.live = Hub(app.state.participants, app.state.samples)
    return app


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do something else while the console serves."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def refused(request: Request, error: Exception) -> Response:
    """Say why something is not possible."""
    assert isinstance(error, HTTPException)
    return render(request, "refused.html", status=error.status_code, text=error.detail, code=error.status_code)


async def away(request: Request, _: Exception) -> Response:
    """Say that a database does not answer."""
    name = request.path_params.get("participant") or "the database"
    return render(request, "refused.html", status=503, text=f"{name} does not answer; nothing was changed.", code=503)


async def failed(request: Request, error: Exception) -> Response:
    """Tell nothing of an error but an id by which the log is searched."""
    number = secrets.token_hex(6)
    log.error("error %s at %s", number, request.url.path, exc_info=error)
    text = f"Something went wrong; its id in the console's log is {number}. Look whether it was done before you go on."
    return render(request, "refused.html", status=500, text=text, code=500)
