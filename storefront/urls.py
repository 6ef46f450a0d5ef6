from django.urls import path

from storefront import (
    cancel_views,
    link_views,
    own_views,
    owner_views,
    paper_views,
    site_files,
    views,
)

urlpatterns = [
    path(
        "checkout/cancelled/<str:token>/",
        cancel_views.CancelledView.as_view(),
        name="checkout_cancelled",
    ),
    path("checkout/<str:slug>/coupon/", views.CouponView.as_view(), name="checkout_coupon"),
    path("checkout/<str:slug>/", views.CheckoutView.as_view(), name="checkout"),
    path("enrollments/<str:token>/", views.enrollment_page, name="enrollment"),
    path("enrollments/<str:token>/status/", views.enrollment_status, name="enrollment_status"),
    path("enrollments/<str:token>/account/", views.enrollment_account, name="enrollment_account"),
    path(
        "enrollments/<str:token>/progress/", views.enrollment_progress, name="enrollment_progress"
    ),
    path(
        "enrollments/<str:token>/papers/<str:kind>/",
        paper_views.enrollment_paper,
        name="enrollment_paper",
    ),
    path("courses/<slug:slug>/owner/", owner_views.owned_course, name="owned_course"),
    path("sitemap.xml", site_files.sitemap, name="sitemap"),
    path("robots.txt", site_files.robots, name="robots"),
    path(".well-known/security.txt", site_files.security, name="security_txt"),
    path(
        "enrollments/<str:token>/sign-in/",
        link_views.StartAccountView.as_view(),
        name="enrollment_sign_in",
    ),
    path("links/", link_views.LinksAgainView.as_view(), name="links_again"),
    path("account/", views.account, name="account"),
    path("account/refund/<str:token>/", own_views.RefundView.as_view(), name="refund_ask"),
    path("account/data/", own_views.data, name="own_data"),
    path("account/data.json", own_views.export, name="own_data_export"),
    path("account/delete/", own_views.CloseView.as_view(), name="account_delete"),
]
