"""Small models on which the guarantees of `maaledu.db` and `maaledu.work` are tried on every
engine.
"""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from maaledu.db import new_id
from maaledu.work.items import WorkItem


class Slot(models.Model):
    """One thing that one of many may take."""

    TRANSITIONS = {
        "held": ["free"],
        "used": ["held"],
        "free": ["held"],
        "closed": ["free", "used"],
    }
    EXCEPTIONS = {"reopen": {"free": ["closed"]}}
    DOOR_TRANSITIONS = {"open": ["shut"], "shut": ["open"]}
    DOOR_EXCEPTIONS = {"force": {"open": ["stuck"]}}
    STATUSES = ["free", "held", "used", "closed"]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    status = models.CharField(max_length=10, default="free")
    door = models.CharField(max_length=10, default="shut")
    holder = models.CharField(max_length=20, blank=True)
    updated_at = models.DateTimeField(default=timezone.now)


class Account(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=40, unique=True)
    balance = models.IntegerField(default=0)


class Claim(models.Model):
    """At most one live row for a key: a unique constraint with a condition."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.CharField(max_length=40)
    status = models.CharField(max_length=10)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=Q(status__in=["pending", "paid"]), name="one_live_claim"
            ),
        ]


class Note(models.Model):
    """Nothing is unique here: what a naive look-then-create does to it shows that the harness has
    teeth.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    text = models.CharField(max_length=40)


class Chore(WorkItem):
    key = models.CharField(max_length=40, unique=True, null=True)
    name = models.CharField(max_length=40, blank=True)
    effects = models.PositiveIntegerField(default=0)
