"""What buyers ask before they pay, answered for one course."""

from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext, ngettext

from courses.models import Course


@dataclass(frozen=True)
class Question:
    question: str
    answer: str


def questions_about(course: Course) -> list[Question]:
    return [_start(course), _time(course), _certificate(), _money(course), _employer(course)]


def _start(course: Course) -> Question:
    answer = [
        gettext("As soon as you enroll.")
        if course.is_free
        else gettext("As soon as your payment is received."),
        gettext(
            "We enroll you on the learning platform, usually within a minute, and send you an"
            " e-mail with the link."
        ),
        gettext(
            "You open the course with your own account there: if you have none with this e-mail"
            " address yet, we tell you where to make one."
        )
        if course.needs_own_account
        else "",
        gettext("If it ever takes longer, your status page says why, and your enrollment is kept."),
    ]
    return Question(gettext("When can I start?"), " ".join(filter(None, answer)))


def _time(course: Course) -> Question:
    hours = ngettext(
        "About %(hours)d hour in all.", "About %(hours)d hours in all.", course.duration_hours
    )
    pace = gettext("Most people take it at %(effort)s.") if course.effort else ""
    answer = [
        hours % {"hours": course.duration_hours},
        pace % {"effort": course.effort} if pace else "",
        gettext("There are no fixed lesson times, so you can go faster or slower."),
    ]
    return Question(gettext("How much time does it take?"), " ".join(filter(None, answer)))


def _certificate() -> Question:
    return Question(
        gettext("Is there a certificate?"),
        gettext(
            "Yes. When you have finished every module, the learning platform issues a certificate"
            " with your name, the course and the date."
        ),
    )


def _money(course: Course) -> Question:
    if course.is_free:
        return Question(
            gettext("Is it really free?"),
            gettext("Yes. There is nothing to pay now or later, and we do not ask for a card."),
        )
    return Question(gettext("What if it is not for me?"), _refund(settings.REFUND_DAYS))


def _refund(days: int) -> str:
    if not days:
        return gettext(
            "Write to us, and we look for what suits you: another course, or another start."
        )
    return gettext(
        "Write to us within %(days)d days of paying and we give you the full price back, as long"
        " as you have not finished the course."
    ) % {"days": days}


def _employer(course: Course) -> Question:
    if course.is_free:
        return Question(
            gettext("Do I need an account?"),
            gettext(
                "No. An e-mail address is enough; you can create an account later with the same"
                " address."
            ),
        )
    return Question(
        gettext("Can my employer pay?"),
        gettext(
            "Yes. Any card may be used. Enter the learner's own e-mail address at checkout: we"
            " enroll this address, Stripe e-mails the receipt to it, and the status page links to"
            " it."
        ),
    )
