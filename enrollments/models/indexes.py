"""The indexes of the table of enrollments, and what each is for where that is not plain."""

from django.db import models
from django.db.models import Q

from maaledu.unions import BEGINS

INDEXES = [
    models.Index(fields=["course", "email", "status"]),
    models.Index(fields=["email", "-created_at"]),
    models.Index(fields=["status", "created_at"]),
    models.Index(fields=["lms_status", "status", "-created_at"]),
    models.Index(fields=["affiliate_id", "-created_at"]),
    # Of those with access alone: the worker looks every few seconds.
    models.Index(
        fields=["lms_platform", "progress_due_at"],
        condition=Q(status="paid", lms_status="success"),
        name="enrollment_progress_due",
    ),
    models.Index(fields=["-created_at"]),
    models.Index(fields=["updated_at"]),
    models.Index(fields=["rebuilt_at"]),
    models.Index(fields=["lms_enrollment_id"]),
    # Staff search by the beginning of an address or a name.
    models.Index(fields=["email"], name="enrollment_email_begins", opclasses=BEGINS),
    models.Index(fields=["name"], name="enrollment_name_begins", opclasses=BEGINS),
    # Staff search by the first, and filter by the others.
    models.Index(fields=["request_id"]),
    models.Index(fields=["kind", "-created_at"]),
    models.Index(fields=["lms_platform", "-created_at"]),
]
