"""What to show where a search or its filters leave nothing over."""

from dataclasses import dataclass, replace
from difflib import get_close_matches

from courses.catalogue import Filters
from courses.models import Course
from courses.searching import search_words

MOST_READ = 500  # courses whose words are looked through
MOST_WORDS = 4  # of the query that are corrected
LIKENESS = 0.75
SHOWN = 3


@dataclass(frozen=True)
class Suggestions:
    """Another spelling that finds something, the search without its filters, and new courses."""

    spelling: str
    spelling_url: str
    unfiltered: int
    unfiltered_url: str
    courses: list[Course]


def suggest(filters: Filters) -> Suggestions:
    unfiltered = Filters(q=filters.q)
    is_narrowed = bool(filters.q) and filters != unfiltered
    spelling = _spelling(filters.q)
    return Suggestions(
        spelling=spelling,
        spelling_url=replace(unfiltered, q=spelling).query_string(),
        unfiltered=Course.objects.on_sale().search(filters.q).count() if is_narrowed else 0,
        unfiltered_url=unfiltered.query_string(),
        courses=list(Course.objects.on_sale().for_cards()[:SHOWN]),
    )


def _spelling(query: str) -> str:
    """Return the query with each word that no course has replaced by the most similar one.

    Empty where that changes nothing or finds nothing.
    """
    words = search_words(query)[:MOST_WORDS]
    if not words:
        return ""
    texts = list(Course.objects.on_sale().values_list("search_text", flat=True)[:MOST_READ])
    known = {word.strip(".,:;!?()") for text in texts for word in text.split()}
    found = [_nearest(word, known) for word in words]
    finds = any(all(word in text for word in found) for text in texts)
    return " ".join(found) if finds and found != words else ""


def _nearest(word: str, known: set[str]) -> str:
    if any(word in each for each in known):
        return word
    return next(iter(get_close_matches(word, known, 1, LIKENESS)), word)
