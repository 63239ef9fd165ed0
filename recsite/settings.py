"""Django's settings. Everything a deployment may set is an environment variable read here.

Without DATABASE_URL the embedded Postgres under RECSITE_HOME is used; without
CELERY_BROKER_URL the same Postgres carries the task queue.
"""

import os
import secrets
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url

from recsite import postgres
from recsite.theme import UNFOLD as UNFOLD

BASE_DIR = Path(__file__).resolve().parent.parent
RECSITE_HOME = Path(os.environ.get("RECSITE_HOME") or BASE_DIR / ".local").resolve()
DATABASE_URL = os.environ.get("DATABASE_URL", "")
EMBEDDED = not DATABASE_URL

DEBUG = False
ALLOWED_HOSTS = os.environ.get("RECSITE_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
CSRF_TRUSTED_ORIGINS = [o for o in os.environ.get("RECSITE_ORIGINS", "").split(",") if o]


def _secret_key() -> str:
    """RECSITE_SECRET_KEY, or one made once and kept in RECSITE_HOME, readable by its owner."""
    if given := os.environ.get("RECSITE_SECRET_KEY"):
        return given
    kept = RECSITE_HOME / "secret-key"
    RECSITE_HOME.mkdir(parents=True, exist_ok=True)
    try:
        # O_EXCL: of two processes that start together, one writes and both read the same key.
        handle = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return kept.read_text()
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(50))
    return kept.read_text()


def _database() -> dict[str, Any]:
    """Where Django connects; SQLAlchemy borrows the same connection (recsite.db)."""
    if EMBEDDED:
        where: dict[str, Any] = {
            "NAME": postgres.DATABASE,
            "USER": postgres.USER,
            "HOST": postgres.socket_folder(RECSITE_HOME),
        }
    else:
        url = make_url(DATABASE_URL)
        where = {
            "NAME": url.database or "",
            "USER": url.username or "",
            "PASSWORD": url.password or "",
            "HOST": url.host or url.query.get("host", ""),
            "PORT": str(url.port or ""),
        }
    return where | {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": None,
        # A server that came back after a restart is found again at the next request.
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            # Prepared statements are planned once: planning the big one costs as much as running
            # it. Folds, whose parameters matter to the plan, turn it off (recsite.db).
            # Names are unqualified everywhere: `public` is Django's, `rec` is Alembic's, and a
            # third schema put in front answers from another set of projections (recsite.db).
            # The nearest that a shopper knows already are passed over, within bounds.
            "options": "-c search_path=public,rec -c plan_cache_mode=force_generic_plan"
            " -c hnsw.iterative_scan=strict_order -c hnsw.max_scan_tuples=1000",
            "connect_timeout": 5,
            # Django turns server-side preparing off, and psycopg's prepare=True with it. Its own
            # cursors bind on the client and are not touched by this.
            "prepare_threshold": 5,
            "application_name": "recsite",
        },
    }


def _conninfo(database: dict[str, Any]) -> str:
    """The same database for libpq: Celery's queue rides on it."""
    names = {
        "NAME": "dbname",
        "USER": "user",
        "PASSWORD": "password",
        "HOST": "host",
        "PORT": "port",
    }
    given = {libpq: database[ours] for ours, libpq in names.items() if database.get(ours)}
    return make_conninfo(**given)


SECRET_KEY = _secret_key()
DATABASES = {"default": _database()}
# Whose vectors say which texts are alike (recommend.encoders).
ENCODER = os.environ.get("RECSITE_ENCODER", "multilingual")
# Where images of items may be read from (recommend.images); nowhere else, and by workers only.
IMAGES = os.environ.get("RECSITE_IMAGES", "")
IMAGE_HOSTS = [
    host
    for each in os.environ.get("RECSITE_IMAGE_HOSTS", "").split(",")
    if (host := each.strip().lower())
]

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", "")
BROKER_CONNINFO = _conninfo(DATABASES["default"])
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.humanize",
    "corsheaders",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "recsite",
    "behavior",
    "catalog",
    "recommend",
]

# Together 0.05 ms; a call with a key touches neither session nor CSRF (tests/test_api.py).
MIDDLEWARE = [
    "recsite.border.Border",
    "django.middleware.security.SecurityMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "recsite.urls"
WSGI_APPLICATION = "recsite.wsgi.application"
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True


def _keep_the_tracker(headers: MutableMapping[str, str], path: str, url: str) -> None:
    """Every page of a shop loads it, from an address that never changes: a browser keeps it for
    a day, and for a week more while it looks behind the page's back whether it has changed."""
    if url == f"{STATIC_URL}recsite/tracker.js":
        headers["Cache-Control"] = "max-age=86400, public, stale-while-revalidate=604800"


WHITENOISE_ADD_HEADERS_FUNCTION = _keep_the_tracker
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = "recsite.formats"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # Before the theme, whose app comes first.
        "DIRS": [BASE_DIR / "recsite" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["recsite.keys.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["recsite.keys.SecretKey"],
    "DEFAULT_PARSER_CLASSES": ["recsite.api.Json"],
    "DEFAULT_RENDERER_CLASSES": ["recsite.api.JsonRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "recsite.api.OnlyJson",
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "recsite.api.answer_failure",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "recsite",
    "VERSION": "1",
    "DESCRIPTION": (BASE_DIR / "recsite" / "api.md").read_text(),
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SCHEMA_PATH_PREFIX": "/v1/",
    "POSTPROCESSING_HOOKS": ["recsite.openapi.add_shared_parts"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "/static/recsite/icon.svg",
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": True, "defaultModelsExpandDepth": -1},
    "TAGS": [
        {"name": "behaviour", "description": "What shoppers do."},
        {"name": "lists", "description": "What to show them."},
        {"name": "catalogue", "description": "What the shop sells."},
        {"name": "people", "description": "What is kept about a person, and forgetting it."},
        {"name": "house", "description": "Measuring the stack itself."},
    ],
}

# A publishable key is made to stand in web pages, and no cookie is ever read under /v1/: any
# page may post events and ask for lists. Endpoints for servers answer no browser of another site.
CORS_URLS_REGEX = r"^/v1/(events|recommend/)"
CORS_ALLOW_ALL_ORIGINS = True
CORS_ALLOW_METHODS = ["GET", "POST", "OPTIONS"]
CORS_ALLOW_HEADERS = ["authorization", "content-type", "x-api-key"]
# The tracker reads both: when to come again, and how far a shopper's clock is off.
CORS_EXPOSE_HEADERS = ["date", "retry-after"]

# Bodies of /v1/ are measured by recsite.api, to the same limit.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
APPEND_SLASH = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "recsite": {"level": "INFO"},
        # Refusals are answers, not events of ours: a stranger must not fill the log with them,
        # least of all with traces.
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "django.security.TooManyFieldsSent": {"level": "CRITICAL"},
    },
}
