"""Answers over HTTP: read with a cap that decompression cannot break, and judged by what they prove."""

import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from onceward.errors import Accepted, InProgress, Rejected, Throttled, Unknown
from onceward.providers.models import fault

M = TypeVar("M", bound=BaseModel)

MAX_RETRY_AFTER = timedelta(hours=1)
"""The longest wait that a provider may ask for."""
_GZIP = 31
"""zlib's number for the format of gzip, with its header and checksum."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def decoded(chunks: Iterable[bytes], encoding: str, longest: int) -> bytes:
    """Return the body that came as `chunks`, decompressed step by step, so that no more than `longest` bytes arise.

    Raises:
        Unknown: it is longer, cut off, or in an encoding that was not asked for.
    """
    if encoding in ("", "identity"):
        unpack = None
    elif encoding in ("gzip", "x-gzip"):
        unpack = zlib.decompressobj(_GZIP)
    else:
        raise Unknown("the answer has an encoding that was not asked for", code="unreadable")
    content = bytearray()
    for chunk in chunks:
        try:
            content += chunk if unpack is None else unpack.decompress(chunk, longest + 1 - len(content))
        except zlib.error:
            raise Unknown("the answer is no valid gzip", code="unreadable") from None
        if len(content) > longest:
            raise Unknown(f"the answer is longer than {longest} bytes", code="too_long")
    if unpack is not None and not unpack.eof and content:
        raise Unknown("the answer is cut off", code="unreadable")
    return bytes(content)


def judged(answer: Answer, rejects: Collection[int]) -> Answer:
    """Return a success; raise what any other status proves.

    Raises:
        OperationError: its subclass says what.
    """
    status = answer.status
    facts: dict[str, Any] = {"http_status": status, "answer": answer.body}
    if status in rejects:
        raise Rejected(f"refused with status {status}", code=_provider_code(answer) or str(status), **facts)
    if status in (200, 201):
        return answer
    if status == 202:
        raise Accepted("accepted, the outcome comes later (202)", code="202", **facts)
    if status == 429:
        raise Throttled("asked to come later (429)", code="429", retry_after=retry_after(answer.headers), **facts)
    if status in (401, 403):
        raise Throttled(f"our credential was refused ({status})", code="unauthorized", **facts)
    if status == 409:
        raise InProgress("an earlier attempt is still running there (409)", code="409", **facts)
    raise Unknown(f"status {status} proves nothing", code=str(status), **facts)


def modelled(answer: Answer, returns: type[M]) -> M:
    """Read the answer as `returns`.

    Raises:
        Unknown: it is none.
    """
    try:
        return returns.model_validate_json(answer.body)
    except ValidationError as error:
        raise Unknown(
            f"the answer is no {returns.__name__}: {fault(error)}",
            code="unreadable",
            http_status=answer.status,
            answer=answer.body,
        ) from None


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
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


class _Coded(BaseModel):
    code: str


def _provider_code(answer: Answer) -> str | None:
    """Read `code` of a JSON answer, where many providers say why."""
    try:
        code = _Coded.model_validate_json(answer.body).code
    except ValidationError:
        return None
    return code if code.isprintable() and 0 < len(code) <= 100 else None
