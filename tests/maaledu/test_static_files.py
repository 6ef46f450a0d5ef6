"""Fault O4: a page of a release before finds its style sheet."""

from pathlib import Path

import pytest
from django.core.files.storage import storages
from django.core.management import call_command

pytestmark = pytest.mark.no_database


class Releases:
    """A folder of sources, collected into another one as each release does it."""

    def __init__(self, directory: Path) -> None:
        self.source, self.collected = directory / "static", directory / "collected"
        (self.source / "css").mkdir(parents=True)

    def release(self, color: str, **others: str) -> str:
        """Collect a style sheet, and others; return the name under which pages find the first."""
        for name, text in {"css/shop.css": f"body {{ color: {color} }} " * 20, **others}.items():
            (self.source / name).write_text(text)
        call_command("collectstatic", interactive=False, verbosity=0)
        return storages["staticfiles"].stored_name("css/shop.css")

    def has(self, name: str) -> bool:
        return (self.collected / name).is_file() and (self.collected / f"{name}.gz").is_file()


@pytest.fixture
def releases(tmp_path: Path, settings) -> Releases:
    made = Releases(tmp_path)
    settings.STATICFILES_DIRS = [made.source]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATIC_ROOT = made.collected
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "maaledu.static_files.ReleasesStorage"},
    }
    return made


def test_the_files_of_two_releases_before_stay_and_older_ones_go(releases: Releases) -> None:
    names = [releases.release(color) for color in ("red", "green", "blue", "black")]
    assert len(set(names)) == 4
    assert [releases.has(name) for name in names] == [False, True, True, True]
    left = {path.name for path in (releases.collected / "css").iterdir()}
    assert not any(Path(names[0]).stem in name for name in left)
    assert "shop.css" in left


def test_collecting_a_release_again_pushes_no_other_one_out(releases: Releases) -> None:
    names = [releases.release(color) for color in ("red", "green", "blue", "blue", "blue")]
    assert [releases.has(name) for name in names[:3]] == [True, True, True]


def test_the_way_back_keeps_the_files_of_the_release_that_was_left(releases: Releases) -> None:
    red, green = releases.release("red"), releases.release("green")
    assert releases.release("red") == red
    assert (releases.has(red), releases.has(green)) == (True, True)
    blue = releases.release("blue")
    assert [releases.has(name) for name in (red, green, blue)] == [True, True, True]


def test_a_process_of_the_release_before_finds_a_file_that_the_next_one_has_no_more(
    releases: Releases,
) -> None:
    releases.release("red", **{"css/old.css": "body { margin: 0 } " * 20})
    named = storages["staticfiles"].stored_name("css/old.css")
    (releases.source / "css/old.css").unlink()
    releases.release("green")
    started = storages.create_storage(storages.backends["staticfiles"])
    assert "css/old.css" not in started.hashed_files
    assert started.stored_name("css/old.css") == named
    assert releases.has(named)
    with pytest.raises(ValueError, match=r"css/none\.css"):
        started.stored_name("css/none.css")


def test_what_nobody_collected_is_left_alone(releases: Releases) -> None:
    releases.release("red")
    strangers = [releases.collected / "robots.txt", releases.collected / "css" / "own.css"]
    for path in strangers:
        path.write_text("not ours")
    for color in ("green", "blue", "black"):
        releases.release(color)
    assert [path.read_text() for path in strangers] == ["not ours", "not ours"]


def test_a_dry_run_removes_and_remembers_nothing(releases: Releases) -> None:
    names = [releases.release(color) for color in ("red", "green", "blue")]
    (releases.source / "css/shop.css").write_text("body { color: black }")
    call_command("collectstatic", interactive=False, verbosity=0, dry_run=True)
    assert [releases.has(name) for name in names] == [True, True, True]
