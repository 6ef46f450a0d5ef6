"""Pages that edit say what was changed, from which value to which, in the history of the row and in
the change log.
"""

from collections.abc import Iterable
from typing import Any, cast

from django import forms
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin

from accounts import audit
from accounts.audit import Change
from accounts.models import AuditEntry
from office.empty_lists import WHEN_EMPTY

LONGEST_IN_A_SENTENCE = 80
NOTHING = "nothing"


class RecordingAdmin(ModelAdmin):
    """A page whose additions, changes and deletions are in the change log."""

    rights: tuple[str, ...] = ()  # the fields that say what somebody may do

    @property
    def when_empty(self) -> str:
        """Return what the list says where it has no rows at all."""
        return WHEN_EMPTY.get(self.opts.label_lower, "")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Raises PermissionDenied for an action that this user may not take; Django ignores it."""
        named = set(request.POST.getlist("action")) - {""}
        if request.method == "POST" and named - self.get_actions(request).keys():
            raise PermissionDenied
        return cast("HttpResponse", super().changelist_view(request, extra_context))

    def construct_change_message(
        self,
        request: HttpRequest,
        form: Any,
        formsets: Any,
        add: bool = False,  # noqa: FBT001, FBT002 Django's
    ) -> list[dict[str, Any]]:
        """Say of each field from which value to which; Django names the fields alone."""
        message = super().construct_change_message(request, form, formsets, add)
        if add:
            return message
        others = [part for part in message if "name" in part.get("changed", {"name": ""})]
        changes = changes_of(form)
        if not changes:
            return others
        is_of_rights = not set(form.changed_data).isdisjoint(self.rights)
        kind = AuditEntry.ROLES if is_of_rights else AuditEntry.CHANGED
        words = [_sentence(*change) for change in changes]
        return [{"changed": {"fields": words, "values": changes, "kind": kind}}, *others]

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        audit.record(AuditEntry.ADDED, "added", by=request.user.get_username(), about=obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        own = message[0].get("changed", {}) if message and isinstance(message, list) else {}
        audit.record_changes(
            obj, own.get("values", []), by=request.user.get_username(), kind=own.get("kind", "")
        )
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet) -> Any:
        for row in queryset:
            audit.record(AuditEntry.DELETED, "deleted", by=request.user.get_username(), about=row)
        return super().log_deletions(request, queryset)


def changes_of(form: Any) -> list[Change]:
    """Return the fields that a form has changed, each with its value before and after in words.

    A form may say the values itself, such as amounts, by `shown_values(name)`.
    """
    changes = []
    for name in form.changed_data:
        own = form.shown_values(name) if hasattr(form, "shown_values") else None
        before, after = own or _values(form, name)
        if before != after:
            label = form.fields[name].label or name.replace("_", " ")
            changes.append((str(label)[:1].upper() + str(label)[1:], before, after))
    return changes


def _values(form: Any, name: str) -> tuple[str, str]:
    before, after = form.initial.get(name), form.cleaned_data.get(name)
    field: Any = form.fields[name]
    if isinstance(field, forms.ModelMultipleChoiceField):
        return _only_in(before or (), after or ()), _only_in(after or (), before or ())
    if isinstance(field, forms.ModelChoiceField) and not isinstance(before, Model):
        rows: Any = field.queryset
        before = rows.filter(pk=before).first() if before else None
    return _shown(field, before), _shown(field, after)


def _only_in(rows: Iterable[Any], others: Iterable[Any]) -> str:
    """Return the names of what was taken away or given: whole lists of rights tell nobody."""
    known = {row.pk for row in others}
    return ", ".join(sorted(str(row) for row in rows if row.pk not in known))


def _shown(field: forms.Field, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    choices: Any = getattr(field, "choices", ())
    is_plain = isinstance(field, forms.ChoiceField) and not isinstance(
        field, forms.ModelChoiceField
    )
    words = dict(choices).get(value) if is_plain else None
    # A browser sends a line's end as CR LF: that alone is no change.
    return str(words or value).replace("\r\n", "\n").strip()


def _sentence(label: str, before: str, after: str) -> str:
    if max(len(before), len(after)) > LONGEST_IN_A_SENTENCE:
        return label
    return f"{label}: {before or NOTHING} → {after.rstrip('.') or NOTHING}"
