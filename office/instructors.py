"""The people who teach, as the pages of their courses show them."""

from itertools import islice
from operator import attrgetter
from typing import Any

from django import forms
from django.contrib import admin
from django.core.files.uploadedfile import UploadedFile
from unfold.decorators import display

from courses.models import Course
from courses.pictures import face_of
from courses.profiles import InstructorProfile
from office.base import EditAdmin
from office.fields import FormWithFile

MOST_NAMED = 20
name_of = attrgetter("name")


class ProfileForm(FormWithFile, forms.ModelForm):
    class Meta:
        model = InstructorProfile
        fields = ("name", "biography", "link", "face")

    def clean_face(self) -> Any:
        given = self.cleaned_data["face"]
        return face_of(given, size=given.size or 0) if isinstance(given, UploadedFile) else given


@admin.register(InstructorProfile)
class InstructorProfileAdmin(EditAdmin):
    form = ProfileForm
    list_display = ("name", "has_face", "has_biography", "link")
    search_fields = ("name",)
    ordering = ("name",)
    list_per_page = 50
    readonly_fields = ("courses",)
    fields = ("name", "biography", "link", "face", "courses")

    @display(boolean=True, description="portrait")
    def has_face(self, profile: InstructorProfile) -> bool:
        return bool(profile.face)

    @display(boolean=True, description="biography")
    def has_biography(self, profile: InstructorProfile) -> bool:
        return bool(profile.biography)

    @admin.display(description="courses that name them")
    def courses(self, profile: InstructorProfile) -> str:
        found = Course.objects.search(profile.name).order_by("title").only("title", "instructors")
        named = (course for course in found if profile.name in map(name_of, course.instructor_list))
        titles = [course.title for course in islice(named, MOST_NAMED)]
        return "; ".join(titles) or "None: courses name people exactly as the name above."
