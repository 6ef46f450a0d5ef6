"""The columns of a course that its page shows beside the plain facts, and what it is found by."""

import hashlib
from urllib.parse import urlsplit

from django.core.files.storage import default_storage
from django.db import models
from django.urls import reverse

from courses.cover_numbers import number_of
from courses.outline import Instructor, Module, instructors_of, modules_of
from courses.pictures import MAX_NAME_LENGTH, small_name
from courses.validators import validate_video

MAX_SAMPLE_LENGTH = 8000
COVER_VERSION = "2"  # of the drawn ones


class PresentedCourse(models.Model):
    """A course as a visitor reads and finds it."""

    SEARCHED = ("title", "summary", "category", "instructors")
    DERIVED = ("search_text", "search_folding", "cover_kept")

    slug: models.CharField
    title: models.CharField
    price: models.IntegerField
    currency: models.CharField
    category: models.CharField
    outcomes: models.JSONField
    syllabus: models.JSONField
    instructors: models.JSONField
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
    cover = models.FileField(
        upload_to="covers",
        max_length=MAX_NAME_LENGTH,
        blank=True,
        default="",
        db_default="",
        editable=False,
    )
    cover_alt = models.CharField(
        max_length=140, blank=True, default="", db_default="", editable=False
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
    def preview_url(self) -> str:
        return reverse("course_preview", args=[self.slug])

    @property
    def cover_url(self) -> str:
        """Return the address of the uploaded cover, or of the drawn one."""
        if self.cover:
            return str(self.cover.url)
        version = f"{self.category}{self.cover_number}.{COVER_VERSION}"
        return f"{reverse('course_cover', args=[self.slug])}?v={version}"

    @property
    def small_cover_url(self) -> str:
        return (
            default_storage.url(small_name(str(self.cover.name))) if self.cover else self.cover_url
        )

    @property
    def card_url(self) -> str:
        """Return the address of the picture for links; another one once title or price changed."""
        shown = f"{self.title}|{self.price}|{self.currency}|{self.cover_kept}|{COVER_VERSION}"
        shown += f"|{self.cover.name}" if self.cover else ""
        version = hashlib.blake2b(shown.encode(), digest_size=4).hexdigest()
        return f"{reverse('course_card', args=[self.slug])}?v={version}"

    @property
    def has_sample(self) -> bool:
        return bool(self.sample_text.strip() or self.sample_video)

    @property
    def sample_host(self) -> str:
        """Return the host of the video, which a visitor reads before they open it."""
        return urlsplit(self.sample_video).hostname or ""

    @property
    def modules(self) -> list[Module]:
        return modules_of(self.syllabus)

    @property
    def instructor_list(self) -> list[Instructor]:
        return instructors_of(self.instructors)
