import pytest
from django.utils.translation import override

from maaledu.money import Money, percent, plain_amount, rate_text

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


def test_numbers_are_written_as_the_language_does_and_isolated_where_it_runs_the_other_way():
    with override("de"):
        assert (rate_text(1250), rate_text(1000), percent(1, 3)) == ("12,5 %", "10 %", "33,3 %")
        assert str(Money(-123450, "usd")) == "\u2212$1.234,50"
    with override("he"):
        assert str(Money(-5000, "jpy")) == "\u2066\u2212¥5,000\u2069"
        assert Money(-5000, "jpy").text == "\u2212¥5,000"
