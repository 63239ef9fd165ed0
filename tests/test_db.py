"""Statements: a long one is asked by numbers, and says what it says by names."""

from typing import Final

import pytest
from django.db import transaction

from recsite.db import ask, cursor

QUERY: Final = """
SELECT %(b)s::int, %(a)s::text, %(a)s::text || %(b)s::text, 7 %% 4, '$1', ARRAY[%(c)s::float8[]]
"""
VALUES: Final = {"a": "100% of $2", "b": 5, "c": "{1,2.5}", "unused": None}


@pytest.mark.django_db
def test_a_statement_says_by_numbers_what_it_says_by_names() -> None:
    with transaction.atomic(), cursor() as hot:
        by_names = hot.execute(QUERY, VALUES).fetchall()
    assert ask(QUERY, VALUES) == by_names
    assert by_names == [(5, "100% of $2", "100% of $25", 3, "$1", [[1.0, 2.5]])]


@pytest.mark.django_db
def test_a_name_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="'b'"):
        ask(QUERY, {"a": "x", "c": "{}"})
