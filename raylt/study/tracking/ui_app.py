"""MLflow's own server, whose pages begin in the view of machine learning: `--app-name raylt`.

In a browser that has not chosen, MLflow 3.17 opens for language models wherever a link does not
say otherwise, as those of its own tables, and covers a quarter of the first page with its
assistant. The browser keeps what was chosen, so it is set there before a page asks for it;
whoever chooses otherwise keeps that.
"""

from __future__ import annotations

import json

from flask import Response, request
from mlflow.server import app as pages
from mlflow.server.fastapi_app import app as app

_CHOICES = {
    "mlflow.workflowType_v1": "machine_learning",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": True,
}
_SCRIPT = "".join(
    f"localStorage[{key!r}] ??= {json.dumps(value)!r};" for key, value in _CHOICES.items()
)


@pages.after_request
def _choose(response: Response) -> Response:
    if request.path == "/" and response.status_code == 200:
        response.direct_passthrough = False
        page = response.get_data(as_text=True)
        response.set_data(page.replace("<head>", f"<head><script>{_SCRIPT}</script>", 1))
    return response
