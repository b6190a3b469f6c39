"""The notebooks: each is the run of the text beside it, and runs."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("nbclient", reason="the notebooks' tools are in the extra dev")
import nbformat

FOLDER = Path(__file__).parents[2] / "notebooks"
TEXTS = sorted(FOLDER.glob("[0-9]*.py"))
MOST_BYTES = 2_000_000
"""Of all notebooks together: the outputs are kept as long as they weigh no more."""


def can_run(text: Path) -> None:
    """Skips where the extra that a notebook needs is missing."""
    if "transformers" in text.stem and not (
        importlib.util.find_spec("torchax") and importlib.util.find_spec("transformers")
    ):
        pytest.skip("needs the extra torch")


@pytest.fixture(scope="module")
def from_text():
    spec = importlib.util.spec_from_file_location("execute_notebooks", FOLDER / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.from_text


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def pictures(notebook: nbformat.NotebookNode) -> int:
    kinds = [kind for cell in code(notebook) for output in cell.outputs for kind in output.get("data", {})]
    return sum(kind.startswith("image/") for kind in kinds)


def check_run(notebook: nbformat.NotebookNode) -> None:
    """From the first cell to the last, in one go, without an error or a warning, and something to look at."""
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    for cell in code(notebook):
        for output in cell.outputs:
            assert output.output_type != "error", output
            assert output.get("name") != "stderr", output.text
    assert pictures(notebook) >= 2


def test_there_are_notebooks_and_each_has_its_text():
    assert len(TEXTS) >= 5
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == [path.stem for path in TEXTS]


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_text_equals_notebook(text, from_text):
    wanted, came = from_text(text), read(text.with_suffix(".ipynb"))
    said = "run `make notebooks`: the text was changed and the notebook was not"
    assert [(cell.id, cell.cell_type, cell.source) for cell in came.cells] == [
        (cell.id, cell.cell_type, cell.source) for cell in wanted.cells
    ], said
    assert came.metadata == wanted.metadata


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_notebook_was_run_in_one_go(text):
    check_run(read(text.with_suffix(".ipynb")))


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_cells_compile_and_imports_resolve(text):
    can_run(text)
    for cell in code(read(text.with_suffix(".ipynb"))):
        for node in ast.walk(ast.parse(cell.source, filename=text.name)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    assert importlib.util.find_spec(alias.name), alias.name
            elif isinstance(node, ast.ImportFrom):
                assert importlib.util.find_spec(node.module), node.module
                if node.module.startswith("dvsnet_jax"):
                    module = importlib.import_module(node.module)
                    for alias in node.names:
                        whole = f"{node.module}.{alias.name}"
                        assert hasattr(module, alias.name) or importlib.util.find_spec(whole), whole


def test_links_lead_somewhere():
    for path in [*TEXTS, FOLDER / "README.md"]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
            assert (FOLDER / target).exists(), f"{path.name}: {target}"


def test_readme_lists_every_notebook():
    text = (FOLDER / "README.md").read_text()
    assert [path.stem for path in TEXTS] == re.findall(r"\]\((\d\d_\w+)\.ipynb\)", text)


def test_outputs_stay_light():
    sizes = {path.name: path.stat().st_size for path in FOLDER.glob("*.ipynb")}
    assert sum(sizes.values()) <= MOST_BYTES, f"{sizes}: smaller pictures, or strip the outputs"


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_notebook_runs(text, tmp_path):
    can_run(text)
    environment = {name: value for name, value in os.environ.items() if name != "DVSNET_DATA"}
    command = [sys.executable, FOLDER / "execute.py", text.stem, "--out", tmp_path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    notebook = read(tmp_path / f"{text.stem}.ipynb")
    check_run(notebook)
    assert pictures(notebook) == pictures(read(text.with_suffix(".ipynb")))


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif("DVSNET_DATA" not in os.environ, reason="set DVSNET_DATA to the folder of real video")
@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_notebook_runs_on_real_video(text, tmp_path, data):
    can_run(text)
    command = [sys.executable, FOLDER / "execute.py", text.stem, "--out", tmp_path]
    done = subprocess.run(command, env={**os.environ, "DVSNET_DATA": str(data)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    check_run(read(tmp_path / f"{text.stem}.ipynb"))


@pytest.mark.slow
def test_a_cell_that_raises_ends_the_run_and_leaves_the_notebook(tmp_path):
    script = tmp_path / "execute.py"  # looks for texts where it lies
    script.write_text((FOLDER / "execute.py").read_text())
    head = (FOLDER / "01_quick_start.py").read_text().split("# %%")[0]
    (tmp_path / "01_wrong.py").write_text(head + "# %%\nprint(1)\n\n# %%\nraise ValueError('as meant')\n")
    (tmp_path / "01_wrong.ipynb").write_text("as it was")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert done.returncode == 1
    assert "01_wrong" in done.stderr and "as meant" in done.stderr
    assert (tmp_path / "01_wrong.ipynb").read_text() == "as it was"
