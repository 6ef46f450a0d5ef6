"""No cell begins with a formula, whichever character a spreadsheet parts cells by (fault X3)."""

import csv
import io

import pytest
from django.utils.translation import gettext_lazy, override

from maaledu.csv import csv_response, safe_cell

pytestmark = pytest.mark.no_database

SIGNS = "=+-@＝＋－＠"


@pytest.mark.parametrize("separator", [";", ",", "\t", "|", "\n", "\r\n"])
@pytest.mark.parametrize("sign", SIGNS)
def test_no_cell_of_a_common_separator_begins_with_a_formula_sign(sign: str, separator: str):
    for before in ("x", "", "x ", "a;b"):
        for blank in ("", " ", "\u00a0", '"', "'"):
            cell = safe_cell(f"{before}{separator}{blank}{sign}cmd|'/C calc'!A0{separator}y")
            for part in (
                cell.replace("\r", "\n").replace(separator.strip("\r"), "\x00").split("\x00")
            ):
                assert not part.lstrip(' \u00a0"').startswith(tuple(SIGNS)), cell


@pytest.mark.parametrize("text", ["x;=1+1;y", "＝1", " =1", "\t=1", "=1", "-1+1", "@SUM(A1)"])
def test_a_whole_line_read_with_another_separator_has_no_formula(text: str):
    answer = csv_response("names.csv", [["ada", text, "berta"]])
    content = b"".join(answer.streaming_content).decode()
    for separator in (",", ";", "\t", "|"):
        for row in csv.reader(io.StringIO(content), delimiter=separator):
            for cell in row:
                assert not cell.lstrip(' "\t').startswith(tuple(SIGNS)), (separator, row)


@pytest.mark.parametrize(
    "text",
    ["Grace Holder", "a-b", "Smith, Ada", "-24.95", "0", "ada@example.com", "C++", "Jean-Luc; Ada"],
)
def test_what_is_no_formula_stays_as_it_is(text: str):
    assert safe_cell(text) == text


def test_a_file_for_people_says_that_it_is_unicode_and_one_for_the_bank_does_not():
    """Fault S7: Excel reads “Zoë” as “ZoÃ«” without the mark."""
    rows = [["name"], ["Zoë"]]
    for_people = b"".join(csv_response("a.csv", rows, for_people=True).streaming_content)
    for_bank = b"".join(csv_response("a.csv", rows).streaming_content)
    assert for_people == b"\xef\xbb\xbf" + for_bank
    assert for_bank.startswith(b'"name"')
    assert for_people.decode("utf-8-sig") == '"name"\r\n"Zoë"\r\n'


def test_a_file_is_in_the_language_in_which_it_was_asked_for():
    """The office is English; its file is streamed when its request is over."""
    rows = ([word] for word in (gettext_lazy("Yes"), gettext_lazy("No")))
    with override("en"):
        answer = csv_response("a.csv", rows)
    with override("de"):
        lines = [line.decode() for line in answer.streaming_content]
        assert str(gettext_lazy("Yes")) == "Ja"
    assert lines == ['"Yes"\r\n', '"No"\r\n']
