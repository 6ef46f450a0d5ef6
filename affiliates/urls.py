from django.urls import path

from affiliates.pages import account, program

urlpatterns = [
    path("r/<str:code>/", account.referral, name="referral"),
    path("r/<str:code>/<str:slug>/", account.referral, name="referral_course"),
    path("affiliates/", program.program, name="affiliates"),
    path("affiliates/join/", program.JoinView.as_view(), name="affiliate_join"),
    path("affiliates/payout-details/", program.DetailsView.as_view(), name="affiliate_details"),
    path("affiliates/dashboard/", account.dashboard, name="affiliate_dashboard"),
    path("affiliates/sale-mails/", account.sale_mails, name="affiliate_sale_mails"),
    path("affiliates/entries/", account.entries, name="affiliate_entries"),
    path("affiliates/entries/<uuid:pk>/", account.entry, name="affiliate_entry"),
    path("affiliates/links/", account.links, name="affiliate_links"),
    path("affiliates/statements/", account.statements, name="affiliate_statements"),
    path(
        "affiliates/statements/<str:month>.csv",
        account.statement_csv,
        name="affiliate_statement_csv",
    ),
    path("affiliates/statements/<str:month>/", account.statement, name="affiliate_statement"),
]
