from django.urls import path

from affiliates import views

urlpatterns = [
    path("r/<str:code>/", views.referral, name="referral"),
    path("r/<str:code>/<str:slug>/", views.referral, name="referral_course"),
    path("affiliates/dashboard/", views.dashboard, name="affiliate_dashboard"),
    path("affiliates/entries/", views.entries, name="affiliate_entries"),
    path("affiliates/entries/<uuid:pk>/", views.entry, name="affiliate_entry"),
    path("affiliates/links/", views.links, name="affiliate_links"),
    path("affiliates/statements/", views.statements, name="affiliate_statements"),
    path("affiliates/statements/<str:month>.csv", views.statement_csv, name="affiliate_statement_csv"),
    path("affiliates/statements/<str:month>/", views.statement, name="affiliate_statement"),
]
