"""`/docs`: the published API as a page, made in the browser from `/openapi.json`; nothing of it comes from outside."""

from pathlib import Path

from flask import Blueprint, Response

STATIC = Path(__file__).parent / "static"
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Parom: HTTP API</title>
<link rel="icon" href="data:,">
<script src="/static/rapidoc/rapidoc-min.js"></script>
</head>
<body>
<rapi-doc spec-url="/openapi.json" load-fonts="false" regular-font="sans-serif" mono-font="monospace"
  render-style="read" schema-style="table" show-header="false" allow-server-selection="false"
  allow-authentication="true" persist-auth="false" sort-tags="true"></rapi-doc>
</body>
</html>
"""
POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"


def blueprint() -> Blueprint:
    made = Blueprint("reference", __name__)

    @made.get("/docs")
    def docs() -> Response:
        """The page; its script is ours, and the browser is told to fetch no other."""
        return Response(PAGE, headers={"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"})

    return made
