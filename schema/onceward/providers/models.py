"""Requests and results as JSON: written under the names that the provider knows, and always readable again."""

from collections.abc import Collection
from typing import TypeVar

from pydantic import AliasChoices, AliasPath, BaseModel, ValidationError

from onceward.errors import ConfigError
from onceward.json_text import NoJsonNumber, json_of

M = TypeVar("M", bound=BaseModel)


def write(model: BaseModel) -> bytes:
    """Return `model` as JSON, under its fields' aliases, which are the provider's names for them."""
    return json_of(model).encode()


def read(model: type[M], document: str | bytes) -> M:
    """Read what `write` or `readable` has written."""
    return model.model_validate_json(document)


def readable(result: BaseModel) -> str:
    """Return `result` as JSON that its model can read again, under its fields' aliases or else their names.

    Raises:
        ValueError: there is no such JSON.
    """
    try:
        document = json_of(result)
        read(type(result), document)
    except ValidationError:
        document = json_of(result, by_alias=False)
        read(type(result), document)
    return document


def fault(error: ValueError) -> str:
    """Say what is wrong with a document, field by field, without what it holds."""
    if isinstance(error, NoJsonNumber):
        return str(error)
    if not isinstance(error, ValidationError):
        return type(error).__name__
    parts = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, part['loc'])) or 'document'}: {part['msg']}" for part in parts[:5])


def names_in_json(model: type[BaseModel], names: Collection[str], owner: str) -> list[str]:
    """Return how `write` names the fields `names`, for a program that has only the JSON.

    Raises:
        ConfigError: the model has no such field.
    """
    if unknown := set(names) - set(model.model_fields):
        raise ConfigError("show", f"of {owner} names {', '.join(sorted(unknown))}, which the request does not have")
    return [model.model_fields[name].serialization_alias or name for name in names]


def check_names(model: type[BaseModel], owner: str) -> None:
    """Refuse a model that cannot read what it writes, as far as its fields' names show.

    Raises:
        ConfigError: a field is read under several names or out of a path, and not under its own.
    """
    if model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name"):
        return
    for name, field in model.model_fields.items():
        if isinstance(field.validation_alias, AliasChoices | AliasPath):
            raise ConfigError(
                "operation", f"{owner}: field {name} cannot be read again once stored; set populate_by_name=True"
            )
