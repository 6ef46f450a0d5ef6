import pytest

from courses.models import Course
from courses.publishing import archive
from demo.courses import seed_courses

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]


def rows() -> list[tuple]:
    return list(
        Course.objects.order_by("slug").values_list(
            "pk", "slug", "status", "title", "price", "created_at", "search_text"
        )
    )


@pytest.mark.every_engine
def test_seeding_twice_changes_nothing():
    assert seed_courses() == 24
    first = rows()
    assert seed_courses() == 24
    assert rows() == first


def test_seeding_repairs_texts_but_respects_what_staff_decided():
    seed_courses()
    course = Course.objects.get(slug="ux-writing")
    archive(course)
    Course.objects.filter(pk=course.pk).update(title="Vandalized")
    seed_courses()
    course.refresh_from_db()
    assert (course.title, course.status) == ("UX Writing: Words That Work", "archived")


def test_the_catalogue_is_what_the_demo_promises():
    seed_courses()
    courses = {course.slug: course for course in Course.objects.all()}
    prices = {
        slug: (courses[slug].price, courses[slug].currency)
        for slug in ("data-analysis-foundations", "project-finance-essentials")
    }
    assert prices == {
        "data-analysis-foundations": (49900, "usd"),
        "project-finance-essentials": (19999, "usd"),
    }
    assert courses["first-aid-for-workplaces"].price == 4900
    assert {course.category for course in courses.values()} == set(Course.Category.values)
    assert sum(course.is_free for course in courses.values()) == 1
    assert sorted(course.currency for course in courses.values() if course.currency != "usd") == [
        "eur",
        "eur",
        "gbp",
    ]
    draft = courses["data-science-with-python"]
    assert (draft.status, draft.lms_platform, draft.lms_course_id) == (
        "draft",
        "openedx",
        "course-v1:MaalEdu+DS101+2026_T1",
    )
    assert [course.slug for course in courses.values() if course.status == "archived"] == [
        "records-management-for-public-bodies"
    ]


def test_every_demo_course_tells_a_buyer_what_they_need():
    seed_courses()
    for course in Course.objects.all():
        assert len(course.description.split("\n\n")) == 3, course
        assert 4 <= len(course.outcomes) <= 6, course
        assert 4 <= len(course.modules) <= 6, course
        assert all(3 <= len(module.lessons) <= 5 for module in course.modules), course
        assert all(person.name and person.role for person in course.instructor_list), course
        assert course.duration_hours, course
        assert course.is_free or 4900 <= course.price <= 120_000, course
        course.full_clean()


def on_openedx() -> list[tuple[str, str]]:
    courses = Course.objects.on_sale().filter(lms_platform="openedx").order_by("slug")
    return list(courses.values_list("slug", "lms_course_id"))


@pytest.mark.every_engine
def test_two_courses_are_sold_on_open_edx_where_there_is_one(settings):
    seed_courses()
    assert (on_openedx(), Course.objects.on_sale().count()) == ([], 22)
    settings.OPENEDX_BASE_URL = "http://127.0.0.1:8701/edx"
    seed_courses()
    assert on_openedx() == [
        ("data-protection-officer-certificate", "course-v1:MaalEdu+DPO201+2026_T2"),
        ("medication-safety-in-residential-care", "course-v1:MaalEdu+MED140+2026_T2"),
    ]
    assert Course.objects.on_sale().count() == 22
