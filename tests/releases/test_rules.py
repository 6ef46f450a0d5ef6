"""Fault O3: tables grow in one release, and lose what nobody uses in the next."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

from tests.engines import ROOT
from tests.releases.rules import broken_promise

pytestmark = pytest.mark.no_database


def our_migrations(settings) -> Iterator[tuple[migrations.Migration, ProjectState]]:
    """Yield each migration of ours but the first of its app, with the models before it."""
    settings.MIGRATION_MODULES = {}
    loader = MigrationLoader(None)
    ours = {
        config.label
        for config in apps.get_app_configs()
        if (ROOT / config.name.partition(".")[0]).is_dir()
    }
    for (app, name), migration in loader.disk_migrations.items():
        if app in ours and not migration.initial:
            yield migration, loader.project_state((app, name), at_end=False)


def test_no_migration_takes_from_the_last_release_what_it_uses(settings) -> None:
    found = []
    for migration, state in our_migrations(settings):
        for operation in migration.operations:
            why = broken_promise(operation, migration.app_label, state)
            found += [f"{migration}: {operation.describe()}: it {why}"] if why else []
            operation.state_forwards(migration.app_label, state)
    assert found == []


TITLE = models.CharField(max_length=200)


@pytest.fixture(scope="module")
def state() -> ProjectState:
    """A table of the last release, and one that is newer."""
    state = ProjectState()
    columns = {
        "id": models.BigAutoField(primary_key=True),
        "title": TITLE,
        "slug": models.SlugField(max_length=80, db_default=""),
        "lms_course_id": models.CharField(max_length=9, null=True),
        "lms_title": models.CharField(max_length=9),
    }
    state.add_model(ModelState("courses", "Course", list(columns.items())))
    state.add_model(ModelState("courses", "Leaflet", list(columns.items())))
    return state


def altered(name: str, field: models.Field) -> migrations.AlterField:
    return migrations.AlterField("Course", name, field)


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (migrations.RenameModel("Course", "Lesson"), "renames a table"),
        (migrations.AlterModelTable("Course", "lessons"), "renames a table"),
        (migrations.RenameField("Course", "title", "name"), "renames a column"),
        (migrations.DeleteModel("Course"), "drops a table that the last release writes"),
        (migrations.RemoveField("Course", "title"), "drops a column that the last release writes"),
        (migrations.AddField("Course", "more", TITLE), "adds a column that must be given"),
        (
            migrations.AddField("Course", "more", models.IntegerField(default=0)),
            "adds a column that must be given",
        ),
        (
            altered("lms_course_id", models.CharField(max_length=9)),
            "refuses nothing where it was allowed",
        ),
        (altered("slug", models.SlugField(max_length=80)), "takes away a default of the database"),
        (altered("title", models.CharField(max_length=199)), "takes shorter texts only"),
        (altered("title", models.TextField()), "changes what a column is"),
        (
            altered("title", models.CharField(max_length=200, unique=True)),
            "changes what a column is",
        ),
        (
            altered("title", models.CharField(max_length=200, db_column="name")),
            "changes what a column is",
        ),
        (
            migrations.SeparateDatabaseAndState([migrations.RemoveField("Course", "title")]),
            "drops a column that the last release writes",
        ),
    ],
)
def test_control_what_the_last_release_stumbles_over_is_noticed(
    state: ProjectState, operation: Operation, why: str
) -> None:
    assert broken_promise(operation, "courses", state) == why


@pytest.mark.parametrize(
    "operation",
    [
        migrations.CreateModel("Lesson", [("id", models.BigAutoField(primary_key=True))]),
        migrations.DeleteModel("Leaflet"),
        migrations.RemoveField("Course", "lms_title"),
        migrations.SeparateDatabaseAndState([], [migrations.RemoveField("Course", "title")]),
        migrations.AddField("Course", "more", models.IntegerField(default=0, db_default=0)),
        migrations.AddField("Course", "more", models.DateTimeField(null=True)),
        migrations.AddField("Course", "more", models.ManyToManyField("courses.Leaflet")),
        altered("title", models.CharField("name", max_length=201, blank=True, db_default="")),
        altered("title", models.CharField(max_length=200, null=True)),
    ],
    ids=lambda operation: operation.describe(),
)
def test_what_only_adds_may_be_done(state: ProjectState, operation: Operation) -> None:
    assert broken_promise(operation, "courses", state) == ""
