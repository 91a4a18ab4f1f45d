"""The HTTP client for operations: httpx, with what a call of money needs and httpx lacks.

A total deadline that a slow drip cannot outlive, a cap on what is read, no redirects, an address check when the
connection is made, and an error for each outcome that says what it proves (`onceward.errors.OperationError`).
"""

import ipaddress
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeVar, overload

import httpcore
import httpx
from pydantic import BaseModel, ValidationError

from onceward.errors import ConfigError, InProgress, NotReached, NotSent, OperationError, Rejected, Throttled, Unknown
from onceward.guarded_network import GuardedBackend
from onceward.providers import Sending

M = TypeVar("M", bound=BaseModel)
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

MAX_ANSWER = 1 << 20
"""Bytes of an answer, after decompression."""
MAX_RETRY_AFTER = timedelta(hours=1)
"""The longest wait that a provider may ask for."""

_NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class Client:
    """Speaks to one provider.

    Args:
        base_url: http or https; plain http only to loopback, unless `insecure`.
        bearer: a token, or a function that reads it anew for each attempt.
        key_header: the header that carries the idempotency key.
        headers: sent with every request.
        insecure: allows plain http and private addresses elsewhere.

    Raises:
        ConfigError: the URL is none that may be called.
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
    ) -> None:
        url = httpx.URL(base_url)
        if url.scheme not in ("http", "https") or not url.host:
            raise ConfigError("base_url", "must begin with http:// or https:// and name a host")
        loopback = _is_loopback(url.host)
        if url.scheme == "http" and not (loopback or insecure):
            raise ConfigError("base_url", "is plain http to another machine; use https, or say insecure=True")
        self._base = url
        self._bearer = bearer
        self._key_header = key_header
        self._headers = dict(headers or {})
        self._max_answer = max_answer
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
            path: below the base URL.
            call: the attempt.
            returns: model of the answer to a success.
            rejects: statuses by which the provider says that it has refused and done nothing.
            headers: further headers.

        Raises:
            OperationError: its subclass says what the outcome proves.
        """
        return self._model(self._send("POST", path, call, call.body, rejects, headers), returns)

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
        return self._model(self._send("PUT", path, call, call.body, rejects, headers), returns)

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
        return self._model(self._send("DELETE", path, call, None, rejects, headers), returns)

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
            return self._model(self._send("GET", path, call, None, absent, headers), returns)
        except Rejected:
            return None

    def _send(
        self,
        method: Method,
        path: str,
        call: Sending,
        body: bytes | None,
        rejects: Collection[int],
        headers: Mapping[str, str] | None,
    ) -> "_Answer":
        deadline = time.monotonic() + call.timeout
        client = self._connect() if call.fresh else self._shared
        try:
            request = client.build_request(
                method,
                path.lstrip("/"),
                content=body,
                headers=self._all_headers(call, headers, body),
                timeout=call.timeout,
            )
            call.check()
            answer = self._exchange(client, request, deadline)
        finally:
            if call.fresh:
                client.close()
        call.answers.append((answer.status, answer.body))
        return _judged(answer, rejects)

    def _exchange(self, client: httpx.Client, request: httpx.Request, deadline: float) -> "_Answer":
        try:
            with self._guard.until(deadline):
                response = client.send(request, stream=True)
                try:
                    return _Answer(response.status_code, response.headers, self._read(response, deadline))
                finally:
                    response.close()
        except OperationError:
            raise
        except _NOT_REACHED as error:
            raise NotReached(f"not reached: {type(error).__name__}", code="not_reached") from error
        except httpx.HTTPError as error:
            raise Unknown(f"no answer: {type(error).__name__}", code=_code(error)) from error

    def _read(self, response: httpx.Response, deadline: float) -> bytes:
        content = bytearray()
        for chunk in response.iter_bytes(chunk_size=65536):
            content += chunk
            if len(content) > self._max_answer:
                raise Unknown(
                    f"the answer is longer than {self._max_answer} bytes",
                    code="too_long",
                    http_status=response.status_code,
                )
            if time.monotonic() > deadline:
                raise Unknown("the answer came too slowly", code="timeout", http_status=response.status_code)
        return bytes(content)

    def _all_headers(self, call: Sending, headers: Mapping[str, str] | None, body: bytes | None) -> dict[str, str]:
        every = {"accept": "application/json", "user-agent": "onceward", **self._headers, **(headers or {})}
        every[self._key_header] = call.key
        if body is not None:
            every.setdefault("content-type", "application/json")
        if self._bearer is not None:
            token = self._bearer if isinstance(self._bearer, str) else self._bearer()
            if not token:
                raise NotSent("the bearer token is empty", code="no_token")
            every["authorization"] = f"Bearer {token}"
        return every

    def _model(self, answer: "_Answer", returns: type[M]) -> M:
        try:
            return returns.model_validate_json(answer.body)
        except ValidationError as error:
            places = ", ".join(sorted({".".join(map(str, part["loc"])) or "body" for part in error.errors()}))
            raise Unknown(
                f"the answer is no {returns.__name__}: {places}",
                code="unreadable",
                http_status=answer.status,
                answer=answer.body,
            ) from None

    def _connect(self) -> httpx.Client:
        transport = httpx.HTTPTransport(verify=self._trust, retries=0)
        transport._pool = httpcore.ConnectionPool(  # noqa: SLF001 -- httpx has no public way to give a network backend
            ssl_context=self._trust, network_backend=self._guard, retries=0, max_connections=100
        )
        return httpx.Client(base_url=self._base, transport=transport, follow_redirects=False, trust_env=False)


class _Answer:
    def __init__(self, status: int, headers: httpx.Headers, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


def _judged(answer: _Answer, rejects: Collection[int]) -> _Answer:
    """Return a success; raise what any other status proves."""
    status = answer.status
    facts: dict[str, Any] = {"http_status": status, "answer": answer.body}
    if status in rejects:
        raise Rejected(f"refused with status {status}", code=_provider_code(answer) or str(status), **facts)
    if status in (200, 201):
        return answer
    if status == 429:
        raise Throttled("asked to come later (429)", code="429", retry_after=_retry_after(answer.headers), **facts)
    if status in (401, 403):
        raise Throttled(f"our credential was refused ({status})", code="unauthorized", **facts)
    if status == 409:
        raise InProgress("an earlier attempt is still running there (409)", code="409", **facts)
    raise Unknown(f"status {status} proves nothing", code=str(status), **facts)


def _provider_code(answer: _Answer) -> str | None:
    """Read `code` of a JSON answer, where many providers say why."""
    try:
        code = _Coded.model_validate_json(answer.body).code
    except ValidationError:
        return None
    return code if code.isprintable() and 0 < len(code) <= 100 else None


class _Coded(BaseModel):
    code: str


def _retry_after(headers: httpx.Headers) -> timedelta | None:
    """Read Retry-After (RFC 9110, 10.2.3): seconds, or a date."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        wait = timedelta(seconds=min(int(value[:9]), 10**8))
    else:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, TypeError):
            return None
        wait = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)
    return min(max(wait, timedelta(0)), MAX_RETRY_AFTER)


def _code(error: httpx.HTTPError) -> str:
    return "timeout" if isinstance(error, httpx.TimeoutException) else "no_answer"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
