"""The mail server, what is sent through it, and what staff were alerted of."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import EmptyFieldListFilter
from django.http import HttpRequest
from unfold.decorators import display

from enrollments import by_staff
from maaledu.work.items import DEAD, DONE, PENDING
from notifications import alert_pages, bounces, channels, mail_state, runbook
from notifications.models import Alert, AlertNotice, Email, MailState, UndeliverableAddress
from office.base import QueueAdmin, ReadOnlyAdmin, ReadOnlyInline
from office.cells import link
from office.decisions import NOBODY, Decision
from office.filters import DaysFilter, fixed
from office.learner_search import learner_url
from office.timeline_words import in_words

TRY = Decision(
    "Try now",
    run=mail_state.try_now,
    permission="try",
    done="due for a try",
    run_by=NOBODY,
    needs_confirmation=False,
)
RELEASE = Decision(
    "Release",
    run=bounces.release,
    permission="release",
    done="released",
    consequence=(
        "What was held for this address is sent, and later e-mails are no longer held. Release it"
        " when its owner says that it works: a mail service trusts us less for each that bounces."
    ),
    run_by=NOBODY,
)


SEND_AGAIN = Decision(
    "Send again",
    run=by_staff.send_again,
    permission="replay",
    done="sent again",
    statuses=(DONE,),
    needs_confirmation=False,
)


@admin.register(Email)
class EmailAdmin(QueueAdmin):
    decisions = {**QueueAdmin.decisions, "send_again": SEND_AGAIN}
    row_decisions = ("replay", "retry_now", "send_again")
    list_display = (
        "what",
        "learner",
        "state",
        "attempts",
        "created_at",
        "sent_at",
        "next_try",
        "last_error",
    )
    list_filter = (("created_at", DaysFilter), "status", "priority")
    sortable_by = ("created_at",)
    views = (
        ("Could not be sent", {"status__exact": DEAD}),
        ("Waiting", {"status__exact": PENDING}),
    )
    search_fields = ("^to", "^dedupe_key", "request_id")
    exclude = ("context", "claim_token")

    def is_offered(self, decision: Decision, row: Any) -> bool:
        is_possible = decision is not SEND_AGAIN or row.kind not in by_staff.NOT_REPEATED
        return is_possible and super().is_offered(decision, row)

    @admin.display(description="e-mail")
    def what(self, mail: Email) -> str:
        return mail.subject or in_words(mail.kind)

    @admin.display(description="to", ordering="to")
    def learner(self, mail: Email) -> str:
        return link(learner_url(mail.to), mail.to)

    @admin.display(description="next try")
    def next_try(self, mail: Email) -> Any:
        return mail.next_attempt_at if mail.status == PENDING else None


@admin.register(MailState)
class MailStateAdmin(ReadOnlyAdmin):
    decisions = {"try_now": TRY}
    row_decisions = ("try_now",)
    list_display = ("name", "state", "since", "retry_at", "failures", "what_is_wrong")
    exclude = ("trying", "suspect")

    @admin.display(description="what is wrong")
    def what_is_wrong(self, row: MailState) -> str:
        """Say the last error only while it lasts: the page of the row keeps it."""
        return "" if row.state == MailState.State.ANSWERING else row.last_error

    def is_offered(self, decision: Decision, row: MailState) -> bool:
        return row.state != MailState.State.ANSWERING


@admin.register(UndeliverableAddress)
class UndeliverableAddressAdmin(ReadOnlyAdmin):
    decisions = {"release": RELEASE}
    row_decisions = ("release",)
    ordering = ("-reported_at",)
    list_display = ("email", "reason", "reported_at", "sentence", "learner")
    list_filter = ("reason",)
    search_fields = ("^email",)

    @admin.display(description="whose")
    def learner(self, row: UndeliverableAddress) -> str:
        return link(learner_url(row.email), "Learner's page")


class AlertNoticeInline(ReadOnlyInline):
    model = AlertNotice
    fields = readonly_fields = ("channel", "action", "status", "attempts", "last_error")


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    ordering = ("-created_at",)
    list_display = ("subject", "about", "since", "recovered_at", "is_muted")
    list_filter = (("created_at", DaysFilter), ("recovered_at", EmptyFieldListFilter), "is_muted")
    views = (("Go on", {"recovered_at__isempty": "1"}),)
    search_fields = ("^subject", "key")
    fields = (
        "subject",
        "what_happened",
        "what_to_do",
        "about",
        "since",
        "created_at",
        "recovered_at",
        "is_muted",
        "key",
    )
    inlines = (AlertNoticeInline,)

    @display(description="what happened")
    def what_happened(self, row: Alert) -> str:
        return "\n".join(row.lines)

    @display(description="it is about")
    def about(self, row: Alert) -> str:
        return link(alert_pages.page_of(row), "Open what it is about")

    @display(description="what to do")
    def what_to_do(self, row: Alert) -> str:
        return runbook.what_to_do(row.subject)

    def get_readonly_fields(self, request: HttpRequest, obj: Alert | None = None) -> tuple:
        return self.fields


@admin.register(AlertNotice)
class AlertNoticeAdmin(QueueAdmin):
    list_display = ("alert", "channel", "action", "state", "attempts", "last_error")
    list_filter = (
        "status",
        fixed("channel", (channels.SLACK, channels.WEBHOOK)),
        "action",
    )
    list_select_related = ("alert",)
    search_fields = ("^alert__subject", "dedupe_key")
    sortable_by = ()
    exclude = ("claim_token",)
