"""How the admin looks and what its sidebar leads to: django-unfold's setting."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _link(title: str, icon: str, view: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{view}")}


def _group(title: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "separator": True, "items": list(items)}


def _styles(request: HttpRequest) -> str:
    return static("recsite/admin.css")


def _icon(request: HttpRequest) -> str:
    return static("recsite/icon.svg")


NAVIGATION = [
    {"items": [_link("Overview", "space_dashboard", "index")]},
    _group(
        "Shop",
        _link("Items", "inventory_2", "catalog_item_changelist"),
        _link("Categories", "account_tree", "catalog_category_changelist"),
    ),
    _group(
        "Merchandising",
        _link("Scenarios", "view_carousel", "catalog_scenario_changelist"),
        _link("Rules", "rule", "catalog_rule_changelist"),
    ),
    _group(
        "Behaviour",
        _link("Event log", "receipt_long", "recsite_eventrow_changelist"),
        _link("Slates", "ballot", "recsite_slaterow_changelist"),
        _link("Rejected", "report", "recsite_rejectedrow_changelist"),
        _link("Shoppers", "groups", "recsite_shopperrow_changelist"),
        _link("Suspects", "robot_2", "recsite_suspectrow_changelist"),
        _link("Erasures", "person_off", "recsite_erasurerow_changelist"),
    ),
    _group(
        "Engine",
        _link("Projections", "conversion_path", "recsite_projectionrow_changelist"),
        _link("Ranker", "sort", "recsite_rankerrow_changelist"),
        _link("Spaces", "scatter_plot", "recsite_spacerow_changelist"),
        _link("Tuning", "tune", "recsite_tuningrow_changelist"),
        _link("Text encoder", "school", "recsite_finetuningrow_changelist"),
        _link("Weights", "balance", "catalog_signalweights_changelist"),
    ),
    _group(
        "Access",
        _link("API keys", "key", "recsite_apikey_changelist"),
        _link("Users", "person", "auth_user_changelist"),
    ),
]

# Teal, in even steps of lightness; 600 on white passes WCAG AA for text.
TEAL = {
    "50": "oklch(98.4% .014 180.7)",
    "100": "oklch(95.3% .051 180.8)",
    "200": "oklch(91% .096 180.4)",
    "300": "oklch(85.5% .138 181.1)",
    "400": "oklch(77.7% .152 181.9)",
    "500": "oklch(64% .125 182.5)",
    "600": "oklch(52% .098 184.7)",
    "700": "oklch(46% .086 186.4)",
    "800": "oklch(40% .075 188.2)",
    "900": "oklch(35% .063 188.4)",
    "950": "oklch(25% .046 192.5)",
}

UNFOLD = {
    "SITE_TITLE": "recsite",
    "SITE_HEADER": "recsite",
    "SITE_SUBHEADER": "The shop's recommender",
    "SITE_SYMBOL": "conversion_path",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _icon}],
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "recsite.dashboard.add_figures",
    "STYLES": [_styles],
    "COLORS": {"primary": TEAL},
    "SIDEBAR": {"show_search": False, "navigation": NAVIGATION},
}
