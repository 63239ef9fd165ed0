"""What follows from the log: projections, candidates, re-ranking, rules, slates."""

from django.apps import AppConfig


class RecommendConfig(AppConfig):
    name = "recommend"
