"""What staff decide about one learner: another address, name, a free course given or taken."""

from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.emails import normalize_email
from courses.models import Course
from enrollments import by_staff, moving, withdrawing
from enrollments.models import Enrollment
from maaledu.names import ControlCharacters, clean_name
from office.decisions import LIST, Decision, Outcome
from office.fields import ReasonForm, StorableText
from office.learner_notes import AboutLearner, AddressForm

LONGEST_REASON = 200


def _reason() -> StorableText:
    widget = UnfoldAdminTextareaWidget(attrs={"rows": 2})
    return StorableText(
        max_length=LONGEST_REASON, widget=widget, help_text="For colleagues: it is kept."
    )


def _name(**options: Any) -> StorableText:
    return StorableText(max_length=140, widget=UnfoldAdminTextInputWidget(), **options)


def _plain(name: str) -> str:
    try:
        return clean_name(name)
    except ControlCharacters as error:
        raise forms.ValidationError("Enter plain text.", code="invalid") from error


class MoveForm(forms.Form):
    to = forms.CharField(
        label="New address",
        max_length=140,
        widget=UnfoldAdminTextInputWidget(
            attrs={"inputmode": "email", "spellcheck": "false", "autocomplete": "off"}
        ),
    )
    reason = _reason()

    def clean_to(self) -> str:
        return normalize_email(self.cleaned_data["to"])


class NameForm(forms.Form):
    name = _name(label="Name")

    def clean_name(self) -> str:
        return _plain(self.cleaned_data["name"])


class CompForm(AddressForm):
    course = forms.ModelChoiceField(Course.objects.on_sale(), widget=UnfoldAdminSelectWidget)
    name = _name(required=False, label="Name")
    reason = _reason()

    def clean_name(self) -> str:
        return _plain(self.cleaned_data["name"])


def _move(enrollment: Enrollment, *, by: str, to: str, reason: str) -> Outcome | bool:
    before = enrollment.email
    if not moving.move(enrollment, by=by, to=to, reason=reason):
        return False
    words = f"moved from {before} to {to}"
    return Outcome(f"{words}: {reason}", f"{enrollment.course_title} is {words}.")


def _correct_name(enrollment: Enrollment, *, by: str, name: str) -> Outcome | bool:
    before = enrollment.name
    if not by_staff.correct_name(enrollment, by=by, name=name):
        return False
    return Outcome(f"name corrected from “{before}” to “{name}”")


def _comp(*, by: str, email: str, course: Course, name: str, reason: str) -> Outcome:
    made = by_staff.comp(course, by_staff.Guest(email, name, reason), by=by)
    entry = f"enrolled for free: {reason}"
    return Outcome(entry, f"{email} is enrolled in {course.title}; access follows.", row=made)


MOVE = Decision(
    "Move to another address",
    run=_move,
    permission="move",
    done="moved",
    button="Move",
    form=MoveForm,
    statuses=(Enrollment.PAID,),
    consequence=(
        "The enrollment, its access in the LMS and all further e-mails go to the new address; what"
        " we gave the old one there is taken away, and it is told by e-mail. Progress in the LMS"
        " stays with the old account."
    ),
)
CORRECT_NAME = Decision(
    "Correct the name",
    run=_correct_name,
    permission="move",
    done="name corrected",
    form=NameForm,
    consequence="A user that is in the LMS already keeps its name there: change it there as well.",
)
COMP = AboutLearner(
    "Enroll for free",
    run=_comp,
    permission="comp",
    done="enrolled for free",
    form=CompForm,
    scope=LIST,
    consequence="Nobody pays for it, and no commission is due. Access and its e-mail follow.",
)
WITHDRAW = Decision(
    "Take the free enrollment away",
    run=withdrawing.withdraw,
    permission="comp",
    done="taken away",
    button="Take away",
    form=ReasonForm,
    entry_field="reason",
    statuses=(Enrollment.PAID,),
    consequence=(
        "Only what cost nothing: refund what was paid for. The access that we gave in the LMS ends,"
        " the learner is told by e-mail, and a coupon stays used. It can be given back."
    ),
)
GIVE_BACK = Decision(
    "Give the enrollment back",
    run=withdrawing.give_back,
    permission="comp",
    done="given back",
    button="Give back",
    form=ReasonForm,
    entry_field="reason",
    statuses=(Enrollment.WITHDRAWN,),
    consequence="Access is asked for anew, and its e-mail follows.",
)
