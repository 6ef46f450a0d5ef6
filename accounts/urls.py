"""allauth's pages, those that can be tried again and again behind our limits."""

from allauth.account import views
from django.urls import include, path

from accounts import second_factor_views
from accounts.sign_in_codes import in_person
from accounts.views import ConfirmLoginCodeView
from maaledu.limits import limit

POST = ["POST"]

urlpatterns = [
    path("login/", limit("login", methods=POST)(views.login)),
    path("login/code/", limit("code_request", methods=POST)(views.request_login_code)),
    path("login/code/confirm/", limit("code", methods=POST)(ConfirmLoginCodeView.as_view())),
    path("password/set/", in_person(views.password_set)),
    path("email/", in_person(views.email)),
    path("signup/", limit("signup", methods=POST)(views.signup)),
    path("confirm-email/", limit("code", methods=POST)(views.email_verification_sent)),
    path("password/reset/", limit("password_reset", methods=POST)(views.password_reset)),
    path("password/reset/confirm/", limit("code", methods=POST)(views.confirm_password_reset_code)),
    path("", include("allauth.account.urls")),
    # Before allauth's own, whose names they have, too.
    path(
        "2fa/totp/activate/",
        second_factor_views.ActivateTotp.as_view(),
        name="mfa_activate_totp",
    ),
    path(
        "2fa/totp/deactivate/",
        second_factor_views.DeactivateTotp.as_view(),
        name="mfa_deactivate_totp",
    ),
    path("2fa/webauthn/add/", second_factor_views.AddPasskey.as_view(), name="mfa_add_webauthn"),
    path(
        "2fa/webauthn/keys/<int:pk>/remove/",
        second_factor_views.RemovePasskey.as_view(),
        name="mfa_remove_webauthn",
    ),
    path(
        "2fa/recovery-codes/generate/",
        second_factor_views.GenerateRecoveryCodes.as_view(),
        name="mfa_generate_recovery_codes",
    ),
    path("2fa/", include("allauth.mfa.urls")),
]
