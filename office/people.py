from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin, messages
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db.models import Exists, F, ManyToManyField, OuterRef, QuerySet, TextField, Value
from django.db.models.functions import Cast
from django.http import HttpRequest

from accounts import second_factor
from accounts.errors import OwnSecondFactor
from accounts.models import AuditEntry, User
from affiliates import memberships
from maaledu.unions import branch
from office.base import EditAdmin, ReadOnlyAdmin
from office.cells import once
from office.changes import RecordingAdmin
from office.decisions import ONE_ROW, USER, Decision, Outcome
from office.fields import ReasonForm
from office.lists import ListAdmin

ONLY_SUPERUSERS = ("is_staff", "is_superuser", "groups", "user_permissions")
ROLE, RIGHT, MOST_RIGHTS = "role", "right", 1000
# What is shown to who may not change it.
SHOWN = {"groups": "roles", "user_permissions": "own_rights"}


def _reset(user: User, *, by: User, reason: str) -> Outcome:
    """Raises OwnSecondFactor: whoever has only got hold of a session gets no further by it."""
    if user == by:
        raise OwnSecondFactor
    return Outcome(f"second factor taken away: {second_factor.take_away(user)}")


RESET = Decision(
    "Take the second factor away",
    run=_reset,
    permission="accounts.reset_second_factor",
    done="second factor taken away",
    form=ReasonForm,
    entry_field="reason",
    consequence=(
        "For somebody who has lost it. Be sure who is asking: call them back. The password alone"
        " gets them in then, as far as setting up a new one."
    ),
    kind=AuditEntry.SECOND_FACTOR,
    run_by=USER,
    scope=ONE_ROW,
)


class PermissionsAdmin(RecordingAdmin):
    """A page with a choice of permissions, which is read with their tables by one statement.

    Who may not change them sees them by name, read at once as well: Django reads each by itself,
    and all of them five times.
    """

    def formfield_for_manytomany(
        self, db_field: ManyToManyField, request: HttpRequest, **kwargs: Any
    ) -> Any:
        field = super().formfield_for_manytomany(db_field, request, **kwargs)
        if field is not None and db_field.name in ("permissions", "user_permissions"):
            # By the id of the table: sorted by its name, MongoDB's answer would lack the table.
            rows = field.queryset.select_related("content_type")
            field.queryset = rows.order_by("content_type_id", "pk")
        return field


@admin.register(User)
class UserAdmin(PermissionsAdmin, EditAdmin, ListAdmin):
    """Nobody's password is shown or set here: its owner resets it by a code sent to the address."""

    list_display = ("email", "name", "is_active", "is_staff", "date_joined")
    list_filter = ("is_active", "is_staff")
    search_fields = ("^email", "^name")
    ordering = ("-date_joined",)
    sortable_by = ("email", "date_joined")
    filter_horizontal = ("groups", "user_permissions")
    rights = ONLY_SUPERUSERS
    decisions = {"reset_second_factor": RESET}
    fields = (
        "email",
        "name",
        "is_active",
        *ONLY_SUPERUSERS,
        "is_verified",
        "second_factor",
        "date_joined",
        "last_login",
    )

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        shown = ("is_verified", "second_factor", "date_joined", "last_login")
        mine = (*shown, *(("email",) if obj else ()))
        return mine if request.user.is_superuser else (*mine, *ONLY_SUPERUSERS, *SHOWN.values())

    def get_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        if request.user.is_superuser:
            return self.fields
        return tuple(SHOWN.get(name, name) for name in self.fields)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Only a superuser may touch an account that may do more than look at a course."""
        is_privileged = obj is not None and (obj.is_superuser or obj.is_staff)
        if is_privileged and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def save_model(self, request, obj, form, change) -> None:
        if not change:
            obj.set_unusable_password()
        super().save_model(request, obj, form, change)
        if change and not obj.is_active and memberships.suspend_closed(obj, by=str(request.user)):
            messages.warning(
                request,
                "This account is an affiliate's, too. It is suspended: what it has earned stays on"
                " hold until you decide about it.",
            )

    @admin.display(boolean=True, description="address verified")
    def is_verified(self, user: Any) -> bool:
        return user.is_proved

    @admin.display(description="groups")
    @once
    def roles(self, user: User) -> str:
        return ", ".join(_rights_of(user)[ROLE]) or "-"

    @admin.display(description="user permissions")
    @once
    def own_rights(self, user: User) -> str:
        return "\n".join(_rights_of(user)[RIGHT]) or "-"

    @admin.display(description="second factor")
    @once
    def second_factor(self, user: User) -> str:
        return second_factor.in_words(_factors_of(user)) or "none"

    def rows_of_pages(self, request: HttpRequest) -> QuerySet[Any]:
        proved = EmailAddress.objects.filter(
            user=OuterRef("pk"), email=OuterRef("email"), verified=True
        )
        factors = Authenticator.objects.filter(user=OuterRef("pk"))
        found = super().rows_of_pages(request)
        return found.annotate(is_proved=Exists(proved), has_factors=Exists(factors))

    def get_form(self, request: HttpRequest, obj: Any = None, *args: Any, **options: Any) -> Any:
        """Read the roles that there are and those of this user by one statement."""
        form = super().get_form(request, obj, *args, **options)
        field = form.base_fields.get("groups")
        if obj is not None and field and request.method == "GET":
            given = User.groups.through.objects.filter(user=obj, group=OuterRef("pk"))
            roles = list(field.queryset.annotate(is_given=Exists(given)))
            field.choices = [(role.pk, role.name) for role in roles]
            # Where Django looks for them first; its own way to fill it is not for MongoDB.
            obj._prefetched_objects_cache = {"groups": [each for each in roles if each.is_given]}
        return form

    def is_offered(self, decision: Decision, row: User) -> bool:
        return second_factor.has_any(_factors_of(row))

    def is_shown(self, request: HttpRequest, name: str, row: Any = None) -> bool:
        """Nobody takes their own second factor away."""
        return row != request.user and super().is_shown(request, name, row)


@once
def _factors_of(user: Any) -> list[Authenticator]:
    return second_factor.all_of(user) if getattr(user, "has_factors", True) else []


@once
def _rights_of(user: User) -> dict[str, list[str]]:
    """Return the roles and the rights of somebody's own by name, read by one statement."""
    roles = Group.objects.filter(user=user).order_by("name")
    rights = Permission.objects.filter(user=user).order_by("pk")
    app, model = F("content_type__app_label"), F("content_type__model")
    both = branch(roles, _columns(ROLE, Value(""), Value("")), MOST_RIGHTS).union(
        branch(rights, _columns(RIGHT, app, model), MOST_RIGHTS), all=True
    )
    found: dict[str, list[str]] = {ROLE: [], RIGHT: []}
    for what, name, app_label, of in both:
        right = Permission(name=name, content_type=ContentType(app_label=app_label, model=of))
        found[what].append(name if what == ROLE else str(right))
    return {what: sorted(names) for what, names in found.items()}


def _columns(what: str, app: Any, model: Any) -> dict[str, Any]:
    return {
        "t_what": Value(what, output_field=TextField()),
        "t_name": Cast(F("name"), TextField()),
        "t_app": Cast(app, TextField()),
        "t_model": Cast(model, TextField()),
    }


def _named(given: Any) -> str:
    rows = given.select_related("content_type").order_by("content_type_id", "pk")
    return "\n".join(map(str, rows)) or "-"


admin.site.unregister(Group)
admin.site.unregister(EmailAddress)
admin.site.unregister(Authenticator)  # its data are secrets


@admin.register(Group)
class GroupAdmin(PermissionsAdmin):
    rights = ("name", "permissions")
    readonly_fields = ("given",)
    search_fields = ("name",)
    ordering = ("name",)
    filter_horizontal = ("permissions",)

    def get_fields(self, request: HttpRequest, obj: Group | None = None) -> tuple[str, ...]:
        may_change = self.has_change_permission(request, obj)
        return ("name", "permissions" if may_change else "given")

    @admin.display(description="permissions")
    @once
    def given(self, group: Group) -> str:
        return _named(group.permissions)


@admin.register(EmailAddress)
class EmailAddressAdmin(ReadOnlyAdmin):
    """Addresses and whether they are verified; nobody sets that by hand.

    A verified address shows its owner every course that was bought with it.
    """

    list_display = ("email", "verified", "primary")
    search_fields = ("^email",)
    id_fields = ()  # its key is the database's own, and no UUID
    ordering = ("email",)
