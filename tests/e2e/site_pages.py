"""Every page that a learner, an applicant or an affiliate may see, rendered once and served as a
file: so a browser looks at hundreds of views of them without a shop that answers each.
"""

import mimetypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.staticfiles import finders
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from affiliates.models import Affiliate, LedgerEntry
from enrollments import lms_jobs
from enrollments.errors import EnrollmentNotFound
from enrollments.models import Enrollment
from grants.models import Grant, Program
from lms_sync.models import SyncJob
from maaledu import errors
from maaledu.http import error_response
from tests.affiliates.make import make_affiliate, make_user, sell
from tests.factories import completed, deliver, make_course, make_pending, taught_by, unpaid
from tests.grants.make import make_application, make_coupon
from tests.requirements.test_gets import BROWSER, FORMS, OF_A_COURSE, addresses

LONG = "Donaudampfschifffahrtselektrizitaetenhauptbetriebswerkbauunterbeamtengesellschaft"
MIXED = "مقدمة في Machine Learning للمبتدئين (2.0)"
NAME = "María-José Wolfeschlegelsteinhausenbergerdorff عبد الرحمن"
PASSWORD = "a-sentence-nobody-guesses-7"  # of everybody whom make_user makes
OWNER, NEWCOMER = "partner.with.a.rather.long.address@example.com", "new@example.com"
UNSEEN = "unseen@example.com"
PEOPLE = {"nobody": "", "owner": OWNER, "newcomer": NEWCOMER}
FULL_COURSE: dict[str, Any] = {
    "title": f"{MIXED} {LONG}",
    "summary": "All of it is at https://example.com/a/very/long/address/that/nobody/can/break?id=1",
    "effort": "four to five hours a week",
    "duration_hours": 24,
    "outcomes": [LONG, MIXED, "Read a confusion matrix"],
    "syllabus": [{"title": LONG, "lessons": [MIXED, LONG]}, {"title": "Two", "lessons": ["b"]}],
    "instructors": taught_by(f"{NAME}, Head of something long"),
    "sample_title": "A sample",
    "sample_text": f"{LONG}\n\n{MIXED}",
    "sample_video": "https://video.example/watch",
}
UNPAID: dict[str, dict[str, Any]] = {
    "awaiting_payment": {},
    "failed": {"status": "failed", "failure_code": "ASYNC_PAYMENT_FAILED"},
    "cancelled": {"status": "cancelled", "failure_code": "LEARNER_CANCELLED"},
    "expired": {"status": "expired", "failure_code": "SESSION_EXPIRED"},
    "processing": {},
}
PAID: dict[str, dict[str, Any]] = {
    "paid_setting_up": {},
    "retrying": {"lms_status": "retrying"},
    "attention": {"lms_status": "failed"},
    "awaiting_account": {"lms_status": "awaiting_account", "lms_platform": "openedx"},
    "ready": {"lms_status": "success"},
    "refunded": {"status": "refunded"},
}
ERRORS: tuple[errors.AppError, ...] = (
    EnrollmentNotFound(),
    errors.BadRequest(),
    errors.Forbidden(),
    errors.NotFound(),
    errors.PayloadTooLarge(),
    errors.RateLimited(),
    errors.AppError(),
    errors.ServiceUnavailable(),
)
OF_SOMEBODY = ("/affiliates/", "/account/", "/accounts/email", "/accounts/password/change")
SEARCHES = ("/?q=confusion", "/?q=astrology", "/?category=data")
NO_PAGES = ("/admin/", "/api/health", "/api/admin", "/api/cron", "/covers/", "/faces/", "/r/")
CHANGING = re.compile(
    rb'name="csrfmiddlewaretoken"[^>]*>|/\w+/[\w-]{32}/|[0-9a-f]{8}-[0-9a-f-]{27}'
    rb"|[\w.]+@example\.com"  # a page is looked at for one person
    rb'|hx-trigger="every \d+s"'  # and asks less often as time passes
)
ERRORS_ONCE = (404, 405)
PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 400"/>'
Rendered = tuple[bytes, dict[str, str]]  # a page, and its headers


# --- rows -----------------------------------------------------------------------------------------
def fill() -> tuple[dict[str, list[str]], dict[str, str]]:
    """Write a shop with something of every kind; return the arguments of its routes, and the
    states of what its links lead to.
    """
    client, course = Client(), make_course(**FULL_COURSE)
    Program.objects.create(name=LONG, for_whom=LONG, decided_how=MIXED, budget_grants=9)
    affiliate = make_affiliate(OWNER, name=NAME)
    make_user(NEWCOMER)
    sell(client, affiliate, make_course(title=LONG), email="somebody@example.com")
    states = _enrollments(client) | _grants()
    Enrollment.objects.update(name=NAME, course_title=FULL_COURSE["title"])
    Affiliate.objects.update(payee_name=NAME)
    usable = Grant.objects.filter(status=Grant.APPROVED).select_related("course")
    known = {
        "token": list(states),
        "slug": [course.slug, make_course(price=0, title="Free of charge").slug],
        "kind": ["receipt"],
        "code": [affiliate.code],
        "month": [f"{timezone.now():%Y-%m}"],
        "pk": [str(LedgerEntry.objects.get().pk)],
        "key": ["x-y"],
        "uidb36": ["x"],
        "name": ["a-1.webp"],
        "path": ["payment/"],
        "quoted": [f"/checkout/{grant.course.slug}/?grant={grant.token}" for grant in usable],
    }
    return known, states


def _enrollments(client: Client) -> dict[str, str]:
    """Make the learner's enrollments, one in each state of the status page; return their states."""
    states, now = {}, timezone.now()
    for state, fields in {**UNPAID, **PAID}.items():
        enrollment, payment = make_pending(make_course(), email=OWNER)
        if state in PAID:
            deliver(client, completed(payment))
        if state == "processing":
            deliver(client, unpaid(payment))
        Enrollment.objects.filter(pk=enrollment.pk).update(**fields)
        job = SyncJob.objects.filter(dedupe_key=lms_jobs.job_key(enrollment))
        if state == "retrying":
            job.update(attempts=3, next_attempt_at=now + timedelta(minutes=9))
        if state == "attention":
            job.update(status="dead")
        states[enrollment.token] = state
    known = {"progress_at": now, "progress_percent": 65, "lms_synced_at": now}
    Enrollment.objects.filter(lms_status="success").update(**known)
    return states


def _grants() -> dict[str, str]:
    """Make a grant in each state; return their states."""
    applied = make_application(make_course(title=LONG), email="g0@example.com")
    partial, whole = make_coupon(email="g1@example.com"), make_coupon(percent=100)
    states = {applied.token: "applied", partial.token: "partial", whole.token: "whole"}
    for number, status in enumerate(("rejected", "reserved", "redeemed", "expired", "withdrawn")):
        grant = make_coupon(email=f"g{number + 2}@example.com")
        Grant.objects.filter(pk=grant.pk).update(
            status=status, note=f"{LONG}\n{MIXED}", reserved_until=grant.expires_at
        )
        states[grant.token] = status
    return states


# --- pages ----------------------------------------------------------------------------------------
def rendered(known: dict[str, list[str]], states: dict[str, str]) -> dict[str, Rendered]:
    """Return the pages by a name: for somebody unknown, for a learner who is an affiliate as well,
    for who has just signed up; forms that were sent wrong; and errors.
    """
    pages: dict[str, Rendered] = {}
    seen: set[bytes] = set()
    for name, answer in _answers(known):
        is_html = answer.get("Content-Type", "").startswith("text/html")
        is_error = answer.status_code in ERRORS_ONCE and not name.startswith("error")
        if not is_html or is_error:
            continue
        text = CHANGING.sub(b"", answer.content)
        if b"<html" in text and text not in seen:
            seen.add(text)
            pages[_named(name, states)] = (
                answer.content.replace(b"<details", b"<details open"),
                _headers(answer),
            )
    return pages


def _named(name: str, states: dict[str, str]) -> str:
    """Return the name of a page with the state of what it shows instead of its address."""
    token = next((token for token in states if token in name), "")
    return name.replace(token, states[token]) if token else name


def _answers(known: dict[str, list[str]]) -> Iterator[tuple[str, HttpResponse]]:
    clients = {who: _client_of(email) for who, email in PEOPLE.items()}
    for who, client in clients.items():
        # What is behind a link that was mailed is the same for everybody.
        asked = {**known, "token": known["token"][:1]} if PEOPLE[who] else known
        for path in dict.fromkeys([*addresses(asked), *SEARCHES, *asked["quoted"]]):
            if not path.startswith(NO_PAGES):
                yield f"{who} {path}", client.get(path)
    paths = [reverse(name) for name in FORMS]
    paths += [reverse(name, args=known["slug"][:1]) for name in OF_A_COURSE]
    for path in paths:
        who = "newcomer" if "join" in path else "owner"
        client = clients[who if path.startswith(OF_SOMEBODY) else "nobody"]
        yield f"sent {path}", client.post(path, {"email": "nobody", "method": "bank"})
    yield from _midway()
    for error in ERRORS:
        yield (
            f"error {error.http_status} {error.code}",
            error_response(RequestFactory().get("/x/"), error),
        )


def _midway() -> Iterator[tuple[str, HttpResponse]]:
    """Yield the pages that wait for a code: by mail to sign in, to confirm, and of an app."""
    visitor = Client(headers={"user-agent": BROWSER})
    visitor.post(reverse("account_request_login_code"), {"email": OWNER})
    yield "midway to sign in", visitor.get(reverse("account_confirm_login_code"))
    visitor.post(reverse("account_signup"), {"email": UNSEEN, "password1": PASSWORD})
    yield "midway to sign up", visitor.get(reverse("account_email_verification_sent"))
    visitor, careful = Client(headers={"user-agent": BROWSER}), User.objects.get(email=NEWCOMER)
    TOTP.activate(careful, "JBSWY3DPEHPK3PXP")
    visitor.post(reverse("account_login"), {"login": NEWCOMER, "password": PASSWORD})
    yield "midway to the second factor", visitor.get(reverse("mfa_authenticate"))
    Authenticator.objects.filter(user=careful).delete()


def _client_of(email: str) -> Client:
    """Return a browser in which somebody has just signed in; nobody without an address."""
    client = Client(headers={"user-agent": BROWSER})
    if email:
        answer = client.post("/accounts/login/", {"login": email, "password": PASSWORD})
        assert answer.status_code == 302
    return client


def _headers(answer: HttpResponse) -> dict[str, str]:
    kept = ("Content-Type", "Content-Security-Policy")
    return {name: answer[name] for name in kept if name in answer}


@contextmanager
def served(pages: list[Rendered]) -> Iterator[str]:
    """Serve pages by their number, with the style sheets and scripts they name; yield the
    address.
    """

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body, headers = _file(pages, self.path)
            self.send_response(200)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def _file(pages: list[Rendered], path: str) -> Rendered:
    kept = {"Cache-Control": "max-age=3600"}
    if path.startswith("/static/"):
        found = finders.find(path.removeprefix("/static/"))
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        return Path(found).read_bytes(), {**kept, "Content-Type": kind}
    if path[1:].isdigit():
        return pages[int(path[1:])]
    return PICTURE, {**kept, "Content-Type": "image/svg+xml"}
