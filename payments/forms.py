from typing import Any

from django import forms
from django.core.validators import ProhibitNullCharactersValidator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.emails import MAX_EMAIL_LENGTH
from accounts.forms import MAX_NAME_LENGTH, PersonForm
from grants.codes import MAX_TYPED_LENGTH
from payments.errors import InvalidCheckout
from payments.orders import Buyer

# As programs name the fields; `proof` and `shown` are the page's alone.
JSON_NAMES = {
    "email": "email",
    "name": "name",
    "coupon": "couponCode",
    "accept_terms": "acceptTerms",
}


class CouponField(forms.CharField):
    """A code as somebody typed it; a list or a number from a program is refused, not converted."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_length=MAX_TYPED_LENGTH, validators=[ProhibitNullCharactersValidator()], **options
        )

    def to_python(self, value: Any) -> str:
        if value is not None and not isinstance(value, str):
            raise forms.ValidationError(gettext("Enter the code as text."), code="invalid")
        return super().to_python(value) or ""


class ProofField(forms.CharField):
    """The proof that the page fills in after a grant's link; anything malformed counts as none."""

    def __init__(self) -> None:
        super().__init__(required=False, max_length=64, widget=forms.HiddenInput)

    def clean(self, value: Any) -> str:
        try:
            return super().clean(value) or ""
        except forms.ValidationError:
            return ""


class CouponForm(PersonForm):
    """A coupon to try, with the e-mail address that it is bound to."""

    email = forms.CharField(
        max_length=MAX_EMAIL_LENGTH,
        error_messages={"required": _("Enter your e-mail first: the coupon is bound to it.")},
    )
    coupon = CouponField(error_messages={"required": _("Enter the code from our e-mail.")})
    proof = ProofField()


class CheckoutForm(PersonForm):
    """The buyer's details. Price, currency and status are the server's, never the form's."""

    email = forms.CharField(
        max_length=MAX_EMAIL_LENGTH,
        label=_("E-mail"),
        error_messages={"required": _("Please enter your e-mail address.")},
        widget=forms.EmailInput(
            attrs={"autocomplete": "email", "inputmode": "email", "spellcheck": "false"}
        ),
    )
    name = forms.CharField(
        max_length=MAX_NAME_LENGTH,
        required=False,
        label=_("Name"),
        widget=forms.TextInput(attrs={"autocomplete": "name", "dir": "auto"}),
        validators=[ProhibitNullCharactersValidator()],
    )
    coupon = CouponField(
        required=False,
        label=_("Coupon code"),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}
        ),
    )
    proof = ProofField()
    shown = forms.CharField(required=False, max_length=40)
    accept_terms = forms.BooleanField(
        label=_("I accept the terms"), error_messages={"required": _("Please accept the terms.")}
    )

    @classmethod
    def of_json(cls, body: dict[str, Any]) -> "CheckoutForm":
        """Read a JSON body: text for every field, and `true` for the terms."""
        # The checkbox itself would take nearly any text for a tick.
        given = {field: body.get(name) for field, name in JSON_NAMES.items()}
        form = cls({**given, "accept_terms": given["accept_terms"] is True})
        for field in ("email", "name"):
            if given[field] is not None and not isinstance(given[field], str):
                form.add_error(field, gettext("Enter this as text."))
        return form

    def buyer(self) -> Buyer:
        names = ("email", "name", "coupon", "shown")
        return Buyer(**{name: self.cleaned_data[name] for name in names})

    def refusal(self) -> InvalidCheckout:
        """Return the form's errors as one refusal for JSON: joined, and by field."""
        messages = {
            JSON_NAMES.get(name, name): [str(message) for message in errors]
            for name, errors in self.errors.items()
        }
        error = InvalidCheckout(
            " ".join(message for each in messages.values() for message in each), fields=messages
        )
        error.public_details = {"fields": messages}
        return error
