"""What the pages of the office share: decisions, and read-only queues and ledgers."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from django.contrib.admin.options import IS_POPUP_VAR
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.admin import TabularInline
from unfold.dataclasses import UnfoldAction
from unfold.decorators import display
from unfold.forms import PaginationInlineFormSet

from maaledu.work.items import DEAD, DONE, PENDING, RUNNING, WorkItem, replay, retry_now
from office.changes import RecordingAdmin
from office.decisions import LIST, NOBODY, ROWS, Decision, decide_many, decide_one
from office.lists import ListAdmin
from office.row_buttons import RowButtons

WORK_COLORS = {
    DONE: "success",
    PENDING: "info",
    RUNNING: "info",
    DEAD: "danger",
}


class DecidingAdmin(RecordingAdmin):
    """A page with decisions; each is offered to, and taken by, only those with its permission.

    A decision that asks for confirmation is a link on the page of a row, any other is a button
    there; both are actions of the list, if they are about rows.
    """

    decisions: dict[str, Decision] = {}
    row_decisions: tuple[str, ...] = ()  # those that are a click away in each row of the list
    actions_list: tuple[str, ...] = ()
    actions_detail: tuple[str, ...] = ()
    change_form_outer_before_template: str = "admin/decision_buttons.html"
    list_before_template: str = "admin/list_bar.html"  # with the forms of the buttons in its rows

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        for name, decision in self.decisions.items():
            if decision.scope == LIST:
                self.actions_list = (*self.actions_list, name)
            elif decision.needs_confirmation:
                self.actions_detail = (*self.actions_detail, name)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Return a row; for its page once, as its buttons, its fields and more ask for it."""
        if request.method != "GET":
            return super().get_object(request, object_id, from_field)
        rows = request.__dict__.setdefault("rows_of_page", {})
        key = (self.model, str(object_id), from_field)
        if key not in rows:
            rows[key] = self._read(request, object_id, from_field)
        return rows[key]

    def rows_of_pages(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows with what a page reads with its own: what a list reads with each."""
        found = self.get_queryset(request)
        related: Any = self.list_select_related
        return found.select_related(*related) if related else found

    def _read(self, request: HttpRequest, object_id: str, from_field: str | None) -> Any:
        field: Any = self.opts.get_field(from_field) if from_field else self.opts.pk
        try:
            wanted = field.to_python(object_id)
            return self.rows_of_pages(request).get(**{field.name: wanted})
        except (self.model.DoesNotExist, ValidationError, ValueError):
            return None

    def facts(self, row: Any) -> list[tuple[str, str]]:
        """Return what the page of a decision shows of a row, as pairs of a label and a text."""
        return []

    def variant(self, decision: Decision, row: Any) -> Decision:
        """Return the decision with what differs for this row."""
        return decision

    def is_offered(self, decision: Decision, row: Any) -> bool:
        return not decision.statuses or row.status in decision.statuses

    def permission_of(self, decision: Decision) -> str:
        asked = decision.permission
        return asked if "." in asked else f"{self.opts.app_label}.{asked}_{self.opts.model_name}"

    def may_decide(self, request: HttpRequest, decision: Decision) -> bool:
        return request.user.has_perm(self.permission_of(decision))

    def get_unfold_action(self, action: str) -> UnfoldAction:
        if action not in self.decisions:
            return super().get_unfold_action(action)
        method = cast("Any", partial(decide_one, self, action))
        method.attrs = {}  # unfold reads an action's attributes from its function
        name = f"{self.opts.app_label}_{self.opts.model_name}_{action}"
        return UnfoldAction(name, method, description=self.decisions[action].label, path=action)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {**(extra_context or {}), "row_forms": self.row_forms(request)}
        return super().changelist_view(request, context)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns = list(super().get_list_display(request))
        is_asked = self.row_decisions and IS_POPUP_VAR not in request.GET
        return [columns[0], RowButtons(self, request), *columns[1:]] if is_asked else columns

    def row_forms(self, request: HttpRequest) -> list[str]:
        """Return the decisions for which the buttons of the rows need a form."""
        forms = [name for name in self.row_decisions if not self.decisions[name].needs_confirmation]
        return [name for name in forms if self.may_decide(request, self.decisions[name])]

    def get_actions_list(self, request: HttpRequest) -> list[UnfoldAction]:
        actions = super().get_actions_list(request)
        return [each for each in actions if self.is_shown(request, each.path)]

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        row = self.get_object(request, object_id)
        if row is None:
            return []
        actions = super().get_actions_detail(request, object_id)
        return [each for each in actions if self.is_shown(request, each.path, row)]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        # A popup chooses a row for another page's form: nothing is decided in it.
        if IS_POPUP_VAR in request.GET:
            return {}
        actions = {}
        for name, decision in self.decisions.items():
            if decision.scope == ROWS and self.may_decide(request, decision):
                label = f"{decision.label} …" if decision.needs_confirmation else decision.label
                actions[name] = (partial(decide_many, decision), name, label)
        return {**actions, **super().get_actions(request)}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        """Add buttons for what needs no confirmation: each posts the list's action for this row."""
        row, actions = options.get("obj"), self.get_actions(request)
        buttons = [
            (name, decision.label)
            for name, decision in self.decisions.items()
            if row and name in actions and not decision.needs_confirmation
            if self.is_offered(decision, row)
        ]
        context = {**context, "buttons": buttons}
        return super().render_change_form(request, context, *args, **options)

    def is_shown(self, request: HttpRequest, name: str, row: Any = None) -> bool:
        """Return whether a decision is possible for this user and row; other actions always are."""
        decision = self.decisions.get(name)
        if decision is None:
            return True
        is_offered = row is None or self.is_offered(decision, row)
        return is_offered and self.may_decide(request, decision)


class EditAdmin(DecidingAdmin):
    """A page that edits, and writes only the columns that were edited.

    A worker may have changed the other columns since the form was opened: writing all of them would
    put the old values back.
    """

    def save_model(self, request, obj, form, change) -> None:
        if change:
            obj.save(update_fields=edited(form))
        else:
            super().save_model(request, obj, form, change)


def edited(form: Any) -> list[str]:
    """Return the columns changed in the form; Django itself saves relations to many rows."""
    columns = {field.name for field in form.instance._meta.concrete_fields}
    return [name for name in form.changed_data if name in columns]


class ReadOnlyAdmin(DecidingAdmin, ListAdmin):
    """View only: rows change by decisions alone, which call the functions that all others call."""

    def has_add_permission(self, request: HttpRequest, *args) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj=None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj=None) -> bool:
        return False


def showing(rows_of: Callable[[Any], list[Any]]) -> type[PaginationInlineFormSet]:
    """Return the set of an inline whose rows its page reads, too, as this does."""

    class RowsOfPage(PaginationInlineFormSet):
        def get_queryset(self) -> list[Any]:
            return rows_of(self.instance)

    return RowsOfPage


class ReadOnlyInline(TabularInline):
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj=None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj=None) -> bool:
        return False


RETRY = Decision(
    "Retry now",
    run=retry_now,
    permission="replay",
    done="retried",
    statuses=(PENDING,),
    run_by=NOBODY,
    needs_confirmation=False,
)
REPLAY = Decision(
    "Replay",
    run=replay,
    permission="replay",
    done="replayed",
    statuses=(DEAD,),
    run_by=NOBODY,
    needs_confirmation=False,
)


class QueueAdmin(ReadOnlyAdmin):
    """A queue of work items: "retry now" for waiting ones, "replay" for dead ones."""

    decisions = {"retry_now": RETRY, "replay": REPLAY}
    ordering = ("-created_at",)

    @display(description="status", ordering="status", label=WORK_COLORS)
    def state(self, item: WorkItem) -> str:
        return item.status
