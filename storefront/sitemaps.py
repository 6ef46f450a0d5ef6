"""The pages that search engines should know, at their canonical addresses."""

from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.sitemaps import Sitemap
from django.urls import reverse

from courses.models import Course, CourseQuerySet

# For everybody, and worth being found; the catalogue's filters and pages are not canonical.
PAGES = ("catalogue", "about", "help", "grants", "affiliates", "terms", "privacy")


class OurSitemap(Sitemap):
    """A sitemap whose addresses are those of SITE_URL, under whatever name it was asked for."""

    def get_domain(self, site: object = None) -> str:
        return urlsplit(settings.SITE_URL).netloc

    def get_protocol(self, protocol: str | None = None) -> str:
        return urlsplit(settings.SITE_URL).scheme


class Pages(OurSitemap):
    def items(self) -> list[str]:
        return list(PAGES)

    def location(self, item: str) -> str:
        return reverse(item)


class Courses(OurSitemap):
    def items(self) -> CourseQuerySet:
        return Course.objects.on_sale().only("slug", "updated_at").order_by("slug")

    def lastmod(self, item: Course) -> datetime:
        return item.updated_at


SITEMAPS: dict[str, type[Sitemap] | Sitemap] = {"pages": Pages, "courses": Courses}
