"""What script/test runs beside one engine only may be left out on the others."""

import pytest

from script.suite import WITHOUT_DATABASE
from tests.engines import ROOT


def uses_database(item: pytest.Item) -> bool:
    """Whether pytest-django lets this test at the database; where it does not, every access is an
    error.
    """
    return (
        "_django_db_helper" in item.fixturenames or item.get_closest_marker("django_db") is not None
    )


def test_what_runs_beside_one_engine_only_does_not_touch_the_database(
    request: pytest.FixtureRequest,
):
    listed = [item for item in request.session.items if item.nodeid.startswith(WITHOUT_DATABASE)]
    assert [item.nodeid for item in listed if uses_database(item)] == []


@pytest.mark.parametrize("path", WITHOUT_DATABASE)
def test_what_is_left_out_by_name_exists(path: str):
    file, _, name = path.partition("::")
    assert (ROOT / file).exists()
    assert not name or f"\ndef {name}(" in (ROOT / file).read_text()


def test_control_a_test_with_a_database_is_noticed(db: None, request: pytest.FixtureRequest):
    assert uses_database(request.node)


@pytest.mark.django_db
def test_control_a_test_with_the_mark_is_noticed(request: pytest.FixtureRequest):
    assert uses_database(request.node)


def test_control_a_test_without_a_database_is_not_taken_for_one(request: pytest.FixtureRequest):
    assert not uses_database(request.node)
