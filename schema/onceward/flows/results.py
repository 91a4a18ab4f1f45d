"""What a local step returns, kept as JSON, so that every run gets the same."""

import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from inspect import iscoroutinefunction
from types import SimpleNamespace
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation
from pydantic_core import PydanticSerializationError

from onceward.errors import BadStep
from onceward.json_text import NoJsonNumber, check_numbers, holds_nul


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of a function or method.

    Raises:
        BadStep: it has none.
    """
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        raise BadStep(f"a {type(function).__name__} has no name; a step takes functions and methods")
    return name


class Results:
    """Writes and reads the results of one function, by the type that it is annotated to return."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = name_of(function)
        if iscoroutinefunction(function):
            raise BadStep(f"{self._name} is asynchronous; a step takes plain functions")
        try:
            self._hint = _returned(function)
            self._adapter: TypeAdapter[Any] = TypeAdapter(self._hint)
        except (NameError, TypeError, PydanticSchemaGenerationError, PydanticUndefinedAnnotation) as error:
            raise BadStep(
                f"the type that {self._name} returns cannot be kept as JSON ({type(error).__name__})"
            ) from error

    def dump(self, value: Any) -> str:
        """Return `value` as JSON.

        Raises:
            BadStep: it is not of the annotated type, or cannot be JSON that PostgreSQL keeps.
        """
        try:
            text = self._adapter.dump_json(value, warnings="error").decode()
            check_numbers(text, lambda: self._adapter.dump_python(value))
            self._adapter.validate_json(text)
        except (NoJsonNumber, PydanticSerializationError, ValidationError) as error:
            raise BadStep(
                f"{self._name} returned a {type(value).__name__}; it must return what can be kept as JSON and read as"
                f" {getattr(self._hint, '__name__', self._hint)}"
            ) from error
        if holds_nul(text):
            raise BadStep(f"{self._name} returned text with a NUL, which PostgreSQL does not keep")
        return text

    def load(self, text: str) -> Any:
        """Return the value that was kept."""
        return self._adapter.validate_json(text)


results_of = lru_cache(maxsize=1000)(Results)
"""The results of a function; its type is looked at once."""


def _returned(function: Callable[..., Any]) -> Any:
    """Return the annotated type of the result alone: those of parameters may be imported for type checkers only."""
    hint = SimpleNamespace(__annotations__={"return": _annotations(function).get("return", Any)})
    return get_type_hints(hint, getattr(function, "__globals__", {}))["return"]


def _annotations(function: Callable[..., Any]) -> Mapping[str, Any]:
    if sys.version_info >= (3, 14):
        from annotationlib import Format, get_annotations  # the module is as young as that

        return get_annotations(function, format=Format.FORWARDREF)
    return getattr(function, "__annotations__", {})
