"""The Django app that holds what belongs to the whole site: keys, the admin's log views."""

from django.apps import AppConfig


class RecsiteConfig(AppConfig):
    name = "recsite"
    verbose_name = "recsite"

    def ready(self) -> None:
        """Have Celery's app made, so that whatever sends a task sends it to our broker."""
        import recsite.celery  # noqa: F401
