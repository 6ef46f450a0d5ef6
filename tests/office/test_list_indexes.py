"""Lists of tables that grow are sorted, searched and filtered by what has an index."""

from typing import Any

import pytest
from django.contrib import admin
from django.utils.timezone import now

from accounts.models import AuditEntry, User
from affiliates.models import LedgerEntry
from enrollments.models import Enrollment, EnrollmentEvent
from grants.models import Grant
from lms_sync.models import SyncAttempt, SyncJob
from notifications.models import AlertNotice
from office.lists import ListAdmin
from payments.models import Payment, StripeEvent

# Of these there are so many that a filter which few rows or none pass must not read all of them.
LARGEST = (
    AlertNotice,
    AuditEntry,
    Enrollment,
    EnrollmentEvent,
    Grant,
    LedgerEntry,
    Payment,
    StripeEvent,
    SyncAttempt,
    SyncJob,
    User,
)


def indexed(model: Any, kind: str = "") -> set[str]:
    """Return the columns that an index of the whole table begins with; with `^`, those that are
    found by how a text begins.
    """
    opts = model._meta
    of_fields = {field.name for field in opts.fields if field.unique or field.db_index}
    of_table = {
        index.fields[0].lstrip("-")
        for index in opts.indexes
        if index.fields and not index.condition and (index.opclasses or kind != "^")
    }
    return {"pk", *of_fields, *of_table}


def is_indexed(model: Any, path: str) -> bool:
    """Return whether a search by this path is a look into an index, in each table on its way."""
    *relations, column = path.lstrip("^=").split("__")
    for relation in relations:
        field = model._meta.get_field(relation)
        if field.concrete and field.name not in indexed(model):
            return False
        model = field.related_model
    name = column if column == "pk" else model._meta.get_field(column).name
    return name in indexed(model, path[0])


@pytest.mark.any_engine
def test_a_list_that_grows_is_sorted_and_searched_by_columns_with_an_index_only(rf: Any) -> None:
    without = []
    for model, page in admin.site._registry.items():
        if not isinstance(page, ListAdmin) or page.is_small:
            continue
        shown = page.get_list_display(rf.get("/"))
        for column in set(page.get_sortable_by(rf.get("/"))) & set(shown):
            cell = getattr(page, str(column), None)
            sorted_by = getattr(cell, "admin_order_field", None) or column
            if "__" not in sorted_by and sorted_by not in indexed(model):
                without.append(f"{model._meta.label}: sorted by {sorted_by}")
        searched = [*page.search_fields, *page.id_fields] if page.search_fields else []
        without += [
            f"{model._meta.label}: searched by {path}"
            for path in searched
            if not is_indexed(model, path)
        ]
    assert not without, "\n".join(without)


@pytest.mark.any_engine
def test_the_largest_lists_are_filtered_by_columns_with_an_index_only() -> None:
    without = [
        f"{model._meta.label}: filtered by {column}"
        for model in LARGEST
        for column in filtered(model)
        if column not in indexed(model) | of_few(model)
    ]
    assert not without, "\n".join(without)


@pytest.mark.engines("sqlite")  # it knows nothing of how many rows have a value
@pytest.mark.django_db
def test_what_few_of_all_paid_ones_are_is_not_sought_among_all_of_them() -> None:
    set_aside, without_access = (
        found.order_by("-created_at", "-pk").explain()
        for found in (Payment.objects.set_aside(), Enrollment.objects.without_access(now()))
    )
    assert "review_reason=?" in set_aside
    assert "lms_status=?" in without_access


def filtered(model: Any) -> set[str]:
    """Return the columns of the list's filters that are named as the column is."""
    filters = admin.site._registry[model].list_filter
    names = {
        getattr(each, "parameter_name", each) for each in filters if not isinstance(each, tuple)
    }
    return names & {field.name for field in model._meta.fields}


def of_few(model: Any) -> set[str]:
    """Return the columns by which an index of a few rows picks them."""
    conditions = [index.condition for index in model._meta.indexes if index.condition]
    return {str(name) for condition in conditions for name, _ in condition.children}
