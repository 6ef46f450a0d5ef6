import pytest
from hypothesis import given
from hypothesis import strategies as st

from courses.discounts import discounted, undiscounted
from grants.codes import ALPHABET, new_code, normalize_code
from maaledu.money import CURRENCIES

pytestmark = pytest.mark.any_engine


@pytest.mark.parametrize(
    ("price", "percent", "discount", "to_pay"),
    [
        (49900, 50, 24950, 24950),
        (19999, 33, 6600, 13399),
        (4900, 99, 4900, 0),  # 0.49 is under Stripe's minimum: free
        (49900, 95, 47405, 2495),
        (49900, 100, 49900, 0),
        (100, 50, 50, 50),
        (101, 50, 51, 50),
        (99, 50, 99, 0),
    ],
)
def test_the_worked_figures_hold_to_the_cent(
    price: int, percent: int, discount: int, to_pay: int
) -> None:
    found = discounted(price, percent, "usd")
    assert (found.discount, found.to_pay, found.is_free) == (discount, to_pay, to_pay == 0)


@given(st.integers(1, 10**9), st.integers(10, 100), st.sampled_from(sorted(CURRENCIES)))
def test_discount_and_rest_make_the_list_price_and_the_rest_is_chargeable_or_nothing(
    price: int, percent: int, currency: str
) -> None:
    found = discounted(price, percent, currency)
    assert found.discount + found.to_pay == price
    assert found.to_pay == 0 or found.to_pay >= CURRENCIES[currency].minimum
    assert found.to_pay == 0 or abs(found.discount * 100 - price * percent) <= 50


def test_a_course_under_the_minimum_is_free_without_a_grant() -> None:
    assert undiscounted(49, "usd").is_free
    assert not undiscounted(50, "usd").is_free


def test_codes_are_sixty_random_bits_of_an_alphabet_without_look_alikes() -> None:
    assert len(ALPHABET) == 32 == len(set(ALPHABET))
    assert not set("IO01") & set(ALPHABET)
    codes = {new_code() for _ in range(2000)}
    assert len(codes) == 2000
    assert all(
        len(code) == 19 and code.startswith("MAAL-") and normalize_code(code) == code
        for code in codes
    )


@pytest.mark.parametrize(
    "typed",
    [
        "maal-abcd-efgh-jklm",
        " MAAL ABCD EFGH JKLM ",
        "abcdefghjklm",
        "MAAL–ABCD–EFGH–JKLM",
        "MAAL-ABCD-EFGHJKLM",
    ],
)
def test_a_code_is_found_however_it_is_typed(typed: str) -> None:
    assert normalize_code(typed) == "MAAL-ABCD-EFGH-JKLM"


@given(st.text(max_size=300))
def test_whatever_is_typed_becomes_something_to_look_up(typed: str) -> None:
    assert normalize_code(typed).isascii()
    assert len(normalize_code(typed)) <= 90
