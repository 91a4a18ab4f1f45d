"""Looks at many sources at once: none waits for another, and the whole is done within its time."""

import queue
import threading
import time
from collections.abc import Sequence

from onceward_relay.config import SourceSettings
from onceward_relay.status.look import look
from onceward_relay.status.model import SourceStatus


def look_at_all(sources: Sequence[SourceSettings], patience: float) -> list[SourceStatus]:
    """Return how each source stands, in order; one that has not answered within `patience` seconds is broken."""
    answers: queue.SimpleQueue[tuple[int, SourceStatus]] = queue.SimpleQueue()

    def looking(place: int, source: SourceSettings) -> None:
        try:
            answers.put((place, look(source, patience)))
        except Exception as error:  # noqa: BLE001 -- a fault in one look is that row's reason
            answers.put((place, _broken(source, f"{type(error).__name__}: {error}")))

    for place, source in enumerate(sources):
        threading.Thread(target=looking, args=(place, source), daemon=True).start()
    found: dict[int, SourceStatus] = {}
    deadline = time.monotonic() + patience
    while len(found) < len(sources):
        try:
            place, status = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        found[place] = status
    return [
        found.get(place) or _broken(source, f"no answer within {patience:g} s") for place, source in enumerate(sources)
    ]


def _broken(source: SourceSettings, reason: str) -> SourceStatus:
    return SourceStatus(source.name, source.place, "broken", reason)
