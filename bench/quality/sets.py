"""Sets: real shops' facts up to a cut, their catalogue, and what each shopper did then.

One comes with the demo's package and is always there; the others are read where QUALITY_DATA has
them, and it is said which are absent.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demo import shop

NAMES: Final = {
    "view": "view_item", "cart": "add_to_cart", "favourite": "add_to_wishlist",
    "purchase": "purchase", "cancel": "refund",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """`events` before the cut, `catalogue`, and `targets` (user_id, item_id), what came next."""

    events: pa.Table
    catalogue: pa.Table
    targets: pa.Table


@dataclass(frozen=True, slots=True)
class Kept:
    """A set on disk, as anybody's tool could read it. `repeats`: what a shopper knows may be
    shown, and lists of new items are judged beside; else only new items are asked for."""

    name: str
    folder: Path
    repeats: bool

    @property
    def lists(self) -> tuple[str, ...]:
        return ("any", "new") if self.repeats else ("new",)


def keep(name: str, folder: Path, data: Path | None) -> Kept | None:
    """Write the set's files; None where its data is absent."""
    read, repeats = SETS[name]
    facts = read(data)
    if facts is None:
        return None
    # Of somebody of whom nothing is known there is nothing to compare.
    is_known = pc.is_in(facts.targets["user_id"], pc.unique(facts.events["user_id"]))
    targets = facts.targets.filter(is_known)
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(facts.events, folder / "events.parquet")
    pq.write_table(facts.catalogue, folder / "catalogue.parquet")
    pq.write_table(targets, folder / "targets.parquet")
    users = pc.unique(targets["user_id"]).sort()
    pq.write_table(pa.table({"user_id": users}), folder / "users.parquet")
    return Kept(name, folder, repeats)


def each(names: Iterable[str], base: Path) -> Iterator[Kept]:
    """Each set on disk under its name; it is said which are absent."""
    data = Path(os.environ["QUALITY_DATA"]) if "QUALITY_DATA" in os.environ else None
    for name in names:
        kept = keep(name, base / name / "facts", data)
        if kept is None:
            print(f"• {name} is skipped: QUALITY_DATA names no folder that has it", flush=True)
        else:
            yield kept


def _complete_journey(_: Path | None) -> Facts:
    """A grocery chain's year: purchases alone; December judges."""
    lines = shop.table("transactions")
    events = pa.table({
        "event": pa.repeat("purchase", len(lines)),
        "occurred_at": _times(lines["transaction_timestamp"]),
        "user_id": _texts(lines["household_id"]),
        "item_id": _texts(lines["product_id"]),
        "quantity": pc.max_element_wise(lines["quantity"], 1),
        "order_id": _texts(lines["basket_id"]),
    })  # fmt: skip
    goods = shop.table("products")
    catalogue = pa.table({
        "item_id": _texts(goods["product_id"]),
        "title": goods["product_type"],
        "category": pc.binary_join_element_wise(
            pc.fill_null(goods["department"], ""), pc.fill_null(goods["product_category"], ""), " > "),
        "brand": goods["brand"],
    })  # fmt: skip
    return _cut(events, catalogue, datetime(2017, 12, 1, tzinfo=UTC))


def _online_retail(data: Path | None) -> Facts | None:
    """A wholesaler's two years: purchases and what was given back; the last month judges."""
    if data is None or not (data / "online-retail").is_dir():
        return None
    folder = data / "online-retail"
    lines = pa.concat_tables(
        pq.read_table(each) for each in sorted(folder.glob("events_*.parquet"))
    )
    events = pa.table({
        "event": _named(lines["event_type"]),
        "occurred_at": _times(lines["ts"]),
        "user_id": _texts(lines["customer_id"]),
        "item_id": _texts(lines["stock_code"]),
        "quantity": pc.abs(lines["quantity"]),
        "price": lines["price"],
        "order_id": _texts(lines["invoice"]),
    })  # fmt: skip
    goods = pq.read_table(folder / "items.parquet")
    catalogue = pa.table({
        "item_id": goods["stock_code"], "title": goods["title"], "price": goods["median_price"],
    })  # fmt: skip
    return _cut(events, catalogue, datetime(2011, 11, 9, tzinfo=UTC))


def _retailrocket(data: Path | None) -> Facts | None:
    """A shop's views, carts and purchases, without a word of text; each shopper's next purchase
    judges."""
    if data is None or not (data / "retailrocket-slice").is_dir():
        return None
    folder = data / "retailrocket-slice"
    lines = pq.read_table(folder / "events.parquet")
    next_ones = pq.read_table(folder / "test_purchase.parquet")
    events = pa.table({
        "event": _named(lines["event_type"]),
        "occurred_at": _times(lines["ts"]),
        "user_id": _texts(lines["user_id"]),
        "item_id": _texts(lines["item_id"]),
    })  # fmt: skip
    targets = pa.table({name: _texts(next_ones[name]) for name in ("user_id", "item_id")})
    items = pa.chunked_array([*events["item_id"].chunks, *targets["item_id"].chunks])
    return Facts(events, pa.table({"item_id": pc.unique(items)}), _distinct(targets))


SETS: Final[dict[str, tuple[Callable[[Path | None], Facts | None], bool]]] = {
    "complete_journey": (_complete_journey, True),
    "online_retail": (_online_retail, True),
    "retailrocket": (_retailrocket, False),
}
"""How each is read, and whether its shoppers come back for the same."""


def _cut(events: pa.Table, catalogue: pa.Table, at: datetime) -> Facts:
    """What shoppers bought from then on."""
    events = events.sort_by("occurred_at")
    is_before = pc.less(events["occurred_at"], pa.scalar(at, events["occurred_at"].type))
    before, after = events.filter(is_before), events.filter(pc.invert(is_before))
    bought = after.filter(pc.equal(after["event"], "purchase"))
    return Facts(before, catalogue, _distinct(bought))


def _distinct(targets: pa.Table) -> pa.Table:
    return targets.select(["user_id", "item_id"]).group_by(["user_id", "item_id"]).aggregate([])


def _times(column: Any) -> Any:
    return pc.cast(column, pa.timestamp("us", tz="UTC"), safe=False)


def _texts(column: Any) -> Any:
    return pc.cast(column, pa.string())


def _named(kinds: Any) -> Any:
    """In our words; of a kind that has none an import would say so."""
    said = _texts(kinds)
    for theirs, ours in NAMES.items():
        said = pc.if_else(pc.equal(said, theirs), ours, said)
    return said
