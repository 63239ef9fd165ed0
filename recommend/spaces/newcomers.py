"""Newcomers: items that nobody has dealt with yet, placed by their descriptions (see ridge).

With a space those that are there already, and each item whose description is encoded later at once: it is
found beside its likes before anybody has looked at it.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from django.db import transaction
from sqlalchemy import Connection, text

from recommend import vectors
from recommend.spaces import ridge, rows
from recommend.spaces.ridge import Ridge
from recommend.spaces.rows import Placed
from recommend.spaces.store import MEMBERS
from recsite.db import connection

LACKING: Final = f"""
SELECT item FROM (
    SELECT item, row_number() OVER (PARTITION BY passage ORDER BY item DESC) AS nth
    FROM item_passage WHERE passage = ANY (:passages)) AS told
WHERE nth <= {ridge.OF_A_TEXT}
  AND NOT EXISTS (SELECT FROM {{table}} AS placed WHERE placed.item = told.item) ORDER BY item
"""
# Else the version that is live might be another one once its table is written to, or two place the same.
HOLD: Final = "LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"
# Not the network, which is large and says where shoppers stand.
RIDGE: Final = "SELECT ridge FROM space WHERE kind = :kind AND is_live"
SINCE: Final = """
SELECT passage FROM embedding
WHERE encoded_xid >= pg_snapshot_xmin(CAST(:since AS pg_snapshot))
  AND NOT pg_visible_in_snapshot(encoded_xid, CAST(:since AS pg_snapshot))
ORDER BY passage
"""
MARK: Final = "UPDATE {table} SET placed_xid = pg_current_xact_id() WHERE item = ANY (:items)"


def beside(known: Placed, encoder: str | None) -> tuple[Placed, Ridge | None]:
    """The known items and those that lie beside them by their texts alone."""
    learned = None if encoder is None else ridge.learn(known, encoder)
    if learned is None:
        return known, None
    texts = ridge.read_texts(ridge.unknown(known.keys.tolist()))
    if not len(texts.keys):
        return known, learned
    return Placed(
        np.concatenate([known.keys, texts.keys]),
        np.concatenate([known.vectors, learned.place(texts.vectors)]),
    ), learned


def place(inside: Connection, passages: Sequence[int]) -> None:
    """Place the items of these texts, which have just been encoded, in what serves."""
    for kind, (table, *_) in MEMBERS.items():
        inside.execute(text(HOLD.format(table=table)))
        said = inside.scalar(text(RIDGE), {"kind": kind})
        learned = ridge.of_bytes(said) if said else None
        if learned is None or learned.encoder != vectors.live(inside):
            continue
        lacking = text(LACKING.format(table=table))
        texts = ridge.read_texts(list(inside.scalars(lacking, {"passages": list(passages)})))
        if len(texts.keys):
            rows.copy(f"{table} (item, vector)", Placed(texts.keys, learned.place(texts.vectors)))
            inside.execute(text(MARK.format(table=table)), {"items": texts.keys.tolist()})


def place_since(snapshot: str) -> None:
    """Place the items of all texts that were encoded since then: a version that was learned meanwhile
    has not met them."""
    with transaction.atomic(), connection() as inside:
        place(inside, list(inside.scalars(text(SINCE), {"since": snapshot})))
