"""API keys: made on a page of the office, shown once, and revoked."""

from datetime import datetime, time
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDateWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
)

from accounts import keys
from accounts.api_key import MOST_PER_MINUTE, PER_MINUTE
from accounts.models import ApiKey, User
from office.base import ReadOnlyAdmin
from office.decisions import Decision
from office.fields import ReasonForm

USABLE, EXPIRED, REVOKED = "usable", "expired", "revoked"
STATE_COLORS = {USABLE: "success", EXPIRED: "warning", REVOKED: "danger"}
REVOKE = Decision(
    "Revoke",
    run=keys.revoke,
    permission="revoke",
    done="revoked",
    form=ReasonForm,
    entry_field="reason",
    is_run_told_why=False,
    consequence="The program that has this key is refused from its next request on, for good.",
)


class ApiKeyForm(forms.ModelForm):
    """What a key is for; it is made in the name of whoever fills this in."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope, f"{words} ({scope})") for scope, words in keys.SCOPES.items()],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="A key may do these things as far as you may do them yourself.",
    )
    expires_on = forms.DateField(
        required=False,
        label="Last day",
        widget=UnfoldAdminDateWidget,
        help_text="The key ends with this day (UTC). Empty: never by itself.",
    )
    per_minute = forms.IntegerField(
        min_value=1,
        max_value=MOST_PER_MINUTE,
        initial=PER_MINUTE,
        widget=UnfoldAdminIntegerFieldWidget,
        label="Requests a minute at most",
    )

    class Meta:
        model = ApiKey
        fields = ("name", "scopes", "per_minute")
        widgets = {"name": UnfoldAdminTextInputWidget}

    def clean_expires_on(self) -> datetime | None:
        day = self.cleaned_data["expires_on"]
        if day is None:
            return None
        if day < timezone.now().date():
            raise forms.ValidationError("Enter a day that is not over.", code="past")
        return datetime.combine(day, time.max, tzinfo=timezone.get_current_timezone())

    def order(self) -> keys.Order:
        data = self.cleaned_data
        return keys.Order(
            data["name"], data["scopes"], data["per_minute"], expires_at=data["expires_on"]
        )


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Making a key is its decision too: a form, the permission to add, and one history entry."""

    decisions = {"revoke": REVOKE}
    list_display = ("name", "prefix", "user", "state", "last_used_at", "expires_at", "created_at")
    list_select_related = ("user",)
    search_fields = ("prefix", "^name", "user__email")
    ordering = ("-created_at",)
    fields = (
        "name", "prefix", "user", "state", "scopes", "per_minute", "expires_at", "last_used_at",
        "created_at", "revoked_at", "revoked_by",
    )  # fmt: skip
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return request.user.has_perm("accounts.add_apikey")

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return self.fields if obj else ("name", "scopes", "per_minute", "expires_on")

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return self.fields if obj else ()

    def get_form(self, request: HttpRequest, obj: Any = None, **options: Any) -> Any:
        return super().get_form(request, obj, **options) if obj else ApiKeyForm

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> ApiKey:  # noqa: FBT001
        """Make the key, and keep its text for the one page that shows it."""
        key, form.text = keys.make(cast("User", request.user), form.order())
        return key

    def save_model(self, request, obj, form, change) -> None:
        """It is written already, with its hash."""
        obj.text = form.text

    def save_related(self, request, form, formsets, change) -> None:
        """Nothing hangs on a key."""

    def response_add(self, request: HttpRequest, obj: Any, *args: Any) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"API key for {obj.name}",
            "key": obj,
            "text": obj.text,
        }
        return render(request, "admin/accounts/api_key.html", context)

    def is_offered(self, decision: Decision, row: ApiKey) -> bool:
        return row.revoked_at is None

    @display(description="state", label=STATE_COLORS)
    def state(self, key: ApiKey) -> str:
        if key.revoked_at:
            return REVOKED
        is_over = key.expires_at is not None and key.expires_at <= timezone.now()
        return EXPIRED if is_over else USABLE
