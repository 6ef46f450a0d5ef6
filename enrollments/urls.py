from django.urls import path

from enrollments import affiliate_api, affiliate_views, api, grant_views, views

urlpatterns = [
    path("checkout/cancelled/<str:token>/", views.cancelled, name="checkout_cancelled"),
    path("checkout/<str:slug>/coupon/", views.CouponView.as_view(), name="checkout_coupon"),
    path("grants/apply/<str:slug>/", grant_views.ApplyView.as_view(), name="grant_apply"),
    path("grants/apply/<str:slug>/done/", grant_views.applied, name="grant_applied"),
    path("grants/<str:token>/", grant_views.grant_page, name="grant"),
    path("api/cron/expire-grants", grant_views.expire_grants, name="cron_expire_grants"),
    path("checkout/<str:slug>/", views.CheckoutView.as_view(), name="checkout"),
    path("enrollments/<str:token>/", views.enrollment_page, name="enrollment"),
    path("enrollments/<str:token>/status/", views.enrollment_status, name="enrollment_status"),
    path("enrollments/<str:token>/progress/", views.enrollment_progress, name="enrollment_progress"),
    path("account/", views.account, name="account"),
    path("affiliates/", affiliate_views.program, name="affiliates"),
    path("affiliates/join/", affiliate_views.JoinView.as_view(), name="affiliate_join"),
    path("affiliates/payout-details/", affiliate_views.DetailsView.as_view(), name="affiliate_details"),
    path("api/affiliate", affiliate_api.affiliate_figures, name="api_affiliate"),
    path("api/affiliate/register", affiliate_api.register_affiliate, name="api_affiliate_register"),
    path("api/checkout", api.start_checkout, name="api_checkout"),
    path("api/webhook", api.stripe_webhook, name="api_webhook"),
    path("webhooks/stripe/", api.stripe_webhook, name="stripe_webhook"),
]
