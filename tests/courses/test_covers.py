import itertools
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from io import BytesIO

import pytest
import resvg_py
from PIL import Image, ImageChops

from courses.cover_dice import Dice
from courses.cover_palette import PALETTES
from courses.covers import COMPOSITIONS, draw_cover, look
from courses.models import Course
from demo.courses import DATA

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


def small(slug: str, category: str, number: int) -> Image.Image:
    png = resvg_py.svg_to_bytes(svg_string=draw_cover(slug, category, number), width=32)
    return Image.open(BytesIO(png)).convert("RGB")


def likeness(one: Image.Image, other: Image.Image) -> float:
    """Return how alike two pictures are: 1 for the same colors in the same places."""
    difference = ImageChops.difference(one, other).tobytes()
    return 1 - sum(difference) / (255 * len(difference))


def test_no_two_courses_of_a_category_look_alike():
    """Up to thirty of a category: each pair differs in drawing, colors or direction."""
    for category in Course.Category.values:
        looks = {look(category, number) for number in range(30)}
        assert len(looks) == 30, category


def test_no_two_courses_of_the_demo_look_alike():
    entries = json.loads(DATA.read_text())
    for category in Course.Category.values:
        slugs = [entry["slug"] for entry in reversed(entries) if entry["category"] == category]
        drawn = [small(slug, category, number) for number, slug in enumerate(slugs)]
        alike = [likeness(*pair) for pair in itertools.combinations(drawn, 2)]
        assert max(alike) < 0.87, (category, alike)


def test_control_the_same_drawing_in_the_same_colors_is_noticed():
    assert likeness(small("a", "data", 0), small("b", "data", 0)) > 0.87
