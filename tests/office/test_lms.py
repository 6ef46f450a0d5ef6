"""The LMS's jobs in the office: found by what staff know, and changed by decisions alone."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from lms_sync import breaker, dead_letters
from lms_sync.call_figure import CallFigure
from lms_sync.errors import LmsIntercepted, LmsRefused
from lms_sync.models import DeadLetter, PlatformState, SyncAttempt, SyncJob
from maaledu.db import new_id
from maaledu.work.queue import drain
from notifications.models import Email, MailState
from payments.models import StripeEvent
from tests.factories import make_pending
from tests.office.test_lists import member
from tests.sandbox_client import Sandbox

# Jobs and letters here lack the purchases that they would belong to.
pytestmark = [pytest.mark.django_db, pytest.mark.breaks_invariants, pytest.mark.any_engine]
SKIPPED = "0 asked for a probe, 1 skipped."
PAGES = ["syncjob", "syncattempt", "deadletter", "platformstate"]


@pytest.fixture
def boss() -> Client:
    user = User.objects.create_superuser(email="boss@example.com", password="a long password here")
    client = Client()
    client.force_login(user)
    return client


def make_job(number: int = 1, status: str = "pending") -> SyncJob:
    later = timezone.now() + timedelta(hours=1)
    job = SyncJob.objects.create(
        dedupe_key=f"enroll:{number}",
        platform="frappe",
        email=f"learner{number}@example.com",
        course_id="free-course",
        status=status,
        next_attempt_at=later,
        payload={"payment_id": f"pi_{number}"},
    )
    SyncAttempt.objects.create(
        job=job,
        number=1,
        started_at=timezone.now(),
        duration_ms=12,
        outcome="LMS_REFUSED",
        response="1. 417 no",
    )
    return job


def make_letter(number: int = 1) -> DeadLetter:
    return dead_letters.ensure_dead_letter(make_job(number, "dead"), LmsRefused("no", status=417))


def url(page: str) -> str:
    return reverse(f"admin:lms_sync_{page}_changelist")


def act(client: Client, page: str, action: str, *rows: object) -> str:
    data = {"action": action, "_selected_action": [str(getattr(row, "pk", row)) for row in rows]}
    response = client.post(url(page), data)
    return next(
        (str(message) for message in reversed(list(get_messages(response.wsgi_request)))), ""
    )


def worker_with(*codenames: str) -> Client:
    user = User.objects.create_user(
        email="staff@example.com", password="a long password here", is_staff=True
    )
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("page", PAGES)
def test_lists_and_rows_can_be_looked_at_but_not_added_changed_or_deleted(
    boss: Client, page: str
) -> None:
    make_letter()
    breaker.state_of("frappe")
    row = {
        "syncjob": SyncJob,
        "syncattempt": SyncAttempt,
        "deadletter": DeadLetter,
        "platformstate": PlatformState,
    }[page].objects.get()
    assert boss.get(url(page)).status_code == 200
    shown = boss.get(reverse(f"admin:lms_sync_{page}_change", args=[row.pk]))
    assert shown.status_code == 200
    assert b'name="_save"' not in shown.content
    assert boss.get(reverse(f"admin:lms_sync_{page}_add")).status_code == 403
    assert (
        boss.post(
            reverse(f"admin:lms_sync_{page}_delete", args=[row.pk]), {"post": "yes"}
        ).status_code
        == 403
    )


@pytest.mark.parametrize("words", ["learner2@example.com", "enroll:2"])
def test_a_job_is_found_by_what_staff_know(boss: Client, words: str) -> None:
    make_job(1)
    make_job(2)
    content = boss.get(url("syncjob"), {"q": words}).content.decode()
    assert "learner2@example.com" in content
    assert "learner1@example.com" not in content


@pytest.mark.parametrize("words", ["learner2@example.com", "enroll:2"])
def test_a_dead_letter_is_found_by_its_job(boss: Client, words: str) -> None:
    make_letter(1)
    make_letter(2)
    content = boss.get(url("deadletter"), {"q": words}).content.decode()
    assert "learner2@example.com" in content
    assert "learner1@example.com" not in content


def test_the_attempts_of_a_job_are_on_its_page(boss: Client) -> None:
    job = make_job()
    assert (
        "417 no"
        in boss.get(reverse("admin:lms_sync_syncjob_change", args=[job.pk])).content.decode()
    )


@pytest.mark.every_engine
def test_retry_now_makes_waiting_jobs_due_and_replays_dead_ones(boss: Client) -> None:
    waiting, dead, running = make_job(1), make_letter(2).job, make_job(3, "running")
    assert act(boss, "syncjob", "retry_now", waiting, dead, running) == "2 retried, 1 skipped."
    assert SyncJob.objects.due(timezone.now()).count() == 2
    letter = DeadLetter.objects.get()
    assert (letter.status, letter.resolved_by) == ("replayed", "boss@example.com")
    assert LogEntry.objects.count() == 2


def test_replay_reports_what_it_did_and_twice_changes_nothing(boss: Client) -> None:
    letters = [make_letter(number) for number in (1, 2, 3)]
    dead_letters.replay(letters[2], by="other@example.com")
    assert act(boss, "deadletter", "replay", *letters) == "2 replayed, 1 skipped."
    assert act(boss, "deadletter", "replay", *letters) == "0 replayed, 3 skipped."
    assert LogEntry.objects.count() == 2
    assert SyncJob.objects.filter(status="pending").count() == 3


SETTLED = {"decide": "1", "how": "withdrew", "note": "Agreed by phone."}


@pytest.mark.every_engine
def test_settling_asks_how_and_why_and_closes_the_letter(boss: Client) -> None:
    """Fault U1."""
    letter = make_letter()
    page = reverse("admin:lms_sync_deadletter_settle", args=[letter.pk])
    for missing in ("how", "note"):
        answer = boss.post(page, {**SETTLED, missing: ""})
        assert "This field is required." in answer.content.decode()
    assert DeadLetter.objects.get().status == "open"
    boss.post(page, SETTLED)
    letter.refresh_from_db()
    assert (letter.status, letter.settled_how, letter.note, letter.resolved_by) == (
        "dismissed",
        "withdrew",
        "Agreed by phone.",
        "boss@example.com",
    )
    assert SyncJob.objects.get().status == "dead"
    assert LogEntry.objects.get().change_message == (
        "settled (the learner withdrew): Agreed by phone."
    )


def buttons(client: Client, letter: DeadLetter) -> dict[str, dict[str, str]]:
    """Return what each button on the page of a letter sends, by its words."""
    page = client.get(
        reverse("admin:lms_sync_deadletter_change", args=[letter.pk])
    ).content.decode()
    form = re.search(
        rf'<form method="post" action="{url("deadletter")}".*?</form>', page, re.DOTALL
    )
    if form is None:
        return {}
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)"', form[0]))
    found = re.findall(
        r'<button[^>]*type="submit"[^>]*name="action"[^>]*value="(\w+)"[^>]*>\s*(\w+)', form[0]
    )
    return {words: {**hidden, "action": action} for action, words in found}


def test_a_letter_is_replayed_on_its_own_page(boss: Client) -> None:
    letter, other = make_letter(1), make_letter(2)
    answer = boss.post(url("deadletter"), buttons(boss, letter)["Replay"], follow=True)
    assert "1 replayed, 0 skipped." in answer.content.decode()
    letter.refresh_from_db()
    other.refresh_from_db()
    assert (letter.status, letter.resolved_by) == ("replayed", "boss@example.com")
    assert other.status == "open"
    assert LogEntry.objects.get().object_id == str(letter.pk)


def row_buttons(client: Client) -> list[dict[str, str]]:
    """Return what the buttons of the rows send, and the links of the rows that are decisions."""
    page = client.get(url("deadletter")).content.decode()
    forms = dict(re.findall(r'id="decide-(\w+)" method="post" action="">.*?value="(\w+)"></', page))
    sent = re.findall(r'form="decide-(\w+)" name="_selected_action" value="([^"]+)"', page)
    links = re.findall(r'href="([^"?]+)\?back=%2F[^"]+"', page)
    found = [{"action": forms[name], "_selected_action": row} for name, row in sent]
    return [*found, *({"page": link} for link in links)]


@pytest.mark.every_engine
def test_a_letter_is_replayed_in_its_row_by_who_may_and_only_while_it_is_open(
    boss: Client,
) -> None:
    letter, other = make_letter(1), make_letter(2)
    sent, link = row_buttons(boss)[0], row_buttons(boss)[2]
    assert sent == {"action": "replay", "_selected_action": str(other.pk)}
    assert link["page"].endswith(f"/{other.pk}/settle/")
    answer = boss.post(f"{url('deadletter')}?status__exact=open", sent, follow=True)
    assert answer.redirect_chain == [(f"{url('deadletter')}?status__exact=open", 302)]
    assert "1 replayed, 0 skipped." in answer.content.decode()
    assert list(DeadLetter.objects.open()) == [letter]
    assert row_buttons(boss)[0] == {"action": "replay", "_selected_action": str(letter.pk)}
    assert len(row_buttons(boss)) == 2
    reader = member("view_deadletter")
    assert row_buttons(reader) == []
    assert reader.post(url("deadletter"), sent).status_code == 403


def offers_settling(client: Client, letter: DeadLetter) -> bool:
    page = client.get(reverse("admin:lms_sync_deadletter_change", args=[letter.pk]))
    return f"/{letter.pk}/settle/" in page.content.decode()


def test_a_letter_offers_what_can_be_done_with_it(boss: Client) -> None:
    letter = make_letter()
    assert (list(buttons(boss, letter)), offers_settling(boss, letter)) == (["Replay"], True)
    dead_letters.settle(letter, by="boss@example.com", how="withdrew")
    assert (list(buttons(boss, letter)), offers_settling(boss, letter)) == (["Replay"], False)
    dead_letters.replay(letter, by="boss@example.com")
    assert (buttons(boss, letter), offers_settling(boss, letter)) == ({}, False)


@pytest.mark.parametrize(
    ("rights", "offered"),
    [
        ([], ([], False)),
        (["replay_deadletter"], (["Replay"], False)),
        (["dismiss_deadletter"], ([], True)),
    ],
)
def test_a_letter_offers_only_what_one_has_the_right_to(
    rights: list[str], offered: tuple[list[str], bool]
) -> None:
    letter = make_letter()
    client = worker_with("view_deadletter", *rights)
    assert (list(buttons(client, letter)), offers_settling(client, letter)) == offered


def test_a_button_of_a_letter_cannot_be_pressed_by_another_site(boss: Client) -> None:
    letter = make_letter()
    form = buttons(boss, letter)["Replay"]
    assert "csrfmiddlewaretoken" in form
    stranger = Client(enforce_csrf_checks=True)
    stranger.cookies = boss.cookies
    assert stranger.post(url("deadletter"), {**form, "csrfmiddlewaretoken": ""}).status_code == 403
    assert DeadLetter.objects.get().status == "open"
    assert stranger.post(url("deadletter"), form).status_code == 302
    assert DeadLetter.objects.get().status == "replayed"


def test_an_empty_queue_says_so_in_two_words(boss: Client) -> None:
    assert "Nothing here." in boss.get(url("deadletter")).content.decode()
    make_letter()
    assert "Nothing found." in boss.get(url("deadletter"), {"q": "nobody"}).content.decode()


@pytest.mark.every_engine
def test_a_probe_that_staff_ask_for_is_made_by_the_worker(boss: Client, sandbox: Sandbox) -> None:
    state = breaker.state_of("frappe")
    told = act(boss, "platformstate", "probe_now", state)
    assert told == ("The worker probes frappe within a few seconds. Then its row shows the answer.")
    assert LogEntry.objects.get().object_repr == "frappe: Answering"
    assert act(boss, "platformstate", "probe_now", state) == SKIPPED
    assert LogEntry.objects.count() == 1
    assert sandbox.calls("lms") == []
    drain(LMS_JOBS)
    state.refresh_from_db()
    assert (state.probe_asked_at, state.last_ok_at is None, state.last_error) == (None, False, "")
    asked = len(sandbox.calls("lms"))
    drain(LMS_JOBS)
    assert len(sandbox.calls("lms")) == asked > 0
    sandbox.fault("lms", "503")
    act(boss, "platformstate", "probe_now", state)
    drain(LMS_JOBS)
    state.refresh_from_db()
    assert (state.probe_asked_at, state.failures) == (None, 1)
    assert state.last_error.startswith(LmsIntercepted.message)


@pytest.mark.parametrize(
    ("page", "action"),
    [("deadletter", "replay"), ("deadletter", "settle"), ("syncjob", "retry_now")],
)
def test_looking_gives_no_right_to_act(page: str, action: str) -> None:
    letter = make_letter()
    client = worker_with(f"view_{page}")
    assert client.get(url(page)).status_code == 200
    act(client, page, action, letter if page == "deadletter" else letter.job)
    assert (DeadLetter.objects.get().status, SyncJob.objects.get().status) == ("open", "dead")
    assert LogEntry.objects.count() == 0


@pytest.mark.parametrize("page", PAGES)
def test_staff_without_rights_and_visitors_see_nothing(page: str) -> None:
    assert worker_with().get(url(page)).status_code == 403
    assert Client().get(url(page)).status_code == 302


def test_the_right_to_replay_is_enough_to_replay_and_not_to_settle() -> None:
    letter = make_letter()
    client = worker_with("view_deadletter", "replay_deadletter")
    page = reverse("admin:lms_sync_deadletter_settle", args=[letter.pk])
    assert client.post(page, SETTLED).status_code == 403
    assert DeadLetter.objects.get().status == "open"
    assert act(client, "deadletter", "replay", letter) == "1 replayed, 0 skipped."


def test_what_one_request_began_is_found_by_its_id(boss: Client) -> None:
    """Requirement R176: on the enrollment's page, and by a search among jobs, mails and events."""
    began = "proxy-0a1b2c3d"
    enrollment, _ = make_pending(request_id=began)
    for number, request_id in ((1, began), (2, "other-0a1b2c3d")):
        make_job(number)
        mark = {"request_id": request_id}
        SyncJob.objects.filter(dedupe_key=f"enroll:{number}").update(**mark)
        Email.objects.create(dedupe_key=f"m{number}", kind="any", to="a@example.com", **mark)
        StripeEvent.objects.create(
            event_id=f"evt_{number}", type="any", livemode=False, payload={}, **mark
        )
    page = boss.get(reverse("admin:enrollments_enrollment_change", args=[enrollment.pk]))
    assert began in page.content.decode()
    for model in (Enrollment, SyncJob, Email, StripeEvent):
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        found = boss.get(reverse(name), {"q": began}).context["cl"].result_list
        assert [row.request_id for row in found] == [began], model


def test_a_platforms_page_shows_how_fast_and_well_it_answers(boss: Client) -> None:
    """Requirements R115, R116: by step and hour, of this platform alone."""
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    counts = {"calls": 200, "failed": 3, "refused": 40, "total_ms": 9000, "within_100": 199}
    for platform, step in (("frappe", "create enrollments"), ("openedx", "sign in")):
        CallFigure.objects.create(
            platform=platform, step=step, span=CallFigure.HOUR, starts_at=now, **counts
        )
    state = breaker.state_of("frappe")
    page = boss.get(reverse("admin:lms_sync_platformstate_change", args=[state.pk]))
    text = " ".join(re.sub(r"<[^>]+>", " ", page.content.decode()).split())
    assert text.count("Create enrollments 200 3 (1.5 %) 40 100 ms 100 ms") == 2
    assert f"{now:%H}:00 200 3 (1.5 %) 40 100 ms 100 ms" in text
    assert "Sign in" not in text.replace("Sign in to", "")


@pytest.mark.every_engine
def test_each_job_of_an_enrollment_is_found_by_its_id(boss: Client) -> None:
    wanted = new_id()
    for number, action in enumerate(("enroll", "revoke", "look", "leave")):
        make_job(number)
        mine = SyncJob.objects.filter(dedupe_key=f"enroll:{number}")
        mine.update(action=action, dedupe_key=f"{action}:{wanted}:{number}")
    make_job(9)
    page = boss.get(reverse("admin:lms_sync_syncjob_changelist"), {"q": str(wanted)})
    assert len(page.context["cl"].result_list) == 4


@pytest.mark.every_engine
def test_the_error_of_the_mail_server_is_listed_only_while_it_lasts(boss: Client) -> None:
    """Fault U7."""
    MailState.objects.create(name="mail", state="refusing", last_error="530 Authenticate first")
    for state, is_shown in (("refusing", True), ("answering", False)):
        MailState.objects.update(state=state)
        page = boss.get("/admin/notifications/mailstate/").content.decode()
        assert ("530 Authenticate first" in page) == is_shown
