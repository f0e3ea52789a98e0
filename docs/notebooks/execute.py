"""Run the notebooks beside this file anew and keep what they show:

uv run python docs/notebooks/execute.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

HERE = Path(__file__).parent


def executed(path: Path, folder: Path) -> NotebookNode:
    """A notebook with new outputs; it runs in `folder`, and an error in a cell is raised."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    ).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in map(_shown, cell.outputs) if output]
    # The version of the interpreter is not the notebook's.
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    return notebook


def _shown(output: NotebookNode) -> NotebookNode | None:
    """What a reader sees of an output: its HTML and not the text beside it, and no warnings."""
    if output.output_type == "stream":
        return output if output.name == "stdout" else None
    if "text/html" not in output.data:
        return output
    output.data = NotebookNode({"text/html": output.data["text/html"]})
    return output if output.data["text/html"].strip() else None


if __name__ == "__main__":
    for path in sorted(HERE.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(executed(path, Path(folder)), path)
        print(path)
