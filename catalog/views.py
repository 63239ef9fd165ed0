"""The catalogue over HTTP: one item by its id, or up to a thousand at once.

It promises that one bad item never fails its neighbours, and that an answer says of each
refused one which it was and why. It never writes a row itself: catalog.changes does.
"""

from collections.abc import Mapping
from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from behavior.events import Rejection
from catalog import changes, feed, shelf
from catalog.feed import ItemContent
from recsite.api import Problem
from recsite.keys import SecretKey

MOST_ITEMS: Final = 1_000
NOT_FOUND: Final = {"unknown_item": 404}
"""Statuses of rejections; any other is a 422."""


class ItemView(APIView):
    """GET, PUT, PATCH and DELETE /v1/items/{item_id}."""

    permission_classes = (SecretKey,)

    def get(self, request: Request, item_id: str) -> Response:
        """The item as it stands."""
        return Response(_shown(_sane(item_id)))

    def put(self, request: Request, item_id: str) -> Response:
        """Have the item stand exactly so: 201 where it is new; what is left out is empty."""
        content = feed.parse(_named(request.data, item_id))
        if isinstance(content, Rejection):
            raise _problem(content)
        done = changes.put([content])
        return Response(_shown(item_id), status=201 if done.created else 200)

    def patch(self, request: Request, item_id: str) -> Response:
        """Change some fields: null clears one; attributes are merged by name."""
        done = changes.patch(_sane(item_id), _named(request.data, item_id))
        if isinstance(done, Rejection):
            raise _problem(done)
        return Response(_shown(item_id))

    def delete(self, request: Request, item_id: str) -> Response:
        """Delete the item; what shoppers did with it stays in the log."""
        if changes.remove([_sane(item_id)]).unknown:
            raise _problem(changes.unknown(item_id))
        return Response(status=204)


class ItemsView(APIView):
    """POST /v1/items: a list, or {"items": […]}."""

    permission_classes = (SecretKey,)

    def post(self, request: Request) -> Response:
        """Put up to 1,000 items; each refused one is named with its reason."""
        batch = feed.parse_all(enumerate(_listed(request.data)), seen=set())
        done = changes.put(batch.contents)
        rejected = [
            {"index": index, "code": why.code, "message": why.message}
            for index, why in batch.rejected
        ]
        return Response(
            {"changed": done.changed, "unchanged": done.unchanged, "rejected": rejected}
        )


def _listed(body: object) -> list[Any]:
    items = body.get("items") if isinstance(body, Mapping) else body
    if not isinstance(items, list):
        raise Problem(400, "not_a_list", 'The body must be a list of items or {"items": […]}.')
    if len(items) > MOST_ITEMS:
        raise Problem(
            413, "too_many_items", f"One call takes {MOST_ITEMS:,} items, not {len(items):,}."
        )
    return items


def _named(body: object, item_id: str) -> dict[str, Any]:
    """The body under the id of the address; one that names another id is refused."""
    if not isinstance(body, Mapping):
        raise Problem(400, "not_an_object", "The body must be a JSON object.")
    if str(body.get("item_id", item_id)) != item_id:
        raise Problem(422, "id_changed", "The item_id in the body is not that of the address.")
    return {**body, "item_id": item_id}


def _sane(item_id: str) -> str:
    """An id that the catalogue could have; any other is unknown, and not asked for."""
    if isinstance(feed.parse({"item_id": item_id}), ItemContent):
        return item_id
    raise _problem(changes.unknown(item_id))


def _shown(item_id: str) -> dict[str, Any]:
    found = shelf.read([item_id]).get(item_id)
    if found is None:
        raise _problem(changes.unknown(item_id))
    return {"item_id": item_id, **found.content.as_json(), "changed_at": found.changed_at}


def _problem(why: Rejection) -> Problem:
    return Problem(NOT_FOUND.get(why.code, 422), why.code, why.message)
