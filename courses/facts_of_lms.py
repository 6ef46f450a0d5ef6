"""The columns of a course that hold what its LMS says of it."""

from typing import Any

from django.db import models
from django.utils import timezone

# What is known of a course from its LMS; empty again once the course is another one there.
LMS_FACTS: dict[str, Any] = {
    "lms_title": "",
    "lms_instructors": "",
    "lms_image": "",
    "lms_lessons": None,
    "lms_modified": "",
    "lms_published": None,
    "lms_obstacles": "",
    "lms_facts_at": None,
    "lms_facts_of": "",
    "lms_unknown_of": "",
}


class FactsOfLms(models.Model):
    """What the LMS says of a course.

    It is shown to staff beside what they wrote, and replaces nothing by itself
    (`courses.lms_facts`).
    """

    lms_platform: models.CharField
    lms_course_id: models.CharField
    lms_title = models.CharField(max_length=255, editable=False, default="", db_default="")
    lms_instructors = models.TextField(
        editable=False, default="", db_default="", help_text="Their names, one per line."
    )
    lms_image = models.CharField(max_length=500, editable=False, default="", db_default="")
    lms_lessons = models.PositiveIntegerField(null=True, editable=False)
    lms_modified = models.CharField(
        max_length=40, editable=False, default="", db_default="", help_text="As the LMS writes it."
    )
    lms_published = models.BooleanField(null=True, editable=False)
    lms_obstacles = models.TextField(
        editable=False,
        default="",
        db_default="",
        help_text="Why nobody could be enrolled there, a sentence per line.",
    )
    lms_facts_at = models.DateTimeField(
        null=True, editable=False, help_text="When the LMS said so; empty: not asked yet."
    )
    lms_facts_of = models.CharField(
        max_length=160, editable=False, default="", db_default="", help_text="Of which course."
    )
    lms_unknown_of = models.CharField(
        max_length=160,
        editable=False,
        default="",
        db_default="",
        help_text="The course that the LMS last said it has not.",
    )
    lms_facts_due_at = models.DateTimeField(
        null=True,
        default=timezone.now,
        editable=False,
        help_text="When the LMS is to be asked next.",
    )

    class Meta:
        abstract = True

    def forget_facts_of_another(self) -> None:
        """Forget what the LMS said of another course, before this one was another one there."""
        known = self.lms_facts_of or self.lms_unknown_of
        if known and known.casefold() != self.name_of_facts.casefold():
            for name, nothing in LMS_FACTS.items():
                setattr(self, name, nothing)
            self.lms_facts_due_at = timezone.now()

    @property
    def is_known_to_lms(self) -> bool:
        return self.lms_facts_at is not None and not self.is_unknown_to_lms

    @property
    def is_unknown_to_lms(self) -> bool:
        """Whether the LMS, when it was last asked about this very course, did not have it."""
        return bool(self.lms_unknown_of) and self.lms_unknown_of == self.name_of_facts

    @property
    def why_none_enrolled(self) -> str:
        """Say why nobody could be enrolled there, though it is published; "" for nothing."""
        obstacles = " ".join(self.lms_obstacles.splitlines())
        return f"The LMS enrolls nobody in it. {obstacles}" if obstacles else ""

    @property
    def name_of_facts(self) -> str:
        """Which course of which platform it is what the LMS says of it is about."""
        return f"{self.lms_platform} {self.lms_course_id}"
