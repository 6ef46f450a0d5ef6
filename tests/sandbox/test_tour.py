"""The demo tells its story: a tour, and a sentence for each fault."""

import re

import pytest
import requests
from django.test import Client
from pytest_django.fixtures import Settings

from sandbox.control_page import MODES
from sandbox.fault_words import WORDS
from tests.sandbox_client import Sandbox


@pytest.mark.no_database
def test_every_fault_has_a_sentence_and_nothing_else_has() -> None:
    assert sorted(WORDS) == MODES
    assert all(text.endswith(".") for text in WORDS.values())


@pytest.mark.any_engine
def test_the_tour_breaks_and_mends_the_lms_and_leads_to_pages_that_are_there(
    sandbox: Sandbox, db: None
) -> None:
    sandbox.webhooks(url="http://shop.example/api/webhook", hold=True)
    page = requests.get(f"{sandbox.url}/tour/", timeout=10).text
    control = requests.get(f"{sandbox.url}/control/", timeout=10).text
    assert "Does not answer: the connection is closed." in control
    for address in set(re.findall(r'href="http://shop\.example([^"]*)"', page)):
        if not address.startswith("/courses/"):
            assert Client().get(address).status_code in (200, 302), address
    forms = re.findall(r"<form.*?</form>", page)
    assert len(forms) == 2
    for form, faults in zip(forms, (1, 0), strict=True):
        fields = dict(re.findall(r'name="(\w+)" value="(\w+)"', form))
        requests.post(f"{sandbox.url}/control/switch", data=fields, timeout=10)
        found = requests.get(f"{sandbox.url}/control/faults", timeout=10).json()
        assert len(found["faults"] if isinstance(found, dict) else found) == faults


@pytest.mark.any_engine
@pytest.mark.django_db
def test_pages_lead_to_the_tour_where_there_is_one(settings: Settings) -> None:
    assert "tour of five minutes" not in Client().get("/help/").content.decode()
    settings.DEMO_TOUR_URL = "http://127.0.0.1:8701/tour/"
    page = Client().get("/help/?v=1").content.decode()
    assert 'href="http://127.0.0.1:8701/tour/"' in page
