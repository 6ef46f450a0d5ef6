"""The page of each row: in how few statements it opens, whatever hangs on the row."""

from typing import Any
from uuid import UUID

import pytest
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.test import Client

from accounts.models import User
from office.cells import url_of
from tests.affiliates.make import make_staff
from tests.office.rich_rows import make_rich_rows
from tests.remembering import remembered
from tests.statements import statements

MOST_STATEMENTS = 8
# Of the two choices of rights, each asks for what there is and for what is chosen.
EXCEPTIONS = {"accounts.user": 9}


def rich_office() -> UUID:
    staff = make_staff(email="boss@example.com")
    make_rich_rows(staff)
    return staff.pk


@pytest.mark.django_db
@pytest.mark.engines("sqlite")
@pytest.mark.breaks_invariants
@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.model_name)
def test_the_page_of_each_row_opens_in_eight_statements(model: Any) -> None:
    client, label = Client(), model._meta.label_lower
    client.force_login(User.objects.get(pk=remembered(rich_office)))
    row = model._default_manager.order_by("pk").first()
    cache.clear()
    ContentType.objects.get_for_model(model)  # which is asked for once in a process
    with statements() as asked:
        assert client.get(url_of(row)).status_code == 200
    assert len(asked) <= EXCEPTIONS.get(label, MOST_STATEMENTS), asked
    assert label not in EXCEPTIONS or len(asked) == EXCEPTIONS[label], "better than is held here"
