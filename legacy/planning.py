"""Compare what a row should become with what was written for it: new, the same, changed, or in
conflict with a change that was made here since.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db.models import Model

from accounts.models import User
from affiliates.models import Affiliate
from enrollments.models import Enrollment
from grants.models import Grant
from legacy.answers import CONFLICT, OURS, THEIRS, Answers
from legacy.facts import IMPORTED, MERGED, Fact
from legacy.models import ImportedRow
from legacy.targets import Target, content_hash, target_hash
from payments.models import Payment, StripeEvent

NEW, SAME, NOTED, CHANGED, KEPT = "new", "same", "noted", "changed", "kept"
WRITTEN = (IMPORTED, MERGED)
STAYS = "stays_as_brought"
Rows = dict[tuple[str, str], dict[str, Any]]


@dataclass(slots=True)
class Plan:
    """What is to be done about one source row. `gone` are rows of it that are not due any more."""

    fact: Fact
    targets: list[Target]
    known: ImportedRow | None
    what: str = SAME
    content: str = ""
    gone: list[list[str]] = field(default_factory=list)
    watched: str = ""

    @property
    def writes(self) -> bool:
        return self.what in (NEW, CHANGED)


def plan_chunk(
    pairs: list[tuple[Fact, list[Target]]], answers: Answers, *, is_booked: bool
) -> list[Plan]:
    """Return a plan for each row; one that is in conflict is withheld, as its outcome says."""
    if not pairs:
        return []
    collection = pairs[0][0].collection
    rows = ImportedRow.objects.filter(
        collection=collection,
        source_id__in=[fact.key for fact, _ in pairs],
        role=ImportedRow.ROW,
    )
    known = {row.source_id: row for row in rows}
    plans = [_plan(fact, targets, known.get(fact.key)) for fact, targets in pairs]
    changed = [plan for plan in plans if plan.what == CHANGED]
    there = read_rows(target for plan in changed for target in plan.targets)
    written = read_named(name for plan in changed if plan.known for name in plan.known.targets)
    for plan in changed:
        _look_for_changes_here(plan, {**written, **there}, answers, is_booked=is_booked)
    _look_for_others([plan for plan in plans if plan.writes], answers)
    return plans


def _plan(fact: Fact, targets: list[Target], known: ImportedRow | None) -> Plan:
    content = content_hash(targets)
    plan = Plan(fact, targets, known, content=content)
    plan.watched = target_hash([(t, {**t.fresh, **t.fields}) for t in targets])
    if known is None:
        plan.what = NEW
    elif content == known.content_hash:
        plan.what = SAME if _is_as_noted(known, fact) else NOTED
    elif known.outcome in WRITTEN and fact.outcome not in WRITTEN:
        # Withheld by now: what was written stays, and the report says so and what it waits for.
        plan.what = KEPT
        fact.notes.add(STAYS)
    else:
        plan.what = CHANGED
        due = [target.name for target in targets]
        plan.gone = [name for name in known.targets if name[1] and name not in due]
    return plan


def _is_as_noted(known: ImportedRow, fact: Fact) -> bool:
    return (known.source_hash, known.outcome, known.reason, known.notes, known.into) == (
        fact.digest,
        fact.outcome,
        fact.reason,
        notes_text(fact),
        fact.into,
    )


def notes_text(fact: Fact) -> str:
    return " ".join(sorted(fact.notes))[:300]


# --- changes on both sides ------------------------------------------------------------------------
def _look_for_changes_here(plan: Plan, rows: Rows, answers: Answers, *, is_booked: bool) -> None:
    fact, known = plan.fact, plan.known
    if known is None or not known.targets:
        return
    held = [(target, rows.get((target.label, str(target.pk)), {})) for target in watched_of(known)]
    is_touched = target_hash(held) != known.target_hash or (is_booked and _is_money(plan))
    if not is_touched or answers.take(fact, CONFLICT, THEIRS):
        return
    plan.what = KEPT
    if not answers.take(fact, CONFLICT, OURS):
        answers.leave_open(fact, CONFLICT)


def watched_of(known: ImportedRow) -> list[Target]:
    """Return what was written for a row, with the columns of each that people change."""
    return [Target(apps.get_model(label), UUID(key), {}) for label, key in known.targets if key]


def _is_money(plan: Plan) -> bool:
    """Whether a sale whose commission is booked would change its payment."""
    keys = [target.pk for target in plan.targets if target.model is Enrollment]
    booked = ImportedRow.objects.filter(role=ImportedRow.COMMISSION, source_id=plan.fact.key)
    return bool(keys) and booked.exists()


# --- what is here, and not of the import ----------------------------------------------------------
def _look_for_others(plans: list[Plan], answers: Answers) -> None:
    """Withhold what would collide with a row of this shop's own."""
    wanted: dict[type[Model], list[tuple[Plan, Target]]] = defaultdict(list)
    for plan in plans:
        for target in plan.targets:
            wanted[target.model].append((plan, target))
    _leave_known_events(wanted[StripeEvent])
    taken = [
        *_taken_places(wanted[Enrollment]),
        *_taken(Payment, "stripe_session_id", wanted[Payment]),
        *_taken(Grant, "code", wanted[Grant]),
        *_taken(Affiliate, "email", wanted[Affiliate]),
        *_taken_grants(wanted[Grant]),
    ]
    for plan in taken:
        plan.what = KEPT if plan.known else NEW
        plan.targets, plan.fact.is_kept_out = [], True
        plan.content, plan.watched = content_hash([]), target_hash([])
        if not answers.take(plan.fact, CONFLICT, OURS):
            answers.leave_open(plan.fact, CONFLICT)


def _leave_known_events(wanted: list[tuple[Plan, Target]]) -> None:
    """Leave out the events of Stripe's that this shop has got itself, which are known as well."""
    by_id = {target.fields["event_id"]: (plan, target) for plan, target in wanted}
    if not by_id:
        return
    rows = StripeEvent.objects.filter(event_id__in=list(by_id))
    for pk, event_id in rows.values_list("pk", "event_id"):
        plan, target = by_id[event_id]
        if pk != target.pk:
            plan.targets.remove(target)


def _taken(model: type[Model], column: str, wanted: list[tuple[Plan, Target]]) -> list[Plan]:
    by_value = {t.fields[column]: (plan, t) for plan, t in wanted if t.fields.get(column)}
    if not by_value:
        return []
    rows = model._default_manager.filter(**{f"{column}__in": list(by_value)})
    return [
        by_value[value][0]
        for pk, value in rows.values_list("pk", column)
        if pk != by_value[value][1].pk
    ]


def _taken_places(wanted: list[tuple[Plan, Target]]) -> list[Plan]:
    live = {
        (t.fields["course_id"], t.fields["email"]): (plan, t)
        for plan, t in wanted
        if t.fields["status"] in Enrollment.LIVE
    }
    rows = Enrollment.objects.live().filter(email__in=sorted({email for _, email in live}))
    return [
        live[course, email][0]
        for pk, course, email in rows.values_list("pk", "course_id", "email")
        if (course, email) in live and pk != live[course, email][1].pk
    ]


def _taken_grants(wanted: list[tuple[Plan, Target]]) -> list[Plan]:
    opened = {
        (t.fields["course_id"], t.fields["email"]): (plan, t)
        for plan, t in wanted
        if t.fields["status"] in Grant.OPEN
    }
    rows = Grant.objects.open().filter(email__in=sorted({email for _, email in opened}))
    return [
        opened[course, email][0]
        for pk, course, email in rows.values_list("pk", "course_id", "email")
        if (course, email) in opened and pk != opened[course, email][1].pk
    ]


# --- reading what is there ------------------------------------------------------------------------
def read_rows(targets: Iterable[Target]) -> Rows:
    return read_named(target.name for target in targets)


def read_named(names: Iterable[list[str]]) -> Rows:
    """Return the rows of these tables and keys, by both; one statement for each table."""
    wanted: dict[str, set[UUID]] = defaultdict(set)
    for label, key in names:
        if key:
            wanted[label].add(UUID(key))
    found: Rows = {}
    for label, keys in wanted.items():
        rows = apps.get_model(label)._default_manager.filter(pk__in=sorted(keys))
        found |= {(label, str(row["id"])): row for row in rows.values()}
    return found


def users_of(emails: Iterable[str]) -> dict[str, UUID]:
    rows = User.objects.filter(email__in=sorted(set(emails)))
    return dict(rows.values_list("email", "pk"))
