"""What buyers ask before they pay, answered for one course."""

from dataclasses import dataclass

from django.conf import settings

from courses.models import Course


@dataclass(frozen=True)
class Question:
    question: str
    answer: str


def questions_about(course: Course) -> list[Question]:
    return [_start(course), _time(course), _certificate(), _money(course), _employer(course)]


def _start(course: Course) -> Question:
    cause = "you enroll" if course.is_free else "your payment is received"
    own = (
        " You open the course with your own account there: if you have none with this e-mail"
        " address yet, we tell you where to make one."
        if course.needs_own_account
        else ""
    )
    return Question(
        "When can I start?",
        f"As soon as {cause}. We enroll you on the learning platform, usually within a minute, and"
        f" send you an e-mail with the link.{own} If it ever takes longer, your status page says"
        " why, and your enrollment is kept.",
    )


def _time(course: Course) -> Question:
    pace = f" Most people take it at {course.effort}." if course.effort else ""
    return Question(
        "How much time does it take?",
        f"About {course.duration_hours} hours in all.{pace} There are no fixed lesson times, so you"
        " can go faster or slower.",
    )


def _certificate() -> Question:
    return Question(
        "Is there a certificate?",
        "Yes. When you have finished every module, the learning platform issues a certificate with"
        " your name, the course and the date.",
    )


def _money(course: Course) -> Question:
    if course.is_free:
        return Question(
            "Is it really free?",
            "Yes. There is nothing to pay now or later, and we do not ask for a card.",
        )
    return Question("What if it is not for me?", _refund(settings.REFUND_DAYS))


def _refund(days: int) -> str:
    if not days:
        return "Write to us, and we look for what suits you: another course, or another start."
    return (
        f"Write to us within {days} days of paying and we give you the full price back, as long as"
        " you have not finished the course."
    )


def _employer(course: Course) -> Question:
    if course.is_free:
        return Question(
            "Do I need an account?",
            "No. An e-mail address is enough; you can create an account later with the same"
            " address.",
        )
    return Question(
        "Can my employer pay?",
        "Yes. Any card may be used. Enter the learner's own e-mail address at checkout: we enroll"
        " this address, Stripe e-mails the receipt to it, and the status page links to it.",
    )
