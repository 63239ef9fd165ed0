"""Reasons, beyond what lists over the API show: what is said of a candidate and its parts."""

import pytest

from recommend.candidates import Candidate, Part
from recommend.reasons import explain
from recommend.sources import AGAIN
from tests.given import ask, given, purchase, refund

pytestmark = pytest.mark.django_db


def said(user: str) -> str:
    """Why ann is shown the tea that a ranker was told she had bought."""
    ((tea,),) = ask("SELECT item FROM item_key WHERE key = 'tea'")
    shown = Candidate(tea, "tea", 1.0, (Part(AGAIN, 1.0, tea),), (), "", None, {})
    (reason,) = explain([shown], f"user:{user}", {})[tea]
    return reason.text


def test_only_what_was_bought_twice_is_bought_regularly() -> None:
    given(purchase("ann", "tea"))
    assert said("ann") == "You bought this before"
    given(purchase("ann", "tea", at=60 * 24))
    assert said("ann") == "You buy this regularly"


def test_what_was_given_back_makes_no_habit() -> None:
    given(purchase("ann", "tea"), purchase("ann", "tea", at=60), refund("ann", "tea", at=120))
    assert said("ann") == "You bought this before"
