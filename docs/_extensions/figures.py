"""Figures of plotly in notebooks, drawn by the script that plotly itself brings."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import plotly
import plotly.io
from sphinx.application import Sphinx

_MIME = "application/vnd.plotly.v1+json"
_SCRIPT = '<script src="../_static/plotly.min.js"></script>'


def _as_html(app: Sphinx, page: str, source: list[str]) -> None:
    """Put HTML in place of the figures of a notebook."""
    if app.env.doc2path(page).suffix != ".ipynb":
        return
    notebook = json.loads(source[0])
    outputs = [out for cell in notebook["cells"] for out in cell.get("outputs", ())]
    for output in outputs:
        data: dict[str, Any] = output.get("data", {})
        if _MIME in data:
            figure = plotly.io.from_json(json.dumps(data.pop(_MIME)), skip_invalid=True)
            drawn = plotly.io.to_html(figure, include_plotlyjs=False, full_html=False)
            data["text/html"] = _SCRIPT + drawn
    source[0] = json.dumps(notebook)


def _bring_script(app: Sphinx, error: Exception | None) -> None:
    if error is None:
        script = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
        shutil.copyfile(script, app.outdir / "_static" / script.name)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both."""
    app.connect("source-read", _as_html)
    app.connect("build-finished", _bring_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
