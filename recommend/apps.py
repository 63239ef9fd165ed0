"""What follows from the log: projections, candidates, re-ranking, rules, slates."""

import sys

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured


class RecommendConfig(AppConfig):
    name = "recommend"

    def ready(self) -> None:
        """A process with an encoder that there is not ends with one sentence, as in recsite.boot."""
        from recommend import encoders

        try:
            encoders.chosen()
        except ImproperlyConfigured as error:
            sys.exit(f"recsite: {error}")
