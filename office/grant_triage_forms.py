"""The forms of the pages on which staff answer applications, one by one or many at once."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.forms.boundfield import BoundField
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from courses.discounts import MAX_PERCENT, MIN_PERCENT
from grants.applications import Decision
from grants.models import Grant, MessageTemplate, Program
from grants.plans import Approval, Plan, plan
from maaledu.money import Money
from office.grant_costs import Cost, cost_of
from office.grant_forms import DecisionForm
from office.grant_queue import Queue, offer

OFFERED = range(MIN_PERCENT, MAX_PERCENT + 1, 10)
STEPS = range(MIN_PERCENT, MAX_PERCENT + 1, 5)
PERCENT = "percent-"  # and the id of an application
LOOK_FIRST = "Look at what {percent} % costs, and approve again."
CONFIRM = "This is what it comes to. Press the button again to approve."


class TriageForm(DecisionForm):
    """An approval of one application, from the program whose queue it is in.

    The page shows what each of the percentages on it costs; another one that has a warning is not
    approved before its cost was shown.
    """

    field_order = ("percent", "other", "expires_on", "template", "note")
    other = forms.IntegerField(
        label="Another percentage",
        required=False,
        min_value=MIN_PERCENT,
        max_value=MAX_PERCENT,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    shown = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(
        self, data: Any, grant: Grant, queue: Queue, templates: Sequence[MessageTemplate]
    ) -> None:
        super().__init__(data)
        self.grant, self.queue = grant, queue
        self.cost: Cost | None = None
        self.decision: Decision | None = None
        del self.fields["program"]
        self.fields["percent"] = _percent_field("Percentage", OFFERED)
        offer(self.fields["template"], templates, MessageTemplate.APPROVAL)

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        percent = given.get("other") or given.get("percent")
        if percent is None:
            self.add_error("percent", "Choose a percentage.")
        else:
            self.cost = cost_of(self.grant.course, percent, self.queue.rate, self.queue.program)
            is_shown = percent in OFFERED or given.get("shown") == str(percent)
            if self.cost.warnings and not is_shown:
                self.add_error(None, LOOK_FIRST.format(percent=percent))
        self.cleaned_data |= {"percent": percent, "program": self.queue.program}
        return super().clean()


class ManyForm(DecisionForm):
    """Approvals of many applications, each at a percentage of its own or left as it is.

    `seen` is what the page said they come to: nobody approves a sum that they did not see.
    """

    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(
        self,
        data: Any,
        grants: Sequence[Grant],
        program: Program | None,
        templates: Sequence[MessageTemplate],
    ) -> None:
        super().__init__(data)
        self.grants, self.payer = grants, program
        self.plan: Plan = plan([], program)
        for name in ("percent", "program"):
            del self.fields[name]
        for grant in grants:
            label = f"Percentage for {grant.name}"
            self.fields[percent_name(grant)] = _percent_field(label, STEPS)
        offer(self.fields["template"], templates, MessageTemplate.APPROVAL)

    @property
    def percents(self) -> list[tuple[Grant, BoundField]]:
        return [(grant, self[percent_name(grant)]) for grant in self.grants]

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        chosen = [(grant, given.get(percent_name(grant))) for grant in self.grants]
        approvals = [Approval(grant, percent) for grant, percent in chosen if percent]
        waiting = [each for each in approvals if each.grant.status == Grant.PENDING]
        self.plan = plan(waiting, self.payer)
        if not approvals:
            self.add_error(None, "Choose a percentage for one application at least.")
        self.cleaned_data |= {"percent": MAX_PERCENT, "program": self.payer}
        decision = super().clean().get("decision")
        return {"approvals": approvals, "decision": decision, "seen": given.get("seen")}


def comes_to(shown: Plan) -> str:
    """Return what approvals come to: "20 approvals, $5,240.00"; "" for none."""
    number, sums = len(shown.approvals), Counter[str]()
    for approval in shown.approvals:
        sums[approval.price.currency] += approval.cost
    amounts = " + ".join(str(Money(sums[currency], currency)) for currency in sorted(sums))
    return f"{number} {'approval' if number == 1 else 'approvals'}, {amounts}" if number else ""


def percent_name(grant: Grant) -> str:
    return f"{PERCENT}{grant.pk}"


def _percent_field(label: str, percents: Iterable[int]) -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        choices=[("", "Not now"), *((str(percent), f"{percent} %") for percent in percents)],
        coerce=int,
        required=False,
        empty_value=None,
        label=label,
        widget=UnfoldAdminSelectWidget,
    )
