import pytest

from maaledu.money import Money, plain_amount

pytestmark = pytest.mark.no_database


@pytest.mark.parametrize(
    ("amount", "currency", "shown", "plain"),
    [
        (-2000, "usd", "\u2212$20.00", "-20.00"),
        (-5000, "jpy", "\u2212¥5,000", "-5000"),
        (-150, "chf", "\u2212CHF\u00a01.50", "-1.50"),
        (-7, "sek", "\u22127 SEK", "-7"),
        (0, "usd", "$0.00", "0.00"),
        (123456, "eur", "€1,234.56", "1234.56"),
    ],
)
def test_readers_see_a_minus_sign_and_programs_a_hyphen(amount, currency, shown, plain):
    assert (str(Money(amount, currency)), plain_amount(amount, currency)) == (shown, plain)
