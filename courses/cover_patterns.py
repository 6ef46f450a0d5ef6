"""The compositions that any category may have: SVG elements that fit a canvas of 640 by 400."""

from courses.cover_art import box, circle
from courses.cover_dice import Dice
from courses.cover_palette import Palette


def dunes(dice: Dice, palette: Palette) -> list[str]:
    """Four slopes one before the other, under a low sun."""
    sun = circle(dice.between(120, 520), dice.between(80, 130), dice.between(44, 70), palette.pop)
    tones = (palette.soft, palette.strong, palette.soft, palette.deep)
    shapes = [sun]
    for row, fill in enumerate(tones):
        top = 150 + row * 62
        left, middle, right = (dice.between(-40, 44) for _ in range(3))
        shapes.append(
            f'<path fill="{fill}" d="M0 {top + left}C150 {top - 70 + middle} 300 {top + 70 - left}'
            f' 430 {top + middle}S580 {top - 40 + right} 640 {top + right}V400H0z"/>'
        )
    return shapes


def beams(dice: Dice, palette: Palette) -> list[str]:
    """Rays from one corner, over which a disk rises."""
    x = dice.pick((0, 160, 480, 640))
    shapes = []
    for ray in range(-9, 10):
        fill = (palette.soft, palette.strong)[ray % 2]
        left, right = ray * 90 - 22 + dice.between(-14, 14), ray * 90 + 40
        shapes.append(f'<path fill="{fill}" d="M{x} 420L{320 + left} -10H{320 + right}z"/>')
    return [
        *shapes,
        circle(x, 410, dice.between(120, 170), palette.deep),
        circle(x, 410, dice.between(56, 84), palette.pop),
    ]


def stones(dice: Dice, palette: Palette) -> list[str]:
    """Rounded stones laid in courses like a dry wall, one of them picked out."""
    special, tones = dice.between(4, 14), (palette.strong, palette.soft, palette.deep)
    shapes, number = [], 0
    for row in range(5):
        x = -dice.between(10, 70)
        while x < 640:
            width = dice.between(90, 190)
            fill = palette.pop if number == special else dice.pick(tones)
            shapes.append(_stone(x + 5, row * 80 + 5, width - 10, fill))
            x, number = x + width, number + 1
    return shapes


def _stone(x: int, y: int, width: int, fill: str) -> str:
    ends = "".join(circle(x + at, y + 35, 35, fill) for at in (35, width - 35))
    return ends + box(x + 35, y, width - 70, 70, fill)
