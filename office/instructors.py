"""The people who teach, as the pages of their courses show them."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.files.uploadedfile import UploadedFile
from unfold.decorators import display

from courses import teaching
from courses.pictures import face_of
from courses.profiles import InstructorProfile
from office.base import EditAdmin
from office.cells import once
from office.decisions import add_history
from office.fields import FormWithFile

MOST_NAMED = 20


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
    @once
    def courses(self, profile: InstructorProfile) -> str:
        titles = [course.title for course in teaching.naming(profile.name)[:MOST_NAMED]]
        return "; ".join(titles) or "None: courses name people exactly as the name above."

    def save_model(self, request, obj, form, change) -> None:
        super().save_model(request, obj, form, change)
        before = form.initial.get("name")
        if not change or before in (None, obj.name):
            return
        words = f"“{before}” is called “{obj.name}” among its instructors"
        followed = teaching.rename(before, obj.name)
        for course in followed:
            add_history(request, course, words)
        if followed:
            titles = "; ".join(course.title for course in followed[:MOST_NAMED])
            messages.success(request, f"The courses that name them have the new name: {titles}.")
