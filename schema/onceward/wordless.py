"""Errors told without the data that they met."""

import traceback


def trace(error: BaseException) -> str:
    """Return the class and the frames of `error`, and of what it arose from, without their words.

    For logs: the words may repeat a row, a request or an answer.
    """
    origin = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = f"{trace(origin)}\nfrom which arose " if origin is not None else ""
    frames = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    return f"{before}{type(error).__name__}\n{frames}".rstrip()


def server_words(error: BaseException | None) -> str:
    """Return what the database says of its error, without DETAIL and CONTEXT, which repeat rows."""
    return getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
