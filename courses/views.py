from datetime import timedelta

from django.core.files.storage import default_storage
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from courses import share_cards
from courses.catalogue import Catalogue, Filters, browse, read_filters, read_page_size
from courses.course_page import page_of
from courses.covers import draw_cover
from courses.errors import CourseNotFound
from courses.models import Course
from courses.pricing import PRICE_BANDS
from courses.slugs import slug_of
from courses.structured_data import describe_seller
from courses.suggestions import suggest
from maaledu.errors import NotFound
from maaledu.public_pages import public_page

COVER_LIFETIME = timedelta(days=30)
CARD_LIFETIME = timedelta(days=1)


@require_safe
@public_page
def catalogue(request: HttpRequest) -> HttpResponse:
    filters = read_filters(request.GET)
    cursor = request.GET.get("cursor", "")
    found = browse(filters, cursor=cursor, limit=read_page_size(request.GET))
    return render(
        request,
        "courses/catalogue.html",
        _catalogue_context(filters, found, is_first_page=not cursor),
    )


def _catalogue_context(filters: Filters, found: Catalogue, *, is_first_page: bool) -> dict:
    is_front = is_first_page and not filters.is_active
    return {
        "courses": found.page.rows,
        "suggestions": suggest(filters) if not found.total and filters.is_active else None,
        "total": found.total,
        "query": filters.q,
        "filters": filters,
        "categories": _categories(filters, found),
        "everywhere": filters.query_string(category=""),
        "category_label": Course.Category(filters.category).label if filters.category else "",
        "levels": Course.Level.choices,
        "prices": [(slug, gettext(band.label)) for slug, band in PRICE_BANDS.items()],
        "is_first_page": is_first_page,
        "is_front": is_front,
        "structured_data": describe_seller() if is_front else "",
        "card_heading": "h3" if is_front else "h2",
        "first_url": filters.query_string(),
        "next_cursor": found.page.next_cursor,
        "next_url": filters.query_string(cursor=found.page.next_cursor),
    }


def _categories(filters: Filters, found: Catalogue) -> list[dict]:
    """Return the categories with their counts and addresses, the chosen one first."""
    all_of_them = [
        {
            "slug": slug,
            "label": label,
            "count": found.counts.get(slug, 0),
            "url": filters.query_string(category=slug),
        }
        for slug, label in Course.Category.choices
    ]
    chosen = [category for category in all_of_them if category["slug"] == filters.category]
    return chosen + [category for category in all_of_them if category not in chosen]


@require_safe
@public_page
def course(request: HttpRequest, slug: str) -> HttpResponse:
    ours = slug_of(slug)  # the old platform's addresses had capitals and underscores
    found = Course.objects.on_sale().filter(slug=ours).first()
    if found is not None and slug != ours:
        return redirect(found, permanent=True)
    if found is None:
        raise CourseNotFound(slug=slug)
    return render(request, "courses/course.html", page_of(found))


@require_safe
@public_page
def cover(request: HttpRequest, slug: str) -> HttpResponse:
    """The drawing of a course that is or was on sale.

    Its address carries a version, so that browsers may keep it for long.
    """
    # Off sale as well: learners who bought the course still see its cover.
    shown = Course.objects.exclude(status=Course.Status.DRAFT).filter(slug=slug)
    found = shown.only("category", "cover_kept").first()
    if found is None:
        raise CourseNotFound(slug=slug)
    drawing = draw_cover(slug, found.category, found.cover_number)
    return _kept(HttpResponse(drawing, content_type="image/svg+xml"), COVER_LIFETIME)


@require_safe
@public_page
def share_card(request: HttpRequest, slug: str) -> HttpResponse:
    """The picture that others show beside a link to a course: its title and price, as PNG."""
    found = Course.objects.on_sale().for_cards().filter(slug=slug).first()
    if found is None:
        raise CourseNotFound(slug=slug)
    card = share_cards.of_course(found)
    return _kept(HttpResponse(card, content_type="image/png"), CARD_LIFETIME)


@require_safe
@public_page
def shop_card(request: HttpRequest) -> HttpResponse:
    return _kept(HttpResponse(share_cards.of_shop(), content_type="image/png"), CARD_LIFETIME)


@require_safe
@public_page
def picture(request: HttpRequest, kind: str, name: str) -> HttpResponse:
    """A portrait or a cover. Its name has a hash in it: another picture, another name."""
    try:
        with default_storage.open(f"{kind}/{name}") as file:
            return _kept(HttpResponse(file.read(), content_type="image/webp"), COVER_LIFETIME)
    except OSError as error:
        raise NotFound from error


def _kept(response: HttpResponse, lifetime: timedelta) -> HttpResponse:
    response["Cache-Control"] = f"public, max-age={int(lifetime.total_seconds())}"
    return response
