"""docs/tutorial.ipynb is what scripts/make_notebook.py runs, with outputs and without errors."""

from __future__ import annotations

import importlib.util
import json

import pytest
from matplotlib import pyplot as plt


@pytest.fixture
def script(root):
    plt.close("all")  # figures that other tests left open would be taken for those of a cell
    spec = importlib.util.spec_from_file_location("make_notebook", root / "scripts/make_notebook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_notebook_is_up_to_date_and_was_run(script, root):
    path = root / "docs/tutorial.ipynb"
    assert path.stat().st_size < 300_000
    kept, expected = json.loads(path.read_text()), script.notebook(execute=False)
    assert [c["source"] for c in kept["cells"]] == [c["source"] for c in expected["cells"]]
    code = [c for c in kept["cells"] if c["cell_type"] == "code"]
    assert all(c["outputs"] for c in code)
    assert all(o["output_type"] != "error" for c in code for o in c["outputs"])
    text = json.dumps(kept, ensure_ascii=False)
    assert "solved     11 atoms" in text
    assert text.count("image/png") == 3


def test_a_cell_keeps_what_jupyter_would(script):
    names = {}
    assert script.run("x = 2\nprint('a')\nx + 1", names) == [
        {"output_type": "stream", "name": "stdout", "text": ["a\n"]},
        {"output_type": "display_data", "metadata": {}, "data": {"text/plain": ["3"]}},
    ]
    assert script.run("x;", names) == []
