"""How a learner gets into the LMS for the first time, as the pages and the mails say it."""

from django.conf import settings

from enrollments.models import Enrollment


def sign_in_words(enrollment: Enrollment) -> str:
    """Return the sentences for a learner with access.

    Who has no password yet is told how to set one. Where there was an account before, the name that
    was typed at checkout has not changed it.
    """
    email = enrollment.email
    if enrollment.register_link:
        return (
            f"Sign in there with your account of {email}. If you have just created it, open the"
            " link in the platform’s own message first."
        )
    if not enrollment.lms_user_made:
        kept = ", which keeps its name" if enrollment.name else ""
        return (
            f"You had an account there already{kept}: sign in with {email}. If you have no password"
            " for it, choose “Forgot password” there."
        )
    if settings.FRAPPE_WELCOME_MAIL:
        return (
            f"The learning platform sends a message to {email} with a link to set your password."
            " Then sign in there with that address."
        )
    return (
        f"Sign in there with {email}. The first time, choose “Forgot password” or “Login with Email"
        " Link”: the learning platform then sends you a message."
    )
