"""People of a console on which they log in, with the roles that a test gives them."""

from typing import Any
from uuid import UUID

import httpx
import psycopg
from psycopg.rows import dict_row

from onceward_relay.console.home.store import hashed
from onceward_relay.console.passwords import HASHER
from tests.console.running import FORM_TOKEN, RunningConsole

PASSWORD = "correct horse battery"
KNOWN = HASHER.hash(PASSWORD)
TOKEN, FORM = "a session of a test", "a form of a test"


class Home:
    """The console's own database, as its owner sees it."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True, row_factory=dict_row)

    def clear(self) -> None:
        """Forget all people and whatever is theirs."""
        self.do("TRUNCATE onceward_console.person, onceward_console.login_attempt, onceward_console.denied CASCADE")

    def do(self, query: str, **given: Any) -> list[dict[str, Any]]:
        found = self.connection.execute(query.encode(), given)
        return found.fetchall() if found.description else []

    def add(self, name: str, *roles: tuple[str, str], issuer: str = "local", subject: str | None = None) -> UUID:
        """Add somebody with roles as (participant, role), and the test's password."""
        (row,) = self.do(
            "INSERT INTO onceward_console.person (name, issuer, subject, password) VALUES (%(name)s, %(issuer)s, %(subject)s, %(password)s) RETURNING id",
            name=name,
            issuer=issuer,
            subject=subject or name.lower(),
            password=KNOWN,
        )
        for participant, role in roles:
            self.do(
                "SELECT onceward_console.give_role(%(id)s, %(participant)s, %(role)s, 'test')",
                id=row["id"],
                participant=participant,
                role=role,
            )
        return UUID(str(row["id"]))

    def session(self, person: UUID) -> None:
        """Begin the one session of a person whose tokens the test knows."""
        token = f"{TOKEN} {person}"
        self.do(
            "INSERT INTO onceward_console.session (token_sha256, person_id, form_token, expires_at) VALUES (%(hash)s, %(person)s, %(form)s, now() + interval '1 hour')"
            " ON CONFLICT DO NOTHING",
            hash=hashed(token),
            person=person,
            form=FORM,
        )


def browser(console: RunningConsole, person: UUID | None = None) -> httpx.Client:
    """Return a browser, in which somebody may be logged in."""
    http = httpx.Client(base_url=console.address, timeout=30)
    if person is not None:
        http.headers["cookie"] = f"onceward={TOKEN} {person}"
    return http


def form_token(page: httpx.Response) -> str:
    found = FORM_TOKEN.search(page.text)
    assert found is not None, page.text
    return found[1]


def log_in(http: httpx.Client, name: str, password: str = PASSWORD, to: str = "/", **headers: str) -> httpx.Response:
    """Open the page to log in on, and send its form."""
    page = http.get("/login", params={"to": to})
    return http.post(
        "/login", data={"form_token": form_token(page), "name": name, "password": password, "to": to}, headers=headers
    )
