"""What an error means for a message, and how it is told without telling what the message says."""

import traceback
from dataclasses import dataclass
from pathlib import Path

import psycopg
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from onceward.errors import OncewardError, TransactionLent, UnreadableMessage
from onceward.wordless import server_words

LONGEST_TEXT = 8000
"""Longest error that is stored, in characters."""

_PASSING = ("40001", "40P01", "55P03", "57014", "25006")  # serialization, deadlock, lock and statement timeout, standby
_PASSING_CLASSES = ("08", "53", "58")  # connection, resources, system
_SHUTDOWN = ("57P01", "57P02", "57P03", "57P05", "25P03")  # of the server, or of this session, idle in a transaction
_LIBRARY = str(Path(__file__).parent.parent)


class IdReused(OncewardError):
    """A message with the same id and another content was taken before."""


_OURS = (UnreadableMessage, IdReused, TransactionLent)


@dataclass(frozen=True, slots=True)
class Fault:
    """An error, told in three lengths."""

    kind: str
    """The class of the error, which groups its incidents."""
    summary: str
    """What may be logged. Of other people's errors only class and place: their words may repeat a payload."""
    text: str
    """The error in words with its traceback, for the database."""


def is_transient(error: BaseException | None) -> bool:
    """Whether `error`, or one that it was raised from, is a fault of the database that may pass by itself."""
    if error is None:
        return False
    if isinstance(error, PoolTimeout):
        return True
    if isinstance(error, psycopg.Error):
        state = error.sqlstate
        if state is None:
            return isinstance(error, psycopg.OperationalError)
        return state in _PASSING or state in _SHUTDOWN or state[:2] in _PASSING_CLASSES
    return is_transient(error.__cause__)


def fault(error: BaseException) -> Fault:
    """Describe `error`."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_LIBRARY)]
    kind, words = type(error).__name__, _words(error)
    place = f" in {frames[0].name}, line {frames[0].lineno}" if frames else ""
    if isinstance(error, ValidationError):
        place = f" of {error.title}"
    summary = f"{kind}: {words}" if isinstance(error, _OURS) else f"{kind}{place}"
    return Fault(kind, storable(summary), storable(f"{kind}: {words}\n{''.join(traceback.format_list(frames))}"))


def storable(text: str) -> str:
    """Return `text` as PostgreSQL can store it, cut at its longest."""
    return text[:LONGEST_TEXT].replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def _words(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        return "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'payload'}: {problem['msg']}" for problem in problems)
    if isinstance(error, DBAPIError):
        return server_words(error.orig)
    return str(error)
