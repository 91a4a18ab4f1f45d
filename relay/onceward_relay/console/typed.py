"""What somebody typed into a form, read field by field: every mistake is told beside its field, and nothing is lost."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID, uuid4

from onceward_relay.people.documents import MOST, amount_of, json_of

LONGEST = 4000
"""Characters of a reason."""
BY_PEOPLE = {
    "provider_screen": "the provider's screen",
    "provider_support": "the provider's support",
    "statement": "a statement",
}
SAYS = {"applied": "it took effect", "not_applied": "it took no effect", "unclear": "it does not say"}
T = TypeVar("T", bound=str)


@dataclass(slots=True)
class Typed:
    """The fields of a form, and what is wrong with them."""

    texts: Mapping[str, str]
    """By name, as they were typed."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    mistakes: dict[str, str] = field(default_factory=dict)
    """By field, what is wrong and what to do."""

    def text(self, name: str) -> str:
        """Return a field without the blanks around it; empty if it is not there."""
        text = self.texts.get(name, "").strip()
        if "\0" in text:
            self.mistakes[name] = "holds a character that cannot be stored"
        return text

    def reason(self, least: int = 1, name: str = "reason") -> str:
        """Return why."""
        text = self.text(name)
        if not least <= len(text) <= LONGEST:
            self.mistakes.setdefault(name, f"say why, in {least} to {LONGEST:,} characters; these are {len(text):,}")
        return text

    def choice(self, name: str, choices: Mapping[T, Any]) -> T:
        """Return one of several."""
        text = self.text(name)
        found = next((choice for choice in choices if choice == text), None)
        if found is None:
            self.mistakes.setdefault(name, f"choose one of {', '.join(map(str, choices))}")
        return found or next(iter(choices))

    def amount(self, name: str = "amount") -> Decimal | None:
        """Return an amount of money; None if the field is empty."""
        text = self.text(name)
        if not text:
            return None
        try:
            return amount_of(text)
        except ValueError as error:
            self.mistakes.setdefault(name, str(error))
            return None

    def document(self, name: str) -> dict[str, Any] | None:
        """Return a JSON object; None if the field is empty."""
        text = self.text(name)
        if not text or name in self.mistakes:
            return None
        try:
            document = json_of(text)
        except ValueError as error:
            self.mistakes[name] = str(error)
            return None
        if not isinstance(document, dict):
            self.mistakes[name] = "must be a JSON object: {...}"
            return None
        return document

    def file(self, name: str) -> bytes | None:
        """Return a file's bytes; None if none was given."""
        content = self.files.get(name) or None
        if content is not None and len(content) > MOST:
            self.mistakes[name] = f"has more than {MOST:,} bytes; give the part that proves it"
        return content

    def uuid(self, name: str) -> UUID:
        """Return the identity that the form was given when it was shown, so that it counts once."""
        try:
            return UUID(self.text(name))
        except ValueError:
            self.mistakes.setdefault(name, "this form has lost its identity; open it again")
            return uuid4()

    def version(self, name: str = "seen_version") -> int:
        """Return the version that the person saw."""
        text = self.text(name)
        if not re.fullmatch(r"[0-9]{1,18}", text):
            self.mistakes.setdefault(name, "the form does not say what you saw; open it again")
            return 0
        return int(text)
