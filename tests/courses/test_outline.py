import pytest

from courses.outline import Instructor, Module, read_instructors, read_lines, read_modules

pytestmark = pytest.mark.no_database


def test_blank_lines_and_spaces_do_not_count():
    assert read_lines(" one \n\n two\r\n\n") == ["one", "two"]


def test_a_syllabus_is_read_as_modules_and_their_lessons():
    text = "First\n- a\n-b\n\nSecond\n -  c \n"
    assert read_modules(text) == [Module("First", ["a", "b"]), Module("Second", ["c"])]


def test_lessons_without_a_module_are_kept():
    assert read_modules("- a\n- b") == [Module("Contents", ["a", "b"])]
    assert read_modules("") == []


def test_instructors_have_a_name_and_maybe_a_role():
    assert read_instructors("Amina Haddad — Analyst\nSolo") == [
        Instructor("Amina Haddad", "Analyst"),
        Instructor("Solo", ""),
    ]
