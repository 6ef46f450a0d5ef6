from django.urls import re_path

from payments import views

# Each answers with and without a slash at the end: Stripe takes a redirect for a failed delivery.
urlpatterns = [
    re_path(r"^api/webhook/?\Z", views.stripe_webhook, name="api_webhook"),
    re_path(r"^webhooks/stripe/?\Z", views.stripe_webhook, name="stripe_webhook"),
]
