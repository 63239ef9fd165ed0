"""What the merchant wants: rules that pin, boost, bury or hide.

It knows which rules make sense and says why one does not; the database holds them to the
same. It never applies one.
"""

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from catalog.models.goods import Category
from catalog.models.places import Scenario

MOST_FACTOR = 1_000.0
MOST_SLOT = 100


class Action(models.TextChoices):
    """What a rule does to the items that it is about."""

    PIN = "pin", "pin to a slot"
    BOOST = "boost", "boost"
    BURY = "bury", "bury"
    HIDE = "hide", "hide"


DEFAULT_FACTOR = {Action.BOOST: 2.0, Action.BURY: 0.5}

_ITEM, _BRAND, _ATTRIBUTE = ~Q(item_id=""), ~Q(brand=""), ~Q(attribute="")
_CATEGORY = Q(category__isnull=False)
ONE_TARGET = (
    (_ITEM & ~_BRAND & ~_ATTRIBUTE & ~_CATEGORY)
    | (~_ITEM & _BRAND & ~_ATTRIBUTE & ~_CATEGORY)
    | (~_ITEM & ~_BRAND & _ATTRIBUTE & ~_CATEGORY)
    | (~_ITEM & ~_BRAND & ~_ATTRIBUTE & _CATEGORY)
)


class Rule(models.Model):
    """What a merchant wants pinned, boosted, buried or hidden, where and when."""

    title = models.CharField(max_length=200, blank=True, help_text="A note for your team.")
    action = models.CharField(max_length=10, choices=Action.choices)
    slot = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_SLOT)],
        help_text="For pin: the place in the list, 1 is the first.",
    )
    factor = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0), MaxValueValidator(MOST_FACTOR)],
        help_text="Boost multiplies by more than 1 (empty: 2), bury by less (0.5).",
    )
    item_id = models.TextField("item id", blank=True)
    category = models.ForeignKey(
        Category,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="rules",
        help_text="The category with everything below it.",
    )
    brand = models.TextField(blank=True)
    attribute = models.TextField("attribute name", blank=True)
    value = models.TextField("attribute value", blank=True)
    scenarios = models.ManyToManyField(
        Scenario, blank=True, related_name="rules", help_text="None chosen: everywhere."
    )
    starts_at = models.DateTimeField("from", null=True, blank=True, help_text="Empty: at once.")
    ends_at = models.DateTimeField(
        "until", null=True, blank=True, help_text="At this moment the rule is over. Empty: never."
    )
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.CheckConstraint(condition=ONE_TARGET, name="catalog_rule_one_target"),
            models.CheckConstraint(
                condition=Q(action=Action.PIN, slot__isnull=False, slot__gte=1, slot__lte=MOST_SLOT)
                & _ITEM
                | ~Q(action=Action.PIN) & Q(slot__isnull=True),
                name="catalog_rule_slot",
            ),
            models.CheckConstraint(
                # A check that comes to null passes, hence the isnull.
                condition=Q(
                    action=Action.BOOST, factor__isnull=False, factor__gt=1, factor__lte=MOST_FACTOR
                )
                | Q(action=Action.BURY, factor__isnull=False, factor__gte=0, factor__lt=1)
                | Q(action__in=(Action.PIN, Action.HIDE), factor__isnull=True),
                name="catalog_rule_factor",
            ),
            models.CheckConstraint(
                condition=Q(starts_at__isnull=True)
                | Q(ends_at__isnull=True)
                | Q(ends_at__gt=F("starts_at")),
                name="catalog_rule_period",
            ),
        )

    def __str__(self) -> str:
        return self.title or f"{self.get_action_display()} #{self.pk}"

    def clean(self) -> None:
        """Refuse what makes no sense, a sentence per field; fill in the usual factor."""
        if self.factor is None:
            self.factor = DEFAULT_FACTOR.get(Action(self.action)) if self.action else None
        wrong = {**_wrong_target(self), **_wrong_strength(self)}
        if _ends_too_early(self.starts_at, self.ends_at):
            wrong["ends_at"] = "The end must be after the start."
        if wrong:
            raise ValidationError({field: [sentence] for field, sentence in wrong.items()})


def _wrong_target(rule: Rule) -> dict[str, str]:
    chosen = [
        field
        for field, given in (
            ("item_id", rule.item_id),
            ("category", rule.category_id),
            ("brand", rule.brand),
            ("attribute", rule.attribute),
        )
        if given
    ]
    if not chosen:
        return {"item_id": "Say what the rule is about: an item, category, brand or attribute."}
    if len(chosen) > 1:
        return {chosen[1]: "A rule is about one thing: an item, category, brand or attribute."}
    if rule.attribute and not rule.value:
        return {"value": f"Which value of {rule.attribute}?"}
    if rule.value and not rule.attribute:
        return {"attribute": "Which attribute has this value?"}
    if rule.action == Action.PIN and not rule.item_id:
        return {"item_id": "Only an item can be pinned to a slot."}
    return {}


def _wrong_strength(rule: Rule) -> dict[str, str]:
    factor: Any = rule.factor
    if rule.action == Action.PIN and rule.slot is None:
        return {"slot": "A pin needs a slot: 1 is the first place of the list."}
    if rule.action != Action.PIN and rule.slot is not None:
        return {"slot": "Only a pin has a slot."}
    if rule.action == Action.BOOST and not factor > 1:
        return {"factor": "A boost multiplies by more than 1."}
    if rule.action == Action.BURY and not 0 <= factor < 1:
        return {"factor": "Burying multiplies by less than 1."}
    if rule.action in (Action.PIN, Action.HIDE) and factor is not None:
        return {"factor": "Only boost and bury have a factor."}
    return {}


def _ends_too_early(starts: datetime | None, ends: datetime | None) -> bool:
    return starts is not None and ends is not None and ends <= starts
