"""Where the office's pages were before their models moved to another app: bookmarks and old e-mails
still lead there.
"""

from django.urls import re_path
from django.views.generic import RedirectView

MOVED = r"^admin/enrollments/(?P<path>(?:payment|refund|dispute|stripeevent)/.*)$"

urlpatterns = [
    re_path(
        MOVED,
        RedirectView.as_view(url="/admin/payments/%(path)s", query_string=True, permanent=True),
    )
]
