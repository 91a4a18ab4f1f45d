"""Writes notifications for what has waited long enough, and sends them."""

import logging
from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, TextClause, text

from onceward.backoff import Backoff
from onceward.errors import ConfigError, OncewardError
from onceward.notify.channels import STEPS, Channel, NotTaken
from onceward.sqlfiles import statement
from onceward.wordless import trace

log = logging.getLogger("onceward.notify")

AFTER = (timedelta(0), timedelta(hours=1), timedelta(hours=4))
"""Ages at which an incident is told of, and told of again."""
URGENT = timedelta(hours=1)
QUIET = timedelta(minutes=15)
RETRIES = Backoff(timedelta(seconds=5), timedelta(minutes=10))


class Notifier:
    """Tells people over `channels`.

    Any number of workers may do so beside each other: each notification is written and sent by one of them.

    Args:
        channels: where to.
        after: up to three ages of an incident, rising: at the first it is told of, at the others again.
        urgent: so long before a way out is lost, the last step is taken at once.
        quiet: a group that was told of is not told of again for so long, however many incidents it gets.
        retries: spaces attempts to send.

    Raises:
        ConfigError: two channels have one name, or the ages do not rise.
    """

    def __init__(
        self,
        channels: Collection[Channel],
        *,
        after: Sequence[timedelta] = AFTER,
        urgent: timedelta = URGENT,
        quiet: timedelta = QUIET,
        retries: Backoff = RETRIES,
    ) -> None:
        self._channels = {channel.name: channel for channel in channels}
        if len(self._channels) < len(channels) or not channels:
            raise ConfigError("channels", "must be one or more, each with a name of its own")
        if not 1 <= len(after) <= len(STEPS) or list(after) != sorted(set(after)) or after[0] < timedelta(0):
            raise ConfigError("after", f"must be one to {len(STEPS)} ages, each greater than the one before")
        self._terms = {"steps": list(after), "urgent": urgent, "quiet": quiet}
        self._retries = retries

    def escalate(self, engine: Engine, participant: str) -> int:
        """Write what is to be told now; return how many notifications that are."""
        names = list(self._channels)
        channels = {"channels": names, "from_steps": [self._channels[name].from_step for name in names]}
        with engine.begin() as connection:
            rows = connection.execute(_sql("escalate"), {**self._terms, **channels, "participant": participant}).all()
        for row in rows:
            log.info("people are told of %s over %s", row.grp, row.channel)
        return len(rows)

    def send_one(self, engine: Engine) -> bool:
        """Send the notification that has been due for longest; return False if none is."""
        with engine.begin() as connection:
            due = connection.execute(_sql("claim"), {"channels": list(self._channels)}).one_or_none()
        if due is None:
            return False
        error = self._failure(self._channels[due.channel], due.id, due.body)
        with engine.begin() as connection:
            if error is None:
                connection.execute(_sql("taken"), {"id": due.id})
                return True
            delay = timedelta(seconds=self._retries.jittered(due.attempts))
            again = connection.execute(_sql("failed"), {"id": due.id, "error": error, "delay": delay}).scalar()
        level = logging.WARNING if again else logging.ERROR
        log.log(
            level, "notification %s %s over %s: %s", due.id, "waits" if again else "is given up", due.channel, error
        )
        return True

    def close(self) -> None:
        """Close the connections of all channels."""
        for channel in self._channels.values():
            channel.close()

    @staticmethod
    def _failure(channel: Channel, notification_id: UUID, body: dict[str, Any]) -> str | None:
        """Send; return why it was not taken, None if it was."""
        try:
            channel.send(notification_id, body)
        except (NotTaken, OncewardError) as error:
            return str(error)[:500]
        except Exception as error:  # noqa: BLE001 -- a channel may be the team's own: its fault is told, nothing else stops
            log.warning("channel %s failed: %s", channel.name, trace(error))
            return type(error).__name__
        return None


@cache
def _sql(name: str) -> TextClause:
    return text(statement("onceward.notify", name))
