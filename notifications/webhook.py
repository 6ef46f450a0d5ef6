"""Where the mail service reports what became of our messages: signed, and nothing else is read."""

import logging

from anymail.exceptions import AnymailWebhookValidationFailure
from anymail.webhooks.sendgrid import SendGridTrackingWebhookView
from django.http import HttpRequest, HttpResponse

from maaledu.errors import BadRequest
from maaledu.http import read_body
from notifications import bounces
from notifications.errors import WebhookNotSigned

logger = logging.getLogger(__name__)


class SendGridEvents(SendGridTrackingWebhookView):
    """SendGrid's Event Webhook, with its signature (SENDGRID_WEBHOOK_KEY) as anymail checks it."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Apply each event; an unsigned or foreign request changes nothing (401, 400)."""
        read_body(request)
        if self.webhook_verification_key is None:
            raise WebhookNotSigned
        try:
            self.run_validators(request)
        except AnymailWebhookValidationFailure as error:
            raise WebhookNotSigned from error
        try:
            events = self.parse_events(request)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise BadRequest(reason=type(error).__name__) from error
        changed = sum(bounces.note_event(event) for event in events)
        logger.info("mail events", extra={"events": len(events), "changed": changed})
        return HttpResponse()
