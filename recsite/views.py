"""The site's own pages: the front page, the health check, and the view that does nothing."""

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from recsite.keys import PublishableKey


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What runs here and where to go; asks the database nothing."""
    return render(request, "recsite/home.html")


@csrf_exempt
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """200 while the database answers; a database that is away becomes 503 at the border."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ok", "database": "ok"})


class NoopView(APIView):
    """What a call costs before its own work: the measure that `make bench` divides by."""

    permission_classes = [PublishableKey]

    def get(self, request: Request) -> Response:
        return Response({"ok": True})
