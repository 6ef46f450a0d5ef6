"""Looks a page over: axe-core in light and dark, wide and narrow, nothing sticks out, everything
can be tapped.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Page

from tests.e2e.visitor import DESKTOP, NARROWEST, PHONE

AXE = AXE_FILE_PATH.read_text(encoding="utf-8")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WIDTHS = {"1280": DESKTOP, "390": PHONE}
# a scheme changes colors only, and they are the same at every width
COLORS_SEEN_ALREADY = ("390", "dark")
SMALLEST_TARGET = 24  # WCAG 2.2, 2.5.8; links within a sentence are exempt
SMALLEST_CONTROL = 44
TWICE = "200%"
# Only one of the two changes at a time, because each change lays the page out anew.
WIDTHS_AND_LETTERS = (("1280", ""), ("1280", TWICE), ("390", TWICE), ("390", ""))
CONTRAST = ("color-contrast",)  # all that a color scheme changes
# What another language and direction may change.
NOT_OF_COLORS = ("target-size", "label", "link-name", "button-name", "html-has-lang")
SET_LETTERS = "size => { document.documentElement.style.fontSize = size }"

RUN_AXE = """async ([tags, rules]) => {
  const runOnly = rules ? {type: 'rule', values: rules} : {type: 'tag', values: tags};
  const preload = {assets: ['media']};  // style sheets are read for experimental rules only
  const found = await axe.run(document, {runOnly, preload, resultTypes: ['violations']});
  return found.violations.flatMap(({id, help, nodes}) =>
    nodes.map(node => `${id} (${help}): ${node.target.join(' ')} `
      + node.any.map(each => each.message).join('; ')));
}"""
SHOW_ALL_IMAGES = """async () => {
  const images = [...document.images];
  images.forEach(image => { image.loading = 'eager'; });
  await Promise.all(images.map(image => image.decode().catch(() => {})));
}"""
STICKING_OUT = """() => {
  const edge = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= edge && innerWidth <= edge) return [];
  const sides = element => element.getBoundingClientRect();
  const scrolls = element => element
    && (getComputedStyle(element).overflowX !== 'visible' || scrolls(element.parentElement));
  const out = ({left, right}) => right > edge + 0.5 || left < -0.5;
  const wide = [...document.body.querySelectorAll('*')]
    .filter(each => out(sides(each)) && !scrolls(each.parentElement));
  const name = element => `${element.tagName.toLowerCase()}.${element.className}`;
  const at = ({left, right}) => `is from ${Math.round(left)} to ${Math.round(right)} of ${edge}`;
  return ['the page is wider than the window',
    ...wide.map(each => `${name(each)} ${at(sides(each))}`)];
}"""
# What one can press or fill shows all of its words, and no ancestor cuts it off.
CLIPPED = """() => {
  const edge = document.documentElement.clientWidth;
  const named = each => `${each.tagName.toLowerCase()}.${each.className} "`
    + `${(each.innerText || each.name || '').trim().slice(0, 40)}"`;
  const shown = each => each.checkVisibility({visibilityProperty: true})
    && !each.closest('.visually-hidden, .skip-link') && each.getBoundingClientRect().width > 1;
  const pen = document.createElement('canvas').getContext('2d');
  const chosen = select => {
    const style = getComputedStyle(select);
    pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    const text = select.selectedOptions[0]?.text || '';
    return pen.measureText(text).width
      + parseFloat(style.paddingLeft) + parseFloat(style.paddingRight) > select.clientWidth + 1;
  };
  const overfull = each => each.matches('select') ? chosen(each)
    : !each.matches('input, textarea') && getComputedStyle(each).display !== 'inline'
      && (each.scrollWidth > each.clientWidth + 1 || each.scrollHeight > each.clientHeight + 4);
  const cut = (each, box = each.getBoundingClientRect(), up = each.parentElement) => {
    if (!up || up === document.body) return box.left < -0.5 || box.right > edge + 0.5;
    const {overflowX, overflowY} = getComputedStyle(up), frame = up.getBoundingClientRect();
    if (['auto', 'scroll'].includes(overflowX)) return false;
    const clips = kind => ['hidden', 'clip'].includes(kind);
    return clips(overflowX) && (box.left < frame.left - 1 || box.right > frame.right + 1)
      || clips(overflowY) && (box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
      || cut(each, box, up.parentElement);
  };
  const controls = 'a, button, input:not([type=hidden]), select, textarea, summary';
  return [...document.querySelectorAll(controls)]
    .filter(each => shown(each) && (overfull(each) || cut(each)))
    .map(each => `${named(each)} is clipped`);
}"""
# The office's framework looks at the scheme once, when a page is loaded. This is its own switch,
# and keeps what has been typed.
SWITCH_OFFICE = """async scheme => {
  const theme = window.Alpine && Alpine.$data(document.documentElement);
  if (!theme || !('adminTheme' in theme)) return;
  theme.adminTheme = scheme;
  await Alpine.nextTick();
}"""
TOO_SMALL = """([smallest, control]) => {
  const sized = element => {
    const box = element.getBoundingClientRect();
    return [box.width, box.height].map(Math.round);
  };
  const shown = element => element.checkVisibility({visibilityProperty: true})
    && sized(element).every(side => side > 1);
  const text = element => (element.innerText || element.name || '').trim().slice(0, 40);
  const tag = element => element.tagName.toLowerCase();
  const name = element => `${tag(element)} "${text(element)}" is ${sized(element).join(' × ')}`;
  const small = (selector, least) => [...document.querySelectorAll(selector)]
    .filter(each => shown(each) && sized(each)[1] < least).map(name);
  const controls = 'button, .button, select, textarea, '
    + 'input:not([type=checkbox], [type=radio], [type=hidden])';
  return [...small(controls, control), ...small('summary, nav a, header a', smallest)];
}"""


class Inspector:
    """Looks pages over and keeps pictures of them where asked to."""

    def __init__(self, pictures: Path | None) -> None:
        self.pictures = pictures
        if pictures:
            pictures.mkdir(parents=True, exist_ok=True)

    def look(self, page: Page, name: str, *, taps: bool = True) -> None:
        """Fail with all that is wrong with this page in four views; leave it wide and light as it
        was.
        """
        page.wait_for_load_state()
        before = page.viewport_size
        wrong = [
            f"{name}, {view}: {problem}"
            for width in WIDTHS
            for view, problem in self._look_at_width(page, name, width, taps=taps)
        ]
        show_in(page, "light")
        page.set_viewport_size(before or DESKTOP)
        assert not wrong, "\n".join(wrong)

    def look_at_mail(self, page: Page, html: str, name: str) -> None:
        """Look a mail over, as a program that shows HTML does: without a security policy of
        ours.
        """
        page.goto("about:blank")
        page.set_content(html)
        self.look(page, name, taps=False)

    def look_everywhere(self, page: Page, name: str, *, colors: bool) -> Iterator[str]:
        """Yield what is wrong with this page, wide and narrow, also with letters twice as large.

        `colors`: also in both schemes. They are the same at every width, and in every language.
        """
        for width, letters in WIDTHS_AND_LETTERS:
            page.set_viewport_size(WIDTHS[width])
            page.evaluate(SET_LETTERS, letters)
            found = [*sticking_out(page), *page.evaluate(CLIPPED)]
            if (width, letters) == ("390", ""):
                found += page.evaluate(TOO_SMALL, [SMALLEST_TARGET, SMALLEST_CONTROL])
            yield from (f"{width} {letters}: {problem}" for problem in found)
            if not letters:
                self.picture(page, f"{name}-{width}")
        page.set_viewport_size(NARROWEST)
        yield from (f"320: {problem}" for problem in sticking_out(page))
        if not colors:
            yield from violations(page, rules=NOT_OF_COLORS)
            return
        yield from violations(page)
        show_in(page, "dark")
        yield from (f"dark: {problem}" for problem in violations(page, rules=CONTRAST))
        self.picture(page, f"{name}-dark")
        show_in(page, "light")

    def _look_at_width(
        self, page: Page, name: str, width: str, *, taps: bool
    ) -> list[tuple[str, str]]:
        page.set_viewport_size(WIDTHS[width])
        wrong = [(width, problem) for problem in page.evaluate(STICKING_OUT)]
        if taps and width == "390":
            wrong += [
                (width, problem)
                for problem in page.evaluate(TOO_SMALL, [SMALLEST_TARGET, SMALLEST_CONTROL])
            ]
        for scheme in ("light", "dark"):
            seen_already = (width, scheme) == COLORS_SEEN_ALREADY
            if seen_already and not self.pictures:
                continue
            show_in(page, scheme)
            if not seen_already:
                wrong += [
                    (f"{width} {scheme}", problem)
                    for problem in violations(page, rules=CONTRAST if scheme == "dark" else None)
                ]
            self.picture(page, f"{name}-{width}-{scheme}")
        return wrong

    def picture(self, page: Page, name: str) -> None:
        if self.pictures:
            page.evaluate(SHOW_ALL_IMAGES)
            page.screenshot(path=self.pictures / f"{name}.png", full_page=True)


def show_in(page: Page, scheme: Literal["light", "dark"]) -> None:
    """Show a page in light or in dark, also one of the office."""
    page.emulate_media(color_scheme=scheme)
    page.evaluate(SWITCH_OFFICE, scheme)


def violations(page: Page, *, rules: Sequence[str] | None = None) -> list[str]:
    """Return what axe-core finds against WCAG 2.0 to 2.2, A and AA, or against these rules."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    return page.evaluate(RUN_AXE, [TAGS, rules])


def sticking_out(page: Page) -> list[str]:
    """Return what makes the page wider than its window."""
    return page.evaluate(STICKING_OUT)
