"""The catalogue as a Django app.

It knows when the scenarios and weights that ship with recsite are made: after every
migration, those that are missing. It never touches one that exists, so a merchant's settings survive.
"""

from typing import Any

from django.apps import AppConfig
from django.apps import apps as of_today
from django.apps.registry import Apps
from django.db.models.signals import post_migrate


class CatalogConfig(AppConfig):
    """What the shop sells, and what the merchant wants."""

    name = "catalog"
    label = "catalog"
    verbose_name = "Catalogue"

    def ready(self) -> None:
        # A signal rather than a data migration: it also fires after a flush, which empties
        # the table but not the list of applied migrations.
        post_migrate.connect(_make_what_ships, sender=self)


def _make_what_ships(*, apps: Apps = of_today, using: str, **_: Any) -> None:
    from catalog import countings, scenarios

    weights = [{"projection": name} | counting.as_json()
               for name, counting in countings.SHIPPED.items()]  # fmt: skip
    for name, shipped in (("Scenario", scenarios.SHIPPED), ("SignalWeights", weights)):
        try:
            model = apps.get_model("catalog", name)
        except LookupError:  # migrated back to before the table
            continue
        rows = [model(**settings) for settings in shipped]
        model._default_manager.using(using).bulk_create(rows, ignore_conflicts=True)
