"""What machines look for at fixed addresses: robots.txt, sitemap.xml and security.txt."""

from datetime import timedelta

from django.conf import settings
from django.contrib.sitemaps import views as sitemap_views
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_safe

from maaledu.public_pages import public_page
from storefront.sitemaps import SITEMAPS

# Personal pages, and those that only a form leads to. Their addresses are no secret.
NOT_FOR_ROBOTS = (
    "/account/",
    "/accounts/",
    "/admin/",
    "/api/",
    "/checkout/",
    "/courses/*/owner/",
    "/enrollments/",
    "/grants/apply/",
    "/r/",
)
SECURITY_TXT_LIFETIME = timedelta(days=180)  # RFC 9116: less than a year is recommended


@require_safe
@public_page
def robots(request: HttpRequest) -> HttpResponse:
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in NOT_FOR_ROBOTS)]
    lines += ["", f"Sitemap: {settings.SITE_URL}/sitemap.xml"]
    return HttpResponse("\n".join([*lines, ""]), content_type="text/plain; charset=utf-8")


@require_safe
@public_page
def sitemap(request: HttpRequest) -> HttpResponseBase:
    """The canonical addresses; further pages of a long one by `?p=`."""
    return sitemap_views.sitemap(request, sitemaps=SITEMAPS)


@require_safe
@public_page
def security(request: HttpRequest) -> HttpResponse:
    """Say where to report a weakness (RFC 9116)."""
    expires = timezone.now() + SECURITY_TXT_LIFETIME
    lines = [
        f"Contact: mailto:{settings.SECURITY_EMAIL}",
        f"Expires: {expires:%Y-%m-%dT00:00:00Z}",
        "Preferred-Languages: en",
        f"Canonical: {settings.SITE_URL}/.well-known/security.txt",
    ]
    return HttpResponse("\n".join([*lines, ""]), content_type="text/plain; charset=utf-8")
