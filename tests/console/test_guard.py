"""What stands before every page: names, headers, cookies, sizes; and that nobody decides without a log-in but at their own machine."""

import re
import socket
from pathlib import Path

import httpx
import pytest

from onceward_relay.console.config import load
from onceward_relay.console.guard import Guard, policy
from onceward_relay.errors import InvalidConfig
from tests.conftest import Database
from tests.console.people import Home, browser
from tests.console.running import Person, RunningConsole, running, settings_of

START = """
[console]
home = "postgresql://127.0.0.1/console"
{console}
[[participant]]
name = "payer"
database = "postgresql://127.0.0.1/payer"
"""


def loaded(folder: Path, console: str) -> None:
    (folder / "console.toml").write_text(START.format(console=console))
    load(folder / "console.toml", {})


@pytest.mark.parametrize("console", ["", 'listen = "127.0.0.2:80"', 'listen = "[::1]:8780"', 'login = "local"',
                                     'login = "local"\npublic_url = "https://c.example"\nlisten = "0.0.0.0:8780"'])  # fmt: skip
def test_it_starts_on_loopback_or_with_a_log_in(tmp_path: Path, console: str) -> None:
    loaded(tmp_path, console)


@pytest.mark.parametrize(
    ("console", "says"),
    [
        ('listen = "0.0.0.0:8780"', "console.login"),
        ('listen = "[::]:8780"', "console.login"),
        ('listen = "192.0.2.1:8780"\npublic_url = "https://c.example"', "console.login"),
        ('public_url = "https://c.example"', "console.login"),
        ('login = "local"\nlisten = "0.0.0.0:8780"', "console.public_url"),
        ('login = "local"\nlisten = "0.0.0.0:8780"\npublic_url = "http://c.example"', "must be an https:// URL"),
        ('login = "oidc"', "oidc"),
        ('login = "local"\nproxies = ["10.0.0.1/8"]', "console.proxies"),
    ],
)
def test_it_does_not_start_where_anybody_could_decide(tmp_path: Path, console: str, says: str) -> None:
    with pytest.raises(InvalidConfig, match=re.escape(says)):
        loaded(tmp_path, console)


def test_without_a_log_in_every_page_says_so(somebody: Person) -> None:
    for path in ("/", "/approvals", "/settings"):
        assert "Nobody logs in here: whoever can use this machine decides as" in somebody.look(path).text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:8780", "", "127.0.0.1:1@evil.example"])
def test_another_name_that_leads_here_is_not_answered(console: RunningConsole, host: str) -> None:
    answer = httpx.get(f"{console.address}/login", headers={"host": host})
    assert answer.status_code == 421 or (host == "" and answer.status_code == 400)
    assert "set-cookie" not in answer.headers


def test_two_names_at_once_are_not_answered(console: RunningConsole) -> None:
    host, port = console.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as raw:
        raw.sendall(
            f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode()
        )
        assert raw.recv(100).split(b" ")[1] in (b"400", b"421")


@pytest.mark.parametrize("path", ["/", "/login", "/static/console.js", "/no-such-page", "/health/live"])
def test_every_answer_is_framed_nowhere_sniffed_by_nobody_and_kept_by_no_cache(somebody: Person, path: str) -> None:
    headers = somebody.look(path).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_only_scripts_of_this_very_answer_run(somebody: Person) -> None:
    found = set()
    for _ in range(2):
        page = somebody.look("/")
        (nonce,) = re.findall(r"script-src 'nonce-([^']+)'", page.headers["content-security-policy"])
        scripts = re.findall(r"<script[^>]*>", page.text)
        assert scripts
        assert all(f'nonce="{nonce}"' in script and "src=" in script for script in scripts)
        found.add(nonce)
    assert len(found) == 2
    assert "unsafe" not in policy("x")


@pytest.mark.parametrize(
    "path",
    ["/static/../config.py", "/static/%2e%2e/config.py", "/static/..%2fconfig.py", "/static/", "/static//etc/passwd"],
)
def test_of_files_only_those_that_are_meant_to_be_are_served(console: RunningConsole, path: str) -> None:
    host, port = console.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as raw:  # clients tidy such paths up
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        assert raw.recv(100).split(b" ")[1] == b"404"


def test_too_large_a_body_is_refused(somebody: Person) -> None:
    page = somebody.look("/")
    assert somebody.send("/views", page, name="x", query="q" * (3 * 2**20)).status_code in (400, 413)
    many = {f"field{number}": "x" for number in range(300)}
    assert somebody.send("/views", page, **many).status_code == 400


def test_an_error_tells_nothing_but_its_id(somebody: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> object:
        raise ValueError("a secret")

    monkeypatch.setattr("onceward_relay.console.home.tokens.of_person", broken)
    page = somebody.look("/settings")
    assert page.status_code == 500
    assert "a secret" not in page.text
    assert re.search(r"log is [0-9a-f]{12}", page.text)


def test_the_session_cookie_is_for_no_script_and_no_other_site(console: RunningConsole) -> None:
    with httpx.Client(base_url=console.address) as http:
        (cookie,) = [
            each
            for each in http.get("/login").headers.get_list("set-cookie")
            if each.startswith("onceward=") and "Max-Age=0" not in each
        ]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie


def test_over_tls_cookies_are_bound_to_this_host_and_browsers_keep_to_tls(
    home: Database, shared_database: Database
) -> None:
    participants = {"payer": shared_database.console_url}
    settings = settings_of(home, participants, login="local", public_url="https://console.example")
    with running(settings) as console:
        owner = Home(home.url)
        owner.add(f"Tess {console.settings.console.listen}", ("*", "admin"))
        owner.connection.close()
        listen = f"http://{console.settings.console.listen}"
        with httpx.Client(base_url=listen, headers={"host": "console.example"}) as http:
            page = http.get("/login")
            (cookie,) = page.headers.get_list("set-cookie")
            assert cookie.startswith("__Host-onceward-form=")
            assert "Secure" in cookie
            assert "Domain" not in cookie
            assert page.headers["strict-transport-security"] == "max-age=31536000"
            assert http.get("/login", headers={"host": console.settings.console.listen}).status_code == 421
            assert http.get("/login", headers={"host": "console.example:443"}).status_code == 200


def test_what_somebody_claims_of_their_address_counts_not(console: RunningConsole) -> None:
    with browser(console) as http:
        http.headers["x-forwarded-for"] = "203.0.113.9"
        http.headers["x-forwarded-host"] = "evil.example"
        http.headers["x-forwarded-proto"] = "https"
        answer = http.get("/")
    assert answer.headers["location"] == "/login?to=%2F"
    assert "evil" not in str(answer.headers)


def test_the_guard_knows_the_name_with_and_without_the_usual_port() -> None:
    guard = Guard(None, "https://console.example")  # type: ignore[arg-type]
    assert guard._hosts == {"console.example", "console.example:443"}
