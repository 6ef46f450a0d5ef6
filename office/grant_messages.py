"""The words that staff use again and again when they answer an application."""

from typing import Any

from django import forms
from django.contrib import admin
from django.utils.text import Truncator
from unfold.widgets import UnfoldAdminTextareaWidget

from grants import messages
from grants.models import MessageTemplate
from office.base import EditAdmin
from office.fields import StorableText

SHOWN_LENGTH = 90  # characters, in the list


class MessageForm(forms.ModelForm):
    text = StorableText(
        max_length=messages.LONGEST,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}),
        help_text=(
            "{name} and {course} are filled in; in approvals {percent} and {expires}, the last"
            " moment of the coupon with its zone, too."
        ),
    )

    class Meta:
        model = MessageTemplate
        fields = ("name", "used_for", "text")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        unknown = messages.unknown_words(data.get("text", ""), data.get("used_for", ""))
        if unknown and "used_for" in data:
            sentence = f"Nothing is known that could be filled in for {', '.join(unknown)}."
            self.add_error("text", forms.ValidationError(sentence, code="unknown_words"))
        return data


@admin.register(MessageTemplate)
class MessageTemplateAdmin(EditAdmin):
    form = MessageForm
    list_display = ("name", "used_for", "begins")
    list_filter = ("used_for",)
    ordering = ("used_for", "name")
    list_per_page = 50

    @admin.display(description="text")
    def begins(self, template: MessageTemplate) -> str:
        return Truncator(template.text).chars(SHOWN_LENGTH)
