"""The house: which way the imports run, and who may import what."""

from __future__ import annotations

import ast
from pathlib import Path

import dvsnet_jax

PACKAGE = Path(dvsnet_jax.__file__).parent

STOREYS = [
    # from the top; a module imports only from the lines below its own, or from its own folder
    {"__main__"},
    {"cli"},
    {"training"},
    {"evaluation"},
    {"benchmarks"},
    {"inference", "export"},
    {"serving"},
    {"checkpoints", "datasets"},
    {"config_json"},
    {"video", "flow"},
    {"routing"},
    {"networks"},
    {"preprocessing", "metrics"},
    {"ops", "visualize", "flow_colors"},
    {"program"},  # runs exported programs: below the networks, and so without them
    {"media"},
    {"config"},
    {"policies", "flownet_config", "protocols", "own_segmentation", "frame_result", "frame_motion"},
    {"markdown"},
    {"errors"},
]
ONLY_IN = {
    "flax": {"networks"},
    "flax.traverse_util": {"checkpoints"},  # functions of plain dicts, which no other kind of network changes
    "PIL": {"media"},
    "av": {"media"},
    "tensorflow": {"checkpoints"},
    "torch": {"checkpoints", "networks"},
    "torchax": {"networks"},
    "torchvision": {"checkpoints"},
    "transformers": {"checkpoints"},
    "safetensors": {"checkpoints"},
    "orbax": {"checkpoints"},
    "tyro": {"cli"},
    "grain": {"datasets"},
    "cv2": {"media"},
    "h5py": {"media"},
}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path) -> list[str]:
    """Absolute names of everything a file imports, inside functions too."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


RECIPES = ("train", "eval", "tests", "notebooks", "docs")

MODULES = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def test_every_module_has_its_storey():
    listed = set().union(*STOREYS)
    assert {room(path) for path in MODULES} <= listed, "a new room: say where it stands in STOREYS"


def test_imports_run_downwards():
    storey = {name: index for index, names in enumerate(STOREYS) for name in names}
    wrong = []
    for path in MODULES:
        for name in imports(path):
            if not name.startswith("dvsnet_jax."):
                continue
            target = name.split(".")[1]
            if target in storey and target != room(path) and storey[target] <= storey[room(path)]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_libraries_are_imported_where_they_belong():
    by_length = sorted(ONLY_IN, key=len, reverse=True)
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in MODULES
        for name in imports(path)
        if (library := next((one for one in by_length if f"{name}.".startswith(f"{one}.")), None))
        and room(path) not in ONLY_IN[library]
    ]
    assert not wrong, "\n".join(wrong)


def test_recipes_are_not_packages_and_nothing_imports_them():
    root = PACKAGE.parent
    for folder in ("train", "eval"):
        assert not (root / folder / "__init__.py").exists()
    wrong = [f"{p.name}: {n}" for p in MODULES for n in imports(p) if n.split(".")[0] in ("train", "eval", "tests")]
    assert not wrong


def test_recipes_are_thin_and_all_command_lines_are_of_one_library():
    """What they do is a command in `cli`, which whoever installed the package has too."""
    root = PACKAGE.parent
    recipes = [path for folder in ("train", "eval") for path in (root / folder).glob("*.py")]
    assert len(recipes) > 10
    for path in recipes:
        assert len(path.read_text().splitlines()) <= 80, f"{path}: past 80 lines a recipe is a command in cli/commands"
    wrong = [f"{path}: {name}" for path in (*recipes, *MODULES) for name in imports(path) if name == "argparse"]
    assert not wrong
    assert not [path for path in recipes for name in imports(path) if name.startswith("tyro")]


def test_no_floor_is_crowded():
    """A folder of Python files holds at most 16 modules: a family with a prefix is a folder of its own."""
    root = PACKAGE.parent
    folders = {path.parent for top in (PACKAGE, *(root / name for name in RECIPES)) for path in top.rglob("*.py")}
    crowded = {}
    for folder in folders:
        modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
        if len(modules) > 16:
            crowded[str(folder.relative_to(root))] = len(modules)
    assert not crowded


def test_no_module_is_too_long_or_named_after_nothing():
    for path in MODULES:
        assert len(path.read_text().splitlines()) <= 350, f"{path}: past 350 lines it is two modules"
        assert path.stem not in {"utils", "util", "helpers", "common", "misc"}, path
