"""The README's Python runs as it stands, top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_python_blocks_run():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) >= 2
    namespace: dict = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), namespace)
    assert namespace["results"].labels.shape == (7, 1, 256, 512)
    assert namespace["result"].labels.max() < 3  # the last block's own network has three classes


def test_files_it_names_are_there():
    text = README.read_text()
    for name in re.findall(r"\]\(([\w/.-]+\.(?:png|md))\)", text) + re.findall(r"tests/test_\w+\.py", text):
        assert (README.parent / name).exists(), name
