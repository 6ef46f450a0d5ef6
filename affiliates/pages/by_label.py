"""What the links with each of an affiliate's labels led to in a period."""

from collections import defaultdict
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Sum

from affiliates import labels
from affiliates.models import ReferralLabelDay
from affiliates.pages.figures import Period, Steps
from maaledu.money import Money


@dataclass
class LabelFigures:
    """One label's part; `earned` is before reversals, an amount for each currency."""

    label: str
    steps: Steps = field(default_factory=Steps)
    earned: list[Money] = field(default_factory=list)

    @property
    def is_others(self) -> bool:
        return self.label == labels.OTHERS


def figures_of(affiliate_id: UUID, period: Period) -> list[LabelFigures]:
    """Return the labels that links were followed by in the period, the best first, the rest last.

    One statement, of as many rows as labels and currencies.
    """
    rows = ReferralLabelDay.objects.filter(
        affiliate_id=affiliate_id, day__gte=period.first, day__lte=period.last
    )
    sums = (
        rows.order_by()
        .values("label", "currency")
        .annotate(
            all_visits=Sum("visits"),
            all_checkouts=Sum("checkouts"),
            all_purchases=Sum("purchases"),
            all_earned=Sum("earned"),
        )
    )
    found: defaultdict[str, LabelFigures] = defaultdict(lambda: LabelFigures(""))
    for row in sums:
        part = found[row["label"]]
        part.label = row["label"]
        part.steps += Steps(row["all_visits"], row["all_checkouts"], row["all_purchases"])
        if row["all_earned"]:
            part.earned.append(Money(row["all_earned"], row["currency"]))
    return sorted(found.values(), key=_rank)


def _rank(each: LabelFigures) -> tuple[bool, int, int, str]:
    return each.is_others, -each.steps.purchases, -each.steps.visits, each.label
