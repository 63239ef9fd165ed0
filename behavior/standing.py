"""What stands: the deeds that were not taken back later.

A purchase whose next event on the item is its refund, a basket or wish list left again, and
whatever was looked at before a dismissal do not stand. It is a question about one person and one
item; what a deed weighs is a projection's own.
"""

from typing import Final

from behavior.events import Kind

UNDOES: Final = {
    Kind.REMOVE_FROM_CART: Kind.ADD_TO_CART, Kind.REFUND: Kind.PURCHASE,
    Kind.REMOVE_FROM_WISHLIST: Kind.ADD_TO_WISHLIST,
}  # fmt: skip
"""What takes back the deed just before it on the same item; a dismissal takes back all looks."""

TAKEN_BACK_BY: Final = {done: undo for undo, done in UNDOES.items()}

LOOKS: Final = (Kind.VIEW_ITEM, Kind.SELECT_ITEM, Kind.RATE, Kind.SHARE, Kind.FOLLOW)

UNDOING_KINDS: Final = (*UNDOES, Kind.DISMISS)
UNDOING: Final = ", ".join(str(kind.value) for kind in UNDOING_KINDS)
UNDOING_MASK: Final = sum(1 << kind.value for kind in UNDOING_KINDS)
"""Of user_item.kinds: something of this dealing may not stand."""

_LOOKING: Final = ", ".join(str(kind.value) for kind in LOOKS)
_UNDO: Final = ", ".join(str(kind.value) for kind in UNDOES)
_DEED: Final = "CASE {} ELSE 0 END".format(
    " ".join(
        f"WHEN signal IN ({undo.value}, {done.value}) THEN {done.value}"
        for undo, done in UNDOES.items()
    )
)

# The rows of a relation (person, id, at, item, signal, …) with what became of each.
JUDGED: Final = f"""
SELECT *, lead(signal) OVER (PARTITION BY person, item, {_DEED} ORDER BY id) AS next,
       bool_or(signal = {Kind.DISMISS.value}) OVER (
           PARTITION BY person, item ORDER BY id
           ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS is_dismissed,
       at - lag(at) OVER (PARTITION BY person, item, signal ORDER BY id) AS since_same
FROM ({{rows}}) AS deeds
"""
STANDS: Final = f"""
NOT coalesce(next IN ({_UNDO}), false)
AND NOT coalesce(is_dismissed AND (signal & 31) IN ({_LOOKING}), false)
"""
"""A condition on a row of JUDGED."""
