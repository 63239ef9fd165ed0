"""The pages of what the merchant wants: scenarios and rules.

They promise what the pages of the goods promise: each change is an event of the log. A rule
is shown as the sentence that it is.
"""

from typing import Any, Final

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.decorators import display

from catalog import changes, wording
from catalog.forms import ONE_LINE, RuleForm, ScenarioForm
from catalog.models import Item, Rule, Scenario
from catalog.scenarios import SOURCES

TAB: Final = ("tab",)


@admin.register(Scenario)
class ScenarioAdmin(ModelAdmin):
    """Scenarios are switched off, never deleted: lists that were served and rules name them."""

    form = ScenarioForm
    list_display = ("title", "name", "recipe", "weights", "count", "state")
    search_fields = ("name", "title")
    radio_fields = {"recipe": admin.VERTICAL, "exclude_seen": admin.VERTICAL}
    fieldsets = (
        (None, {"fields": (("name", "title"), "recipe", "enabled")}),
        ("The list", {"classes": TAB, "fields": ("count", "exclude_seen")}),
        ("The blend", {
            "classes": TAB,
            "description": "How much each source counts. Only the proportions matter; 0 leaves "
                           "a source out. Those of the home page are tuned with each ranker (see "
                           "Tuning), until you change one of them here.",
            "fields": SOURCES,
        }),
        ("Variety", {
            "classes": TAB,
            "description": "What keeps a list from showing more of the same. What is more than an "
                           "“at most” allows gives way to other items, and comes last where there "
                           "is nothing else to show.",
            "fields": ("diversity", "serendipity", "most_per_category", "most_per_brand",
                       "most_per_seller", "explore_slot"),
        }),
    )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("name",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Scenario, form: Any, change: bool) -> None:
        changes.save_scenario(obj)

    @display(description="blend")
    def weights(self, scenario: Scenario) -> str:
        given = ((source, getattr(scenario, source)) for source in SOURCES)
        heaviest = sorted((s for s in given if s[1]), key=lambda s: -s[1])
        return " · ".join(f"{source} {weight:g}" for source, weight in heaviest)

    @display(description="state", label={"on": "success", "off": "danger"})
    def state(self, scenario: Scenario) -> str:
        return "on" if scenario.enabled else "off"


@admin.register(Rule)
class RuleAdmin(ModelAdmin):
    form = RuleForm
    formfield_overrides = ONE_LINE
    list_display = ("words", "kind", "state", "title")
    when_empty = ("No rule yet", "Lists are as the shoppers' behaviour makes them.")
    list_filter = ("action", "enabled", "scenarios")
    list_select_related = ("category",)
    search_fields = ("title", "item_id", "brand", "value")
    autocomplete_fields = ("category", "scenarios")
    conditional_fields = {
        "slot": "action == 'pin'",
        "factor": "action == 'boost' || action == 'bury'",
    }
    fieldsets = (
        ("What happens", {
            "fields": ("action", "slot", "factor", "title", "enabled"),
            "description": "A pinned item stands in its slot; boosted and buried ones move up "
                           "and down; hidden ones are in no list.",
        }),
        ("About what", {
            "classes": TAB,
            "fields": ("item_id", "category", "brand", ("attribute", "value")),
            "description": "Fill in one of the four.",
        }),
        ("Where and when", {
            "classes": TAB,
            "fields": ("scenarios", "starts_at", "ends_at"),
            "description": "Times are UTC.",
        }),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rule]:
        title = Item.objects.filter(item_id=OuterRef("item_id")).values("title")
        rules: QuerySet[Rule] = super().get_queryset(request)
        return rules.annotate(item_title=Subquery(title)).prefetch_related("scenarios")

    def save_model(self, request: HttpRequest, obj: Rule, form: Any, change: bool) -> None:
        changes.save_rule(obj, form.cleaned_data["scenarios"])

    def delete_model(self, request: HttpRequest, obj: Rule) -> None:
        changes.delete_rule(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        for rule in queryset:
            changes.delete_rule(rule)

    @display(description="rule")
    def words(self, rule: Any) -> str:
        scenarios = [scenario.name for scenario in rule.scenarios.all()]
        return wording.sentence(rule, rule.item_title or "", scenarios, timezone.now())

    @display(
        description="action",
        ordering="action",
        label={"pin": "primary", "boost": "success", "bury": "warning", "hide": "danger"},
    )
    def kind(self, rule: Rule) -> str:
        return rule.action

    @display(
        description="state",
        label={"active": "success", "scheduled": "info", "over": "warning", "off": "danger"},
    )
    def state(self, rule: Rule) -> str:
        return wording.state(rule, timezone.now())
