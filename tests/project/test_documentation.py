"""What the project says of itself: every code block runs or is read by the real parser, every public name has words."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from dvsnet_jax import cli
from dvsnet_jax.cli.running import Family

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "eval/README.md", "train/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
NOT_OURS = {"pip", "git", "srun", "gcloud", "cd", "python3"}
"""Commands of others: their lines are not read."""


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def shell_lines(page: Path) -> list[str]:
    """Commands in sh blocks and in indented ones, continued lines joined, comments cut off."""
    text = page.read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    outside = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    blocks += re.findall(r"(?:^    \S.*\n(?:^    .*\n)*)", outside, re.MULTILINE)
    found = []
    for block in blocks:
        said: dict[str, str] = {}
        for line in re.sub(r"\s*\\\n\s*", " ", block).splitlines():
            command = re.sub(r"\s+#.*$", "", line).strip()
            if variable := re.fullmatch(r'([A-Z]+)="(.*)"', command):
                said[variable[1]] = variable[2]
            for name, value in said.items():
                command = command.replace(f"${name}", value)
            if re.match(r"(dvsnet|python|make|pip|git|srun|gcloud) ", command):
                found.append(command)
    return found


@pytest.mark.parametrize("page", [page for page in PAGES if python_blocks(page)], ids=lambda page: page.name)
def test_python_blocks_run(page, capsys):
    """Those of one page one after another, as a reader would type them."""
    if page.name == "pytorch.md" and not (find_spec("torchax") and find_spec("transformers")):
        pytest.skip("needs the extra torch")
    namespace: dict = {}
    for block in python_blocks(page):
        exec(compile(block, str(page), "exec"), namespace)
    if page.name == "README.md":
        assert namespace["results"].labels.shape == (7, 1, 256, 512)
        assert namespace["result"].labels.max() < 3  # the last block's own network has three classes
    if page.name == "frame_step.md":
        assert namespace["first"].segmented.all() and not namespace["second"].segmented.any()
    if page.name == "extend.md":
        assert capsys.readouterr().out.count("[") == 3  # a line for each frame


def commands(family: Family = cli.DVSNET, before: tuple[str, ...] = ()) -> dict[tuple[str, ...], type]:
    """All commands by their words, such as `train segmentation`."""
    found: dict[tuple[str, ...], type] = {}
    for name, command in family.commands.items():
        words = (*before, name)
        found |= commands(command, words) if isinstance(command, Family) else {words: command}
    return found


def asked(family: Family, words: list[str]) -> tuple[str, ...]:
    """Those of a line's words that name a command."""
    return max((named for named in commands(family) if tuple(words[: len(named)]) == named), default=())


def recipe(path: Path):
    """A recipe as a module."""
    name = f"recipe_{path.parent.name}_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture
def only_parse(monkeypatch):
    """Commands stop where their options are read."""
    recipes = (
        ("train/bundle.py", "Bundle"),
        ("train/pair.py", "Pair"),
        ("eval/faults.py", "Faults"),
        ("eval/soak.py", "Soak"),
        ("eval/rtsp.py", "Rtsp"),
    )
    for command in (*commands().values(), *(getattr(recipe(ROOT / path), name) for path, name in recipes)):
        monkeypatch.setattr(command, "run", lambda self: 0)


LINES = sorted({(line, page.relative_to(ROOT)) for page in PAGES for line in shell_lines(page)})


@pytest.mark.parametrize(("line", "page"), LINES, ids=[f"{page}: {line[:60]}" for line, page in LINES])
def test_commands_are_read_by_their_parser(line, page, only_parse, capsys):
    """`…` stands for what is left out, [--x] for what may be; of those lines the flags alone are checked."""
    words = shlex.split(line)
    cut = any(mark in line for mark in ("…", "["))
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {word for word in words[1:] if "=" not in word} <= set(targets)
    elif words[0] == "dvsnet":
        named = asked(cli.DVSNET, words[1:])
        assert named or words[1:] == ["--help"], f"{line}: no such command"
        if cut:
            flags_known(words, lambda: cli.main([*named, "--help"]), capsys)
        else:
            assert cli.main(words[1:]) == 0, capsys.readouterr().err
    elif words[0] == "python" and words[1].endswith(".py"):
        module = recipe(ROOT / words[1])
        if cut:
            stage = asked(module.STAGES, words[2:]) if hasattr(module, "STAGES") else ()
            flags_known(words, lambda: module.main([*stage, "--help"]), capsys)
        else:
            assert module.main(words[2:]) == 0, capsys.readouterr().err
    else:
        assert words[0] in NOT_OURS or words[1] == "-c", line


def flags_known(words, show_help, capsys):
    assert show_help() == 0
    known = capsys.readouterr().out
    for word in words:
        flag = word.strip("[]")
        if flag.startswith("--"):
            assert flag.replace("_", "-") in known, f"{words[:2]} has no {flag}"


def test_there_are_commands_of_all_kinds():
    assert len(LINES) > 30 and {line.split()[0] for line, _ in LINES} >= {"dvsnet", "python", "make"}


def test_every_command_is_shown():
    shown = {asked(cli.DVSNET, line.split()[1:]) for line, _ in LINES if line.startswith("dvsnet ")}
    assert not commands().keys() - shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_pages_link_to_is_there(page):
    text = page.read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", text):
        assert (page.parent / target).exists(), target
    for name in re.findall(r"(?:tests|eval|train|docs|dvsnet_jax)/\w+\.(?:py|md)", text):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"`((?:[a-z_]+/)+\w+\.py)`", text):
        assert (ROOT / name).exists() or (ROOT / "dvsnet_jax" / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_chapter_stands_twice(page):
    chapters = re.findall(r"^## .*$", page.read_text(), re.MULTILINE)
    assert len(chapters) == len(set(chapters))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_tables_rows_are_as_wide_as_its_head(page):
    head = None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else None
        head = cells if head is None or cells is None else head
        assert cells == head, f"{page.name}:{number}: {line}"


def public_definitions(tree: ast.Module) -> list[tuple[str, ast.AST]]:
    """Public functions, classes and methods of a module. What only overloads a sequence's own methods is left out."""
    found: list[tuple[str, ast.AST]] = [("the module", tree)]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            found.append((node.name, node))
    return found


def test_every_public_name_has_words():
    silent = []
    for path in sorted((ROOT / "dvsnet_jax").rglob("*.py")):
        if path.name == "__init__.py" and not path.read_text().strip():
            continue
        for name, node in public_definitions(ast.parse(path.read_text())):
            if not ast.get_docstring(node):
                silent.append(f"{path.relative_to(ROOT)}: {name}")
    assert not silent, "\n".join(silent)


def test_the_picture_of_the_frame_step_is_what_its_script_draws():
    spec = importlib.util.spec_from_file_location("draw_frame_step", ROOT / "docs" / "draw_frame_step.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.OUT.read_text() == module.drawing(), "run python docs/draw_frame_step.py"


def test_the_site_is_built_without_a_warning(tmp_path, monkeypatch):
    """With every public module on it: what `make docs` does."""
    config = pytest.importorskip("mkdocs.config", reason="mkdocs is not installed; pip install 'dvsnet-jax[docs]'")
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    from mkdocs.commands.build import build

    monkeypatch.chdir(ROOT)
    build(config.load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(tmp_path)))
    for page, name in (("frame_step", "video.segment_frame"), ("policies", "policies.accumulated.Budget")):
        assert f'id="dvsnet_jax.{name}"' in (tmp_path / "reference" / f"{page}.html").read_text()
    assert "http" not in re.sub(r'href="[^"]*"', "", (tmp_path / "index.html").read_text()).split("<body")[0]
