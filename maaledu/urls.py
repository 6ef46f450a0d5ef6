"""The addresses of the site, by dotted names: this module imports no app."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

# Staff sign in where everybody does, so that the same limits and the verified address apply.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

# Those that are asked for most, and cost most, are found first.
urlpatterns = [
    path("", include("payments.urls")),
    path("", include("storefront.urls")),
    path("", include("office.urls")),
    path("", include("operations.urls")),
    path("", include("api.urls")),
    path("", include("notifications.urls")),
    path("admin/", admin.site.urls),
    path("accounts/", include("accounts.urls")),
    path("", include("courses.urls")),
    path("", include("grants.urls")),
    path("", include("affiliates.urls")),
]

handler400 = "maaledu.http.bad_request"
handler403 = "maaledu.http.forbidden"
handler404 = "maaledu.http.page_not_found"
handler429 = "maaledu.http.too_many_requests"  # allauth's
handler500 = "maaledu.http.server_error"
