import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from courses.models import Course
from tests.factories import make_course

pytestmark = pytest.mark.django_db
COMPLETE = {"description": "About it.", "outcomes": "Do it", "syllabus": "One\n- a"}
LIST = "admin:courses_course_changelist"


@pytest.fixture
def staff(client, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("staff@example.org", "correct horse battery"))
    return client


def run(client, action: str, *courses: Course) -> str:
    data = {"action": action, "_selected_action": [str(course.pk) for course in courses]}
    return client.post(reverse(LIST), data, follow=True).content.decode()


def test_the_list_the_form_and_the_search_open(staff):
    course = make_course(title="Bookkeeping")
    assert staff.get(reverse("admin:courses_course_add")).status_code == 200
    assert staff.get(reverse("admin:courses_course_change", args=[course.pk])).status_code == 200
    assert "Bookkeeping" in staff.get(reverse(LIST), {"q": course.slug, "status__exact": "published"}).content.decode()


def test_publishing_reports_what_it_did_and_leaves_a_log_entry(staff):
    draft, done = make_course(status="draft", **COMPLETE), make_course(**COMPLETE)
    page = run(staff, "publish", draft, done)
    assert "1 put on sale, 1 skipped." in page
    assert set(Course.objects.values_list("status", flat=True)) == {"published"}
    assert [entry.object_id for entry in LogEntry.objects.all()] == [str(draft.pk)]


def test_an_incomplete_course_is_skipped_with_its_reason(staff):
    course = make_course(status="draft", description="")
    page = run(staff, "publish", course)
    assert "cannot be published yet" in page
    assert "0 put on sale, 1 skipped." in page
    assert Course.objects.get().status == "draft"


def test_archiving_takes_a_course_off_sale(staff):
    assert "1 taken off sale, 0 skipped." in run(staff, "archive", make_course())
    assert Course.objects.get().status == "archived"


def test_status_and_a_known_slug_cannot_be_edited(staff):
    course = make_course(slug="known", **COMPLETE)
    form = staff.get(reverse("admin:courses_course_change", args=[course.pk])).context["adminform"].form
    assert {"status", "slug"}.isdisjoint(form.fields)


def test_a_learner_has_no_access(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("amal@example.org", "correct horse battery"))
    assert client.get(reverse(LIST)).status_code == 302


@pytest.mark.parametrize(("status", "left"), [("draft", 0), ("published", 1), ("archived", 1)])
def test_only_a_draft_can_be_deleted(staff, status, left):
    course = make_course(status=status)
    staff.post(reverse("admin:courses_course_delete", args=[course.pk]), {"post": "yes"})
    assert Course.objects.count() == left
