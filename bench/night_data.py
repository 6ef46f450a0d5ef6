"""Fill a fresh database with three years of a shop, for the night to work on.

Imported in a process where the product is set up. Everything agrees as the invariants want it, and
is derived from a row's number, so that a second database of this size has the same rows. Finished
work of the last 90 days is there, and that of BACKLOG before, as if the nights had not been run.

PostgreSQL copies the first BASE enrollments with all that belongs to them, until there are enough.
"""

import uuid
from collections import defaultdict
from typing import Any

from django.contrib.sessions.models import Session
from django.db import connection, models

from accounts.models import User
from affiliates.models import (
    Affiliate,
    Balance,
    Commission,
    LedgerEntry,
    Payout,
    PayoutBatch,
    PayoutItem,
    ReferralVisit,
)
from bench.night_beside import write_grown_beside
from bench.night_payouts import balance, write_payouts
from bench.night_purchases import purchase
from bench.night_shop import make_shop, sliced, write
from courses.models import Course
from enrollments.models import Enrollment, EnrollmentEvent
from grants.models import Grant, GrantEvent, Program, Refusal
from lms_sync.models import SyncAttempt, SyncJob
from maaledu.models import LimitCount
from notifications.models import Alert, AlertNotice, Email
from operations.models import Trouble
from payments.models import Payment, Refund, StripeEvent

BASE = 20_000
INDEXES = """
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    AND tablename = ANY(%s) AND indexdef NOT LIKE 'CREATE UNIQUE%%'
"""
# What names one thing outside, where no rule of the database says so.
KEYS = {
    "stripe_payment_intent_id",
    "payment_intent_id",
    "payment_reference",
    "lms_enrollment_id",
    "session_id",
}
# All that is copied, whoever is pointed to first.
GROWN: tuple[type[models.Model], ...] = (
    User,
    Affiliate,
    Balance,
    Enrollment,
    EnrollmentEvent,
    Payment,
    Refund,
    Grant,
    GrantEvent,
    Commission,
    LedgerEntry,
    PayoutBatch,
    Payout,
    PayoutItem,
    SyncJob,
    SyncAttempt,
    Email,
    StripeEvent,
    ReferralVisit,
    Refusal,
    Trouble,
    Alert,
    AlertNotice,
    Session,
    LimitCount,
)


def fill(size: int) -> None:
    """Write `size` enrollments, and what belongs to them."""
    copies = max(size // BASE, 1) if connection.vendor == "postgresql" else 1
    _fill(size // copies)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            if copies > 1:
                _copy(cursor, copies)
                _count_budget()
            cursor.execute("VACUUM ANALYZE")


def _copy(cursor: Any, copies: int) -> None:
    """Copy all rows; the indexes that hold no rule are made when they are there, at once."""
    cursor.execute("SET session_replication_role = replica")  # no keys, no triggers
    cursor.execute(INDEXES, [[model._meta.db_table for model in GROWN]])
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f'DROP INDEX "{name}"')
    for model in GROWN:
        cursor.execute(_copying(model), {"last": copies - 1})
    cursor.execute("SET maintenance_work_mem = '256MB'")
    for _, definition in indexes:
        cursor.execute(definition)
    cursor.execute("SET session_replication_role = DEFAULT")


def _copying(model: type[models.Model]) -> str:
    """Return the statement that writes copies of a table's rows, each with keys of its own."""
    fields = model._meta.concrete_fields
    columns = ", ".join(f'"{field.column}"' for field in fields)
    values = ", ".join(_copied(field) for field in fields)
    table = model._meta.db_table
    return (
        f"INSERT INTO {table} ({columns})"
        f" SELECT {values} FROM {table}, generate_series(1, %(last)s) AS copy"
    )


def _copied(field: models.Field) -> str:
    column, mark = f'"{field.column}"', "'-7' || lpad(to_hex(copy), 3, '0') || '-'"
    marked = f"replace({column}::text, '-7000-', {mark})"
    if field.related_model in (Course, Program):  # as many as in a smaller shop
        return column
    if isinstance(field, models.EmailField):
        return f"replace({column}, '@', '-' || copy || '@')"
    if isinstance(field.target_field if field.is_relation else field, models.UUIDField):
        return f"{marked}::uuid"
    if field.unique:
        other = f"{column} || '_' || copy"
        return f"CASE WHEN {column} LIKE '%%-7000-%%' THEN {marked} ELSE {other} END"
    one_of_ours = f"CASE WHEN {column} = '' THEN '' ELSE {column} || '_' || copy END"
    return one_of_ours if field.column in KEYS else column


def _fill(size: int) -> None:
    shop = make_shop(size)
    entries: dict[uuid.UUID, list[LedgerEntry]] = defaultdict(list)
    for numbers in sliced(range(size)):
        rows: list[models.Model] = []
        for number in numbers:
            rows += purchase(shop, number, entries)
        write(rows)
    for affiliate in shop.affiliates:
        write(balance(affiliate, entries[affiliate.pk], shop))
    write_payouts(shop, entries)
    write_grown_beside(shop)
    _count_budget()


def _count_budget() -> None:
    held = Grant.objects.filter(holds_budget=True)
    sums = held.aggregate(amount=models.Sum("committed_amount"), grants=models.Count("pk"))
    Program.objects.update(committed_amount=sums["amount"] or 0, committed_grants=sums["grants"])
