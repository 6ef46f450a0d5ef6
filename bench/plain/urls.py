from django.urls import path

from bench.plain import views
from maaledu import urls as product

# The product's own paths are needed for the addresses that Stripe is given.
urlpatterns = [
    path("checkout/<slug:slug>/", views.checkout),
    path("api/webhook", views.webhook),
    *product.urlpatterns,
]
