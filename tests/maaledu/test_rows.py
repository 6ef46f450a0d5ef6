"""A row that fails stops no other, and is named in the end."""

import logging
from types import SimpleNamespace

import pytest

from maaledu.errors import AppError
from maaledu.rows import RowsFailed, for_each_row

pytestmark = pytest.mark.no_database


class Down(AppError):
    code = "DOWN"


def row(number: int) -> SimpleNamespace:
    return SimpleNamespace(pk=number, _meta=SimpleNamespace(verbose_name="row"))


def rows(count: int) -> list[SimpleNamespace]:
    return [row(number) for number in range(count)]


def doing(faults: dict[int, Exception], seen: list[int]):
    def do(item: SimpleNamespace) -> bool:
        seen.append(item.pk)
        if item.pk in faults:
            raise faults[item.pk]
        return item.pk % 2 == 0

    return do


def test_it_counts_what_was_done() -> None:
    seen: list[int] = []
    assert for_each_row(rows(5), doing({}, seen), outage=Down) == 3
    assert seen == [0, 1, 2, 3, 4]


def test_odd_rows_are_passed_over_logged_and_named_in_the_end(caplog) -> None:
    seen: list[int] = []
    with pytest.raises(RowsFailed, match=r"^2 could not be worked on: row 0, row 3\.$"):
        for_each_row(rows(5), doing({0: KeyError("x"), 3: AppError("No.")}, seen), outage=Down)
    assert seen == [0, 1, 2, 3, 4]
    assert [(record.levelno, record.row, record.exc_info[0]) for record in caplog.records] == [
        (logging.ERROR, "row 0", KeyError),
        (logging.ERROR, "row 3", AppError),
    ]


def test_three_in_a_row_without_an_answer_end_it_in_peace() -> None:
    seen: list[int] = []
    assert (
        for_each_row(
            rows(9), doing({number: Down() for number in (0, 1, 3, 4, 5)}, seen), outage=Down
        )
        == 1
    )
    assert seen == [0, 1, 2, 3, 4, 5]


def test_an_object_of_a_service_is_named_by_its_own_id() -> None:
    def refuse(_: dict) -> bool:
        raise ValueError

    with pytest.raises(RowsFailed, match=r": cs_1\.$"):
        for_each_row([{"id": "cs_1", "customer_email": "ada@example.com"}], refuse)


def test_a_list_that_breaks_off_is_not_the_fault_of_a_row() -> None:
    def listed():
        yield row(0)
        raise Down

    with pytest.raises(Down):
        for_each_row(listed(), lambda _: True, outage=Down)
