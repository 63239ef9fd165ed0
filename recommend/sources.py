"""The sources by number and name, in the order of a scenario's weights.

Numbers are what SQL carries between a source and the fusion; names are what people read.
"""

from typing import Final

from catalog.scenarios import SOURCES

VIEWED, BOUGHT, LED, CONTENT, POPULAR, TRENDING, AGAIN, SHOPPERS, LINKED, FACTORS, SEQUENCE = range(
    1, 12
)

NAMES: Final = SOURCES


def name_of(source: int) -> str:
    """The name of a source's number."""
    return NAMES[source - 1]
