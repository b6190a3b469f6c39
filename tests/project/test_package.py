"""What is handed out: a wheel and an sdist with `dvsnet_jax` alone, which work where there is no repository."""

from __future__ import annotations

import ast
import email
import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import dvsnet_jax

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Put into the new environment: there Python opens no connection and no file of the repository, whose own virtual
# environment it may read the libraries from; of those it finds none that the package does not declare.
CLOSED = """
import os, sys
from importlib.machinery import PathFinder
repository, libraries, declared = {repository!r}, {libraries!r}, {declared!r}
declared |= sys.stdlib_module_names | {{*os.environ.get("OF_AN_EXTRA", "").split()}}
class Declared(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = "." not in name and name not in declared and PathFinder.find_spec(name, libraries)
        return None if hidden else PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Declared
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        raise PermissionError(f"no network here: {{event}} {{arguments}}")
    if event == "open" and isinstance(arguments[0], str):
        path = os.path.abspath(arguments[0])
        if path.startswith(repository + os.sep) and not path.startswith(libraries):
            raise PermissionError(f"no source tree here: {{path}}")
sys.addaudithook(refuse)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the wheel and the sdist, built without network from what git would give a fresh clone."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed, which builds the package; pip install 'dvsnet-jax[dev]'")
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder


def _one(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def _package_files() -> set[str]:
    """Every file of the package in the source tree, relative to the repository."""
    package = ROOT / "dvsnet_jax"
    found = {path.relative_to(ROOT).as_posix() for path in package.rglob("*") if path.is_file()}
    return {name for name in found if "__pycache__" not in name}


def test_the_wheel_holds_the_package_with_its_weights_and_nothing_else(built):
    with zipfile.ZipFile(_one(built, "*.whl")) as wheel:
        names = set(wheel.namelist())
    info = f"dvsnet_jax-{dvsnet_jax.__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"dvsnet_jax", info}
    assert {name for name in names if name.startswith("dvsnet_jax/")} == _package_files()
    assert {"dvsnet_jax/py.typed", "dvsnet_jax/weights/street.npz", "dvsnet_jax/weights/LICENSE.txt"} <= names


def test_the_sdist_holds_what_the_wheel_is_built_from_and_nothing_else(built):
    with tarfile.open(_one(built, "*.tar.gz")) as sdist:
        names = {Path(member.name).relative_to(Path(member.name).parts[0]).as_posix() for member in sdist.getmembers()}
    others = {"README.md", "LICENSE", "CITATION.cff", "CHANGELOG.md", "pyproject.toml", "PKG-INFO", ".gitignore"}
    assert names == _package_files() | others


def test_metadata_say_licence_python_and_version(built):
    with zipfile.ZipFile(_one(built, "*.whl")) as wheel:
        info = f"dvsnet_jax-{dvsnet_jax.__version__}.dist-info"
        metadata = email.message_from_bytes(wheel.read(f"{info}/METADATA"))
        licences = {name for name in wheel.namelist() if name.startswith(f"{info}/licenses/")}
        commands = wheel.read(f"{info}/entry_points.txt").decode()
    assert metadata["Name"] == "dvsnet-jax" and metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0 AND LicenseRef-dvsnet-street-weights"
    assert licences == {f"{info}/licenses/{name}" for name in ("LICENSE", "dvsnet_jax/weights/LICENSE.txt")}
    assert {"cuda", "tpu", "import", "train"} <= set(metadata.get_all("Provides-Extra"))
    assert "dvsnet = dvsnet_jax.cli:main" in commands


def _with_theirs(requirements: list[str]) -> set[str]:
    """The distributions that these requirements bring, and what those require, as far as they are installed."""
    found: set[str] = set()
    left = [Requirement(requirement) for requirement in requirements]
    while left:
        wanted = left.pop()
        if wanted.marker and not any(wanted.marker.evaluate({"extra": extra}) for extra in wanted.extras or {""}):
            continue
        name = canonicalize_name(wanted.name)
        if name not in found:
            found.add(name)
            try:
                left += [Requirement(theirs) for theirs in distribution(name).requires or []]
            except PackageNotFoundError:  # for another platform
                found.discard(name)
    return found


def _modules(distributions: set[str]) -> set[str]:
    """The names under which these are imported."""
    installed = [distribution(name) for name in distributions]
    return {file.parts[0].partition(".")[0] for each in installed for file in each.files or []}


def test_every_library_that_is_imported_is_declared():
    """In the dependencies, or in the extra that whoever asks for it is told to install."""
    of_torch = dict.fromkeys(("torchax", "transformers", "safetensors", "huggingface_hub"), "torch")
    extras = {
        "tensorflow": "import",
        "torch": "import",
        "grain": "train",
        "torchvision": "torchvision",
        "h5py": "spring",
        "matplotlib": "notebooks",
        **of_torch,
    }
    declared = _modules({Requirement(each).name for each in PROJECT["dependencies"]})
    wrong = set()
    for path in (ROOT / "dvsnet_jax").rglob("*.py"):
        tree = ast.parse(path.read_text())
        for_types = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if id(node) in for_types or not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            for name in {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"dvsnet_jax", *extras}:
                if name not in declared:
                    wrong.add(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, wrong
    for name, extra in extras.items():
        wanted = [Requirement(each).name.replace("-", "_") for each in PROJECT["optional-dependencies"][extra]]
        assert any(each.startswith(name) for each in wanted), name


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    """A new virtual environment with the wheel in it, and the libraries of this one within sight; nothing is fetched.

    A line of a .pth file puts those libraries at the end of its path, where .pth files of editable installs are not
    followed, so that `dvsnet_jax` can come from the wheel alone.
    """
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "install", "--quiet",
         "--no-index", "--no-deps", "--no-build-isolation", _one(built, "*.whl")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    place = Path(sysconfig.get_path("purelib", "venv", {"base": str(environment)}))
    assert not {"train", "eval", "tests", "notebooks"} & {path.name for path in place.iterdir()}
    here = tuple(sorted({path for path in sys.path if "site-packages" in path}))
    declared = _modules(_with_theirs(PROJECT["dependencies"]))
    assert {"jax", "flax", "scipy"} <= declared and not {"pytest", "mypy"} & declared
    (place / "libraries.pth").write_text("import closed\n" + "".join(f"{path}\n" for path in here))
    (place / "closed.py").write_text(CLOSED.format(repository=str(ROOT), libraries=here, declared=declared))
    return environment


def _run(installed: Path, folder: Path, *command: str, extra: str | None = None) -> subprocess.CompletedProcess[str]:
    """A command of the new environment, run in `folder` with an environment of its own: no PYTHONPATH, no cache.

    What `extra` brings is within sight, too.
    """
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    brought = _modules(_with_theirs(PROJECT["optional-dependencies"][extra])) if extra else set()
    variables = {**kept, "HOME": str(folder), "JAX_PLATFORMS": "cpu", "OF_AN_EXTRA": " ".join(brought)}
    return subprocess.run(
        [installed / "bin" / command[0], *command[1:]], cwd=folder, env=variables, capture_output=True, text=True
    )


def test_installed_it_is_imported_from_there_and_has_its_weights(installed, tmp_path):
    code = (
        "import dvsnet_jax, dvsnet_jax.checkpoints as c; c.load_bundled(); print(dvsnet_jax.__file__)\n"
        "from dvsnet_jax.media.opencv import opencv; opencv('temporal consistency')"
    )
    done = _run(installed, tmp_path, "python", "-c", code)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(installed)


def test_there_the_repository_and_the_network_are_out_of_reach(installed, tmp_path):
    done = _run(installed, tmp_path, "python", "-c", f"open({str(ROOT / 'README.md')!r})")
    assert "no source tree here" in done.stderr
    done = _run(installed, tmp_path, "python", "-c", "import socket; socket.create_connection(('localhost', 1))")
    assert "no network here" in done.stderr


def test_there_is_training_without_the_recipes(installed, tmp_path):
    done = _run(installed, tmp_path, "dvsnet", "accelerate", "--help")
    assert done.returncode == 0 and "--segmentation NETWORK" in done.stdout, done.stderr


@pytest.mark.slow
def test_installed_with_its_extra_a_tiny_accelerate_trains(installed, tmp_path):
    pytest.importorskip("grain", reason="grain is not installed; pip install 'dvsnet-jax[train]'")
    sizes = ["--steps", "1", "--batch-size", "1", "--crop", "64", "96", "--pairs", "2", "--epochs", "1"]
    data = ["--data", "street:10:1:96x128", "--save-dir", "run", "--motion", "paper"]  # has a network to fine-tune
    done = _run(installed, tmp_path, "dvsnet", "accelerate", *data, *sizes)
    assert done.returncode == 1 and "pip install 'dvsnet-jax[train]'" in done.stderr  # without it
    done = _run(installed, tmp_path, "dvsnet", "accelerate", *data, *sizes, extra="train")
    assert done.returncode == 0, done.stderr
    assert "run/weights: DVSNet around this segmentation network" in done.stdout
    clip = ["street:1:3:96x128", "--no-consistency"]
    done = _run(installed, tmp_path, "dvsnet", "evaluate", *clip, "--weights", "run/weights", "--out", "measured")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_installed_the_demo_runs_without_network_and_source_tree(installed, tmp_path):
    done = _run(installed, tmp_path, "dvsnet", "demo", "--out", "demo")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "demo" / "labels").iterdir())) == 24
    assert (tmp_path / "demo" / "overlay.mp4").stat().st_size > 10_000


@pytest.mark.slow
def test_installed_an_evaluation_measures_everything(installed, tmp_path):
    done = _run(installed, tmp_path, "dvsnet", "evaluate", "street:1:3:96x128", "--every-frame", "--out", "run")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "run" / "results.json").read_text())["dvsnet"]
    assert 0 < found["temporal_consistency"] < 1 and 0 < found["mean_iou"] < 1
