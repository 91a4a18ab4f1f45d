"""The HTTP client for operations: httpx, with what a call of money needs and httpx lacks.

A total deadline that a slow drip cannot outlive, a cap on what is read, no redirects, no cookies, an address check when
the connection is made, and an error for each outcome that says what it proves (`onceward.errors.OperationError`).
"""

import ipaddress
import time
from collections.abc import Callable, Collection, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Literal, TypeVar, overload

import httpcore
import httpx
from pydantic import BaseModel

from onceward import tracing
from onceward.errors import ConfigError, NotReached, NotSent, Rejected, Unknown
from onceward.guarded_network import GuardedBackend
from onceward.http_answers import Answer, decoded, judged, modelled
from onceward.providers import Sending

M = TypeVar("M", bound=BaseModel)
Method = Literal["GET", "POST", "PUT", "DELETE"]

MAX_ANSWER = 1 << 20
"""Bytes of an answer, after decompression."""
IDLE = 5.0
"""Seconds for which an unused connection is kept: an older one may have been dropped on the way, unnoticed."""


class Client:
    """Speaks to one provider.

    Args:
        base_url: http or https; plain http only to loopback, unless `insecure`.
        bearer: a token, or a function that reads it anew for each attempt.
        key_header: the header that carries the idempotency key.
        headers: sent with every request.
        max_answer: bytes of an answer, after decompression, that are read at most.
        insecure: allows plain http to other machines, and addresses that no provider has.
        traced: sends the provider the place of each attempt in its trace (`traceparent`). Outsiders need not see it.

    Raises:
        ConfigError: the URL is none that may be called, or the token is none.
    """

    def __init__(
        self,
        base_url: str,
        *,
        bearer: str | Callable[[], str] | None = None,
        key_header: str = "Idempotency-Key",
        headers: Mapping[str, str] | None = None,
        max_answer: int = MAX_ANSWER,
        insecure: bool = False,
        traced: bool = False,
    ) -> None:
        try:
            url = httpx.URL(base_url)
        except httpx.InvalidURL:
            raise ConfigError("base_url", "is no URL") from None
        if url.scheme not in ("http", "https") or not url.host:
            raise ConfigError("base_url", "must begin with http:// or https:// and name a host")
        loopback = _is_loopback(url.host)
        if url.scheme == "http" and not (loopback or insecure):
            raise ConfigError("base_url", "is plain http to another machine; use https, or say insecure=True")
        if isinstance(bearer, str) and not _is_token(bearer.strip()):
            raise ConfigError("bearer", "must be printable ASCII without spaces")
        self._base = url
        self._bearer = bearer
        self._key_header = key_header
        self._headers = dict(headers or {})
        self._max_answer = max_answer
        self._traced = traced
        self._guard = GuardedBackend(anywhere=loopback or insecure)
        self._trust = httpx.create_ssl_context()  # once: reading the certificates takes longer than many a call
        self._shared = self._connect()

    def __repr__(self) -> str:
        return f"Client({self._base.host!r})"

    def close(self) -> None:
        """Close its connections."""
        self._shared.close()

    def post(
        self,
        path: str,
        call: Sending,
        *,
        returns: type[M],
        rejects: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
    ) -> M:
        """POST the stored bytes of `call` under its key and read the answer as `returns`.

        Args:
            path: below the base URL. What is put into it has to be quoted (`Sending.key_in_path`).
            call: the attempt.
            returns: model of the answer to a success.
            rejects: statuses by which the provider says that it has refused and done nothing.
            headers: further headers.

        Raises:
            OperationError: its subclass says what the outcome proves.
        """
        return modelled(self._send("POST", path, call, call.body, rejects, headers), returns)

    def put(
        self,
        path: str,
        call: Sending,
        *,
        returns: type[M],
        rejects: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
    ) -> M:
        """PUT, otherwise as `post`."""
        return modelled(self._send("PUT", path, call, call.body, rejects, headers), returns)

    def delete(
        self,
        path: str,
        call: Sending,
        *,
        returns: type[M],
        rejects: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
    ) -> M:
        """DELETE without a body, otherwise as `post`."""
        return modelled(self._send("DELETE", path, call, None, rejects, headers), returns)

    @overload
    def get(self, path: str, call: Sending, *, returns: type[M], headers: Mapping[str, str] | None = None) -> M: ...
    @overload
    def get(
        self,
        path: str,
        call: Sending,
        *,
        returns: type[M],
        absent: Collection[int],
        headers: Mapping[str, str] | None = None,
    ) -> M | None: ...
    def get(
        self,
        path: str,
        call: Sending,
        *,
        returns: type[M],
        absent: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
    ) -> M | None:
        """GET, for lookups; a status in `absent` says that the provider knows nothing of it."""
        try:
            return modelled(self._send("GET", path, call, None, absent, headers), returns)
        except Rejected:
            return None

    def exchange(
        self,
        method: Method,
        path: str,
        call: Sending,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and return what comes back, whatever its status says.

        Raises:
            OperationError: nothing readable came back; its subclass says what that proves.
        """
        deadline = time.monotonic() + call.timeout
        client = self._connect() if call.fresh else self._shared
        try:
            answer = self._exchange(client, self._request(client, method, path, call, body, headers), call, deadline)
        finally:
            if call.fresh:
                client.close()
        call.answers.append((answer.status, answer.body))
        return answer

    def _send(
        self,
        method: Method,
        path: str,
        call: Sending,
        body: bytes | None,
        rejects: Collection[int],
        headers: Mapping[str, str] | None,
    ) -> Answer:
        return judged(self.exchange(method, path, call, body, headers), rejects)

    def _request(
        self,
        client: httpx.Client,
        method: Method,
        path: str,
        call: Sending,
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> httpx.Request:
        every = self._all_headers(call, headers, body)
        try:
            request = client.build_request(method, path.lstrip("/"), content=body, headers=every, timeout=call.timeout)
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise NotSent(f"the request cannot be built: {type(error).__name__}", code="our_error") from error
        if (request.url.scheme, request.url.netloc) != (self._base.scheme, self._base.netloc) or "#" in path:
            raise NotSent("the path leads to another place", code="our_error")
        return request

    def _exchange(self, client: httpx.Client, request: httpx.Request, call: Sending, deadline: float) -> Answer:
        with self._guard.exchange(deadline, call.check) as exchange:
            try:
                return self._answered(client, request)
            except httpx.LocalProtocolError as error:
                if exchange.began:
                    raise Unknown(f"no answer: {type(error).__name__}", code="no_answer") from error
                raise NotSent("the request has a header that HTTP does not allow", code="our_error") from error
            except httpx.HTTPError as error:
                name = type(error).__name__
                if exchange.began:
                    raise Unknown(f"no answer: {name}", code=_code(error)) from error
                raise NotReached(f"not reached: {name}", code="not_reached") from error

    def _answered(self, client: httpx.Client, request: httpx.Request) -> Answer:
        response = client.send(request, stream=True)
        try:
            encoding = response.headers.get("content-encoding", "").strip().lower()
            body = decoded(response.iter_raw(), encoding, self._max_answer)
            return Answer(response.status_code, response.headers, body)
        except Unknown as error:
            error.http_status = response.status_code
            raise
        finally:
            response.close()

    def _all_headers(self, call: Sending, headers: Mapping[str, str] | None, body: bytes | None) -> dict[str, str]:
        every = {"accept": "application/json", "accept-encoding": "gzip", "user-agent": "onceward", **self._headers}
        every |= tracing.carrier() if self._traced else {}
        every |= headers or {}
        every[self._key_header] = call.key
        if body is not None:
            every.setdefault("content-type", "application/json")
        if self._bearer is not None:
            every["authorization"] = f"Bearer {self._token(self._bearer)}"
        return every

    def _token(self, bearer: str | Callable[[], str]) -> str:
        try:
            token = (bearer if isinstance(bearer, str) else bearer()).strip()  # files end with a newline
        except Exception as error:
            raise NotSent(f"the bearer token cannot be had: {type(error).__name__}", code="no_token") from error
        if not _is_token(token):
            raise NotSent("the bearer token is empty or has characters that no token has", code="no_token")
        return token

    def _connect(self) -> httpx.Client:
        transport = httpx.HTTPTransport(verify=self._trust, retries=0)
        transport._pool = httpcore.ConnectionPool(  # noqa: SLF001 -- httpx has no public way to give a network backend
            ssl_context=self._trust,
            network_backend=self._guard,
            retries=0,
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=IDLE,
        )
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))  # what one call was told is no other's
        return httpx.Client(
            base_url=self._base, transport=transport, cookies=no_cookies, follow_redirects=False, trust_env=False
        )


def _code(error: httpx.HTTPError) -> str:
    return "timeout" if isinstance(error, httpx.TimeoutException) else "no_answer"


def _is_token(token: str) -> bool:
    return token.isascii() and token.isprintable() and token != "" and " " not in token


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
