"""Values as JSON that says what they hold."""

import math
import re
from collections.abc import Callable

from pydantic import BaseModel

_SUSPECT = re.compile("null|NaN|Infinity")


class NoJsonNumber(ValueError):
    """A value holds NaN or an infinity, which JSON does not have."""

    def __init__(self) -> None:
        super().__init__("it holds NaN or an infinity, which JSON does not have")


def json_of(model: BaseModel, *, by_alias: bool = True) -> str:
    """Return `model` as JSON.

    Raises:
        NoJsonNumber: pydantic would write null, and whoever reads it would be told something else.
        PydanticSerializationError: it cannot be written.
    """
    document = model.model_dump_json(by_alias=by_alias)
    if model.model_config.get("ser_json_inf_nan") != "strings":
        check_numbers(document, model.model_dump)
    return document


def check_numbers(document: str, plain: Callable[[], object]) -> None:
    """Refuse a number of `plain` that is not in `document`, which was made of it.

    Raises:
        NoJsonNumber: there is one.
    """
    if _SUSPECT.search(document) and _has_no_json(plain()):
        raise NoJsonNumber


def holds_nul(document: str) -> bool:
    """Whether a text in the JSON `document` has a NUL, which PostgreSQL does not keep."""
    return r"\u0000" in document.replace(r"\\", "")


def _has_no_json(value: object) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(_has_no_json, value.values()))
    return isinstance(value, list | tuple | set | frozenset) and any(map(_has_no_json, value))
