"""How a learner gets into the LMS for the first time, as the pages and the mails say it."""

from django.conf import settings
from django.utils.translation import gettext

from enrollments.models import Enrollment


def sign_in_words(enrollment: Enrollment) -> str:
    """Return the sentences for a learner with access.

    Who has no password yet is told how to set one. Where there was an account before, the name that
    was typed at checkout has not changed it.
    """
    return _how(enrollment) % {"email": enrollment.email}


def _how(enrollment: Enrollment) -> str:
    if enrollment.register_link:
        return gettext(
            "Sign in there with your account of %(email)s. If you have just created it, open the"
            " link in the platform’s own message first."
        )
    if not enrollment.lms_user_made and enrollment.name:
        return gettext(
            "You had an account there already, which keeps its name: sign in with %(email)s. If you"
            " have no password for it, choose “Forgot password” there."
        )
    if not enrollment.lms_user_made:
        return gettext(
            "You had an account there already: sign in with %(email)s. If you have no password for"
            " it, choose “Forgot password” there."
        )
    if settings.FRAPPE_WELCOME_MAIL:
        return gettext(
            "The learning platform sends a message to %(email)s with a link to set your password."
            " Then sign in there with that address."
        )
    return gettext(
        "Sign in there with %(email)s. The first time, choose “Forgot password” or “Login with"
        " Email Link”: the learning platform then sends you a message."
    )
