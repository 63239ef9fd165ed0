"""What happened: the vocabulary, the log, the shopper's own state, slates and attribution."""

from django.apps import AppConfig


class BehaviorConfig(AppConfig):
    name = "behavior"
