from django.urls import path

from payments import views

urlpatterns = [
    path("api/webhook", views.stripe_webhook, name="api_webhook"),
    path("webhooks/stripe/", views.stripe_webhook, name="stripe_webhook"),
]
