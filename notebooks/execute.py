r"""Makes the notebooks from their texts: every cell is run in a fresh kernel, and what it shows is kept.

    python notebooks/execute.py                                   # all of them: `make notebooks`
    python notebooks/execute.py 04_optical_flow --out /tmp/books  # one, somewhere else
    DVSNET_DATA=../shared/data python notebooks/execute.py --out /tmp/books

The text (jupytext's py:percent) is what is edited; the .ipynb beside it is what a forge shows. A cell that raises ends
the run and leaves the .ipynb as it was. Prints the seconds of each: 20 to 40 on two cores. With DVSNET_DATA they read
real video, of which no picture may be passed on: --out is asked for then.
"""

from __future__ import annotations

import argparse
import base64
import importlib.util
import io
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import jupytext
import nbformat
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

from dvsnet_jax.media.atomic import atomic_path

HERE = Path(__file__).resolve().parent
WANTS = {"07_from_transformers": ("torchax", "transformers")}
"""Libraries of the extra `torch`, without which a notebook is passed over."""
MOST_SECONDS = 600  # of one cell, after which something hangs


def texts() -> list[Path]:
    """The notebooks' texts, in their order."""
    return sorted(HERE.glob("[0-9]*.py"))


def from_text(path: Path) -> nbformat.NotebookNode:
    """The notebook of a text, without outputs. The same text gives the same file: cells are named by their number."""
    notebook = jupytext.read(path)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
    notebook.metadata = nbformat.from_dict({"kernelspec": dict(notebook.metadata.kernelspec)})
    return notebook


def execute(notebook: nbformat.NotebookNode) -> None:
    """Runs all cells in a fresh kernel and an empty folder. Raises CellExecutionError, which shows the cell."""
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(
            notebook,
            # Sockets of this user's own in a folder of their own, where TCP would be open to the whole machine.
            km=AsyncKernelManager(transport="ipc", ip=f"{folder}/socket"),
            timeout=MOST_SECONDS,
            coalesce_streams=True,
            record_timing=False,
            resources={"metadata": {"path": folder}},
        ).execute(cleanup_kc=True)
    notebook.metadata.pop("language_info", None)  # the version of Python, another one on every machine
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            _lighten(output)


def _lighten(output: nbformat.NotebookNode) -> None:
    """A photograph is kept as JPEG, where that is much smaller than its PNG; a plot stays as it is."""
    picture = output.get("data", {}).get("image/png")
    if picture is None:
        return
    content = base64.b64decode(picture)
    light = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("RGB").save(light, "JPEG", quality=85, optimize=True)
    if light.tell() < len(content) / 2:
        del output.data["image/png"]
        output.data["image/jpeg"] = base64.b64encode(light.getvalue()).decode()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones; default: all")
    parser.add_argument("--out", type=Path, help="folder for the .ipynb files; default: beside their texts")
    options = parser.parse_args(argv)
    known = {path.stem: path for path in texts()}
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"no notebook is called {unknown[0]}; there are {', '.join(known)}")
    if "DVSNET_DATA" in os.environ and options.out is None:
        parser.error("DVSNET_DATA is set: pictures of real video are not for passing on; say with --out where to")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    # tqdm's, which transformers brings: of a progress bar that a kernel alone does not show.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:IProgress not found")
    for name in options.names or known:
        if lacking := [library for library in WANTS.get(name, ()) if importlib.util.find_spec(library) is None]:
            print(f"{name}: passed over, it needs {' and '.join(lacking)}: pip install '.[torch]'", flush=True)
            if options.names:
                return 1
            continue
        began = time.perf_counter()
        notebook = from_text(known[name])
        try:
            execute(notebook)
        except CellExecutionError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        target = (options.out or HERE) / f"{name}.ipynb"
        with atomic_path(target) as temporary:
            nbformat.write(notebook, temporary)
        print(f"{name}: {time.perf_counter() - began:.0f} s, {target.stat().st_size / 1000:.0f} kB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
