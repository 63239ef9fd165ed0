"""Rows: where items and shoppers lie, to and from Postgres as numbers: a shop has hundreds of thousands."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from recsite.db import copied, cursor

DIMENSIONS: Final = 64

ROW: Final = np.dtype([
    ("fields", ">i2"), ("key_size", ">i4"), ("key", ">i4"), ("size", ">i4"),
    ("dimensions", ">i2"), ("unused", ">i2"), ("vector", ">f2", (DIMENSIONS,)),
])  # fmt: skip
"""A row of COPY's binary format: an int and a halfvec, as pgvector sends it."""
SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END: Final = b"\xff\xff"

Whole = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]
"""(rows, DIMENSIONS)."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Keys (items or persons) and where they lie."""

    keys: Whole
    vectors: Vectors


def copy(into: str, placed: Placed) -> None:
    """Rows of (key, vector), as numbers: a shop has hundreds of thousands."""
    rows = np.zeros(len(placed.keys), ROW)
    rows["fields"], rows["key_size"], rows["key"] = 2, 4, placed.keys
    rows["size"], rows["dimensions"], rows["vector"] = (
        4 + 2 * DIMENSIONS,
        DIMENSIONS,
        placed.vectors,
    )
    with cursor() as hot, hot.copy(f"COPY {into} FROM STDIN (FORMAT binary)") as out:
        out.write(SIGNATURE + rows.tobytes() + END)


def read(table: str, keys: Sequence[int] | None = None) -> Placed:
    """Where these lie, those that do, or all; in the order of their keys."""
    chosen = (
        "" if keys is None else f"WHERE item IN ({', '.join(map(str, map(int, keys))) or 'NULL'})"
    )
    query = f"SELECT item, vector FROM {table} {chosen} ORDER BY item"
    rows = np.frombuffer(copied(query), dtype=ROW)
    return Placed(rows["key"].astype(np.int64), rows["vector"].astype(np.float32))
