"""Redirects from the old addresses of models that moved: bookmarks and old e-mails use them."""

from django.urls import re_path
from django.views.generic import RedirectView

MOVED = r"^admin/enrollments/(?P<path>(?:payment|refund|dispute|stripeevent)/.*)$"

urlpatterns = [
    re_path(
        MOVED,
        RedirectView.as_view(url="/admin/payments/%(path)s", query_string=True, permanent=True),
    )
]
