import itertools
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from courses.cover_dice import Dice
from courses.cover_palette import PALETTES
from courses.covers import COMPOSITIONS, draw_cover
from courses.models import Course

pytestmark = pytest.mark.no_database


SVG = "{http://www.w3.org/2000/svg}"
EVERY_COMPOSITION = [
    pytest.param(art, palette, id=f"{category}-{art.__name__}-{number}")
    for category in Course.Category.values
    for art, (number, palette) in itertools.product(
        COMPOSITIONS[category], enumerate(PALETTES[category])
    )
]


def test_every_category_has_compositions_and_colors():
    assert set(COMPOSITIONS) == set(PALETTES) == set(Course.Category.values)


@pytest.mark.parametrize(("art", "palette"), EVERY_COMPOSITION)
def test_every_composition_draws_valid_shapes_in_every_palette(art, palette):
    for seed in range(8):
        drawing = ET.fromstring(f"<svg>{''.join(art(Dice(str(seed)), palette))}</svg>")
        shapes = [shape for shape in drawing.iter() if shape.tag in ("circle", "path")]
        assert len(shapes) >= 3
        assert "nan" not in ET.tostring(drawing, encoding="unicode")


@pytest.mark.parametrize("category", Course.Category.values)
def test_a_cover_is_a_small_picture_that_runs_and_loads_nothing(category):
    cover = draw_cover("a-course", category)
    root = ET.fromstring(cover)
    assert root.tag == f"{SVG}svg"
    assert root.get("viewBox") == "0 0 640 400"
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg",
        "g",
        "path",
        "circle",
    }
    assert "style" not in cover
    assert "href" not in cover
    assert len(cover) < 6_000


def test_the_same_course_has_the_same_cover_in_every_process():
    program = (
        "from courses.covers import draw_cover; print(draw_cover('first-aid', 'health'), end='')"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert elsewhere == draw_cover("first-aid", "health")


def test_different_courses_of_a_category_have_different_covers():
    assert len({draw_cover(f"course-{number}", "data") for number in range(50)}) == 50
