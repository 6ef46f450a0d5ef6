import pytest
from django.test import Client

from tests.factories import make_course

pytestmark = pytest.mark.django_db


def test_an_empty_search_helps_on(client: Client) -> None:
    make_course(title="Bookkeeping for beginners", level="beginner")
    make_course(title="Advanced accounting", level="advanced")
    page = client.get("/", {"q": "bookkeping"}).content.decode()
    assert "No course matches that" in page
    assert 'href="/?q=bookkeeping"><bdi>bookkeeping</bdi>' in page
    assert "New in the shop" in page
    narrowed = client.get("/", {"q": "accounting", "level": "beginner"}).content.decode()
    assert 'href="/?q=accounting">1 course matches without the filters' in narrowed
    nothing = client.get("/", {"q": "zzzzzz"}).content.decode()
    assert "Did you mean" not in nothing


@pytest.mark.any_engine
def test_no_other_spelling_is_offered_that_finds_nothing(client: Client) -> None:
    make_course(title="Bookkeeping")
    make_course(title="Photography", category="creative")
    page = client.get("/", {"q": "bookkeping photografy"}).content.decode()
    assert "Did you mean" not in page
