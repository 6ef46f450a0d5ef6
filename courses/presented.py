"""The columns of a course that its page shows beside the plain facts, and what it is found by."""

from urllib.parse import urlsplit

from django.db import models

from courses.cover_numbers import number_of
from courses.outline import Instructor, Module, read_instructors, read_lines, read_modules
from courses.validators import validate_video

MAX_SAMPLE_LENGTH = 8000


class PresentedCourse(models.Model):
    """A course as a visitor reads and finds it."""

    SEARCHED = ("title", "summary", "category", "instructors")
    DERIVED = ("search_text", "search_folding", "cover_kept")

    category: models.CharField
    outcomes: models.TextField
    syllabus: models.TextField
    instructors: models.TextField
    sample_title = models.CharField(
        "title of the sample",
        max_length=140,
        blank=True,
        default="",
        db_default="",
        help_text="A lesson that anybody may see before they pay. Empty: none.",
    )
    sample_text = models.TextField(
        "text of the sample",
        max_length=MAX_SAMPLE_LENGTH,
        blank=True,
        default="",
        db_default="",
        help_text="Paragraphs, separated by blank lines.",
    )
    sample_video = models.CharField(
        "video of the sample",
        max_length=300,
        blank=True,
        default="",
        db_default="",
        validators=[validate_video],
        help_text="Its https address. Nothing is loaded from there before somebody opens it.",
    )
    search_text = models.TextField(editable=False, default="")
    search_folding = models.PositiveSmallIntegerField(editable=False, default=0, db_default=0)
    cover_kept = models.CharField(max_length=32, editable=False, default="", db_default="")

    class Meta:
        abstract = True

    @property
    def cover_number(self) -> int:
        return number_of(self.cover_kept, self.category) or 0

    @property
    def has_sample(self) -> bool:
        return bool(self.sample_text.strip() or self.sample_video)

    @property
    def sample_host(self) -> str:
        """Return the host of the video, which a visitor reads before they open it."""
        return urlsplit(self.sample_video).hostname or ""

    @property
    def outcome_list(self) -> list[str]:
        return read_lines(self.outcomes)

    @property
    def modules(self) -> list[Module]:
        return read_modules(self.syllabus)

    @property
    def instructor_list(self) -> list[Instructor]:
        return read_instructors(self.instructors)
