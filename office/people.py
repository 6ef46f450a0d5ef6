from allauth.account.models import EmailAddress
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from accounts.models import User
from affiliates import memberships
from office.base import EditAdmin, ReadOnlyAdmin
from office.lists import ListAdmin

ONLY_SUPERUSERS = ("is_staff", "is_superuser", "groups", "user_permissions")


@admin.register(User)
class UserAdmin(EditAdmin, ListAdmin):
    """Nobody's password is shown or set here: its owner resets it by a code sent to the address."""

    list_display = ("email", "name", "is_active", "is_staff", "date_joined")
    list_filter = ("is_active", "is_staff")
    search_fields = ("^email", "^name")
    ordering = ("-date_joined",)
    sortable_by = ("email", "date_joined")
    filter_horizontal = ("groups", "user_permissions")
    fields = (
        "email",
        "name",
        "is_active",
        *ONLY_SUPERUSERS,
        "is_verified",
        "date_joined",
        "last_login",
    )

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        mine = ("is_verified", "date_joined", "last_login", *(("email",) if obj else ()))
        return mine if request.user.is_superuser else (*mine, *ONLY_SUPERUSERS)

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
    def is_verified(self, user: User) -> bool:
        return user.has_verified_email


admin.site.unregister(Group)
admin.site.unregister(EmailAddress)


@admin.register(Group)
class GroupAdmin(ModelAdmin):
    search_fields = ("name",)
    ordering = ("name",)
    filter_horizontal = ("permissions",)


@admin.register(EmailAddress)
class EmailAddressAdmin(ReadOnlyAdmin):
    """Addresses and whether they are verified; nobody sets that by hand.

    A verified address shows its owner every course that was bought with it.
    """

    list_display = ("email", "verified", "primary")
    search_fields = ("^email",)
    ordering = ("email",)
