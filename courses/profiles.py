"""Who teaches: face, biography and link of the people whom the courses name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.validators import URLValidator
from django.db import models
from django.utils import timezone

from courses.outline import Instructor
from courses.pictures import MAX_NAME_LENGTH
from maaledu.db import new_id
from maaledu.public_pages import bump_public_pages

MAX_BIOGRAPHY_LENGTH = 1000


class InstructorProfile(models.Model):
    """What is known of a person; the courses that name them, by this name, show it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(
        max_length=140,
        unique=True,
        help_text="Exactly as the courses write it. They follow a change.",
    )
    biography = models.TextField(blank=True, max_length=MAX_BIOGRAPHY_LENGTH)
    link = models.CharField(
        max_length=300,
        blank=True,
        validators=[URLValidator(schemes=["https"])],
        help_text="Their own page, by https.",
    )
    face = models.FileField(
        upload_to="faces",
        max_length=MAX_NAME_LENGTH,
        blank=True,
        help_text="A portrait: JPEG, PNG or WebP of at most 5 MB. A square is cut from its middle.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        bump_public_pages()

    @property
    def face_url(self) -> str:
        return str(self.face.url) if self.face else ""


@dataclass(frozen=True)
class Person:
    """An instructor of a course as its page shows them."""

    name: str
    role: str
    biography: str = ""
    link: str = ""
    face_url: str = ""

    @property
    def initials(self) -> str:
        """Return two letters that stand where there is no portrait."""
        words = [word for word in self.name.split() if not word.endswith(".")] or self.name.split()
        return "".join(word[:1] for word in [*words[:1], *words[1:][-1:]])


def people_of(instructors: Sequence[Instructor]) -> list[Person]:
    """Return who teaches a course, each with their profile where there is one."""
    names = [each.name for each in instructors]
    found = InstructorProfile.objects.filter(name__in=names) if names else []
    profiles = {profile.name: profile for profile in found}
    return [_person(each, profiles.get(each.name)) for each in instructors]


def _person(named: Instructor, profile: InstructorProfile | None) -> Person:
    if profile is None:
        return Person(named.name, named.role)
    return Person(named.name, named.role, profile.biography, profile.link, profile.face_url)
