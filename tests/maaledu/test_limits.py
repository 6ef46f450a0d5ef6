import re
import threading
import time

import pytest
from django.test import Client

from maaledu.cooldown import Cooldown
from tests.processes import free_port

pytestmark = pytest.mark.no_database

HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


def test_every_counted_response_has_the_state_of_the_limit(probe):
    first, second = probe.post("/probe/counted"), probe.post("/probe/counted")
    assert (first.status_code, first["X-RateLimit-Limit"], first["X-RateLimit-Remaining"]) == (
        200,
        "10",
        "9",
    )
    assert second["X-RateLimit-Remaining"] == "8"
    assert 0 < int(first["X-RateLimit-Reset"]) - time.time() <= 15 * 60 + 1


def test_the_eleventh_attempt_is_refused_and_says_when_to_come_back(probe):
    answers = [probe.post("/probe/counted") for _ in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 2
    over = answers[-1]
    assert b"RATE_LIMITED" in over.content
    assert b"let through" not in over.content
    assert over["X-RateLimit-Remaining"] == "0"
    assert 0 < int(over["Retry-After"]) <= 15 * 60
    assert int(over["X-RateLimit-Reset"]) - time.time() <= int(over["Retry-After"]) + 1


@pytest.mark.parametrize(
    ("rate", "most"),
    [("1/20s", 60), ("1/5m", 5 * 60), ("1/1h", 3600), ("1/1d", 24 * 3600)],
    ids=str,
)
def test_a_person_reads_how_long_to_wait(probe, settings, rate, most):
    """The window of a limit begins anew by the clock: what is left of it is said, rounded up, never
    more than all of it.
    """
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "checkout": rate}
    over = [probe.post("/probe/counted") for _ in range(3)][-1]
    found = re.search(r"Try again in (a|\d+) (minute|minutes|hours)\.", over.content.decode())
    number, unit = 1 if found[1] == "a" else int(found[1]), 3600 if found[2] == "hours" else 60
    assert (number - 1) * unit < int(over["Retry-After"]) <= number * unit
    assert number * unit <= most


def test_a_machine_is_refused_in_json(probe):
    over = [
        probe.post("/probe/counted", headers={"accept": "application/json"}) for _ in range(11)
    ][-1]
    assert (over.status_code, over.json()["code"], over.json()["retryable"]) == (
        429,
        "RATE_LIMITED",
        True,
    )


def test_methods_that_do_not_count_carry_no_headers(probe):
    answer = probe.get("/probe/counted")
    assert answer.status_code == 200
    assert not any(answer.has_header(name) for name in HEADERS)


def test_a_refusal_within_the_limit_has_the_state_of_the_limit(probe):
    answer = probe.get("/probe/counted-refusal")
    assert (answer.status_code, answer["X-RateLimit-Remaining"]) == (409, "9")


def test_each_client_has_a_limit_of_its_own(probe):
    for _ in range(11):
        probe.post("/probe/counted", REMOTE_ADDR="203.0.113.1")
    assert probe.post("/probe/counted", REMOTE_ADDR="203.0.113.1").status_code == 429
    assert probe.post("/probe/counted", REMOTE_ADDR="203.0.113.2").status_code == 200


def test_a_made_up_header_does_not_start_a_new_count(probe):
    forged = [
        probe.post("/probe/counted", headers={"x-forwarded-for": f"198.51.100.{number}"})
        for number in range(11)
    ]
    assert forged[-1].status_code == 429


def test_what_stands_left_of_our_proxys_entry_does_not_start_a_new_count(probe, settings):
    settings.TRUSTED_PROXY_COUNT = 1
    forged = [
        probe.post("/probe/counted", headers={"x-forwarded-for": f"198.51.100.{n}, 203.0.113.5"})
        for n in range(11)
    ]
    assert forged[-1].status_code == 429
    other = probe.post("/probe/counted", headers={"x-forwarded-for": "203.0.113.6"})
    assert other.status_code == 200


def test_a_whole_ipv6_network_shares_one_count(probe):
    answers = [
        probe.post("/probe/counted", REMOTE_ADDR=f"2001:db8:1:2::{number:x}")
        for number in range(1, 12)
    ]
    assert answers[-1].status_code == 429


@pytest.mark.parametrize(
    ("network", "most"), [("2001:db8:1:{:02x}::1", 40), ("2001:db8:1:{:02x}00::1", 160)]
)
def test_the_networks_of_one_subscriber_share_a_wider_count(probe, network: str, most: int):
    """Fault X6: a /56 may be four times, a /48 sixteen times as busy as one /64."""
    statuses = [
        probe.post("/probe/counted", REMOTE_ADDR=network.format(number)).status_code
        for number in range(most + 2)
    ]
    assert statuses == [200] * most + [429] * 2
    assert probe.post("/probe/counted", REMOTE_ADDR="2001:db8:2::1").status_code == 200


def test_attempts_at_the_same_moment_are_all_counted(probe, settings):
    """Forty threads through one barrier: exactly ten are let through."""
    barrier, statuses = threading.Barrier(40), []

    def attempt() -> None:
        visitor = Client()
        barrier.wait()
        statuses.append(visitor.post("/probe/counted").status_code)

    threads = [threading.Thread(target=attempt) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (statuses.count(200), statuses.count(429)) == (10, 30)


def test_limits_are_open_while_the_cache_is_down(probe, settings, monkeypatch):
    monkeypatch.setattr(Cooldown, "until", 0.0)
    settings.CACHES = {
        "default": {
            "BACKEND": "maaledu.cache.ForgivingRedisCache",
            "LOCATION": f"redis://127.0.0.1:{free_port()}/0",
        },
        "pages": {
            "BACKEND": "maaledu.cache.ForgivingRedisCache",
            "LOCATION": f"redis://127.0.0.1:{free_port()}/0",
        },
    }
    statuses = {probe.post("/probe/counted").status_code for _ in range(12)}
    assert statuses == {200}
    assert probe.get("/probe/public").status_code == 200


@pytest.mark.parametrize("name", ["checkout", "api", "login", "login_account"])
def test_the_figures_of_the_decisions_hold(settings, name):
    figures = {"checkout": "10/15m", "api": "10/60s", "login": "10/15m", "login_account": "10/15m"}
    assert settings.RATE_LIMITS[name] == figures[name]
