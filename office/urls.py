"""The office's own pages, and redirects from the old addresses of models that moved: bookmarks and
old e-mails use them.
"""

from django.contrib import admin
from django.urls import path, re_path
from django.views.generic import RedirectView

from office import (
    course_preview,
    grant_triage,
    grant_triage_many,
    learner_page,
    learner_search,
    saved_views,
    seller,
)

MOVED = r"^admin/enrollments/(?P<path>(?:payment|refund|dispute|stripeevent)/.*)$"

urlpatterns = [
    path("admin/learners/", admin.site.admin_view(learner_search.show), name="learners"),
    path("admin/learners/<path:email>/", admin.site.admin_view(learner_page.show), name="learner"),
    path("admin/grants/triage/", admin.site.admin_view(grant_triage.show), name="grant_triage"),
    path(
        "admin/grants/many/",
        admin.site.admin_view(grant_triage_many.show),
        name="grant_triage_many",
    ),
    path("admin/views/", admin.site.admin_view(saved_views.change), name="saved_views"),
    path("admin/seller/", admin.site.admin_view(seller.show), name="office_seller"),
    path("courses/<slug:slug>/preview/", course_preview.show, name="course_preview"),
    path("courses/<slug:slug>/preview.svg", course_preview.cover, name="course_preview_cover"),
    re_path(
        MOVED,
        RedirectView.as_view(url="/admin/payments/%(path)s", query_string=True, permanent=True),
    ),
]
