"""Labels that affiliates give their links (`?ref=CODE&via=newsletter`), counted by the day.

A label says where a link stands. It never decides who is credited or how much, and what anybody
puts into an address is bounded: in length, in its letters, and in how many labels of an affiliate a
day has. Only sums are kept, nothing about a visitor.
"""

import re
import unicodedata
from datetime import timedelta
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from affiliates.models import ReferralLabelDay
from maaledu.forgetting import forget

LONGEST = 30
LONGEST_READ = 200
MOST_A_DAY = 50
OTHERS = "~"  # no label can be this; it counts what comes under more labels than MOST_A_DAY
KEPT = timedelta(days=2 * 366)  # the longest period of the figures, and as many days before it
BETWEEN = re.compile(r"[^a-z0-9]+")


def clean(text: str) -> str:
    """Return a label as it is kept: a to z, digits and hyphens, at most LONGEST; "" without any.

    Case and accents are ignored, so that “Été 2026” and “ete-2026” are one label.
    """
    plain = unicodedata.normalize("NFKD", text[:LONGEST_READ]).encode("ascii", "ignore").decode()
    return BETWEEN.sub("-", plain.lower()).strip("-")[:LONGEST].strip("-")


def count(affiliate_id: UUID, label: str, currency: str, **more: int) -> None:
    """Add to a label's counts of today, within the caller's transaction; nothing without one."""
    if not label:
        return
    today = ReferralLabelDay.objects.filter(affiliate_id=affiliate_id, day=timezone.now().date())
    # Added by the database, so that two requests at once lose no count.
    changes = {name: F(name) + number for name, number in more.items()}
    if today.filter(label=label, currency=currency).update(**changes):
        return
    known = set(today.values_list("label", flat=True))
    kept = label if label in known or len(known - {OTHERS}) < MOST_A_DAY else OTHERS
    row, _ = ReferralLabelDay.objects.get_or_create(
        affiliate_id=affiliate_id, day=timezone.now().date(), label=kept, currency=currency
    )
    ReferralLabelDay.objects.filter(pk=row.pk).update(**changes)


def forget_old() -> int:
    """Delete the counts that no period of the figures can show any more; return how many."""
    return forget(ReferralLabelDay.objects.filter(day__lt=(timezone.now() - KEPT).date()), by="day")
