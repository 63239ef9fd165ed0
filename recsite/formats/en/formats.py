"""How times read in the admin: to the second, in 24 hours, UTC. Shown only, never parsed."""

DATE_FORMAT = "j M Y"
DATETIME_FORMAT = "j M Y, H:i:s"
