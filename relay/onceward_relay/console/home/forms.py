"""Forms that count once, however often they are sent. Decisions have ids of their own and need none of this."""

from uuid import UUID

from onceward_relay.console.home.store import Home


async def first(home: Home, form: UUID, person: UUID) -> bool:
    """Return whether a form is sent for the first time."""
    query = """
        WITH old AS (DELETE FROM onceward_console.sent_form WHERE at < clock_timestamp() - interval '2 days')
        INSERT INTO onceward_console.sent_form (id, person_id) VALUES (%(form)s, %(person)s)
        ON CONFLICT (id) DO NOTHING RETURNING id"""
    return bool(await home.rows(query, {"form": form, "person": person}))


async def forget(home: Home, form: UUID) -> None:
    """Let a form that did nothing be sent again."""
    await home.rows("DELETE FROM onceward_console.sent_form WHERE id = %(form)s", {"form": form})
