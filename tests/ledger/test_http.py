"""The HTTP client against a real server with bad manners: every outcome is an error that says what it proves."""

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import BaseModel

from onceward.errors import (
    Accepted,
    ConfigError,
    InProgress,
    NotReached,
    NotSent,
    OperationError,
    Rejected,
    Throttled,
    Unknown,
)
from onceward.http import Client
from onceward.providers import Sending

Answer = Callable[[BaseHTTPRequestHandler], None]


class Paid(BaseModel):
    reference: str


class Server:
    """Answers as it is told; keeps what it got."""

    def __init__(self) -> None:
        self.answer: Answer = status(200)
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.ports: set[int] = set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.requests.append((self.command, self.path, headers, body))
                server.ports.add(self.client_address[1])
                server.answer(self)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 -- http.server's names

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"


def status(code: int, body: bytes = b'{"reference": "r"}', **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def raw(content: bytes) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(content)
        request.close_connection = True

    return answer


def hang_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True
    request.connection.shutdown(socket.SHUT_RDWR)


def drip(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("content-length", "100000")
    request.end_headers()
    try:
        for _ in range(100):
            request.wfile.write(b" ")
            request.wfile.flush()
            threading.Event().wait(0.05)
    except OSError:
        request.close_connection = True


def endless(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("content-length", str(1 << 30))
    request.end_headers()
    try:
        while True:
            request.wfile.write(b"x" * 65536)
    except OSError:
        request.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()
    thread.join()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    client = Client(server.url, bearer=lambda: "token-1")
    yield client
    client.close()


def attempt(*, timeout: float = 5, fresh: bool = False, send_by: float = 5) -> Sending:
    return Sending("key-1", b'{"amount": "5"}', time.monotonic() + send_by, timeout, fresh)


def test_the_stored_bytes_are_sent_under_the_key(server: Server, client: Client) -> None:
    call = attempt()
    assert client.post("/pay", call, returns=Paid, headers={"x-region": "eu"}) == Paid(reference="r")
    ((method, path, headers, body),) = server.requests
    assert (method, path, body) == ("POST", "/v1/pay", b'{"amount": "5"}')
    assert headers["idempotency-key"] == "key-1"
    assert headers["authorization"] == "Bearer token-1"
    assert headers["content-type"] == "application/json"
    assert headers["x-region"] == "eu"
    assert call.answers == [(200, b'{"reference": "r"}')]


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (status(402, b'{"code": "no_funds"}'), Rejected, "no_funds"),
        (status(422, b"nonsense"), Rejected, "422"),
        (status(429), Throttled, "429"),
        (status(401), Throttled, "unauthorized"),
        (status(403), Throttled, "unauthorized"),
        (status(409), InProgress, "409"),
        (status(404), Unknown, "404"),
        (status(202), Accepted, "202"),
        (status(204, b""), Unknown, "204"),
        (status(301, location="http://127.0.0.1:1/"), Unknown, "301"),
        (status(500), Unknown, "500"),
        (status(200, b"\xff\xfe"), Unknown, "unreadable"),
        (status(200, b"{}"), Unknown, "unreadable"),
        (status(200, b"[" * 100_000), Unknown, "unreadable"),
        (status(200, gzip.compress(b" " * (64 << 20)), content_encoding="gzip"), Unknown, "too_long"),
        (status(200, b"not gzip", content_encoding="gzip"), Unknown, "unreadable"),
        (status(200, b"{}", content_length="100"), Unknown, "no_answer"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"), Unknown, "no_answer"),
        (raw(b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\n{}"), Unknown, "no_answer"),
        (raw(b"\x00\x01\x02"), Unknown, "no_answer"),
        (hang_up, Unknown, "no_answer"),
        (endless, Unknown, "too_long"),
        (drip, Unknown, "timeout"),
    ],
)
def test_rules_16_and_18_every_outcome_says_what_it_proves_within_its_deadline(
    server: Server, client: Client, answer: Answer, error: type[OperationError], code: str
) -> None:
    server.answer = answer
    began = time.monotonic()
    with pytest.raises(OperationError) as raised:
        client.post("pay", attempt(timeout=1), returns=Paid, rejects={402, 422})
    assert (type(raised.value), raised.value.code) == (error, code)
    assert "token-1" not in str(raised.value)
    assert time.monotonic() - began < 3, "the total deadline holds"


def test_nobody_there_is_not_reached() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(NotReached):
            client.post("pay", attempt(), returns=Paid)
        client.close()


@pytest.mark.parametrize("name", ["no-such-host.invalid", f"{'a' * 70}.invalid", "a..b.invalid"])
def test_a_name_that_leads_nowhere_is_not_reached(name: str) -> None:
    client = Client(f"https://{name}")
    with pytest.raises(NotReached):
        client.post("pay", attempt(), returns=Paid)
    client.close()


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "127.0.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "100.100.100.200",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
    ],
)
def test_rule_16_addresses_that_no_provider_has_are_not_called(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))]
    )
    client = Client("https://bank.example")
    with pytest.raises(NotSent, match="which no provider has"):
        client.post("pay", attempt(), returns=Paid)
    client.close()


def test_what_the_provider_calls_it_is_one_segment_of_a_path() -> None:
    call = replace(attempt(), reference="../admin?x=1#y")
    assert call.reference_in_path == "..%2Fadmin%3Fx%3D1%23y"
    assert replace(call, reference=None).reference_in_path == ""


def test_the_path_cannot_lead_to_another_place(server: Server, client: Client) -> None:
    for path in ("https://elsewhere.example/pay", "pay#part"):
        with pytest.raises(NotSent):
            client.post(path, attempt(), returns=Paid)
    client.post("//elsewhere.example/pay", attempt(), returns=Paid)
    assert [path for _, path, _, _ in server.requests] == ["/v1/elsewhere.example/pay"]


def test_a_header_that_http_does_not_allow_sends_nothing(server: Server, client: Client) -> None:
    with pytest.raises(NotSent):
        client.post("pay", attempt(), returns=Paid, headers={"reference": "a\r\nX-Injected: 1"})
    assert server.requests == []


def test_what_one_call_was_told_is_no_other_s(server: Server, client: Client) -> None:
    server.answer = status(200, set_cookie="session=1; Path=/")
    for _ in range(2):
        client.post("pay", attempt(), returns=Paid)
    assert all("cookie" not in headers for _, _, headers, _ in server.requests)


def test_nothing_leaves_after_its_time(server: Server, client: Client) -> None:
    with pytest.raises(NotSent):
        client.post("pay", attempt(send_by=-1), returns=Paid)
    assert server.requests == []


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7), ("99999999999", 3600), ("-1", None), ("soon", None), ("", None)]
)
def test_the_wait_that_is_asked_for(server: Server, client: Client, value: str, seconds: int | None) -> None:
    server.answer = status(429, retry_after=value)
    with pytest.raises(Throttled) as raised:
        client.post("pay", attempt(), returns=Paid)
    wait = raised.value.retry_after
    assert (wait and wait.total_seconds()) == seconds


def test_a_date_to_come_back_at(server: Server, client: Client) -> None:
    server.answer = status(429, retry_after="Fri, 31 Dec 2999 23:59:59 GMT")
    with pytest.raises(Throttled) as raised:
        client.post("pay", attempt(), returns=Paid)
    assert raised.value.retry_after is not None
    assert raised.value.retry_after.total_seconds() == 3600


def test_what_a_lookup_does_not_find_is_none(server: Server, client: Client) -> None:
    server.answer = status(404)
    assert client.get("by-key/1", attempt(), returns=Paid, absent={404}) is None
    server.answer = status(200)
    assert client.get("by-key/1", attempt(), returns=Paid, absent={404}) == Paid(reference="r")


@pytest.mark.parametrize(("fresh", "connections"), [(False, 1), (True, 3)])
def test_rule_16_a_fresh_connection_where_a_stale_one_could_hurt(
    server: Server, client: Client, *, fresh: bool, connections: int
) -> None:
    for _ in range(3):
        client.post("pay", attempt(fresh=fresh), returns=Paid)
    assert len(server.ports) == connections


def test_an_empty_token_sends_nothing(server: Server) -> None:
    client = Client(server.url, bearer=lambda: "")
    with pytest.raises(NotSent, match="token is empty"):
        client.post("pay", attempt(), returns=Paid)
    client.close()
    assert server.requests == []


def test_put_and_delete(server: Server, client: Client) -> None:
    client.put("a", attempt(), returns=Paid)
    client.delete("b", attempt(), returns=Paid)
    assert [(method, body) for method, _, _, body in server.requests] == [("PUT", b'{"amount": "5"}'), ("DELETE", b"")]


@pytest.mark.parametrize("url", ["ftp://bank.example", "bank.example", "http://bank.example", "http://"])
def test_a_url_that_may_not_be_called_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^base_url: "):
        Client(url)


def test_secrets_are_not_shown() -> None:
    client = Client("https://user:secret@bank.example", bearer="token-1")
    assert repr(client) == "Client('bank.example')"
    client.close()
