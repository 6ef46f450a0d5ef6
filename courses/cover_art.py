"""The compositions, two for each category: SVG elements that fit a canvas of 640 by 400."""

import math
from dataclasses import dataclass

from courses.cover_dice import Dice
from courses.cover_palette import Palette


def circle(x: float, y: float, radius: float, fill: str, opacity: float = 1) -> str:
    shade = "" if opacity == 1 else f' fill-opacity="{opacity:g}"'
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{fill}"{shade}/>'


def box(x: float, y: float, width: float, height: float, fill: str) -> str:
    return f'<path fill="{fill}" d="M{x:g} {y:g}h{width:g}v{height:g}h{-width:g}z"/>'


def halftone(dice: Dice, palette: Palette) -> list[str]:
    """Data: a field of dots whose sizes follow a surface, with one dot picked out."""
    phase_x, phase_y = dice.between(0, 62) / 10, dice.between(0, 62) / 10
    stretch = dice.between(4, 7) / 10
    special = (dice.between(2, 10), dice.between(1, 5))
    dots = []
    for column in range(13):
        for row in range(8):
            wave = math.sin(column * stretch + phase_x) + math.cos(row * 0.75 + phase_y)
            radius = round(5 + 4.6 * (wave + 2), 1)
            if (column, row) == special:
                radius, fill = max(radius, 17), palette.pop
            else:
                fill = palette.strong if wave > 0.35 else palette.soft
            dots.append(circle(20 + column * 50, 25 + row * 50, radius, fill))
    return dots


def columns(dice: Dice, palette: Palette) -> list[str]:
    """Business: columns that rise, a coin behind them and a level to measure against."""
    coin = circle(
        dice.between(150, 300), dice.between(110, 150), dice.between(70, 100), palette.pop
    )
    shapes, height = [coin], dice.between(60, 110)
    for index in range(7):
        height = min(height + dice.between(-18, 62), 330)
        x, part = 40 + index * 82, dice.between(25, 55) * height // 100
        shapes.append(box(x, 400 - height, 68, height, palette.strong))
        shapes.append(box(x, 400 - part, 68, part, palette.soft if index % 2 else palette.deep))
    level = dice.between(150, 230)
    return [
        *shapes,
        (
            f'<path stroke="{palette.deep}" stroke-width="3" stroke-dasharray="3 11"'
            f' stroke-linecap="round" d="M0 {level}h640"/>'
        ),
    ]


def orbits(dice: Dice, palette: Palette) -> list[str]:
    """Health: large shapes that overlap and hold each other, over a slow wave."""
    x, y = dice.between(220, 300), dice.between(150, 190)
    spread = dice.between(110, 150)
    lift, sink = dice.between(20, 70), dice.between(20, 60)
    wave = (
        f"M0 {310 - lift}C160 {250 - lift} 240 {330 + sink} 400 {300 + sink // 2}S560 {230 + sink}"
        f" 640 {260 + sink}V400H0z"
    )
    return [
        circle(x, y, 130, palette.soft),
        circle(x + spread, y + dice.between(-30, 40), 115, palette.strong, 0.82),
        circle(x + spread // 2, y + dice.between(-10, 30), 46, palette.pop),
        f'<path fill="{palette.deep}" d="{wave}"/>',
        (
            f'<path fill="{palette.soft}" fill-opacity=".55" transform="translate(0'
            f' {dice.between(34, 52)})" d="{wave}"/>'
        ),
    ]


def arch(x: float, base: float, width: float, height: float, fill: str) -> str:
    half = width / 2
    return (
        f'<path fill="{fill}" d="M{x:g} {base:g}v{half - height:g}a{half:g} {half:g} 0 0 1'
        f' {width:g} 0V{base:g}z"/>'
    )


def arches(dice: Dice, palette: Palette) -> list[str]:
    """Public sector: a colonnade, arch within arch, with the sun in one of the openings."""
    count = dice.pick((3, 4, 5))
    step = 640 / count
    lit = dice.below(count)
    shapes = []
    for index in range(count):
        x, height = index * step + step * 0.06, dice.between(250, 345)
        shapes.append(arch(x, 400, step * 0.88, height, palette.soft))
        shapes.append(
            arch(
                x + step * 0.11,
                400,
                step * 0.66,
                height - step * 0.13,
                palette.strong if index != lit else palette.pop,
            )
        )
        shapes.append(arch(x + step * 0.24, 400, step * 0.40, height - step * 0.30, palette.deep))
    return [*shapes, box(0, 372, 640, 28, palette.deep)]


def bookshelf(dice: Dice, palette: Palette) -> list[str]:
    """Education: books standing on a shelf, one of them leaning."""
    shapes, x, leaning = [], 34, dice.between(4, 7)
    tones = (palette.strong, palette.soft, palette.deep, palette.strong, palette.soft)
    for index in range(12):
        width, height = dice.between(34, 58), dice.between(170, 290)
        if x + width > 606:
            break
        if index == leaning:
            shapes.append(_leaning_book(x, height, palette))
            x += 96
            continue
        book = Book(x, width, height, tones[(index + height) % len(tones)])
        shapes += _standing_book(dice, palette, book)
        x += width + 5
    return [*shapes, box(0, 352, 640, 48, palette.deep)]


@dataclass(frozen=True)
class Book:
    x: int
    width: int
    height: int
    fill: str


def _standing_book(dice: Dice, palette: Palette, book: Book) -> list[str]:
    band = palette.ground if book.fill != palette.deep else palette.strong
    top = 352 - book.height
    return [
        box(book.x, top, book.width, book.height, book.fill),
        box(book.x, top + dice.between(22, 40), book.width, dice.pick((6, 10, 16)), band),
        box(book.x, 352 - dice.between(34, 52), book.width, 5, band),
    ]


def _leaning_book(x: int, height: int, palette: Palette) -> str:
    book = box(0, -height, 42, height, palette.pop) + box(0, -height + 30, 42, 8, palette.deep)
    return f'<g transform="translate({x + 8} 352) rotate(12 42 0)">{book}</g>'


def tiles(dice: Dice, palette: Palette) -> list[str]:
    """Creative: a quilt of quarter circles, half circles and plain squares."""
    shapes = []
    for column in range(8):
        for row in range(5):
            fill = dice.pick(
                (
                    palette.strong,
                    palette.soft,
                    palette.soft,
                    palette.deep,
                    palette.strong,
                    palette.pop,
                )
            )
            shapes.append(_tile(dice, column * 80, row * 80, fill))
    return shapes


def _tile(dice: Dice, x: int, y: int, fill: str) -> str:
    kind, turn = dice.below(8), 90 * dice.below(4)
    if kind == 0:
        return ""
    if kind == 1:
        return circle(x + 40, y + 40, 24, fill)
    outline = "M0 0A80 80 0 0 1 80 80H0z" if kind < 6 else "M0 0A40 40 0 0 1 0 80z"
    return (
        f'<path fill="{fill}" transform="translate({x} {y}) rotate({turn} 40 40)" d="{outline}"/>'
    )


def ridges(dice: Dice, palette: Palette) -> list[str]:
    """Data: readings one behind the other, like hills, one of them picked out."""
    special = dice.between(2, 5)
    shapes = []
    for row in range(8):
        base = 110 + row * 40
        peak, width = dice.between(120, 520), dice.between(60, 120)
        points = [
            f"{x} {base - round(_bump(x, peak, width) * dice.between(78, 100)):g}"
            for x in range(0, 641, 20)
        ]
        line = palette.pop if row == special else palette.strong
        shapes.append(
            f'<path fill="{palette.ground}" stroke="{line}" stroke-width="5" d="M-10'
            f' {base}L{"L".join(points)}L650 {base}"/>'
        )
    return shapes


def _bump(x: int, peak: int, width: int) -> float:
    return math.exp(-(((x - peak) / width) ** 2))


def rings(dice: Dice, palette: Palette) -> list[str]:
    """Business: shares of a whole, as open rings around one center."""
    x, y = dice.pick((200, 320, 440)), dice.between(190, 230)
    shapes = [circle(x, y, 34, palette.pop)]
    for index in range(5):
        radius, share = 74 + index * 48, dice.between(35, 85) / 100
        fill = (palette.strong, palette.soft, palette.strong, palette.deep, palette.soft)[index]
        length = 2 * math.pi * radius
        turn = dice.between(0, 359)
        shapes.append(
            f'<circle cx="{x}" cy="{y}" r="{radius}" fill="none" stroke="{fill}" stroke-width="26"'
            f' stroke-linecap="round" stroke-dasharray="{length * share:.0f} {length:.0f}"'
            f' transform="rotate({turn} {x} {y})"/>'
        )
    return shapes


def petals(dice: Dice, palette: Palette) -> list[str]:
    """Health: leaves in a loose grid, each turned its own way."""
    special = (dice.below(5), dice.below(3))
    shapes = []
    for column in range(5):
        for row in range(3):
            x, y = 64 + column * 128, 72 + row * 128
            fill = (
                palette.pop
                if (column, row) == special
                else dice.pick((palette.strong, palette.soft, palette.deep))
            )
            turn = 45 * dice.pick((1, 3, 5, 7))
            shapes.append(
                f'<path fill="{fill}" transform="translate({x} {y}) rotate({turn})" d="M-58 0C-30'
                ' -44 30 -44 58 0C30 44 -30 44 -58 0z"/>'
            )
    return shapes


def hemicycle(dice: Dice, palette: Palette) -> list[str]:
    """Public sector: the seats of an assembly, seen from above."""
    parted = dice.between(35, 65) / 100
    special = dice.below(20)
    shapes = [f'<path fill="{palette.deep}" d="M250 400a70 70 0 0 1 140 0z"/>']
    for row in range(5):
        radius, seats = 118 + row * 48, 9 + row * 4
        for seat in range(seats):
            part = seat / (seats - 1)
            x, y = 320 - math.cos(part * math.pi) * radius, 390 - math.sin(part * math.pi) * radius
            fill = palette.strong if part < parted else palette.soft
            shapes.append(
                circle(
                    round(x, 1),
                    round(y, 1),
                    16,
                    palette.pop if row == 3 and seat == special else fill,
                )
            )
    return shapes


def sheets(dice: Dice, palette: Palette) -> list[str]:
    """Education: sheets of paper fanned out, written lines on the uppermost."""
    start, step = -dice.between(18, 30), dice.between(9, 13)
    tones = (palette.deep, palette.soft, palette.strong, palette.soft, palette.strong)
    fan = [
        f'<g transform="rotate({start + index * step} 320 470)">{box(215, 70, 210, 290, fill)}</g>'
        for index, fill in enumerate(tones)
    ]
    turn = start + 4 * step
    lines = [box(243, 150 + row * 34, dice.between(70, 154), 9, palette.deep) for row in range(5)]
    heading = box(243, 104, 90, 16, palette.pop)
    return [*fan, f'<g transform="rotate({turn} 320 470)">{heading}{"".join(lines)}</g>']


def poster(dice: Dice, palette: Palette) -> list[str]:
    """Creative: a few large shapes and stripes, cut off by the edge."""
    lean = dice.pick((-30, 30, 45, -45))
    stripes = [box(-200 + index * 44, -300, 18, 1000, palette.soft) for index in range(24)]
    x = dice.between(170, 260)
    return [
        f'<g transform="rotate({lean} 320 200)">{"".join(stripes)}</g>',
        circle(x, dice.between(170, 230), dice.between(120, 150), palette.strong),
        arch(dice.between(360, 420), 400, 190, dice.between(230, 330), palette.deep),
        circle(x + dice.between(90, 130), dice.between(90, 140), dice.between(44, 64), palette.pop),
    ]
