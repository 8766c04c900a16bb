"""The house stands: imports point down, only storage writes, no room is called utils."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "bertkit"
FLOORS = [
    {"errors"},
    {"config"},
    {"storage", "hub", "foreign"},
    {"artifacts"},
    {"text"},
    {"data", "models"},
    {"training", "evaluation"},
    {"reporting", "kinds"},
    {"stage"},
    {"stages"},
    {"baselines", "pipeline", "predictor", "embedder", "mask_filler", "doctor"},
    {"notebook", "use_commands"},
    {"cli"},
    {"__main__"},
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
WRITERS = {
    "mkdir",
    "rename",
    "replace",
    "rmdir",
    "unlink",
    "rmtree",
    "symlink_to",
    "touch",
    "write_bytes",
    "write_text",
}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Full names of the bertkit modules (and what is taken from them) that a file imports anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "bertkit"}


def test_the_walk_finds_the_package() -> None:
    assert len(MODULES) > 40


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    mine = room(path)
    assert mine in FLOOR_OF, f"{mine} has no floor"
    rooms = {name.split(".")[1] for name in imported(path)} - {mine, "__version__"}
    wrong = {other for other in rooms if FLOOR_OF[other] >= FLOOR_OF[mine]}
    assert not wrong, f"{mine} must not import {sorted(wrong)}"


def test_no_cycles_between_modules() -> None:
    name_of = {path: "bertkit." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in MODULES}
    known = set(name_of.values())
    edges = {}
    for path, name in name_of.items():
        edges[name] = {
            target for used in imported(path) for target in (used, used.rpartition(".")[0]) if target in known - {name}
        }
    while leaves := [name for name, targets in edges.items() if not targets & edges.keys()]:
        for name in leaves:
            del edges[name]
    assert not edges, f"modules in a knot: {sorted(edges)}"


@pytest.mark.parametrize(
    "path", [p for p in MODULES if room(p) != "storage"], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_only_storage_creates_renames_or_deletes(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr in WRITERS:
            owner = ast.unparse(node.func.value)
            # str.replace takes two strings or more; os.replace and Path.replace are the ones meant.
            if node.func.attr == "replace" and owner not in ("os", "shutil") and len(node.args) >= 2:
                continue
            assert owner == "storage" or owner.startswith("dataclasses"), (
                f"{path.name}:{node.lineno}: {ast.unparse(node)}"
            )
        if isinstance(node.func, ast.Name) and node.func.id == "open":
            modes = [a.value for a in node.args[1:] if isinstance(a, ast.Constant)]
            assert not any(set(str(mode)) & set("wax+") for mode in modes), f"{path.name}:{node.lineno}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_pickle_and_no_unsafe_yaml(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for banned in (
        "import pickle",
        "torch.load(",
        "yaml.load(",
        "yaml.full_load",
        "allow_pickle=True",
        "trust_remote_code=True",
        "shell=True",
    ):
        assert banned not in text, banned


def test_transformers_classes_are_named_in_models_alone() -> None:
    users = {room(path) for path in MODULES if "from transformers import" in path.read_text(encoding="utf-8")}
    assert users <= {"models", "text"}, users


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_are_small_and_say_what_they_are_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert text.count("\n") <= 400
    assert room(path) not in ("utils", "common", "helpers")
    assert path.stem not in ("utils", "common", "helpers")
