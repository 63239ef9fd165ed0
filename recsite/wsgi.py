"""The web process: `granian --interface wsgi recsite.wsgi:application`. It never loads torch."""

from django.core.wsgi import get_wsgi_application

from recsite.boot import boot

boot()
application = get_wsgi_application()
