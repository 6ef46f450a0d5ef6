"""Files that machines look for at fixed addresses (fault O14)."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

pytestmark = [pytest.mark.any_engine, pytest.mark.django_db]


def test_robots_are_kept_from_personal_pages_and_let_into_the_shop(client: Client) -> None:
    answer = client.get("/robots.txt")
    lines = answer.content.decode().splitlines()
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert lines[0] == "User-agent: *"
    for path in ("/account/", "/admin/", "/checkout/", "/api/"):
        assert f"Disallow: {path}" in lines
    assert not {"Disallow: /", "Disallow: /courses/"} & set(lines)


def test_where_a_weakness_is_reported_is_said_and_does_not_go_stale(
    client: Client, settings: Settings
) -> None:
    settings.SECURITY_EMAIL, settings.SITE_URL = "security@shop.example", "https://shop.example"
    answer = client.get("/.well-known/security.txt")
    facts = dict(line.split(": ", 1) for line in answer.content.decode().splitlines())
    assert facts["Contact"] == "mailto:security@shop.example"
    assert facts["Canonical"] == "https://shop.example/.well-known/security.txt"
    expires = datetime.strptime(facts["Expires"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert timedelta(days=150) < expires - timezone.now() < timedelta(days=365)
