"""What `celery -A recsite.worker` loads: the app of recsite.celery, with its database running."""

from recsite.boot import boot

boot()

from recsite.celery import app  # noqa: E402 - the settings must be named first

__all__ = ["app"]
