"""The arithmetic of commissions, beside arithmetic of the test's own."""

from fractions import Fraction
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from affiliates.commissions import Sale, reversed_part
from tests.affiliates.sale_model import half_up

pytestmark = pytest.mark.any_engine

AMOUNTS = st.integers(1, 10**9)


def sale_of(base: int, rate: int, paid: int) -> Sale:
    return Sale(uuid4(), uuid4(), "course", "Course", base, rate, paid, "usd")


@pytest.mark.parametrize(
    ("base", "rate", "paid", "earned"),
    [
        (49900, 1000, 24950, 4990),  # 499.00 with half of it granted: 49.90, not 24.95
        (19999, 1000, 13399, 2000),  # 19.999, half up
        (49900, 1000, 2495, 4990),  # more than was paid: decisions allow it, and the approval warns
        (4900, 1000, 0, 0),  # a free place earns nothing
        (5, 1000, 5, 1),  # 0.5 of a cent, half up
        (4, 1000, 4, 0),
        (49900, 0, 49900, 0),
    ],
)
def test_the_worked_figures_hold(base: int, rate: int, paid: int, earned: int) -> None:
    assert sale_of(base, rate, paid).commission == earned


@given(AMOUNTS, st.integers(0, 10_000), AMOUNTS)
@hypothesis_settings(max_examples=500, deadline=None)
def test_a_commission_is_base_times_rate_half_up(base: int, rate: int, paid: int) -> None:
    assert sale_of(base, rate, paid).commission == half_up(Fraction(base * rate, 10_000))


@given(AMOUNTS, st.lists(AMOUNTS, min_size=1, max_size=8))
@hypothesis_settings(max_examples=500, deadline=None)
def test_the_parts_of_any_refunds_add_up_to_the_commission(
    commission: int, parts: list[int]
) -> None:
    """Each step takes back what the running total comes to: never less than before, never more than
    all, in the end all.
    """
    paid, refunded, steps = sum(parts), 0, []
    for part in parts:
        refunded += part
        back = reversed_part(commission, refunded=refunded, paid=paid)
        assert back == min(commission, half_up(Fraction(commission * refunded, paid)))
        steps.append(back - sum(steps))
    assert all(step >= 0 for step in steps)
    assert sum(steps) == commission


@given(AMOUNTS, AMOUNTS, st.integers(0, 10**9))
@hypothesis_settings(max_examples=300, deadline=None)
def test_no_more_than_the_commission_is_ever_reversed(
    commission: int, paid: int, refunded: int
) -> None:
    assert 0 <= reversed_part(commission, refunded=refunded, paid=paid) <= commission
