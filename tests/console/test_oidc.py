"""Log-in by OpenID Connect, at a real provider: who is let in, as whom, with which roles, and what is not believed."""

import asyncio
import socket
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from pydantic import SecretStr

from onceward_relay.console.oidc import Issuer, IssuerError, NotBelieved, check
from tests.conftest import Database, available
from tests.console.people import Home, browser
from tests.console.running import RunningConsole, running, settings_of
from tests.servers.oidc_provider import SECRET, OidcProvider, oidc_provider, to_callback

ROLES = [
    {"group": "ops", "role": "operator"},
    {"group": "leads", "role": "approver", "participant": "payer"},
    {"group": "root", "role": "admin"},
]


@pytest.fixture(scope="module")
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def provider(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    callback = f"http://127.0.0.1:{port}/login/oidc/callback"
    with available(oidc_provider(tmp_path_factory.mktemp("oidc"), callback)) as provider:
        yield provider


@pytest.fixture(scope="module")
def console(home: Database, shared_database: Database, provider: OidcProvider, port: int) -> Iterator[RunningConsole]:
    oidc = {
        "issuer": provider.url,
        "client_id": "console",
        "client_secret": SecretStr(SECRET),
        "scopes": "openid profile groups",
        "role": ROLES,
    }
    participants = {"payer": shared_database.console_url}
    settings = settings_of(home, participants, oidc, login="oidc", listen=f"127.0.0.1:{port}")
    with running(settings) as console:
        yield console


@pytest.fixture
def owner(console: RunningConsole, home: Database, provider: OidcProvider) -> Iterator[Home]:
    found = Home(home.url)
    found.clear()
    provider.know(s1={"preferred_username": "Ada", "groups": ["ops", "staff"]})
    yield found
    found.connection.close()


@pytest.fixture
def http(console: RunningConsole, owner: Home) -> Iterator[httpx.Client]:
    with browser(console) as http:
        yield http


def answer(http: httpx.Client, subject: str = "s1", to: str = "/approvals") -> str:
    """Log in at the provider and return the address at which the browser comes back."""
    sent = http.get("/login/oidc", params={"to": to})
    assert sent.status_code == 303, sent.text
    return to_callback(http, sent, subject)


def log_in(http: httpx.Client, subject: str = "s1") -> httpx.Response:
    return http.get(answer(http, subject))


def rights(owner: Home) -> list[tuple[str, str, str]]:
    rows = owner.do("SELECT participant, role, given_by FROM onceward_console.person_role ORDER BY participant, role")
    return [(row["participant"], row["role"], row["given_by"]) for row in rows]


def test_who_is_in_a_group_that_has_a_role_is_let_in(owner: Home, http: httpx.Client, provider: OidcProvider) -> None:
    page = http.get(http.get("/approvals").headers["location"])
    assert provider.url in page.text
    assert 'href="/login/oidc?to=%2Fapprovals"' in page.text or 'href="/login/oidc?to=/approvals"' in page.text
    back = log_in(http)
    assert (back.status_code, back.headers["location"]) == (303, "/approvals")
    assert "<span>Ada</span>" in http.get("/approvals").text
    assert owner.do("SELECT name, issuer, subject FROM onceward_console.person") == [
        {"name": "Ada", "issuer": provider.url, "subject": "s1"}
    ]
    assert rights(owner) == [("*", "operator", "oidc")]


def test_a_person_is_sent_off_with_state_nonce_and_pkce_each_time_anew(owner: Home, http: httpx.Client) -> None:
    asked = [parse_qs(urlsplit(http.get("/login/oidc").headers["location"]).query) for _ in range(2)]
    for each in asked:
        assert each["response_type"] == ["code"]
        assert each["code_challenge_method"] == ["S256"]
        assert each["redirect_uri"][0].endswith("/login/oidc/callback")
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]


def test_roles_follow_the_groups_at_each_log_in(owner: Home, http: httpx.Client, provider: OidcProvider) -> None:
    log_in(http)
    (person,) = owner.do("SELECT id FROM onceward_console.person")
    owner.do("SELECT onceward_console.give_role(%(id)s, 'shop', 'viewer', 'an admin')", id=person["id"])
    provider.know(s1={"preferred_username": "Somebody else", "groups": "leads"})
    log_in(http)
    assert rights(owner) == [("payer", "approver", "oidc"), ("shop", "viewer", "an admin")]
    assert owner.do("SELECT name FROM onceward_console.person") == [{"name": "Ada"}], "a name is given once"


def test_who_is_in_no_group_that_has_a_role_is_told_so_and_is_not_let_in(
    owner: Home, http: httpx.Client, provider: OidcProvider
) -> None:
    provider.know(s2={"preferred_username": "Eve", "groups": ["staff"]}, s3={"preferred_username": "Eve"})
    for subject in ("s2", "s3"):
        page = log_in(http, subject)
        assert page.status_code == 403
        assert "knows you as Eve, but none of your groups has a role here" in page.text
        http.cookies.clear()
    assert owner.do("SELECT * FROM onceward_console.person") == []
    assert owner.do("SELECT * FROM onceward_console.session") == []
    denied = owner.do("SELECT person, action FROM onceward_console.denied ORDER BY no")
    assert denied[0] == {"person": f"Eve, s2 at {provider.url}", "action": "log-in"}


def test_who_has_lost_every_group_is_let_in_no_more(owner: Home, http: httpx.Client, provider: OidcProvider) -> None:
    log_in(http)
    provider.know(s1={"preferred_username": "Ada", "groups": []})
    assert log_in(http).status_code == 403
    assert rights(owner) == []


def test_who_is_disabled_here_is_let_in_no_more(owner: Home, http: httpx.Client) -> None:
    log_in(http)
    owner.do("UPDATE onceward_console.person SET disabled_at = now()")
    assert "may not enter any more" in log_in(http).text


@pytest.mark.parametrize(
    ("claim", "name"),
    [("ada", "ada (2)"), ("  A d\u202ea ", "A da"), ("", "s9"), (7, "s9"), (None, "s9"), ("x" * 200, "x" * 90)],
)
def test_a_name_is_one_persons_alone_and_can_be_read(
    owner: Home, http: httpx.Client, provider: OidcProvider, claim: Any, name: str
) -> None:
    owner.add("Ada", ("*", "admin"))
    provider.know(s9={"preferred_username": claim, "groups": ["ops"]})
    assert log_in(http, "s9").status_code == 303
    assert [row["name"] for row in owner.do("SELECT name FROM onceward_console.person WHERE subject = 's9'")] == [name]


def test_what_is_brought_back_counts_once(owner: Home, http: httpx.Client, console: RunningConsole) -> None:
    there = answer(http)
    assert http.get(there).status_code == 303
    with browser(console) as again:
        again.cookies.update(http.cookies)
        assert again.get(there).status_code == 400
    assert len(owner.do("SELECT * FROM onceward_console.session")) == 1


def test_what_began_in_another_browser_or_long_ago_logs_nobody_in(
    owner: Home, http: httpx.Client, console: RunningConsole
) -> None:
    there = answer(http)
    with browser(console) as another:
        assert another.get(there).status_code == 400
        another.cookies.set("onceward-login", "a guess", domain="127.0.0.1")
        assert another.get(there).status_code == 400
    owner.do("UPDATE onceward_console.login_pending SET began_at = now() - interval '11 minutes'")
    page = http.get(there)
    assert page.status_code == 400
    assert "Begin anew" in page.text
    assert http.get("/login/oidc/callback").status_code == 400
    assert owner.do("SELECT * FROM onceward_console.session") == []


@pytest.mark.parametrize(("column", "says"), [("nonce", "of another log-in"), ("verifier", "refuses the code")])
def test_a_code_or_token_of_another_log_in_is_not_believed(
    owner: Home, http: httpx.Client, column: str, says: str
) -> None:
    there = answer(http)
    owner.do(f"UPDATE onceward_console.login_pending SET {column} = repeat('x', 43)")
    page = http.get(there)
    assert page.status_code == 403
    assert says in page.text
    assert "log-in" in owner.do("SELECT action FROM onceward_console.denied")[0]["action"]
    assert owner.do("SELECT * FROM onceward_console.session") == []


def test_an_answer_in_the_name_of_another_issuer_is_not_believed(
    owner: Home, http: httpx.Client, provider: OidcProvider
) -> None:
    for wrong in ("", "&iss=https://evil.example"):
        page = http.get(answer(http).split("&iss=")[0] + wrong)
        assert page.status_code == 403
        assert "of another issuer" in page.text
        http.cookies.clear()


def test_who_is_refused_there_is_told_so(owner: Home, http: httpx.Client) -> None:
    state = parse_qs(urlsplit(http.get("/login/oidc").headers["location"]).query)["state"][0]
    page = http.get("/login/oidc/callback", params={"state": state, "error": "access_denied<b>"})
    assert page.status_code == 403
    assert "The provider has not let you in (access_denied&lt;b&gt;)" in page.text


def test_the_issuers_new_keys_are_read(
    owner: Home, http: httpx.Client, provider: OidcProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onceward_relay.console.oidc.ANEW_AFTER", 0.0)
    assert log_in(http).status_code == 303
    provider.stop()
    provider.start()
    http.cookies.clear()
    assert log_in(http).status_code == 303


def test_claims_that_the_issuer_tells_apart_are_asked_for(
    owner: Home, http: httpx.Client, provider: OidcProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onceward_relay.console.oidc.ANEW_AFTER", 0.0)
    monkeypatch.setattr(provider, "_claims_apart", True)
    provider.stop()
    provider.start()
    assert log_in(http).status_code == 303
    assert rights(owner) == [("*", "operator", "oidc")]
    assert owner.do("SELECT name FROM onceward_console.person") == [{"name": "Ada"}]


def test_an_issuer_that_is_away_is_named(
    owner: Home, http: httpx.Client, provider: OidcProvider, console: RunningConsole
) -> None:
    there = answer(http)
    provider.stop()
    try:
        page = http.get(there)
        assert page.status_code == 503
        assert f"{provider.url} does not answer. Nobody can log in" in page.text
        console.app.state.issuer._configuration = {}
        assert http.get("/login/oidc").status_code == 503
    finally:
        provider.start()


def test_a_client_without_a_secret_is_protected_by_pkce(
    owner: Home, http: httpx.Client, console: RunningConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = console.app.state.issuer
    public = issuer._settings.model_copy(update={"client_id": "public", "client_secret": None})
    monkeypatch.setattr(issuer, "_settings", public)
    monkeypatch.setattr("onceward_relay.console.oidc.ANEW_AFTER", 0.0)
    assert log_in(http).status_code == 303


@pytest.mark.parametrize(
    ("client", "secret", "status", "says"),
    [
        ("shared", "shared by two, and long enough for it", 403, "is signed by HS256, which proves nothing here"),
        ("console", "another secret", 503, "refuses this console as a client (invalid_client): look at oidc.client_id"),
    ],
)
def test_a_client_that_is_set_up_wrongly_is_told_so(
    owner: Home, http: httpx.Client, console: RunningConsole, monkeypatch: pytest.MonkeyPatch,
    client: str, secret: str, status: int, says: str,
) -> None:  # fmt: skip
    issuer = console.app.state.issuer
    changed = issuer._settings.model_copy(update={"client_id": client, "client_secret": SecretStr(secret)})
    monkeypatch.setattr(issuer, "_settings", changed)
    page = log_in(http)
    assert page.status_code == status
    assert says in page.text


NOW = time.time()
GOOD = {"iss": "https://id.example", "aud": "console", "sub": "s1", "nonce": "n", "exp": NOW + 60, "iat": NOW}


@pytest.mark.parametrize(
    "claims",
    [
        GOOD,
        {**GOOD, "aud": ["console"]},
        {**GOOD, "aud": ["console", "other"], "azp": "console"},
        {**GOOD, "exp": NOW - 50},
    ],
)
def test_an_id_token_for_this_log_in_is_believed(claims: dict[str, Any]) -> None:
    check(claims, "https://id.example", "console", "n", NOW)


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://evil.example"}, {"iss": None}, {"aud": "other"}, {"aud": ["other"]}, {"aud": None}, {"aud": []},
        {"aud": ["console", "other"]}, {"azp": "other"}, {"aud": ["console", "other"], "azp": "other"},
        {"exp": NOW - 61}, {"exp": None}, {"exp": "never"}, {"exp": True}, {"iat": NOW + 61}, {"iat": None}, {"nbf": NOW + 61}, {"nbf": "x"},
        {"nonce": "m"}, {"nonce": None}, {"sub": ""}, {"sub": None}, {"sub": 7}, {"sub": "x" * 256}, {"sub": "a\nb"},
        {"exp": float("nan")}, {"iat": float("nan")},
    ],
)  # fmt: skip
def test_an_id_token_that_is_not_for_this_log_in_is_not_believed(wrong: dict[str, Any]) -> None:
    with pytest.raises(NotBelieved):
        check({**GOOD, **wrong}, "https://id.example", "console", "n", NOW)


def forged(provider: OidcProvider, how: str) -> str:
    """Return an ID token whose claims are right, and whose signature is not the issuer's."""
    claims = {**GOOD, "iss": provider.url, "exp": int(NOW) + 600, "iat": int(NOW)}
    kid = httpx.get(f"{provider.url}/jwks").json()["keys"][0]["kid"]
    if how == "none":
        first, body = (
            urlsafe_b64encode(part).rstrip(b"=").decode()
            for part in (b'{"alg":"none"}', str(claims).replace("'", '"').encode())
        )
        return f"{first}.{body}."
    if how == "HS256":  # with what everybody knows as the secret
        return jwt.encode({"alg": "HS256", "kid": kid}, claims, OctKey.import_key(b"of public knowledge, all of it"))
    key = RSAKey.generate_key(2048)
    header: dict[str, Any] = (
        {"alg": "RS256", "kid": kid} if how == "kid" else {"alg": "RS256", "jwk": key.as_dict(private=False)}
    )
    return jwt.encode(header, claims, key)


@pytest.mark.parametrize("how", ["none", "HS256", "kid", "jwk", "nonsense"])
def test_a_token_that_the_issuer_has_not_signed_is_not_believed(
    owner: Home, provider: OidcProvider, console: RunningConsole, how: str
) -> None:
    async def verified() -> None:
        assert console.settings.oidc is not None
        issuer = Issuer(console.settings.oidc, console.address)
        try:
            with pytest.raises(NotBelieved):
                await issuer._verified(forged(provider, how) if how != "nonsense" else "a.b.c", "n")
        finally:
            await issuer.close()

    asyncio.run(verified())


def test_an_issuer_that_calls_itself_otherwise_is_refused(
    owner: Home, provider: OidcProvider, console: RunningConsole
) -> None:
    async def sent() -> None:
        assert console.settings.oidc is not None
        other = console.settings.oidc.model_copy(update={"issuer": provider.url.replace("127.0.0.1", "localhost")})
        issuer = Issuer(other, console.address)
        try:
            with pytest.raises(IssuerError, match=r"calls itself http://127\.0\.0\.1"):
                await issuer.send_off()
        finally:
            await issuer.close()

    asyncio.run(sent())
