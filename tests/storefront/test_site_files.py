"""Files that machines look for at fixed addresses (fault O14)."""

import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.factories import make_course

SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
pytestmark = [pytest.mark.any_engine, pytest.mark.django_db]


def test_robots_are_kept_from_personal_pages_and_let_into_the_shop(client: Client) -> None:
    answer = client.get("/robots.txt")
    lines = answer.content.decode().splitlines()
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert lines[0] == "User-agent: *"
    for path in ("/account/", "/admin/", "/checkout/", "/api/"):
        assert f"Disallow: {path}" in lines
    assert not {"Disallow: /", "Disallow: /courses/"} & set(lines)
    assert f"Sitemap: {django_settings.SITE_URL}/sitemap.xml" in lines


def test_the_sitemap_has_what_is_on_sale_at_canonical_addresses(
    client: Client, settings: Settings
) -> None:
    settings.SITE_URL = "https://shop.example"
    course = make_course(slug="sold")
    for status in ("draft", "archived"):
        make_course(slug=status, status=status)
    answer = client.get("/sitemap.xml")
    assert answer["Content-Type"] == "application/xml"
    root = ET.fromstring(answer.content)
    found = {each.findtext(f"{SITEMAP}loc"): each.findtext(f"{SITEMAP}lastmod") for each in root}
    base = settings.SITE_URL
    assert found.pop(f"{base}/courses/sold/") == f"{course.updated_at:%Y-%m-%d}"
    assert f"{base}/about/" in found
    for address in found:
        page = client.get(address.removeprefix(base)).content.decode()
        assert f'<link rel="canonical" href="{address}">' in page, address


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
