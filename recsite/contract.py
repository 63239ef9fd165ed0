"""The JSON of the API as schemas and examples: the words of its document, no machinery."""

from typing import Any, Final

Schema = dict[str, Any]


def _object(required: str, **properties: Schema) -> Schema:
    return {"type": "object", "required": required.split(), "properties": properties}


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def part(name: str) -> Schema:
    """A reference to one of PARTS."""
    return {"$ref": f"#/components/schemas/{name}"}


def _text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def _whole(description: str, **more: Any) -> Schema:
    return {"type": "integer", "description": description, **more}


def _number(description: str, **more: Any) -> Schema:
    return {"type": "number", "description": description, **more}


ID: Final = {"maxLength": 128, "minLength": 1}
TIME: Final = {"format": "date-time"}
UUID: Final = {"format": "uuid"}

PROBLEM = _object(
    "code message",
    code=_text("For programs: branch on this.", example="wrong_key"),
    message=_text("For people.", example="This API key is unknown or was revoked."),
)

REJECTED = _object(
    "index code message",
    index=_whole("Which of the records that you sent, from 0."),
    code=_text("For programs.", example="time_in_future"),
    message=_text("For people."),
)

LINE = _object(
    "item_id",
    item_id=_text("Your own id of the item.", **ID),
    quantity=_whole("How many.", minimum=0, maximum=1_000_000),
    price=_number("Unit price.", minimum=0),
    index=_whole("Where the item stood in its list.", minimum=0, maximum=10_000),
)

EVENT = _object(
    "event",
    event=_text("What happened; other vendors' names are taken too.", example="view_item"),
    event_id=_text("Your own key of the event: a repeated delivery changes nothing.", **ID),
    occurred_at=_text("When; now, if left out. At most 24 hours ahead.", **TIME),
    user_id=_text("A shopper whom you know; or give `anonymous_id`.", **ID),
    anonymous_id=_text("A browser or device.", **ID),
    previous_user_id=_text("With `identify`: an account that is now `user_id`.", **ID),
    undo={"type": "boolean", "description": "With `identify`: take the joining back."},
    session_id=_text("The visit."),
    recommendation_id=_text("The list that led here, as its answer carried it.", **UUID),
    item_id=_text("One item; or give `items`.", **ID),
    items=_list(part("Line"), maxItems=1_000),
    quantity=_whole("How many of `item_id`."),
    price=_number("Unit price of `item_id`."),
    index=_whole("Where `item_id` stood in its list.", minimum=0, maximum=10_000),
    value=_number("Worth of the whole event."),
    currency=_text("Three letters.", example="EUR"),
    order_id=_text("Your own id of the order."),
    query=_text("What was searched for; a `search` needs it."),
    rating=_number("How it was rated; a `rate` needs it.", minimum=0, maximum=5),
    context={"type": "object", "description": "Anything else, up to 4,000 characters."},
)

APPENDED = _object(
    "accepted duplicates rejected position",
    accepted=_whole("New in the log."),
    duplicates=_whole("In the log already."),
    rejected=_list(part("Rejected")),
    position=_text("A place in the log that includes them."),
)

ITEM = _object(
    "",
    title=_text("Its name."),
    description=_text("What it is; both texts are embedded."),
    category=_text("From the top.", example="Home > Kitchen > Mugs"),
    brand=_text("Who makes it."),
    seller=_text("Who sells it."),
    price=_number("Unit price.", minimum=0, nullable=True),
    currency=_text("Three letters.", example="EUR"),
    stock=_whole("Pieces left; null where they are not counted.", nullable=True),
    available={"type": "boolean", "description": "False: in no list from the next request on."},
    image=_text("Address of a picture."),
    attributes={"type": "object", "description": 'Anything else: {"colour": "red"}.'},
)
del ITEM["required"]

STANDING = {
    "allOf": [
        _object("item_id changed_at", item_id=_text("Your own id.", **ID),
                changed_at=_text("When it last changed.", **TIME)),
        part("Item"),
    ]
}  # fmt: skip

NAMED = {"allOf": [_object("item_id", item_id=_text("Your own id.", **ID)), part("Item")]}

PUT_MANY = _object(
    "changed unchanged rejected",
    changed=_whole("Made or changed."),
    unchanged=_whole("Stood exactly so already."),
    rejected=_list(part("Rejected")),
)

ASK = _object(
    "",
    user_id=_text("A shopper whom you know.", **ID),
    anonymous_id=_text("A browser or device.", **ID),
    item_id=_text("The item that the page is about.", **ID),
    items=_list(_text("Your own id.", **ID), maxItems=100, description="What the basket holds."),
    category=_text("Only items of this category and below.", example="Home > Kitchen > Mugs"),
    count=_whole("How many; the scenario's own length, if left out.", minimum=1, maximum=100),
    min_position=_text(
        "Wait, a second at most, until the list can hold what this position of an earlier answer "
        "names; `behind` says if it does not."
    ),
    exclude_seen=_text(
        "Leave out what the shopper dealt with; the scenario's own choice, if left out.",
        enum=["none", "purchased", "interacted"],
    ),
)
del ASK["required"]

REASON = _object(
    "source text",
    source=_text(
        "What proposed the item; `rule` where the shop pinned it, `explore` where few have been "
        "shown it and the scenario keeps a slot for such.",
        example="viewed",
    ),
    text=_text("For the shopper.", example="Because you viewed Blue mug"),
    because=_text("The shopper's own item, where one is behind it."),
)

RECOMMENDED = _object(
    "item_id score reasons",
    item_id=_text("Your own id."),
    score=_number("Higher is better; comparable within this list only."),
    reasons=_list(part("Reason"), description="Strongest first."),
)

SLATE = _object(
    "recommendation_id items shortfall position",
    recommendation_id=_text("Send it back with the events that follow.", **UUID),
    items=_list(part("Recommended"), description="Best first."),
    shortfall=_whole("How many items fewer than asked for."),
    position=_text("The place in the log that this list has seen."),
    behind={
        "type": "object",
        "additionalProperties": {"type": "integer"},
        "description": "Where `min_position` was not reached: events that each projection has yet "
        "to read.",
    },
    unknown_items=_list(_text("An id."), description="Ids of the request that nobody ever named."),
)

ERASED = _object(
    "erasure names events slates",
    erasure=_whole("The number of the proof."),
    names=_whole("Names under which the person was known."),
    events=_whole("Lines of the log that are gone."),
    slates=_whole("Lists that are gone."),
)

LINES = {"type": "string", "description": "application/x-ndjson"}

PARTS: Final[dict[str, Schema]] = {
    "Problem": PROBLEM, "Rejected": REJECTED, "Line": LINE, "Event": EVENT,
    "Appended": APPENDED, "Item": ITEM, "StandingItem": STANDING, "NamedItem": NAMED,
    "ItemsPut": PUT_MANY, "Ask": ASK, "Reason": REASON,
    "Recommended": RECOMMENDED, "Slate": SLATE, "Erased": ERASED,
}  # fmt: skip

EVENTS = _object("events", events=_list(part("Event"), maxItems=1_000))
EVENT_LIST = _list(part("Event"), maxItems=1_000)
ITEMS = _object("items", items=_list(part("NamedItem"), maxItems=1_000))
ITEM_LIST = _list(part("NamedItem"), maxItems=1_000)
OK = _object("ok", ok={"type": "boolean"})

EVENT_EXAMPLES: Final[dict[str, Any]] = {
    "A view": {"event": "view_item", "user_id": "42", "item_id": "mug-1"},
    "A purchase after a list": {
        "event": "purchase", "event_id": "order-9001", "user_id": "42", "currency": "EUR",
        "items": [{"item_id": "mug-1", "quantity": 2, "price": 7.5}],
    },
    "A browser is a known user": {
        "event": "identify", "user_id": "42", "anonymous_id": "c0ffee",
    },
    "What Segment sends": {
        "type": "track", "event": "Product Viewed", "messageId": "ajs-1", "userId": "42",
        "properties": {"product_id": "mug-1"},
    },
}  # fmt: skip
MUG: Final = {
    "title": "Blue mug", "category": "Home > Kitchen > Mugs", "brand": "Ono", "price": 7.5,
    "currency": "EUR", "stock": 12, "attributes": {"colour": "blue"},
}  # fmt: skip
ITEM_EXAMPLES: Final[dict[str, Any]] = {"A mug": MUG}
PATCH_EXAMPLES: Final[dict[str, Any]] = {"Sold out": {"stock": 0}}
ITEMS_EXAMPLES: Final[dict[str, Any]] = {"One mug": {"items": [{"item_id": "mug-1"} | MUG]}}
ASK_EXAMPLES: Final[dict[str, Any]] = {"Five for a shopper": {"user_id": "42", "count": 5}}
