"""Moments as people type them on a command line: an ISO date or time, UTC where it says nothing."""

from datetime import UTC, datetime

from django.core.management.base import CommandError


def moment(given: str, option: str) -> datetime:
    """The moment; a CommandError that names the option where it is none."""
    try:
        when = datetime.fromisoformat(given)
    except ValueError:
        raise CommandError(f"{option} {given!r} is not an ISO date.") from None
    # Bounds before time zones: the ends of the calendar have no UTC.
    if not 1990 <= when.year < 9999:
        raise CommandError(f"{option} {given!r} is not between the years 1990 and 9998.")
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    if when > datetime.now(UTC):
        raise CommandError(f"{option} {given!r} has not come yet.")
    return when
