"""What is wrong with a configuration, one problem a place, with what to do: never a value, which may be a secret."""

from collections.abc import Mapping
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from onceward_relay.config_sources import Place, Raw
from onceward_relay.errors import Problem


def described(error: ValidationError, raw: Raw, parts: Mapping[str, type[BaseModel]]) -> list[Problem]:
    """Turn pydantic's report into ours, one problem a place. `parts`: the model of each table; "" is the whole."""
    problems: dict[str, Problem] = {}
    for detail in error.errors(include_url=False, include_context=True, include_input=False):
        place = _place(detail)
        field = ".".join(map(str, place))
        problems.setdefault(field, Problem(field, raw.where(place), _text(detail, parts)))
    return list(problems.values())


def _place(detail: ErrorDetails) -> Place:
    place = detail["loc"]
    if place[:1] == ("kafka",):
        return place[:2]  # what follows is the kind of value that pydantic tried
    return (*place, *detail.get("ctx", {}).get("at", ()))


def _text(detail: ErrorDetails, parts: Mapping[str, type[BaseModel]]) -> str:
    kind, place = detail["type"], detail["loc"]
    if kind == "extra_forbidden":
        return f"is no setting{_hint(str(place[-1]), _names(place, parts))}"
    if kind == "missing":
        return "is missing"
    if place[:1] == ("kafka",) and kind.endswith("_type"):
        return "must be text, a number, true or false" if len(place) > 1 else "must be a table, [kafka]"
    if kind == "model_type":
        return "must be a table"
    if kind == "string_pattern_mismatch":
        return f"must match {detail['ctx']['pattern']}"
    text = detail["msg"].removeprefix("Value error, ").removeprefix("Input ").replace("should be", "must be")
    return "must be a number" if text.startswith("could not convert") else text


def _names(place: Place, parts: Mapping[str, type[BaseModel]]) -> list[str]:
    part = parts.get(str(place[0]), parts[""]) if len(place) > 1 else parts[""]
    return list(part.model_fields)


def _hint(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"
