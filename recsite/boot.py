"""What every process does first: name the settings, and have the database running.

manage.py, the web server, the workers and the tests all come through here, so none of them
has to know whether Postgres is embedded or somebody else's.
"""

import os
import sys

from recsite import postgres


def boot() -> None:
    """Name the settings module and, without DATABASE_URL, start the embedded Postgres.

    Where that cannot be done the process ends with one sentence and exit code 1.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsite.settings")
    # Before numpy is loaded. With two, a ranker's scores of a list take 24 ms instead of 0.3 where the
    # cores are shared: each product waits for a thread that waits for a core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from recsite import settings

    if settings.EMBEDDED:
        try:
            postgres.start(settings.RECSITE_HOME)
        except (postgres.ClusterError, OSError) as error:
            sys.exit(f"recsite: {error}")
