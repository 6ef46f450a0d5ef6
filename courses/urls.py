from django.urls import path, re_path
from django.views.generic import TemplateView

from courses import views
from maaledu.public_pages import public_page

urlpatterns = [
    path("courses/", views.catalogue),
    path("", views.catalogue, name="catalogue"),
    path("courses/<slug:slug>/", views.course, name="course"),
    path("covers/<slug:slug>.svg", views.cover, name="course_cover"),
    path("covers/<slug:slug>.png", views.share_card, name="course_card"),
    re_path(r"^(?P<kind>faces|covers)/(?P<name>[\w-]+\.webp)$", views.picture, name="picture"),
    path("card.png", views.shop_card, name="shop_card"),
    *[
        path(
            f"{page}/",
            public_page(TemplateView.as_view(template_name=f"pages/{page}.html")),
            name=page,
        )
        for page in ("about", "help", "privacy", "terms")
    ],
]
