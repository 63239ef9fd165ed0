"""A throw-away Postgres for the whole run, and the three ways in which a test may use it.

`db` (pytest-django's): everything is rolled back; for what needs one transaction only.
`committed`: real commits, wiped before and after; for whatever folds, since a reader of the
log tells transactions apart. `stranger`: a second, independent connection.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import hypothesis
import psycopg
import pytest

from recsite import postgres
from recsite.boot import boot

if not os.environ.get("DATABASE_URL"):
    HOME = Path(tempfile.mkdtemp(prefix="recsite-tests-"))
    HOME.chmod(0o755)
    os.environ["RECSITE_HOME"] = str(HOME)
    atexit.register(shutil.rmtree, HOME, ignore_errors=True)
    # The cluster is thrown away; only real ones have to survive a power cut.
    postgres.start(HOME, {"fsync": "off", "full_page_writes": "off"})
boot()
# pytest-django looked for settings before this file named them.
django.setup()

# The machine is shared, so no example has a deadline; CI draws the same ones each time.
hypothesis.settings.register_profile(
    "recsite",
    deadline=None,
    print_blob=True,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[
        hypothesis.HealthCheck.function_scoped_fixture,  # each example begins with a wipe
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.data_too_large,
    ],
)
hypothesis.settings.load_profile("recsite")

KEPT = {"wakeup", "alembic_version"}
CATALOGUE = ("catalog_rule_scenarios", "catalog_rule", "catalog_item", "catalog_category")


def _truncate(tables: list[str]) -> None:
    """A real worker may fold a last time, and take the same tables in another order: of two
    who wait in a circle Postgres ends one, and we are the one to try again."""
    from recsite.db import cursor

    for patience in reversed(range(5)):
        try:
            with cursor() as hot:
                hot.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE")
            return
        except psycopg.errors.DeadlockDetected:
            if not patience:
                raise


# What a test left of its own: vectors of another length, and versions of spaces.
NARROW = """
SELECT format('ALTER TABLE rec.embedding ALTER vector TYPE halfvec(%s)', {dimensions})
FROM pg_attribute WHERE attrelid = 'rec.embedding'::regclass AND attname = 'vector'
  AND atttypmod <> {dimensions}
UNION ALL
SELECT format('DROP TABLE rec.%I', tablename) FROM pg_tables
WHERE schemaname = 'rec' AND tablename ~ '^(factors|sequence)_item_'
"""


def wipe() -> None:
    """Empty the log, the projections and the catalogue; scenarios and partitions stay."""
    from django.db import connection

    from recommend.encoders import DEFAULT
    from recsite.db import METADATA, cursor

    # With DATABASE_URL the server may be a real shop's: only its test database is ever emptied.
    assert connection.settings_dict["NAME"].startswith("test_"), "this is not a test database"
    tables = [name for name in METADATA.tables if name not in KEPT] + list(CATALOGUE)
    with cursor() as hot:
        # Only here may facts vanish: a replica's role skips the triggers that refuse it.
        hot.execute("SET session_replication_role = replica")
        _truncate(tables)
        hot.execute("SET session_replication_role = origin")
        for (statement,) in hot.execute(NARROW.format(dimensions=DEFAULT.dimensions)).fetchall():
            hot.execute(statement)
        # As if a worker were on its way: tests advance by hand, and have no broker to wake.
        hot.execute("UPDATE wakeup SET asked = true")


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: Any) -> Iterator[None]:
    """One test database for the run. pytest-django's own makes it only where some test bears
    its mark; a run of `committed` tests alone would then be on the real one."""
    from django.test.utils import setup_databases, teardown_databases

    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False)
    yield
    with django_db_blocker.unblock():
        teardown_databases(made, verbosity=0)


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Real commits on the test database, which is empty before and after; scenarios stand as
    they stood."""
    from catalog.models import Scenario

    with django_db_blocker.unblock():
        wipe()
        kept = list(Scenario.objects.values())
        yield
        Scenario.objects.exclude(pk__in=[row["id"] for row in kept]).delete()
        for row in kept:
            Scenario.objects.filter(pk=row["id"]).update(**row)
        wipe()


@pytest.fixture
def stranger(committed: None) -> Iterator[psycopg.Connection[Any]]:
    """Another session of the same database, in autocommit."""
    from django.db import connection

    settings = connection.get_connection_params()
    with psycopg.connect(
        host=settings.get("host"), user=settings.get("user"), dbname=settings["dbname"],
        port=settings.get("port"), password=settings.get("password"),
        options="-c search_path=public,rec", autocommit=True,
    ) as other:  # fmt: skip
        yield other
