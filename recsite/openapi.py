"""The API as a document: /v1/schema, the page that reads it, and which call takes what.

The views stay free of it: urls.py passes each through here, where its operations get their
words from recsite.contract. It never validates a request; a test holds both together.
"""

from typing import Any, Final, Literal

from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    extend_schema,
    extend_schema_view,
)
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.views import APIView

from recsite import contract
from recsite.contract import Schema, part

View = type[APIView]

JSON = "application/json"


class SchemaView(SpectacularAPIView):
    renderer_classes = [OpenApiJsonRenderer]


class DocsView(SpectacularSwaggerView):
    url_name = "schema"


# Said here, for all calls: the generator finds two classes that read one key, and warns.
KEY: Final = {"type": "http", "scheme": "bearer", "description": "A `pk_…` or `sk_…` key."}
SECURITY: Final[Any] = [{"key": []}]


def add_shared_parts(result: Schema, **_: Any) -> Schema:
    """drf-spectacular's hook: the parts that operations point to, and the failures of all."""
    result["components"].setdefault("schemas", {}).update(contract.PARTS)
    result["components"]["securitySchemes"] = {"key": KEY}
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"] |= FAILURES
    return result


def _failure(description: str, code: str, message: str) -> Schema:
    said = {"schema": part("Problem"), "example": {"code": code, "message": message}}
    return {"description": description, "content": {JSON: said}}


FAILURES = {
    "4XX": _failure("Not possible so", "wrong_key", "This API key is unknown or was revoked."),
    "5XX": _failure(
        "Try again", "database_unreachable", "The database cannot be reached. Try again soon."
    ),
}


def events(view: View) -> View:
    return extend_schema_view(
        post=_operation(
            "behaviour", "Report what happened",
            "One event, a list of up to 1,000, or `{\"events\": […]}`. A bad event never fails its "
            "neighbours: it comes back under `rejected` with its reason. What was accepted is in "
            "the shopper's next list. Send the same delivery again whenever in doubt: with an "
            "`event_id` nothing happens twice. Needs a publishable key.",
            takes={"oneOf": [part("Event"), contract.EVENTS, contract.EVENT_LIST]},
            gives={202: part("Appended")},
            examples=contract.EVENT_EXAMPLES,
        ),
    )(view)  # fmt: skip


def items(view: View) -> View:
    return extend_schema_view(
        post=_operation(
            "catalogue", "Put many items",
            "Up to 1,000 items, as a list or `{\"items\": […]}`. What stands exactly so already is "
            "left alone. Needs a secret key.",
            takes={"oneOf": [contract.ITEMS, contract.ITEM_LIST]},
            gives={200: part("ItemsPut")},
            examples=contract.ITEMS_EXAMPLES,
        ),
    )(view)  # fmt: skip


def item(view: View) -> View:
    where = [_parameter("item_id", "Your own id, percent-encoded.", location="path", required=True)]
    standing = part("StandingItem")
    return extend_schema_view(
        get=_operation("catalogue", "One item", "As it stands. Needs a secret key.",
                       asks=where, gives={200: standing}),
        put=_operation("catalogue", "Have an item stand so",
                       "What is left out is emptied; 201 where it is new. Needs a secret key.",
                       asks=where, takes=part("Item"), gives={200: standing, 201: standing},
                       examples=contract.ITEM_EXAMPLES),
        patch=_operation("catalogue", "Change some fields",
                         "null clears a field; attributes are merged by name. Needs a secret key.",
                         asks=where, takes=part("Item"), gives={200: standing},
                         examples=contract.PATCH_EXAMPLES),
        delete=_operation("catalogue", "Delete an item",
                          "It is in no list from the next request on; what shoppers did with it "
                          "stays in the log. Needs a secret key.", asks=where, gives={204: None}),
    )(view)  # fmt: skip


def recommend(view: View) -> View:
    about = (
        "The list of a scenario for a shopper, best first, each item with its reasons. Send the "
        "`recommendation_id` back with the events that follow. A shopper nobody knows gets what "
        "is popular. How various a list is, its scenario says (in the admin): caps per category, brand "
        "and seller, serendipity, and a slot for what few have been shown; its reason has the source "
        "`explore`. For that slot to learn, send `view_item_list` with the `recommendation_id` once "
        "the items were seen. Needs a publishable key."
    )
    where = _parameter("scenario", "`home`, `similar`, `cart`, `popular`, or one of your own.",
                       location="path", required=True)  # fmt: skip
    asked = [_parameter(name, schema["description"], schema=schema)
             for name, schema in contract.ASK["properties"].items()]  # fmt: skip
    return extend_schema_view(
        get=_operation("lists", "Ask for a list", about, asks=[where, *asked],
                       gives={200: part("Slate")}),
        post=_operation("lists", "Ask for a list, with a body", about, asks=[where],
                        takes=part("Ask"), gives={200: part("Slate")},
                        examples=contract.ASK_EXAMPLES),
    )(view)  # fmt: skip


def person(view: View) -> View:
    return _person(view, "user_id", "Your own id of the shopper, percent-encoded.")


def anonymous(view: View) -> View:
    return _person(
        type("AnonymousView", (view,), {}),
        "anonymous_id",
        "The browser or device, percent-encoded.",
    )


def _person(view: View, name: str, description: str) -> View:
    where = [_parameter(name, description, location="path", required=True)]
    return extend_schema_view(
        get=_operation("people", "All that is kept about a person",
                       "JSONL, a line a row, under all names that were joined to this one. Needs a "
                       "secret key.", asks=where, gives={200: contract.LINES}),
        delete=_operation("people", "Forget a person",
                          "Out of the log and of everything that was counted from it, in one "
                          "transaction. What stays is a proof without personal data. Needs a secret "
                          "key.", asks=where, gives={200: part("Erased")}),
    )(view)  # fmt: skip


def noop(view: View) -> View:
    return extend_schema_view(
        get=_operation("house", "Do nothing", "What a call costs before its own work.",
                       gives={200: contract.OK}),
    )(view)  # fmt: skip


def _operation(
    tag: str, summary: str, description: str, *, gives: dict[int, Schema | None],
    takes: Schema | None = None, asks: list[OpenApiParameter] | None = None,
    examples: dict[str, Any] | None = None,
) -> Any:  # fmt: skip
    return extend_schema(
        tags=[tag],
        auth=SECURITY,
        summary=summary,
        description=description,
        parameters=asks,
        request={JSON: takes} if takes else None,
        responses=gives,
        examples=[OpenApiExample(name, value, request_only=True)
                  for name, value in (examples or {}).items()],
    )  # fmt: skip


def _parameter(
    name: str,
    description: str,
    *,
    location: Literal["query", "path"] = "query",
    required: bool = False,
    schema: Schema | None = None,
) -> OpenApiParameter:
    kind = dict(schema or {"type": "string"})
    kind.pop("description", None)
    return OpenApiParameter(name, kind, location, required=required, description=description)
