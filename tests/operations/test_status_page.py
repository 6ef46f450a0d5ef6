"""What /status/ tells learners: what works, since when something does not, and what did not."""

import re
from datetime import datetime, timedelta
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone

from operations import heartbeats, status_page, watch
from operations.levels import TITLES
from operations.models import Heartbeat, Trouble
from tests.operations.test_levels import set_back

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _watched(db: None) -> None:
    watched_for(timedelta(days=400))


def watched_for(time: timedelta) -> None:
    heartbeats.note(heartbeats.WATCH)
    Heartbeat.objects.filter(name=heartbeats.WATCH).update(first_at=timezone.now() - time)


def trouble(cause: str, *, ago: timedelta, lasted: timedelta | None = None, worst: str = "red"):
    began = timezone.now() - ago
    ended = None if lasted is None else began + lasted
    return Trouble.objects.create(
        open_key=f"{cause}{began}",
        cause=cause,
        level=worst,
        worst=worst,
        text="HTTP 502 from nginx at 10.0.0.7",
        began_at=began,
        seen_at=ended or timezone.now(),
        ended_at=ended,
    )


def text(client: Client) -> str:
    html = client.get("/status/").content.decode()
    main = html[html.index("<main") : html.index("</main>")]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())


def states() -> dict[str, str]:
    now = timezone.now()
    incidents = status_page.incidents_since(now - timedelta(days=90))
    return {key: status_page._service(key, incidents, now, now).state for key in status_page.NAMES}


def test_where_all_works_it_says_so(client) -> None:
    page = text(client)
    assert page.startswith("Everything works")
    assert page.count("No interruption in 90 days") == 3
    assert "Nothing that we know of." in page


@pytest.mark.every_engine
def test_each_red_cause_shows_what_it_means_to_learners_and_no_more(client) -> None:
    for cause in TITLES:
        Trouble.objects.all().delete()
        trouble(cause, ago=9 * MINUTE)
        expected = dict.fromkeys(status_page.NAMES, "up") | status_page.MEANS.get(cause, {})
        assert states() == expected, cause


def test_what_is_down_says_since_when_and_no_secret(client) -> None:
    row = trouble("lms_frappe", ago=20 * MINUTE)
    page = text(client)
    assert page.startswith("Something does not work")
    assert f"Since {clock(row.began_at)} UTC" in page
    assert "every enrollment is kept" in page
    assert "1 of 90 days affected" in page
    assert not re.search("nginx|10.0.0.7|502|frappe", page)


def clock(moment: datetime) -> str:
    return f"{moment:%b} {moment.day}, {moment:%H:%M}"


def test_what_was_yellow_at_worst_is_nothing_to_learners() -> None:
    trouble("queues", ago=9 * MINUTE, worst="yellow")
    assert set(states().values()) == {"up"}


@pytest.mark.every_engine
def test_what_was_red_before_it_got_better_is_an_incident() -> None:
    trouble("queues", ago=9 * MINUTE)
    Trouble.objects.update(level="yellow")
    assert states()["enrollment"] == "slow"


def test_troubles_that_overlap_are_one_incident(client) -> None:
    day = timedelta(days=3)
    trouble("lms_frappe", ago=day, lasted=30 * MINUTE)
    trouble("queues", ago=day - 20 * MINUTE, lasted=40 * MINUTE)
    trouble("mail", ago=day, lasted=MINUTE / 2)
    trouble("lms_frappe", ago=timedelta(days=2), lasted=5 * MINUTE)
    page = text(client)
    assert page.startswith("Everything works")
    assert "Getting into courses was interrupted for 60 minutes." in page
    assert "Getting into courses was interrupted for 5 minutes." in page
    assert "E-mail was interrupted for 1 minute." in page
    assert page.count(" was interrupted for ") == 3
    assert page.index("for 5 minutes") < page.index("for 60 minutes")


def test_what_ended_over_ninety_days_ago_is_not_shown(client) -> None:
    trouble("mail", ago=timedelta(days=92), lasted=timedelta(hours=3))
    assert "Nothing that we know of." in text(client)
    trouble("mail", ago=timedelta(days=92), lasted=timedelta(days=5))
    assert "E-mail was interrupted for 5 days." in text(Client(headers={"Hx-Request": "true"}))


def test_the_page_is_kept_until_something_begins_or_ends(client, django_assert_num_queries) -> None:
    for name in ("worker", "scheduler", "nightly"):
        heartbeats.note(name)
    text(client)
    with django_assert_num_queries(0):
        assert text(client).startswith("Everything works")
    set_back("worker", 4 * MINUTE)
    watch.look()
    assert text(client).startswith("Something does not work")
    heartbeats.note("worker")
    Trouble.objects.update(seen_at=timezone.now() - watch.CALM_AFTER)
    watch.look()
    assert text(client).startswith("Everything works")


def days(client: Client) -> list[str]:
    """Return the states of the days of the first service, oldest first."""
    html = client.get("/status/").content.decode()
    return re.findall(r'<i class="(\w+)"></i>', html)[:90]


def test_days_before_anybody_looked_are_not_said_to_have_been_good(client) -> None:
    watched_for(timedelta(days=2))
    assert days(client) == ["unknown"] * 87 + ["up"] * 3
    page = text(client)
    assert page.count("No interruption in 3 days; no records before") == 3


def test_a_trouble_counts_among_the_days_that_are_known(client) -> None:
    watched_for(timedelta(days=2))
    trouble("lms_frappe", ago=timedelta(days=1), lasted=MINUTE)
    assert days(client) == ["unknown"] * 87 + ["up", "down", "up"]
    assert "1 of 3 days affected" in text(client)


@pytest.mark.every_engine
def test_a_time_in_which_everything_was_off_is_shown_once_the_worker_is_back(client) -> None:
    now = timezone.now().replace(microsecond=0)

    def comes_back(after: timedelta) -> list[Trouble]:
        Heartbeat.objects.update_or_create(name=heartbeats.WORKER, defaults={"at": now - after})
        heartbeats._next.clear()  # as in a process that was just started
        heartbeats.beat(heartbeats.WORKER)
        return list(Trouble.objects.filter(cause="worker").order_by("began_at"))

    assert comes_back(2 * MINUTE) == []
    client.get("/status/")  # which is kept until something ends
    (off,) = comes_back(180 * MINUTE)
    assert (off.began_at, off.ended_at is None) == (now - 180 * MINUTE, False)
    assert "interrupted" in text(client)
    assert len(comes_back(MINUTE)) == 1
    # What a web process has noticed meanwhile lasted until now, and is not written twice.
    Trouble.objects.filter(pk=off.pk).update(ended_at=None, seen_at=now - 100 * MINUTE)
    (noticed,) = comes_back(90 * MINUTE)
    assert (noticed.ended_at, noticed.seen_at >= now) == (None, True)


@pytest.mark.every_engine
def test_before_the_first_look_there_are_no_records(client) -> None:
    Heartbeat.objects.all().delete()
    heartbeats.note("worker")
    assert days(client) == ["unknown"] * 90
    assert text(client).count("No records yet") == 3


def test_web_processes_that_look_instead_of_the_scheduler_count_as_well(client) -> None:
    Heartbeat.objects.all().delete()
    assert heartbeats.take_turn(heartbeats.WEB_WATCH, MINUTE)
    assert days(client) == ["unknown"] * 89 + ["up"]
    assert "No interruption in 1 day; no records before" in text(client)


@pytest.mark.every_engine
def test_it_takes_two_statements_whatever_happened(client, django_assert_num_queries) -> None:
    for days in range(80):
        trouble("mail", ago=timedelta(days=days + 1), lasted=MINUTE)
    with django_assert_num_queries(2):
        client.get("/status/")


def test_every_state_that_can_be_has_its_words() -> None:
    possible = {pair for means in status_page.MEANS.values() for pair in means.items()}
    assert possible <= set(status_page.WORDS)
    assert set(status_page.MEANS) <= set(TITLES)
