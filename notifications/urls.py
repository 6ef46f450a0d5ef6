from django.urls import path

from notifications.webhook import SendGridEvents

urlpatterns = [
    path("api/webhook/sendgrid", SendGridEvents.as_view(), name="sendgrid_webhook"),
]
