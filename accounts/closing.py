"""Close an account for good: nobody signs in with it, and it names nobody any more."""

from allauth.account.models import EmailAddress

from accounts.models import User
from maaledu.forgetting import NOBODYS_DOMAIN


def alias_of(key: object) -> str:
    """Return what stands in place of an address in the rows that are kept."""
    return f"{str(key).replace('-', '')}@{NOBODYS_DOMAIN}"


def close(user: User) -> None:
    """Take address, name, password and saved views away, and end every session of the account."""
    EmailAddress.objects.filter(user=user).delete()
    user.email, user.name, user.is_active = alias_of(user.pk), "", False
    user.saved_views = ""
    user.set_unusable_password()
    user.save(update_fields=["email", "name", "is_active", "password", "saved_views"])
