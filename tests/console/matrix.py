"""Who may open what, derived from the console's table of routes; and the page that says so.

Written by `python -m tests.console.matrix`.
"""

from pathlib import Path

from onceward_relay.console.app import ROUTES
from onceward_relay.console.routes import Route

PAGE = Path(__file__).parents[2] / "docs" / "console-routes.md"
MAY = {
    "viewer": {"look"},
    "operator": {"look", "reveal", "act"},
    "approver": {"look", "reveal", "act", "approve"},
    "admin": {"look", "reveal", "act", "approve", "manage"},
}
"""Written here anew: it is what the database is checked against."""
WHO: dict[str, tuple[str, str] | None] = {
    "nobody": None,
    "viewer": ("payer", "viewer"),
    "operator": ("payer", "operator"),
    "approver": ("payer", "approver"),
    "admin": ("*", "admin"),
    "admin here": ("payer", "admin"),
    "admin elsewhere": ("shop", "admin"),
}
"""Where each has which role; requests are about payer."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
WORDS = {
    "nobody": "not logged in",
    "admin here": "admin of the participant",
    "admin elsewhere": "admin of another participant",
}


def allowed(route: Route, who: str) -> bool:
    """Return whether somebody may have what a route gives."""
    if route.public:
        return True
    held = WHO[who]
    if held is None:
        return False
    place, role = held
    if route.permission is None:
        return True
    about_one = "{participant}" in route.path
    return (
        route.permission in MAY[role]
        and (place in ("*", "payer") or not about_one)
        and not (route.everywhere and place != "*")
    )


def page() -> str:
    """Return the page of documentation."""
    heads = [WORDS.get(who, who) for who in WHO]
    lines = [
        "# Who may what on the console",
        "",
        "Written by `python -m tests.console.matrix` from the console's table of routes; a test asks each of them as each of these people, with every",
        "method. Other methods than those that are listed are answered with 405. Who is not logged in is sent to the log-in (303), and a form that",
        "they send is refused (401); who lacks the permission gets 403, and that is recorded. A route without `{participant}` shows only what is of",
        "participants at which the person has the permission.",
        "",
        f"| route | needs | {' | '.join(heads)} |",
        f"|---|---|{'---|' * len(heads)}",
    ]
    for route in ROUTES:
        needs = (
            "nothing"
            if route.public
            else (route.permission or "a log-in") + (" everywhere" if route.everywhere else "")
        )
        cells = ["yes" if allowed(route, who) else "no" for who in WHO]
        lines.append(f"| `{route.method} {route.path}` | {needs} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
