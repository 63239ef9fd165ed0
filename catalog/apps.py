"""The catalogue as a Django app.

It knows when the scenarios that ship with recsite are made: after every migration, those
that are missing. It never touches one that exists, so a merchant's settings survive.
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
        post_migrate.connect(_make_scenarios, sender=self)


def _make_scenarios(*, apps: Apps = of_today, using: str, **_: Any) -> None:
    from catalog.scenarios import SHIPPED

    try:
        scenario = apps.get_model("catalog", "Scenario")
    except LookupError:  # migrated back to before the table
        return
    rows = [scenario(**settings) for settings in SHIPPED]
    scenario._default_manager.using(using).bulk_create(rows, ignore_conflicts=True)
