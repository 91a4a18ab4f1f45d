"""What a statement's file may be, and what is said of one that is not."""

import csv
from datetime import date
from decimal import Decimal
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceward_relay.people.statements import sheet
from onceward_relay.people.statements.batch import FORMULAS, as_csv, inert_cell
from onceward_relay.people.statements.columns import Columns, guess, wrong_with
from onceward_relay.people.statements.movements import Unequal, movements
from onceward_relay.people.statements.notation import amount, day, day_first_of, point_of
from onceward_relay.people.statements.sheet import Unreadable, read

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_delimiter_is_guessed_and_a_mark_of_utf_8_is_no_part_of_a_name(delimiter: str, mark: bytes) -> None:
    found = read(mark + f"id{delimiter}amount\r\nr-1{delimiter}12.50\r\n\r\nr-2{delimiter}3\r\n".encode())
    assert found.header == ("id", "amount")
    assert found.rows == ((2, ("r-1", "12.50")), (4, ("r-2", "3")))
    assert found.delimiter == delimiter


def test_what_stands_above_the_heading_is_skipped_and_lines_keep_their_numbers() -> None:
    found = read(b'Account 1\nfrom; to\nid;text\nr-1;"two\nlines"\nr-2;x\n', heading=3)
    assert found.header == ("id", "text")
    assert found.rows == ((4, ("r-1", "two\nlines")), (6, ("r-2", "x")))


@pytest.mark.parametrize(
    ("content", "encoding", "said"),
    [
        (b"id,name\nr-1,M\xfcller\n", "utf-8", "byte 0xfc at position 14, line 2, cannot stand there; save the file as UTF-8, or choose"),
        ("id\nr-1".encode("utf-16"), "utf-8", "choose UTF-16"),
        (b"i\0d\nx", "utf-8", "NUL character in line 1"),
        (b"id\nr-", "utf-16", "is not UTF-16"),
        (b'id,x\n"r-1,2\nr-2,3\n', "utf-8", "is no CSV from line 2 on"),
        (b'id,x\n"r"x,2\n', "utf-8", "is no CSV from line 2 on"),
        (b"", "utf-8", "has no line 1 that names its columns"),
        (b" , \n , ", "utf-8", "has no line 1 that names its columns"),
        (b"id,x\n\n\n", "utf-8", "has no row below its heading"),
        (b"id\n" + b"x" * (sheet.MOST_CELL + 1), "utf-8", "characters in one cell of line 2"),
        (b"id\n" + b"x" * 200_000, "utf-8", "is no CSV from line 2 on"),
        (b"a," * sheet.MOST_COLUMNS + b"a\n1\n", "utf-8", "has 201 columns"),
        (b" " * (sheet.MOST_BYTES + 1), "utf-8", "more than 20 MiB"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_with_the_place_and_what_to_do(
    content: bytes, encoding: str, said: str
) -> None:
    with pytest.raises(Unreadable, match="(?s).*" + said.replace("(", r"\(")):
        read(content, encoding=encoding)


def test_a_million_lines_are_refused() -> None:
    with pytest.raises(Unreadable, match="more than 100,000 rows; give it in parts"):
        read(b"id\n" + b"1\n" * 1_000_000)


def test_another_encoding_counts_when_it_is_chosen() -> None:
    assert read("id,name\nr,Müller".encode("latin-1"), encoding="latin-1").rows[0][1] == ("r", "Müller")
    assert read("id,name\nr,Müller".encode("utf-16"), encoding="utf-16").rows[0][1] == ("r", "Müller")


@given(st.binary(max_size=300), st.sampled_from(sheet.ENCODINGS), st.integers(1, 4))
def test_any_bytes_are_read_or_refused(content: bytes, encoding: str, heading: int) -> None:
    try:
        found = read(content, encoding=encoding, heading=heading)
    except Unreadable:
        return
    assert all("\0" not in cell for _, row in found.rows for cell in row)


@given(st.lists(st.lists(TEXT, min_size=2, max_size=4), min_size=1, max_size=6), st.sampled_from(sheet.DELIMITERS))
def test_what_was_written_as_csv_is_read_as_it_was(rows: list[list[str]], delimiter: str) -> None:
    text = StringIO()
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])
    wanted = [tuple(cell.strip() for cell in row) for row in rows if any(cell.strip() for cell in row)]
    if not wanted:
        return
    found = read(text.getvalue().encode(), delimiter=delimiter)
    assert [row for _, row in found.rows] == wanted


@given(
    st.decimals(min_value=-(10**15), max_value=10**15, places=2, allow_nan=False),
    st.sampled_from([(".", ""), (".", ","), (",", ""), (",", "."), (",", " "), (",", "\u202f"), (".", "'")]),
    st.sampled_from(["-{}", "{}-", "({})", "\u2212{}"]),
)
def test_an_amount_is_read_however_it_is_written(value: Decimal, marks: tuple[str, str], minus: str) -> None:
    point, group = marks
    plain = f"{abs(value):,.2f}".replace(",", "_").replace(".", point).replace("_", group)
    text = minus.format(plain) if value < 0 else plain
    assert amount(text, point) == value  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    ["", "1,23", "12 EUR", "NaN", "1e5", "Infinity", "1.2.3", "1,2345.00", "٣", "0x10", "-", "1" * 21, "0." + "1" * 11],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no amount|more than 20 digits"):
        amount(text, ".")


@pytest.mark.parametrize(
    ("texts", "point"),
    [
        (["1,234", "1,234.50"], "."),
        (["1.234", "12,5"], ","),
        (["1.234.567"], ","),
        (["12.50"], "."),
        (["1,234"], "."),
        (["0,125"], ","),
        ([], "."),
    ],
)
def test_the_mark_before_decimals_is_told_by_a_cell_that_leaves_no_doubt(texts: list[str], point: str) -> None:
    assert point_of(texts) == point


def test_a_date_that_could_be_two_is_not_guessed() -> None:
    assert day("2026-05-31T12:00:00Z", day_first=None) == date(2026, 5, 31)
    assert day("20260531", day_first=None) == day("31.05.2026", day_first=None) == date(2026, 5, 31)
    assert day("31/05/2026", day_first=None) == day("05/31/2026", day_first=None) == date(2026, 5, 31)
    assert day("03/05/2026", day_first=True) == date(2026, 5, 3)
    assert day_first_of(["03/05/2026", "03/31/2026"]) is False
    for text, said in (
        ("03/05/2026", "could be two dates"),
        ("31.02.2026", "no date that there is"),
        ("01.02.26", "four digits"),
        ("soon", "is no date"),
    ):
        with pytest.raises(ValueError, match=said):
            day(text, day_first=None)


def test_columns_are_guessed_from_their_names_and_their_cells() -> None:
    found = read(
        b"Transaction ID;End-to-End-Id;Our Reference;Betrag;Currency;Booking date;Status\nr;k;o;-1.234,50;EUR;31/05/2026;Booked\nr;k;o;1;EUR;01/02/2026;odd\n"
    )
    columns = guess(found, ["reference", "money.amount", "note"])
    assert columns == Columns(
        reference=0, key=1, ref=2, amount=3, currency=4, date=5, status=6, point=",", day_first=True, direction=None,
        says={"booked": "applied", "odd": "unclear"}, result={"reference": 0, "money.amount": 3},
    )  # fmt: skip
    assert wrong_with(columns, found.header) == []
    assert "name a column" in wrong_with(Columns(ref=0, amount=1), found.header)[0]
    assert wrong_with(Columns(reference=9), found.header) == ["reference: there is no column 9"]


def test_a_row_that_cannot_be_read_says_so_and_keeps_no_other_back() -> None:
    columns = Columns(reference=0, amount=1, currency=2, date=3)
    lines = [
        (2, ("r-1", "1,5", "EUR", "")),
        (3, ("r-2",)),
        (4, ("r-3", "5", "euro", "")),
        (5, ("r-4", "5", "eur", "x")),
        (6, ("r-5", "5", "eur", "")),
    ]
    read_ = movements(lines, columns, 4)
    assert [each.problem and each.problem.split(":")[0] for each in read_] == [
        "amount",
        "line",
        "currency",
        "date",
        None,
    ]
    assert (read_[4].amount, read_[4].currency, read_[4].says) == (Decimal(5), "EUR", "applied")


def test_amounts_of_both_signs_need_a_word_which_of_them_are_ours() -> None:
    lines = [(2, ("r-1", "-5")), (3, ("r-2", "7"))]
    with pytest.raises(Unequal, match="direction: "):
        movements(lines, Columns(reference=0, amount=1), 2)
    found = movements(lines, Columns(reference=0, amount=1, direction="negative"), 2)
    assert [(each.amount, each.aside) for each in found] == [(Decimal(5), False), (Decimal(7), True)]


@given(TEXT)
def test_no_cell_that_is_given_out_begins_a_formula(text: str) -> None:
    cell = inert_cell(text)
    assert not cell.lstrip(" \n").startswith(FORMULAS)
    assert cell.removeprefix("'") == text.removeprefix("'")
    assert next(csv.reader(StringIO(as_csv([[cell, "x"]]), newline=""))) == [cell, "x"]
