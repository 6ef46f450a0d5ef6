"""Price bands of the catalogue, in major units of whatever currency a course is sold in."""

from dataclasses import dataclass

from django.db.models import Q
from django.utils.translation import gettext_noop as _

from maaledu.money import CURRENCIES


@dataclass(frozen=True)
class PriceBand:
    """From `lower` up to, but not including, `upper`; None is no upper end."""

    label: str  # marked for translation
    lower: int
    upper: int | None

    def as_q(self) -> Q:
        # Bands are in major units, prices in minor ones: 100 yen are 100, 100 dollars are 10000.
        condition = Q()
        for exponent in sorted({currency.exponent for currency in CURRENCIES.values()}):
            condition |= self._of_exponent(exponent)
        return condition

    def _of_exponent(self, exponent: int) -> Q:
        codes = [code for code, currency in CURRENCIES.items() if currency.exponent == exponent]
        inside = Q(currency__in=codes, price__gte=self.lower * 10**exponent)
        return inside if self.upper is None else inside & Q(price__lt=self.upper * 10**exponent)


PRICE_BANDS = {
    "free": PriceBand(_("Free"), 0, 1),
    "under-100": PriceBand(_("Under 100"), 1, 100),
    "100-300": PriceBand(_("100 to 300"), 100, 300),
    "300-600": PriceBand(_("300 to 600"), 300, 600),
    "over-600": PriceBand(_("600 and over"), 600, None),
}
