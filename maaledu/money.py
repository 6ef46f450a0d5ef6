"""Money as integers in the currency's minor unit, and the one place that rounds.

Source: decisions, "Figures".
"""

from dataclasses import dataclass

from django.utils.formats import get_format

from maaledu.direction import left_to_right


@dataclass(frozen=True)
class Currency:
    """`exponent`: digits of the minor unit; `minimum`: Stripe's smallest charge, in minor units."""

    code: str
    exponent: int
    minimum: int
    symbol: str


# Stripe's minimum charges by settlement currency. Three-decimal currencies are left out: Stripe's
# rules for them are doubtful.
CURRENCIES: dict[str, Currency] = {
    c.code: c
    for c in (
        Currency("usd", 2, 50, "$"),
        Currency("eur", 2, 50, "€"),
        Currency("gbp", 2, 30, "£"),
        Currency("aed", 2, 200, "AED\u00a0"),
        Currency("chf", 2, 50, "CHF\u00a0"),
        Currency("cad", 2, 50, "CA$"),
        Currency("aud", 2, 50, "A$"),
        Currency("jpy", 0, 50, "¥"),
    )
}
CURRENCY_CHOICES = [(code, code.upper()) for code in CURRENCIES]
BASIS_POINTS = 10_000
MINUS = "\u2212"


@dataclass(frozen=True)
class Money:
    """An amount in the minor unit with its currency; its text is what a reader expects."""

    amount: int
    currency: str

    def __str__(self) -> str:
        return left_to_right(self.text)

    @property
    def text(self) -> str:
        """It with a true minus sign: `$499.00`, `¥5,000`, `−$20.00`."""
        known = CURRENCIES.get(self.currency)
        sign = MINUS if self.amount < 0 else ""
        # Stripe also sends payments of others on its account, in any currency: their minor unit is
        # unknown here.
        if known is None:
            return f"{sign}{abs(self.amount)} {self.currency.upper()}"
        whole, minor = divmod(abs(self.amount), 10**known.exponent)
        decimals = f"{minor:0{known.exponent}d}" if known.exponent else ""
        return f"{sign}{known.symbol}{number_text(whole, decimals)}"


def number_text(whole: int, decimals: str = "") -> str:
    """Return a number as the reader's language writes it: `1,234.50`, `1.234,50`."""
    point, comma = get_format("DECIMAL_SEPARATOR"), get_format("THOUSAND_SEPARATOR")
    return f"{whole:,}".replace(",", comma) + (f"{point}{decimals}" if decimals else "")


def stripe_minimum(currency: str) -> int:
    """Return Stripe's smallest charge; a price below it is free (decisions: chargeable minimum)."""
    return CURRENCIES[currency].minimum


def is_chargeable(amount: int, currency: str) -> bool:
    return amount >= stripe_minimum(currency)


def round_half_up(numerator: int, denominator: int) -> int:
    """Return numerator/denominator, of integers that are not negative, rounded half up.

    No other function rounds money.
    """
    return (2 * numerator + denominator) // (2 * denominator)


def share(amount: int, basis_points: int) -> int:
    """Return the share of `amount` at a rate in basis points, half up: 199.99 at 1000 is 20.00."""
    return round_half_up(amount * basis_points, BASIS_POINTS)


def exponent_of(currency: str) -> int:
    """Return how many decimals an amount has; 0 for a currency that we do not sell in."""
    known = CURRENCIES.get(currency)
    return known.exponent if known else 0


def plain_amount(amount: int, currency: str) -> str:
    """Return an amount as it is typed and as programs read it: `1234.50`."""
    exponent = exponent_of(currency)
    whole, minor = divmod(abs(amount), 10**exponent)
    return f"{'-' * (amount < 0)}{whole}" + (f".{minor:0{exponent}d}" if exponent else "")


NO_RATE = "–"


def percent(part: int, whole: int) -> str:
    """Return a share to a tenth of a percent, half up: `3.3 %`."""
    if not whole:
        return NO_RATE
    whole_percents, tenths = divmod(round_half_up(part * 1000, whole), 10)
    return f"{number_text(whole_percents, str(tenths))} %"


def rate_text(basis_points: int) -> str:
    """Return a rate as a percentage: 1000 is `10 %`, 1250 is `12.5 %`."""
    whole, rest = divmod(basis_points, 100)
    return number_text(whole, f"{rest:02d}".rstrip("0")) + " %"
