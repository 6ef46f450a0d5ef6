"""Fill a fresh PostgreSQL database with one affiliate's history.

Imported in a process where the product is set up. The entries are spread over three years:
commissions, a reversal for every twentieth, a payout a month. The balance is computed from them,
and the funnel of three years is written with them, as the product would have left them. The ledger
also holds entries of others.
"""

from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from accounts.models import User
from affiliates import memberships
from affiliates.models import Affiliate
from demo.courses import seed_courses

EMAIL = "growth@maaledu.example"
DAYS = 3 * 365
OTHERS, OTHERS_ENTRIES = 40, 1000
# Ids as the product makes them: version 7, in the order of time.
ENTRIES = """
INSERT INTO affiliates_ledgerentry (id, affiliate_id, kind, amount, currency, base,
    rate_basis_points, enrollment_id, payout_id, source_key, available_at, created_by, note,
    created_at)
SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0')
        || '7' || substr(noise, 1, 3) || '8' || substr(noise, 4, 15))::uuid,
    %(affiliate)s, kind,
    CASE kind WHEN 'commission' THEN 4990 WHEN 'reversal' THEN -1663 ELSE -10000 END, 'usd',
    CASE WHEN kind <> 'payout' THEN 49900 END, CASE WHEN kind <> 'payout' THEN 1000 END,
    CASE WHEN kind <> 'payout' THEN gen_random_uuid() END,
    CASE WHEN kind = 'payout' THEN gen_random_uuid() END,
    kind || ':' || noise,
    CASE kind WHEN 'payout' THEN moment ELSE moment + interval '30 days' END,
    'bench', 'Data Analysis Foundations', moment
FROM (
    SELECT md5(%(affiliate)s::text || n) AS noise,
        %(start)s + (%(end)s - %(start)s) * (n::float / %(count)s) AS moment,
        CASE WHEN n %% %(payout_every)s = 0 THEN 'payout'
            WHEN n %% 20 = 7 THEN 'reversal' ELSE 'commission' END AS kind
    FROM generate_series(1, %(count)s) AS n
) AS booked
"""
BALANCE = """
INSERT INTO affiliates_balance (id, affiliate_id, currency, pending, payable, paid, held,
    matured_through, version)
SELECT gen_random_uuid(), affiliate_id, currency,
    coalesce(sum(amount) FILTER (WHERE kind <> 'payout' AND available_at > %(end)s), 0),
    coalesce(sum(amount) FILTER (WHERE kind = 'payout' OR available_at <= %(end)s), 0),
    coalesce(-sum(amount) FILTER (WHERE kind = 'payout'), 0), 0, %(end)s, count(*)
FROM affiliates_ledgerentry GROUP BY affiliate_id, currency
"""
FUNNEL = """
INSERT INTO affiliates_referralday (id, affiliate_id, day, course_slug, currency, visits,
    checkouts, purchases, earned)
SELECT gen_random_uuid(), %(affiliate)s, (%(end)s - n * interval '1 day')::date, slug, '', 40, 4,
    1, 4990
FROM generate_series(0, %(days)s) AS n,
    (SELECT slug FROM courses_course ORDER BY slug LIMIT 8) AS sold
"""


def fill(count: int) -> None:
    """Book `count` entries for the affiliate that is measured, and a fixed number for others."""
    seed_courses()
    now = timezone.now()
    for number in range(OTHERS):
        _book(_affiliate(f"other-{number}@maaledu.example", now), OTHERS_ENTRIES, now)
    _book(_affiliate(EMAIL, now), count, now)
    with connection.cursor() as cursor:
        cursor.execute(BALANCE, {"end": now})
        cursor.execute("VACUUM ANALYZE")


def _affiliate(email: str, now: datetime) -> Affiliate:
    user = User.objects.create_user(email, "growth-of-the-ledger")
    affiliate = Affiliate(
        user=user,
        email=email,
        alias_key=email,
        name="Growth",
        rate_basis_points=1000,
        tax_country="DE",
    )
    affiliate.terms_accepted_at = affiliate.created_at = now - timedelta(days=DAYS)
    affiliate.save()
    memberships.approve(affiliate, by="staff@example.com")
    return affiliate


def _book(affiliate: Affiliate, count: int, now: datetime) -> None:
    start = now - timedelta(days=DAYS)
    facts = {
        "affiliate": affiliate.pk,
        "count": count,
        "start": start,
        "end": now,
        "days": DAYS,
        "payout_every": max(count // 36, 1),
    }
    with connection.cursor() as cursor:
        for statement in (ENTRIES, FUNNEL):
            cursor.execute(statement, facts)
