"""The page of each row: in how few statements it opens, whatever hangs on the row."""

import pytest
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.test import Client

from office.cells import url_of
from tests.affiliates.make import make_staff
from tests.office.rich_rows import make_rich_rows
from tests.statements import statements

MOST_STATEMENTS = 8
# Of the two choices of rights, each asks for what there is and for what is chosen.
EXCEPTIONS = {"accounts.user": 9}


@pytest.mark.django_db
@pytest.mark.engines("sqlite")
@pytest.mark.breaks_invariants
def test_the_page_of_each_row_opens_in_eight_statements() -> None:
    staff, client = make_staff(email="boss@example.com"), Client()
    make_rich_rows(staff)
    client.force_login(staff)
    over = {}
    for model in admin.site._registry:
        row = model._default_manager.order_by("pk")[0]
        cache.clear()
        ContentType.objects.get_for_model(model)  # which is asked for once in a process
        with statements() as asked:
            assert client.get(url_of(row)).status_code == 200, model
        if len(asked) > MOST_STATEMENTS:
            over[model._meta.label_lower] = asked
    assert {label: len(asked) for label, asked in over.items()} == EXCEPTIONS, over
