"""The worklist's filters stand in its URL, so that a filtered list can be kept, sent to somebody and opened again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

from starlette.exceptions import HTTPException

from onceward_relay.people.words import inert

KINDS = (
    "in_doubt", "overdue", "conflict", "mismatch", "stuck_after_pivot", "undo_failed", "flow_error", "flow_diverged",
    "late_signal", "unmatched", "provider_stopped", "parked_in", "parked_out", "history_lost",
)  # fmt: skip
"""Kinds of incidents."""
NAMES = ("participant", "group", "kind", "severity", "provider", "ref", "assignee", "snoozed")
SEVERITIES = {"1": "act now", "2": "soon", "3": "look"}
LONGEST = 2000
"""Characters of a URL's query that is kept."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is looked for; None stands for all."""

    asked: Mapping[str, str | None]

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Self:
        """Return the filters of a URL.

        Raises:
            HTTPException: 400, one of them is none.

        """
        asked = {name: given.get(name, "").strip() or None for name in NAMES}
        if asked["kind"] not in (None, *KINDS):
            raise HTTPException(400, f"kind: {inert(asked['kind'])} is none; there are {', '.join(KINDS)}")
        if asked["severity"] not in (None, *SEVERITIES):
            raise HTTPException(400, f"severity: {inert(asked['severity'])} is none; there are 1, 2 and 3")
        if any("\0" in (value or "") for value in asked.values()):
            raise HTTPException(400, "a filter holds a character that no text has")
        return cls(asked)

    @classmethod
    def kept(cls, query: str) -> Self:
        """Return the filters of a query that was kept."""
        return cls.read(dict(parse_qsl(query[:LONGEST])))

    @property
    def query(self) -> str:
        """The query of their URL; empty if nothing is left out."""
        return urlencode({name: value for name, value in self.asked.items() if value is not None})

    def of(self, names: list[str]) -> list[str]:
        """Return which of these participants are asked."""
        return [name for name in names if self.asked["participant"] in (None, name)]

    def parameters(self, person: str) -> dict[str, Any]:
        """Return what the queries take; `me` is the person who asks, `nobody` what nobody has taken."""
        assignee = self.asked["assignee"]
        named = {"me": person, "nobody": None}.get(assignee or "", assignee)
        severity = self.asked["severity"]
        return {
            **{name: self.asked[name] for name in ("group", "kind", "provider", "ref")},
            "severity": None if severity is None else int(severity),
            "assignee": named,
            "free": assignee == "nobody",
            "snoozed": self.asked["snoozed"] is not None,
        }
