"""Writes pages when the site is built (a hook of mkdocs.yml): one for each room, with every public module on it, and
the measurements and the training recipes, which lie beside what they are about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

PACKAGE = Path(__file__).parent.parent / "dvsnet_jax"
PAGES = {
    "frame_step": "The frame step",
    "policies": "Policies",
    "networks": "Networks",
    "ops": "Operations",
    "checkpoints": "Weights",
    "datasets": "Data sets",
    "media": "Images and video",
    "training": "Training",
    "evaluation": "Evaluation",
    "benchmarks": "Benchmarks",
    "inference": "Files in, labels out",
    "serving": "A run's page",
    "metrics": "Measures",
    "export": "Export",
    "program": "Exported programs",
}
"""Rooms, and the one page for the modules that stand outside of them."""
BESIDE = {"measurements.md": "eval/README.md", "training.md": "train/README.md"}
"""Pages that lie outside of docs/, by their name on the site."""


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages."""
    for room, title in PAGES.items():
        folder = PACKAGE if room == "frame_step" else PACKAGE / room
        paths = folder.glob("*.py") if room == "frame_step" else folder.rglob("*.py")
        names = [
            path.relative_to(PACKAGE.parent).with_suffix("").parts for path in sorted(paths) if path.stem[0] != "_"
        ]
        text = "\n".join([f"# {title}", "", *(f"::: {'.'.join(name)}\n" for name in names)])
        files.append(File.generated(config, f"reference/{room}.md", content=text))
    for name, place in BESIDE.items():
        files.append(File.generated(config, name, content=(PACKAGE.parent / place).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links that are right in the repository, as they are on the site."""
    for name, place in BESIDE.items():
        markdown = markdown.replace(f"](../{place}", f"]({name}")
    return markdown.replace("](../docs/", "](").replace(
        "[mirrored_network.py](mirrored_network.py)", "`mirrored_network.py`"
    )
