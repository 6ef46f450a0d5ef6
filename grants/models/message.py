from django.db import models
from django.utils import timezone

from maaledu.db import new_id


class MessageTemplate(models.Model):
    """Words that staff use again and again when they approve or reject an application.

    `{name}` and `{course}` stand for the applicant's (`grants.messages` lists all of them).
    """

    APPROVAL, REJECTION = "approval", "rejection"
    USES = [(APPROVAL, "Approvals"), (REJECTION, "Rejections")]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=80, unique=True)
    used_for = models.CharField(max_length=10, choices=USES)
    text = models.TextField(max_length=500)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
