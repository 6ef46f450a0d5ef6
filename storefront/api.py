"""JSON endpoints: parse, call one function, answer."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_POST

from grants import refusals
from maaledu.http import read_json
from maaledu.limits import limit
from payments import checkout, referrals
from storefront.coupon_limits import count_coupon_check
from storefront.forms import CheckoutForm


@require_POST
@limit("checkout")
def start_checkout(request: HttpRequest) -> HttpResponse:
    """Start a checkout, and answer with the address to pay at.

    The body is `{"courseId", "email", "name"?, "couponCode"?, "referralCode"?, "acceptTerms"}`;
    everything else in it is ignored. The address of the status page shows the enrollment to whoever
    has it, so only who has just started the checkout gets it.
    """
    body = read_json(request)
    fields = {
        "email": "email",
        "name": "name",
        "coupon": "couponCode",
        "accept_terms": "acceptTerms",
    }
    form = CheckoutForm({field: body.get(name) for field, name in fields.items()})
    if not form.is_valid():
        raise form.refusal()
    slug = body.get("courseId")
    if form.cleaned_data["coupon"]:
        count_coupon_check(request, {name: form.cleaned_data[name] for name in ("email", "coupon")})
    click = referrals.click_named(request, body.get("referralCode"))
    with refusals.counted():
        started = checkout.start(slug if isinstance(slug, str) else "", form.buyer(), click=click)
    answer = {"url": started.url, "enrollmentId": str(started.enrollment.pk)}
    if not started.is_resumed:
        answer["statusUrl"] = started.enrollment.status_link
    return JsonResponse(answer, status=201)
