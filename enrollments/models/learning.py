"""The columns of an enrollment that hold how far the learner is, as the LMS says."""

from django.db import models
from django.utils import timezone

from lms_sync import links


class Learning(models.Model):
    """How far a learner is in the LMS, and what certificate it has given them."""

    lms_platform: models.CharField
    progress_percent = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Empty: the LMS does not show it."
    )
    progress_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when this is known; empty: never heard."
    )
    progress_due_at = models.DateTimeField(
        null=True, blank=True, default=timezone.now, help_text="When the LMS is to be asked next."
    )
    completed_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when the LMS says that the course is completed."
    )
    has_certificate = models.BooleanField(default=False, db_default=False)
    certificate_url = models.CharField(
        max_length=500, blank=True, default="", db_default="", help_text="On the LMS's own host."
    )
    certificate_on = models.DateField("certificate of", null=True, blank=True)

    class Meta:
        abstract = True

    @property
    def certificate_link(self) -> str:
        """The address of the certificate, for the learner alone; "" where there is none to show."""
        return links.own_link(self.lms_platform, self.certificate_url)
