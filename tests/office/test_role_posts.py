"""What each role may send: every address and action of the office, as the same table says it.

A refusal answers 403, is in the change log, and writes nothing else. What is sent goes through the
office's middleware and addresses, with a user whose permissions are read once.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.messages.storage.cookie import CookieStorage
from django.core.exceptions import PermissionDenied
from django.core.handlers.base import BaseHandler
from django.db import connection
from django.http import Http404
from django.test import RequestFactory
from django.urls import resolve
from django.utils.http import urlencode

from accounts.models import AuditEntry, User
from office.decisions import ROWS
from office.lists import ListAdmin
from office.timeline_words import MODELS
from tests.office.role_table import TABLE
from tests.office.test_roles import LETTERS, NOBODYS, address_of, pages, staff_of_roles

# Sent to, they answer as when they are opened, which the table's first column is about.
ONLY_READ = ("_changelist", "_csv", "_counts", "_paper", "_figures")
# They look for the row before they ask what may be done with it, and there is none.
ROW_FIRST = ("_history", "_payoutbatch_change")
# What is not for one role or another: one's own session and password, and what is never sent to.
EVERYBODYS = {"login", "logout", "password_change", "password_change_done", "jsi18n"}
NEVER_SENT_TO = {"autocomplete", "learners", "office_seller", "reports"}
FORM = "application/x-www-form-urlencoded"
FACTORY = RequestFactory(headers={"accept": "application/json"})  # a refusal without a page


@dataclass(frozen=True)
class Sent:
    """Something to send: its name, the roles that may, the address and the form."""

    name: str
    letters: str
    path: str
    form: dict[str, Any] = field(default_factory=dict)

    @property
    def is_walked(self) -> bool:
        """Whether a role that may send it does: lists and pages are opened by another test."""
        return not self.form and not self.name.endswith(ONLY_READ)


def may_send() -> dict[str, str]:
    return {line.split()[0]: line.split()[-1] for line in TABLE.strip().splitlines()}


def everything(letters: dict[str, str]) -> Iterator[Sent]:
    for name in sorted({*pages()} - EVERYBODYS - NEVER_SENT_TO - {"saved_views"}):
        if not name.endswith(ROW_FIRST):
            yield Sent(name, letters[name], address_of(name))
    for model, page in admin.site._registry.items():
        yield from _of_list(letters, label_of(model), page)
    for model in set(MODELS.values()) & admin.site._registry.keys():
        yield from _of_learner(letters, label_of(model), model)


def _of_list(letters: dict[str, str], label: str, page: Any) -> Iterator[Sent]:
    """Yield the actions of a list, and the keeping of a view of it."""
    in_list, path = letters[f"{label}_changelist"], address_of(f"{label}_changelist")
    for action in (*_in_list(page), "delete_selected"):
        form = {"action": action, "_selected_action": [str(NOBODYS)], "post": "yes"}
        named = letters.get(f"{label}!{action}") or letters[f"{label}_{_page_of(action)}"]
        yield Sent(f"{label}!{action}", _both(named, in_list), path, form)
    if isinstance(page, ListAdmin):
        view = {"list": page.opts.label_lower, "name": "Mine"}
        yield Sent(f"saved_views: {label}", in_list, address_of("saved_views"), view)


def _of_learner(letters: dict[str, str], label: str, model: Any) -> Iterator[Sent]:
    """Yield the decisions that are a button on a learner's page."""
    for action in _in_list(admin.site._registry[model]):
        if f"{label}!{action}" in letters:
            form = {"page": model._meta.label, "name": action, "row": str(NOBODYS)}
            allowed = _both(letters[f"{label}!{action}"], letters["learner"])
            yield Sent(f"learner: {label}!{action}", allowed, address_of("learner"), form)


def label_of(model: Any) -> str:
    return f"{model._meta.app_label}_{model._meta.model_name}"


def _in_list(page: Any) -> list[str]:
    decisions = getattr(page, "decisions", {})
    return [name for name, decision in decisions.items() if decision.scope == ROWS]


def _page_of(action: str) -> str:
    return "delete" if action == "delete_selected" else action


def _both(letters: str, others: str) -> str:
    return "".join(a if a == b else "." for a, b in zip(letters, others, strict=True))


def request_of(sent: Sent, user: User) -> Any:
    request: Any = FACTORY.generic("POST", sent.path, urlencode(sent.form, doseq=True), FORM)
    request.user, request.session, request.htmx = user, {}, False
    request._messages, request._dont_enforce_csrf_checks = CookieStorage(request), True
    return request


def is_taken(sent: Sent, user: User) -> bool:
    """Whether the permission is there; what is sent is empty, and there is no such row."""
    found = resolve(sent.path)
    try:
        return found.func(request_of(sent, user), *found.args, **found.kwargs).status_code != 403
    except PermissionDenied:
        return False
    except Http404:
        return True


class Office:
    """The office's middleware and addresses, and what is written to the database meanwhile."""

    def __init__(self) -> None:
        self.handler = BaseHandler()
        self.handler.load_middleware()
        self.written: list[str] = []

    def send(self, sent: Sent, user: User) -> int:
        with connection.execute_wrapper(self._note):
            return self.handler.get_response(request_of(sent, user)).status_code

    def _note(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if not sql.startswith(("SELECT", "SAVEPOINT", "RELEASE", "BEGIN")):
            self.written.append(sql)
        return execute(sql, *rest)


@pytest.mark.django_db
@pytest.mark.engines("sqlite")
def test_what_a_role_may_not_send_is_refused_and_logged_and_changes_nothing(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.MIDDLEWARE = ["accounts.middleware.OfficeMiddleware"]
    caplog.set_level(logging.CRITICAL)  # thousands of lines
    letters, office = may_send(), Office()
    everywhere = list(everything(letters))
    wrong, refused = [], []
    for role, user in staff_of_roles().items():
        for sent in everywhere:
            if LETTERS[role] in sent.letters:
                if sent.is_walked and not is_taken(sent, user):
                    wrong.append((role, sent.name, "refused"))
            elif (status := office.send(sent, user)) != 403:
                wrong.append((role, sent.name, status))
            else:
                refused.append((user.email, f"POST {sent.path}"))
    closed = {office.send(Sent(name, "", address_of(name)), user) for name in NEVER_SENT_TO}
    assert (wrong, closed) == ([], {405})
    entries = AuditEntry.objects.filter(kind=AuditEntry.REFUSED).order_by("created_at", "pk")
    assert list(entries.values_list("actor", "what")) == refused
    of_log = f'INSERT INTO "{AuditEntry._meta.db_table}"'
    assert [sql for sql in office.written if not sql.startswith(of_log)] == []
    assert len(office.written) == len(refused) > 1400
