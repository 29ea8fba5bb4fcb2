"""A user's mistake in a notebook is one sentence."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError


def test_a_mistake_in_a_notebook_is_shown_without_a_traceback() -> None:
    code = "import workbench as wb\nwb.open_run('nowhere')"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    with pytest.raises(CellExecutionError):
        NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert output["output_type"] == "error" and output["ename"] == "WorkbenchError"
    assert len(output["traceback"]) == 1
    assert output["traceback"][0].startswith("WorkbenchError: There is no run directory nowhere")
