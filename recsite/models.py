"""Who may call, and Django's read-only eyes on Alembic's tables.

ApiKey is the only table here that Django makes. The rest are views and tables of schema
`rec`, declared unmanaged so that the admin can list them; nothing here ever writes to them,
but that a merchant may delete what was rejected.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone


class ApiKey(models.Model):
    """A caller's key. The key itself is shown once and never stored, only its SHA-256."""

    class Scope(models.TextChoices):
        PUBLISHABLE = "publishable", "Publishable (events and lists, may stand in a web page)"
        SECRET = "secret", "Secret (everything, for servers only)"

    label = models.CharField(max_length=100, help_text="Who or what calls with this key.")
    scope = models.CharField(max_length=11, choices=Scope, default=Scope.PUBLISHABLE)
    prefix = models.CharField("begins with", max_length=12, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_on = models.DateField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.label} ({self.prefix}…)"

    def revoke(self) -> None:
        """Refuse this key from the next request on; it cannot be given back."""
        type(self).objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=timezone.now())
        self.refresh_from_db(fields=["revoked_at"])


class EventRow(models.Model):
    """One line of the log with the shop's own names (view `rec.event_log`)."""

    id = models.UUIDField(primary_key=True)
    occurred_at = models.DateTimeField()
    kind = models.TextField("event")
    subject = models.TextField("shopper", null=True)
    item_id = models.TextField("item", null=True)
    quantity = models.IntegerField(null=True)
    price = models.DecimalField(max_digits=16, decimal_places=4, null=True)
    recommendation_id = models.UUIDField(null=True)
    detail = models.JSONField(null=True)

    class Meta:
        managed = False
        db_table = "event_log"
        verbose_name = "event"
        verbose_name_plural = "event log"

    def __str__(self) -> str:
        return f"{self.kind.replace('_', ' ')} {self.item_id or ''}".strip()


class SlateRow(models.Model):
    """One served list (view `rec.slate_log`)."""

    id = models.UUIDField(primary_key=True)
    served_at = models.DateTimeField()
    scenario = models.TextField()
    subject = models.TextField("shopper", null=True)
    items = ArrayField(models.TextField())
    count = models.IntegerField()
    shortfall = models.IntegerField()
    position = models.TextField(null=True)
    detail = models.JSONField(null=True)

    class Meta:
        managed = False
        db_table = "slate_log"
        verbose_name = "slate"

    def __str__(self) -> str:
        return f"{self.scenario} {self.id}"


class ProjectionRow(models.Model):
    """How far a projection has read the log (table `rec.projection`)."""

    name = models.TextField(primary_key=True)
    version = models.IntegerField()
    epoch = models.TextField("cluster")
    snapshot = models.TextField("position")
    events = models.BigIntegerField("events in the last run")
    seconds = models.FloatField("last run took (s)")
    folded_at = models.DateTimeField("last run")
    settings = models.JSONField("folded with")

    class Meta:
        managed = False
        db_table = "projection"
        verbose_name = "projection"

    def __str__(self) -> str:
        return self.name


class RankerRow(models.Model):
    """A ranker that was made, good enough or not (table `rec.ranker`)."""

    name = models.TextField(primary_key=True)
    judged = models.JSONField()
    until = models.DateTimeField("learned up to")
    made_at = models.DateTimeField("made")
    live_since = models.DateTimeField(null=True)
    is_live = models.BooleanField("live")

    class Meta:
        managed = False
        db_table = "ranker"
        verbose_name = "ranker"

    def __str__(self) -> str:
        return self.name


class SpaceRow(models.Model):
    """A space that was learned, good enough or not (table `rec.space`)."""

    name = models.TextField(primary_key=True)
    kind = models.TextField()
    judged = models.JSONField()
    until = models.DateTimeField("learned up to")
    made_at = models.DateTimeField("made")
    live_since = models.DateTimeField(null=True)
    is_live = models.BooleanField("live")
    ridge = models.BinaryField(null=True)

    class Meta:
        managed = False
        db_table = "space"
        verbose_name = "space"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def places(self) -> bool:
        """Whether items that nobody knows are placed in it."""
        return self.ridge is not None


class TuningRow(models.Model):
    """An attempt to choose a scenario's weights by the log (table `rec.tuning`)."""

    id = models.BigIntegerField(primary_key=True)
    scenario = models.TextField()
    made_at = models.DateTimeField("made")
    until = models.DateTimeField("chosen by what happened until")
    stood = models.JSONField()
    weights = models.JSONField()
    judged = models.JSONField()
    is_saved = models.BooleanField("saved")

    class Meta:
        managed = False
        db_table = "tuning"
        verbose_name = "tuning"

    def __str__(self) -> str:
        return f"{self.scenario}, {self.made_at:%Y-%m-%d %H:%M}"


class FinetuningRow(models.Model):
    """An attempt to teach the text encoder by the log (table `rec.finetuning`)."""

    id = models.BigIntegerField(primary_key=True)
    name = models.TextField(null=True)
    base = models.TextField("encoder")
    mode = models.TextField("what was taught")
    judged = models.JSONField()
    until = models.DateTimeField("the log ended")
    made_at = models.DateTimeField("made")
    live_since = models.DateTimeField(null=True)
    retired_at = models.DateTimeField("retired", null=True)
    is_live = models.BooleanField("live")

    class Meta:
        managed = False
        db_table = "finetuning"
        verbose_name = "taught encoder"

    def __str__(self) -> str:
        return self.name or f"{self.base}, {self.made_at:%Y-%m-%d %H:%M}"


class RejectedRow(models.Model):
    """A record that was refused (table `rec.rejected`)."""

    id = models.BigIntegerField(primary_key=True)
    rejected_at = models.DateTimeField("when")
    source = models.TextField()
    line = models.BigIntegerField()
    code = models.TextField("reason")
    message = models.TextField()
    payload = models.TextField("record", null=True)
    whole = models.BooleanField()
    subject = models.TextField("shopper", null=True)

    class Meta:
        managed = False
        db_table = "rejected"
        verbose_name = "rejected record"

    def __str__(self) -> str:
        return f"{self.code.replace('_', ' ')}, {', '.join(self.origin)}"

    @property
    def origin(self) -> tuple[str, str]:
        """Where it came from, and its place there."""
        if self.source == "http":  # as behavior.rejected says it, which may not be imported here
            return "POST", f"index {self.line:,}"
        return self.source, f"line {self.line:,}"


class ShopperRow(models.Model):
    """A name that a shop gave, and who stands for it (view `rec.shopper_log`).

    It is called by its number: whatever logs it must not keep the name of somebody erased.
    """

    subject = models.IntegerField(primary_key=True)
    name = models.TextField()
    person = models.TextField("one person with")
    is_hidden = models.BooleanField("hidden")

    class Meta:
        managed = False
        db_table = "shopper_log"
        verbose_name = "shopper"

    def __str__(self) -> str:
        return f"shopper {self.subject}"


class SuspectRow(models.Model):
    """A shopper who looks like a bot (view `rec.suspect_log`)."""

    person = models.IntegerField(primary_key=True)
    name = models.TextField("shopper")
    score = models.IntegerField()
    reasons = models.JSONField()
    kinds = ArrayField(models.TextField())
    seen_at = models.DateTimeField("last event", null=True)

    class Meta:
        managed = False
        db_table = "suspect_log"
        verbose_name = "suspect"

    def __str__(self) -> str:
        return f"shopper {self.person}"


class ErasureRow(models.Model):
    """A proof that somebody was erased (table `rec.erasure`)."""

    erasure = models.IntegerField("proof", primary_key=True)
    erased_at = models.DateTimeField()
    names = models.IntegerField()
    events = models.IntegerField()
    slates = models.IntegerField("lists")
    asked_by = models.TextField()

    class Meta:
        managed = False
        db_table = "erasure"
        verbose_name = "erasure"

    def __str__(self) -> str:
        return f"proof {self.erasure}"
