"""The business keys of flows."""

from uuid import UUID

from onceward.errors import StartError

FlowKey = str | int | UUID
"""The business key of a flow."""

LONGEST_KEY = 255
"""Characters."""


def key_text(key: object, flow: str) -> str:
    """Return the key as it is stored.

    Raises:
        StartError: it can be none.
    """
    if key is None:
        raise StartError("key", f"of flow {flow} is None; flush the session first if the database makes it")
    if isinstance(key, bool) or not isinstance(key, str | int | UUID):
        raise StartError("key", f"of flow {flow} must be text, a whole number or a UUID, is {type(key).__name__}")
    found = str(key)
    if not 1 <= len(found) <= LONGEST_KEY or not found.isprintable():
        raise StartError("key", f"of flow {flow} must have 1 to {LONGEST_KEY} printable characters")
    return found
