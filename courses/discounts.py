"""A price under a grant: integer percentages of minor units, rounded half up once."""

from dataclasses import dataclass

from maaledu.money import is_chargeable, share

PERCENT_IN_BASIS_POINTS = 100
MIN_PERCENT, MAX_PERCENT = 10, 100


@dataclass(frozen=True)
class Price:
    """List price, discount and what is left to pay, in minor units.

    Where nothing is left to pay, Stripe is not asked.
    """

    list_price: int
    discount: int
    to_pay: int
    currency: str

    @property
    def is_free(self) -> bool:
        return self.to_pay == 0


def undiscounted(list_price: int, currency: str) -> Price:
    """Return the price without a grant, which is 0 where it is under Stripe's minimum."""
    return Price(list_price, 0, list_price if is_chargeable(list_price, currency) else 0, currency)


def discounted(list_price: int, percent: int, currency: str) -> Price:
    """Return the price under a grant: 199.99 at 33 % is 66.00 off and 133.99 to pay.

    What would be left under Stripe's minimum is free (decisions: chargeable minimum): 49.00 at 99 %
    costs nothing.
    """
    discount = share(list_price, percent * PERCENT_IN_BASIS_POINTS)
    to_pay = list_price - discount
    if not is_chargeable(to_pay, currency):
        discount, to_pay = list_price, 0
    return Price(list_price, discount, to_pay, currency)
