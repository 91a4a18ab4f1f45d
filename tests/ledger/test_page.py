"""The page about providers: its declarations are ones."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

from onceward.providers import Never, SameKey

PAGE = Path(__file__).parents[2] / "docs" / "providers.md"


def test_the_page_s_declarations_can_be_made() -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL))
    made: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, PAGE.name, "exec", dont_inherit=True), made)
    keyed, looked_up, neither, later = (made[name] for name in ("charge", "transfer", "send_letter", "pay_out"))
    assert (keyed.repeat, looked_up.repeat, neither.repeat) == (SameKey(timedelta(hours=24)), Never(), Never())
    assert (looked_up.found.authoritative, neither.found) == (True, None)
    assert (later.expect_within, later.found.authoritative) == (timedelta(days=1), False)
