"""Every address of the site, on one screen."""

from django.contrib import admin
from django.urls import path, register_converter

from behavior.views import EventsView
from catalog.views import ItemsView, ItemView
from recommend.person import PersonView
from recommend.views import RecommendView
from recsite import border, openapi, views


class ItemId:
    """A shop's own id: any characters, slashes too, for servers decode %2F before we see it."""

    regex = r"[^\x00]+"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(ItemId, "item")

urlpatterns = [
    path("", views.home, name="home"),
    path("healthz", views.health, name="health"),
    path("admin/", admin.site.urls),
    path("v1/events", openapi.events(EventsView).as_view(), name="events"),
    path("v1/items", openapi.items(ItemsView).as_view(), name="items"),
    path("v1/items/<item:item_id>", openapi.item(ItemView).as_view(), name="item"),
    path("v1/recommend/<scenario>", openapi.recommend(RecommendView).as_view(), name="recommend"),
    path("v1/users/<item:user_id>", openapi.person(PersonView).as_view(), name="user"),
    path(
        "v1/anonymous/<item:anonymous_id>",
        openapi.anonymous(PersonView).as_view(),
        name="anonymous",
    ),
    path("v1/noop", openapi.noop(views.NoopView).as_view(), name="noop"),
    path("v1/schema", openapi.SchemaView.as_view(), name="schema"),
    path("v1/docs", openapi.DocsView.as_view(), name="docs"),
]

handler400 = border.bad_request
handler404 = border.not_found
handler500 = border.server_error
