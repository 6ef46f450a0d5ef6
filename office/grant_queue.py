"""The queue of applications as staff answer it: whose budget pays, and who is next.

A program pays for courses in its own currency, so the one that is chosen is also the filter: at
first it is the active program that can pay for the oldest application.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Subquery
from django.http import HttpRequest
from django.urls import reverse

from affiliates import commissions
from grants.figures import budget_left
from grants.models import Grant, MessageTemplate, Program
from office.grant_costs import NO_BUDGET
from office.grant_decisions import APPROVE
from office.searching import uuid_of

MOST = 500  # of the oldest that are looked at at once
NO_PROGRAM = "none"
ANOTHER_PAYER = "That program is closed by now. Look at who pays, and decide again."
CSV_PERMISSION = "grants.export_grant"


@dataclass(frozen=True)
class Waiting:
    """An application that waits: as much as it takes to find it, the next one and the last."""

    pk: UUID
    currency: str
    email: str


@dataclass(frozen=True)
class Choice:
    """A program that may pay, or none: what it has left, and how many applications it is for."""

    program: Program | None
    number: str
    is_chosen: bool

    @property
    def key(self) -> str:
        return str(self.program.pk) if self.program else NO_PROGRAM

    @property
    def left(self) -> str:
        return budget_left(self.program) if self.program else ""


@dataclass(frozen=True)
class Queue:
    """What waits for the chosen program, and the highest rate of an affiliate (basis points)."""

    program: Program | None
    rows: list[Waiting]
    choices: list[Choice]
    rate: int
    is_cut: bool

    @property
    def chosen(self) -> Choice:
        return next(choice for choice in self.choices if choice.is_chosen)

    def place_of(self, asked: str) -> int | None:
        """Return where an application is in the queue; None where it is not, or not any more."""
        wanted = uuid_of(asked)
        return next((place for place, row in enumerate(self.rows) if row.pk == wanted), None)

    def address_of(self, place: int | None) -> str:
        """Return the address of the page of whoever is at this place; of the first without one."""
        query = {"program": self.chosen.key}
        if place is not None and 0 <= place < len(self.rows):
            query["grant"] = str(self.rows[place].pk)
        return reverse("grant_triage", query=query)


def read(request: HttpRequest) -> Queue:
    """Return the queue as it is asked for. Raises PermissionDenied for who may not decide."""
    if not grants_page().may_decide(request, APPROVE):
        raise PermissionDenied
    found = Grant.objects.queue().values_list("pk", "course__currency", "email")[: MOST + 1]
    waiting = [Waiting(*row) for row in found]
    programs, rate = _programs()
    program = _chosen(request.GET.get("program", ""), programs, waiting)
    rows = [row for row in waiting if program is None or row.currency == program.currency]
    return Queue(program, rows, _choices(programs, program, waiting), rate, len(waiting) > MOST)


def context(request: HttpRequest, queue: Queue) -> dict[str, Any]:
    """Return what every page of the queue shows."""
    waiting = {"status__exact": Grant.PENDING}
    csv = reverse("admin:grants_grant_csv", query=waiting)
    return {
        **admin.site.each_context(request),
        "title": "Applications to answer",
        "queue": queue,
        "no_budget": NO_BUDGET,
        "list_url": reverse("admin:grants_grant_changelist", query=waiting),
        "many_url": reverse("grant_triage_many", query={"program": queue.chosen.key}),
        "one_url": reverse("grant_triage", query={"program": queue.chosen.key}),
        "csv_url": csv if request.user.has_perm(CSV_PERMISSION) else "",
        "templates_url": reverse("admin:grants_messagetemplate_changelist"),
    }


def grants_page() -> Any:
    """Return the page of grants, which knows its decisions and who may take them."""
    return admin.site.get_model_admin(Grant)


def offer(field: Any, found: Sequence[MessageTemplate], used_for: str) -> None:
    """Offer these templates in a field, without asking for them once more."""
    names = [(str(each.pk), each.name) for each in found if each.used_for == used_for]
    field.choices = [("", field.empty_label), *names]


def _programs() -> tuple[list[Program], int]:
    """Return the active programs, and with them the highest rate of an affiliate."""
    highest = Subquery(commissions.highest_rates()[:1])
    active = Program.objects.filter(is_active=True).order_by("name")
    programs: list[Any] = list(active.annotate(highest_rate=highest))
    if not programs:
        return [], commissions.highest_rate()
    return programs, commissions.at_least_usual(programs[0].highest_rate)


def _chosen(asked: str, programs: list[Program], waiting: list[Waiting]) -> Program | None:
    """Return the program that is asked for, else the first with room that can pay the oldest."""
    if asked == NO_PROGRAM or not programs:
        return None
    by_key = {str(program.pk): program for program in programs}
    if asked in by_key:
        return by_key[asked]
    with_room = [each for each in programs if not each.is_used_up] or programs
    payers = (each for row in waiting for each in with_room if each.currency == row.currency)
    return next(payers, with_room[0])


def _choices(
    programs: list[Program], chosen: Program | None, waiting: list[Waiting]
) -> list[Choice]:
    counts = Counter(row.currency for row in waiting)
    found = [
        Choice(program, _number(counts[program.currency]), program == chosen)
        for program in programs
    ]
    return [*found, Choice(None, _number(len(waiting)), chosen is None)]


def _number(count: int) -> str:
    return f"{MOST}+" if count > MOST else str(count)
