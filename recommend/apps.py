"""What follows from the log: projections, candidates, re-ranking, rules, slates."""

import sys

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured


class RecommendConfig(AppConfig):
    name = "recommend"

    def ready(self) -> None:
        """A process whose encoder or host is none ends with one sentence, as in recsite.boot."""
        from recommend import encoders, images

        try:
            encoders.untuned()
            images.are_wanted()
        except ImproperlyConfigured as error:
            sys.exit(f"recsite: {error}")
