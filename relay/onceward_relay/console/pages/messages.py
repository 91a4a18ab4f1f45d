"""Messages that were set aside: incoming ones that failed, outgoing ones that Kafka refused, and those behind them."""

import asyncio
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from onceward_relay.console.participants import Participants
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Route

ROWS = 50
"""Of each participant on the overview."""


async def messages(request: Request) -> Response:
    """Show what is set aside, of all participants or of one, in and out."""
    asked = {name: request.query_params.get(name, "").strip() or None for name in ("participant", "topic", "message")}
    if any("\0" in (value or "") for value in asked.values()):
        raise HTTPException(400, "a filter holds a character that no text has")
    names = [name for name in request.state.visit.where("look") if asked["participant"] in (None, name)]
    participants: Participants = request.app.state.participants
    wanted = {"topic": asked["topic"], "message": _id(asked["message"]), "limit": ROWS + 1}
    parked, held = await asyncio.gather(
        participants.ask(names, "parked_messages", {**wanted, "after": number(request.query_params.get("after"))}),
        participants.ask(names, "held_groups", wanted),
    )
    # Numbers are each participant's own: page after page goes on within one.
    pages = {}
    for name in names:
        of_one = [row for row in parked.rows if row["participant"] == name]
        if len(of_one) > ROWS:
            pages[name] = of_one[ROWS - 1]["seq"]
            parked.rows.remove(of_one[ROWS])
    return render(
        request,
        "messages.html",
        missing=parked.missing | held.missing,
        parked=sorted(parked.rows, key=lambda row: (row["parked_at"], row["seq"])),
        held=sorted(held.rows, key=lambda row: row["since"])[: ROWS * len(names)],
        pages=pages,
        capped=any(sum(row["participant"] == name for row in held.rows) > ROWS for name in names),
        asked=asked,
        asked_of=names,
        filtered=any(asked.values()),
        done=DONE.get(request.query_params.get("done", "")),
    )


DONE = {
    "retry": "Its consumer handles it again within seconds; if it fails once more, it is parked again.",
    "discard": "It was left out; what waited behind it goes on.",
    "release": "The relay sends what waits, in order, within a second or two; what Kafka refuses again is held again.",
    "skip": "It was left out: it will never be sent. What waits behind it goes on once its hold is released.",
    "resend": "It is back in the outbox, and the relay sends it now.",
}
"""What became of a form, in words."""


def number(text: str | None) -> int | None:
    """Return a message's number; None for none.

    Raises:
        HTTPException: 400, it is no number.

    """
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise HTTPException(400, "after: is no place in this list; begin at its first page")
    return int(text)


def _id(text: str | None) -> UUID | None:
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise HTTPException(400, "message: is no id, such as 018f6e1c-0000-7000-8000-000000000000") from None


ROUTES = (Route("GET", "/messages", messages, "look"),)
