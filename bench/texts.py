"""Texts: how many a worker encodes in a second, once the model is loaded."""

import time
from typing import Final

from bench.figures import Figure
from bench.sizes import Size
from recommend import encoders
from recsite.db import cursor

PASSAGES: Final = "SELECT body FROM passage WHERE body IS NOT NULL ORDER BY md5(body) LIMIT %s"
WARM_UP: Final = 8


def measure(size: Size) -> list[Figure]:
    """Passages of this shop's catalogue; no figure where it has none, or no model is there."""
    with cursor() as hot:
        bodies = [body for (body,) in hot.execute(PASSAGES, [size.texts]).fetchall()]
    try:
        encoders.chosen().encode(bodies[:WARM_UP])
    except encoders.ModelMissing:
        return []
    began = time.perf_counter()
    encoders.chosen().encode(bodies)
    rate = len(bodies) / (time.perf_counter() - began)
    return [Figure("texts encoded", rate, "texts/s")] if bodies else []
