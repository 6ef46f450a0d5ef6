"""The way from a payment in the office to its receipt and invoice, which Stripe keeps and shows."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from maaledu.errors import AppError
from office.base import ReadOnlyAdmin
from payments import papers
from payments.models import Payment


class PapersAdmin(ReadOnlyAdmin):
    """A page of payments whose papers are linked, each asked for at Stripe when it is opened."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.paper)
        return [
            path("<uuid:pk>/paper/<str:kind>/", view, name="payments_payment_paper"),
            *super().get_urls(),
        ]

    @admin.display(description="receipt and invoice")
    def papers(self, payment: Payment) -> SafeString | str:
        if payment.status != Payment.PAID:
            return "-"
        links = (
            (reverse("admin:payments_payment_paper", args=[payment.pk, kind]), kind)
            for kind in papers.kinds()
        )
        return format_html_join(" · ", '<a href="{}">View {}</a>', links)

    def paper(self, request: HttpRequest, pk: Any, kind: str) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        payment = Payment.objects.filter(pk=pk).first()
        if payment is None:
            raise Http404
        try:
            return redirect(papers.address_of(payment, kind))
        except AppError as error:
            messages.error(request, str(error))
            return redirect("admin:payments_payment_change", payment.pk)
