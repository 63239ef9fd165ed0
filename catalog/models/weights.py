"""How projections count: what each kind of event weighs, a row a projection.

It knows which weights make sense. A change makes the projection fold anew beside the live one.
"""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from behavior.events import BY_NAME
from catalog.countings import LIGHTEST, MOST, SCALES

MOST_SECONDS = 60.0


class SignalWeights(models.Model):
    """What each kind of event weighs in a projection, and when a double click is one."""

    projection = models.SlugField(unique=True, editable=False)
    weights = models.JSONField(
        default=dict, help_text="By kind of event; what is not named weighs nothing."
    )
    double_click = models.FloatField(
        "double click (seconds)",
        default=0.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(MOST_SECONDS)],
        help_text="The same shopper's same click on the same item within this time counts once. "
        "0: every click counts.",
    )

    class Meta:
        ordering = ("projection",)
        verbose_name_plural = "signal weights"
        constraints = (
            models.CheckConstraint(
                condition=Q(double_click__gte=0, double_click__lte=MOST_SECONDS),
                name="catalog_signalweights_double_click",
            ),
        )

    def __str__(self) -> str:
        return self.projection

    def clean(self) -> None:
        """Refuse kinds that do not exist and weights out of bounds, in a sentence."""
        if wrong := _wrong(self.projection, self.weights):
            raise ValidationError({"weights": [wrong]})


def _wrong(projection: str, weights: Any) -> str | None:
    if not isinstance(weights, dict):
        return 'Give an object: {"purchase": 6, "view_item": 1}.'
    if projection not in SCALES:
        return f"There is nothing to weigh in {projection[:40]!r}."
    scale = SCALES[projection]
    for name, weight in weights.items():
        if name not in BY_NAME:
            return f"There is no kind of event {name[:40]!r}."
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            return f"The weight of {name} must be a number."
        if BY_NAME[name] not in scale.kinds and weight:
            return f"{projection} does not weigh {name}."
        if not scale.least <= weight <= MOST:
            return f"The weight of {name} must be from {scale.least:g} to {MOST:g}."
        if 0 < abs(weight) < LIGHTEST:
            return f"The weight of {name} must be 0, or {LIGHTEST:g} at least."
    if not any(weight > 0 for weight in weights.values()):
        return "At least one kind of event must weigh more than nothing."
    return None
