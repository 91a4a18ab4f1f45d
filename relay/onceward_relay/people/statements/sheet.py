"""A statement's file as rows of text: CSV, in an encoding that is known and not guessed."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Literal, get_args

Encoding = Literal["utf-8", "utf-16", "latin-1", "cp1252"]
Delimiter = Literal[",", ";", "\t"]
ENCODINGS: tuple[str, ...] = get_args(Encoding)
DELIMITERS: tuple[str, ...] = get_args(Delimiter)
MOST_BYTES = 20 * 2**20
MOST_LINES = 100_000
"""Rows below the heading."""
MOST_COLUMNS = 200
MOST_CELL = 10_000
"""Characters of one cell."""


class Unreadable(ValueError):
    """A file is no statement that can be read. Its words name the place and say what to do."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a file holds."""

    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    """Each with the number of its line in the file."""
    delimiter: str


def read(content: bytes, *, encoding: str = "utf-8", delimiter: str | None = None, heading: int = 1) -> Sheet:
    """Read a file.

    Args:
        content: its bytes, at most `MOST_BYTES`.
        encoding: one of `ENCODINGS`; utf-8 may begin with a byte order mark.
        delimiter: one of `DELIMITERS`; None: the one that splits the heading best.
        heading: the number of the line that names the columns; what stands above is skipped.

    Raises:
        Unreadable: it cannot be read, or is larger than it may be.

    """
    if len(content) > MOST_BYTES:
        raise Unreadable(f"has more than {MOST_BYTES // 2**20} MiB; give it in parts")
    lines = _skipping(_decoded(content, encoding), heading - 1)
    first = lines.partition("\n")[0]
    chosen = delimiter or max(DELIMITERS, key=first.count)
    reader = csv.reader(StringIO(lines, newline=""), delimiter=chosen, strict=True)
    found = _lines(reader, heading - 1)
    header = tuple(name.strip() for name in next(found, (0, ()))[1])
    if not any(header):
        raise Unreadable(f"has no line {heading} that names its columns")
    if len(header) > MOST_COLUMNS:
        raise Unreadable(f"has {len(header)} columns; at most {MOST_COLUMNS} are read")
    rows: list[tuple[int, tuple[str, ...]]] = []
    for number, row in found:
        if len(rows) == MOST_LINES:
            raise Unreadable(f"has more than {MOST_LINES:,} rows; give it in parts")
        rows.append((number, row))
    if not rows:
        raise Unreadable("has no row below its heading")
    return Sheet(header, tuple(rows), chosen)


def _decoded(content: bytes, encoding: str) -> str:
    if encoding == "utf-8" and content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Unreadable("begins like a file in UTF-16: choose UTF-16 as its encoding, or save it as UTF-8")
    try:
        text = content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"byte {content[error.start]:#04x} at position {error.start + 1:,}" if error.start < len(content) else ""
        raise Unreadable(
            f"is not {encoding.upper()}: {byte}, line {line:,}, cannot stand there;"
            " save the file as UTF-8, or choose its encoding"
        ) from None
    if (at := text.find("\0")) >= 0:
        line = text.count("\n", 0, at) + 1
        raise Unreadable(f"has a NUL character in line {line:,}: choose UTF-16 if that is its encoding, or remove it")
    return text


def _skipping(text: str, lines: int) -> str:
    """Return what stands below so many lines."""
    start = 0
    for _ in range(lines):
        end = text.find("\n", start)
        if end < 0:
            raise Unreadable(f"has fewer than {lines + 1} lines, so its heading is not there")
        start = end + 1
    return text[start:]


def _lines(reader: Iterator[list[str]], above: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Return the rows that are not empty, each with the number of its first line."""
    number = above + 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise Unreadable(f"is no CSV from line {number:,} on: {error}") from None
        began, number = number, above + reader.line_num + 1  # type: ignore[attr-defined]
        if long := next((cell for cell in row if len(cell) > MOST_CELL), None):
            raise Unreadable(
                f"has {len(long):,} characters in one cell of line {began:,}; at most {MOST_CELL:,} are read:"
                " is a quotation mark not closed?"
            )
        if any(cell.strip() for cell in row):
            yield began, tuple(cell.strip() for cell in row)
