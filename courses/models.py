from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from courses.cover_numbers import free_number, kept, number_of
from courses.facts_of_lms import LMS_FACTS, FactsOfLms
from courses.outline import validate_instructors, validate_outcomes, validate_syllabus
from courses.presented import PresentedCourse
from courses.pricing import PRICE_BANDS
from courses.profiles import Person, people_of
from courses.searching import FOLDING, fold, search_words
from courses.validators import (
    MAX_LMS_ID_LENGTH,
    validate_lms_course_id,
    validate_price,
    validate_slug,
)
from maaledu.db import new_id
from maaledu.money import CURRENCIES, CURRENCY_CHOICES
from maaledu.public_pages import bump_public_pages

NOT_ON_CARDS = (
    "description",
    "outcomes",
    "syllabus",
    "instructors",
    "sample_title",
    "sample_text",
    "sample_video",
    "search_text",
    *LMS_FACTS,
)


class CourseQuerySet(models.QuerySet["Course"]):
    def published(self) -> "CourseQuerySet":
        return self.filter(status=Course.Status.PUBLISHED)

    def on_sale(self) -> "CourseQuerySet":
        """Keep what can be bought: published, and on a platform where buyers can be enrolled."""
        return self.published().filter(lms_platform__in=connected_platforms())

    def without_driver(self) -> "CourseQuerySet":
        """Keep those that are published on a platform we are not connected to: not on sale."""
        return self.published().exclude(lms_platform__in=connected_platforms())

    def search(self, text: str) -> "CourseQuerySet":
        """Keep the courses whose title, summary, category or people have every word of `text`."""
        found = self
        for word in search_words(text):
            found = found.filter(search_text__contains=word)
        return found

    def filtered(self, *, category: str = "", level: str = "", price: str = "") -> "CourseQuerySet":
        """Keep the courses of one category, level and price band.

        An empty value keeps all, and so does an unknown band.
        """
        wanted = {
            name: value for name, value in (("category", category), ("level", level)) if value
        }
        band = PRICE_BANDS.get(price)
        return self.filter(band.as_q() if band else Q(), **wanted)

    def for_cards(self) -> "CourseQuerySet":
        return self.defer(*NOT_ON_CARDS)

    def facts_due(self, platform: str, now: datetime) -> "CourseQuerySet":
        """Keep those that the LMS is to be asked about, longest due first."""
        asked = self.exclude(status=Course.Status.ARCHIVED).exclude(lms_course_id="")
        due = asked.filter(lms_platform=platform, lms_facts_due_at__lte=now)
        return due.order_by("lms_facts_due_at")


class Course(PresentedCourse, FactsOfLms):
    """What is sold.

    Who is enrolled is counted from the enrollments, never kept here (requirements R028, R029).
    """

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        PUBLISHED = "published", "Published"
        ARCHIVED = "archived", "Archived"

    class Level(models.TextChoices):
        BEGINNER = "beginner", _("Beginner")
        INTERMEDIATE = "intermediate", _("Intermediate")
        ADVANCED = "advanced", _("Advanced")

    class Category(models.TextChoices):
        DATA = "data", _("Data & technology")
        BUSINESS = "business", _("Business & finance")
        HEALTH = "health", _("Health & care")
        PUBLIC = "public", _("Public sector & law")
        EDUCATION = "education", _("Teaching & training")
        CREATIVE = "creative", _("Creative & media")

    class Platform(models.TextChoices):
        FRAPPE = "frappe", "Frappe LMS"
        OPENEDX = "openedx", "Open edX"

    TRANSITIONS = {
        Status.PUBLISHED: [Status.DRAFT, Status.ARCHIVED],
        Status.ARCHIVED: [Status.PUBLISHED, Status.DRAFT],
        Status.DRAFT: [],
    }

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.CharField(max_length=MAX_LMS_ID_LENGTH, unique=True, validators=[validate_slug])
    title = models.CharField(max_length=140)
    summary = models.CharField(max_length=200)
    description = models.TextField(blank=True, help_text="Paragraphs, separated by blank lines.")
    outcomes = models.JSONField(
        default=list,
        blank=True,
        validators=[validate_outcomes],
        help_text="What a learner can do afterwards.",
    )
    syllabus = models.JSONField(default=list, blank=True, validators=[validate_syllabus])
    level = models.CharField(max_length=16, choices=Level.choices, default=Level.BEGINNER)
    duration_hours = models.PositiveIntegerField("hours of study", default=0)
    effort = models.CharField(
        max_length=80, blank=True, help_text="Such as “4 hours a week for 6 weeks”."
    )
    instructors = models.JSONField(default=list, blank=True, validators=[validate_instructors])
    category = models.CharField(max_length=16, choices=Category.choices)
    language = models.CharField(max_length=40, default="English")
    price = models.IntegerField(
        help_text="In the currency's minor unit: 49900 is 499.00. 0 is free."
    )
    currency = models.CharField(max_length=3, choices=CURRENCY_CHOICES, default="usd")
    status = models.CharField(
        max_length=16, choices=Status.choices, default=Status.DRAFT, editable=False
    )
    lms_platform = models.CharField(
        "LMS", max_length=16, choices=Platform.choices, default=Platform.FRAPPE
    )
    lms_course_id = models.CharField(
        "course in the LMS",
        max_length=MAX_LMS_ID_LENGTH,
        blank=True,
        help_text="Left empty, it is the slug (Frappe LMS only).",
    )
    holders_mailed_to = models.UUIDField(
        null=True,
        editable=False,
        help_text="The last grant whose holder has a mail that the course is off sale; empty: all.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = CourseQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        permissions = [("publish_course", "Can put courses on sale and take them off")]
        indexes = [
            models.Index(fields=["status", "-created_at", "-id"], name="course_newest"),
            models.Index(fields=["status", "category", "-created_at"], name="course_by_category"),
        ]

    def __str__(self) -> str:
        return self.title

    def save(self, *args: Any, **kwargs: Any) -> None:
        # All are derived here, so that no way to save a course can leave them out of date.
        self._name_in_lms()
        self.forget_facts_of_another()
        self.derive()
        if kwargs.get("update_fields") is not None:
            kwargs["update_fields"] = _with_derived({*kwargs["update_fields"]})
        super().save(*args, **kwargs)
        bump_public_pages()

    def derive(self) -> None:
        """Derive what is searched, and choose a cover that no other course of the category has."""
        names = " ".join(person.name for person in self.instructor_list)
        self.search_text = fold(
            f"{self.title} {self.summary} {self.get_category_display()} {names}"
        )
        self.search_folding = FOLDING
        if number_of(self.cover_kept, self.category) is None:
            others = Course.objects.filter(category=self.category).exclude(pk=self.pk)
            taken = others.values_list("cover_kept", flat=True)
            self.cover_kept = kept(self.category, free_number(self.category, taken))

    def get_absolute_url(self) -> str:
        return reverse("course", args=[self.slug])

    def clean(self) -> None:
        self._name_in_lms()
        errors = {
            "lms_course_id": _messages(
                validate_lms_course_id, self.lms_platform, self.lms_course_id
            )
        }
        if self.price is not None:
            errors["price"] = _messages(validate_price, self.price, self.currency)
        if self.currency not in CURRENCIES:
            errors["currency"] = ["Choose one of the currencies we charge in."]
        if self.status == self.Status.PUBLISHED and not self.has_driver:
            errors["lms_platform"] = [f"{self.no_driver} Take the course off sale first."]
        if any(errors.values()):
            raise ValidationError({name: found for name, found in errors.items() if found})

    def _name_in_lms(self) -> None:
        """Name the course in the LMS by its slug, as Frappe LMS does, unless staff did (R026)."""
        if not self.lms_course_id and self.lms_platform == self.Platform.FRAPPE:
            self.lms_course_id = self.slug

    @property
    def has_driver(self) -> bool:
        return self.lms_platform in connected_platforms()

    @property
    def is_on_sale(self) -> bool:
        return self.status == self.Status.PUBLISHED and self.has_driver

    @property
    def needs_own_account(self) -> bool:
        """Whether learners make their account on its platform themselves, as on Open edX."""
        return self.lms_platform == self.Platform.OPENEDX

    @property
    def no_driver(self) -> str:
        """Why a course of a platform we are not connected to cannot be sold, in a sentence."""
        return (
            f"Nothing connects us to {self.get_lms_platform_display()} yet, so nobody who pays"
            " could be enrolled there."
        )

    @property
    def people(self) -> list[Person]:
        return people_of(self.instructor_list)

    @property
    def enrolled(self) -> int:
        """How many enrollments are paid: counted on every look, kept nowhere (requirement R029)."""
        return self.enrollments.paid().count()

    @property
    def is_free(self) -> bool:
        return self.price == 0


def connected_platforms() -> list[str]:
    """Return the platforms whose address is set. Courses on others can be prepared, not sold."""
    addresses = {
        Course.Platform.FRAPPE: settings.FRAPPE_LMS_BASE_URL,
        Course.Platform.OPENEDX: settings.OPENEDX_BASE_URL,
    }
    return [platform.value for platform, address in addresses.items() if address]


def _with_derived(columns: set[str]) -> set[str]:
    """Add the columns that are derived from those that are saved, and no others."""
    # A derived column whose sources are not saved here may be newer in the database.
    made_from = {
        "lms_course_id": {"slug", "lms_platform"},
        **{name: {*PresentedCourse.SEARCHED} for name in PresentedCourse.DERIVED},
        **{name: {"lms_platform", "lms_course_id"} for name in (*LMS_FACTS, "lms_facts_due_at")},
    }
    return {
        *columns,
        "updated_at",
        *(name for name, sources in made_from.items() if sources & columns),
    }


def _messages(validate: Callable[..., None], *values: Any) -> list[str]:
    """Return the messages of a validator that refuses these values, none where it accepts them."""
    try:
        validate(*values)
    except ValidationError as error:
        return error.messages
    return []
