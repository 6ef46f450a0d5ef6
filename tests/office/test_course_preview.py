"""Staff see a course that is not sold as the shop would show it, and nobody else does."""

import pytest
from django.test import Client

from accounts.models import User
from courses.models import Course
from tests.factories import COMPLETE, make_course
from tests.office.test_lists import member

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
PASSWORD = "a long enough passphrase"


def learner() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("ann@example.com", PASSWORD))
    return client


def statuses(client: Client, course: Course) -> list[int]:
    cover = course.preview_url.replace("/preview/", "/preview.svg")
    return [client.get(path).status_code for path in (course.preview_url, cover)]


@pytest.mark.every_engine
def test_a_draft_is_shown_to_staff_alone_and_sold_to_nobody() -> None:
    draft = make_course(title="<b>Books</b>", status="draft", **COMPLETE)
    staff = member("view_course")
    answer = staff.get(draft.preview_url)
    page = answer.content.decode()
    assert "Draft, only staff see this." in page
    assert "&lt;b&gt;Books&lt;/b&gt;" in page
    assert "no-store" in answer["Cache-Control"]
    assert '<meta name="robots" content="noindex">' in page
    assert f"/checkout/{draft.slug}/" not in page
    assert statuses(staff, draft) == [200, 200]
    office = staff.get(f"/admin/courses/course/{draft.pk}/change/").content.decode()
    assert "/admin/r/" not in office  # leads to the page that is not there yet
    for nobody in (Client(), learner()):
        assert statuses(nobody, draft) == [404, 404]
    for sold in (draft.get_absolute_url(), f"/checkout/{draft.slug}/", draft.card_url):
        assert staff.get(sold).status_code == 404
    User.objects.get(email="clerk@example.com").user_permissions.clear()
    assert statuses(staff, draft) == [404, 404]  # of staff, and without the permission


def test_what_is_sold_is_shown_in_the_shop_and_what_was_is_previewed() -> None:
    staff, sold = member("view_course"), make_course()
    assert staff.get(sold.preview_url)["Location"] == sold.get_absolute_url()
    page = staff.get(make_course(status="archived").preview_url).content.decode()
    assert "Not on sale, only staff see this." in page
    assert staff.get("/courses/nothing/preview/").status_code == 404


def test_without_the_second_factor_that_the_office_asks_for_nothing_is_shown(settings) -> None:
    settings.OFFICE_SECOND_FACTOR = True
    draft = make_course(status="draft")
    assert statuses(member("view_course"), draft) == [404, 404]


def test_the_preview_is_the_page_of_the_shop_but_for_its_banner() -> None:
    course = make_course(**COMPLETE)
    sold = Client().get(course.get_absolute_url()).content.decode()
    Course.objects.update(status="draft")
    seen = member("view_course").get(course.preview_url).content.decode()
    body, ours = (page.partition('<div class="course"')[2] for page in (seen, sold))
    own_cover = f'src="/courses/{course.slug}/preview.svg"'
    body = body.replace('href="#draft" data', f'href="/checkout/{course.slug}/" data')
    assert body.replace(own_cover, f'src="{course.cover_url}"') == ours
