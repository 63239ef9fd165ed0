"""What the shop sells: items, and the tree of categories that they make.

It knows the shape of these rows. It never saves one: every change of an item goes through
catalog.changes, which writes the row and its event together.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q


class Category(models.Model):
    """A node of the category tree; made by the feed the first time an item names it."""

    id = models.AutoField(primary_key=True)
    path = models.TextField(
        help_text="From the top, with “>” between levels: Home > Kitchen > Mugs."
    )
    name = models.TextField(help_text="The last level of the path.")
    parent = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="children"
    )
    lineage = ArrayField(
        models.IntegerField(), help_text="Ids of the categories from the top to this one."
    )

    class Meta:
        verbose_name_plural = "categories"
        ordering = ("path",)
        # Unlike unique=True, a constraint makes no second index for LIKE.
        constraints = (
            models.UniqueConstraint(
                fields=("path",),
                name="catalog_category_path",
                violation_error_message="This category is there already.",
            ),
        )

    def __str__(self) -> str:
        return self.path


class Item(models.Model):
    """What is recommended. The primary key is the log's interned id (rec.item_key.item).

    No foreign key leads there: facts outlive items, and the two schemas have two owners.
    """

    id = models.IntegerField(primary_key=True, editable=False)
    item_id = models.TextField("item id", help_text="Your own id of the item, as events send it.")
    title = models.TextField(blank=True)
    description = models.TextField(blank=True)
    category = models.ForeignKey(
        Category,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="items",
        db_index=False,
    )
    brand = models.TextField(blank=True)
    seller = models.TextField(blank=True)
    price = models.DecimalField(max_digits=14, decimal_places=4, null=True, blank=True)
    currency = models.TextField(blank=True, help_text="Three letters: EUR, USD, CNY.")
    stock = models.IntegerField(
        null=True, blank=True, help_text="Pieces left. Empty: not counted, never sold out."
    )
    available = models.BooleanField(
        default=True, help_text="Off: no list shows the item, from the next request on."
    )
    image = models.TextField("image address", blank=True)
    attributes = models.JSONField(
        default=dict, blank=True, help_text='Anything else, as JSON: {"colour": "red"}.'
    )
    changed_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ("id",)
        # With the id, so that the newest of a category are found without the others.
        indexes = (models.Index(fields=("category", "id"), name="catalog_item_newest"),)
        constraints = (
            models.UniqueConstraint(
                fields=("item_id",),
                name="catalog_item_item_id",
                violation_error_message="An item with this id is there already.",
            ),
            models.CheckConstraint(condition=Q(price__gte=0), name="catalog_item_price"),
            models.CheckConstraint(condition=Q(stock__gte=0), name="catalog_item_stock"),
        )

    def __str__(self) -> str:
        return self.title or self.item_id
