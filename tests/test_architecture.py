"""The house's shape: who may import whom, what a command may load, and the rules that a reader can count on."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import subprocess
import sys
import tokenize
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from artifact_pipeline.cli.app import app
from artifact_pipeline.digits.dataset import load_digits

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    Run = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "artifact_pipeline"
CONTRACT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]

TRAINING = {"sklearn", "scipy", "pandas", "onnx", "skl2onnx", "joblib", "threadpoolctl"}
HEAVY = TRAINING | {"numpy", "onnxruntime", "pyarrow"}
MAX_MODULE_LINES = 350
MAX_FUNCTION_LINES = 60
MAX_ARGUMENTS = 6
MAX_POSITIONAL = 4
UNPICKLERS = {"pickle", "_pickle", "joblib", "marshal", "shelve", "dill", "cloudpickle"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


# --- who may import whom


@pytest.mark.needs("importlinter")
def test_import_contract_is_kept() -> None:
    """Each layer imports only what stands below it, and every module of the package has its layer."""
    lint = Path(sys.executable).parent / "lint-imports"
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "2 kept, 0 broken" in done.stdout
    assert CONTRACT["exhaustive"] is True


def test_import_contract_is_the_documented_one() -> None:
    """The layers that the architecture page shows are those that are checked."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    block = re.split(r"^```.*$", page.split("## The import contract")[1], flags=re.MULTILINE)[1]
    assert [re.split(r" {2,}", line)[0] for line in block.strip().splitlines()] == CONTRACT["layers"]


def test_no_module_imports_in_a_circle() -> None:
    """No chain of imports leads back to its module, inside functions and for types neither."""
    names = {name_of(module): module for module in modules() if module != PACKAGE / "__init__.py"}
    imports = {name: set(imported(module, names)) for name, module in names.items()}
    # What imports nothing that is left is taken away, until nothing is left, or circles and what leads to them.
    while free := {name for name, found in imports.items() if not found & imports.keys()}:
        for name in free:
            del imports[name]
    assert imports == {}


def test_each_public_class_has_its_own_name(tmp_path: Path) -> None:
    """No two modules define a public class of one name, and the check names both where they do."""
    names = [sys.executable, ROOT / "scripts" / "names.py"]
    done = subprocess.run(names, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    for name in ("first.py", "second.py"):
        (tmp_path / name).write_text("class Place:\n    class Inner: ...\n\n\nclass _Own: ...\n")
    done = subprocess.run([*names, tmp_path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "the class Place stands in first.py:1 and second.py:1\n")


def test_few_names_cross_the_border_of_a_package() -> None:
    """Fewer than 250 functions and classes are imported by a package that does not hold them."""
    names = {name_of(module): module for module in modules()}
    crossing = {
        f"{node.module}.{alias.name}"
        for name, module in names.items()
        for node in nodes(module)
        if isinstance(node, ast.ImportFrom) and node.module in names and package(node.module) != package(name)
        for alias in node.names
        if alias.name
        in {found.name for found in tree(names[node.module]).body if isinstance(found, Function | ast.ClassDef)}
    }
    assert 100 < len(crossing) < 250


def package(name: str) -> str:
    """The package of a module, `artifact_pipeline.rows`; a module beside the packages is its own."""
    return ".".join(name.split(".")[:2])


def name_of(module: Path) -> str:
    """The dotted name by which a module is imported."""
    parts = module.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(module: Path, names: Collection[str]) -> Iterator[str]:
    """The modules of the package that a module imports, wherever in it."""
    for node in nodes(module):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield from ({whole} if whole in names else {node.module} & {*names})
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)


# --- what a command may load


def modules_of(run: Run, code: str, *arguments: str, cwd: Path) -> set[str]:
    """The top names of all modules that a process has loaded once it has run `code`."""
    tail = "\nimport json\nsys.stderr.write(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = run("-c", f"import sys\n{code}{tail}", *arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


VERB = "from artifact_pipeline.cli import main\nassert main() == 0"


@pytest.mark.parametrize("verb", ["", *app.commands])
def test_help_loads_next_to_nothing(run: Run, tmp_path: Path, verb: str) -> None:
    """A help is printed without NumPy, pydantic, msgspec or rich."""
    loaded = modules_of(run, VERB, *filter(None, [verb, "--help"]), cwd=tmp_path)
    assert "click" in loaded
    assert not loaded & (HEAVY | {"pydantic", "msgspec", "rich"})


@pytest.mark.parametrize("verb", ["verify", "inspect", "runs"])
def test_looking_at_an_artifact_loads_no_numpy(run: Run, published: Path, verb: str) -> None:
    """`verify`, `inspect` and `runs` need no NumPy, no runtime, no pydantic and, in a log, no rich."""
    assert not modules_of(run, VERB, verb, cwd=published) & (HEAVY | {"pydantic", "rich"})


def test_predict_loads_nothing_of_training(run: Run, published: Path) -> None:
    """`predict` of the digits loads neither scikit-learn, SciPy, pandas, onnx, joblib nor pydantic."""
    loaded = modules_of(run, VERB, "predict", cwd=published)
    assert {"numpy", "onnxruntime"} <= loaded
    assert not loaded & (TRAINING | {"pydantic"})


def test_predict_of_a_table_loads_nothing_of_training(run: Run, published: Path) -> None:
    """`predict` of a table loads pyarrow beside it, and not the pandas that pyarrow would like."""
    rows = load_digits()
    (published / "rows.csv").write_text(f"{','.join(rows.names)}\n{','.join(map(str, rows.X[0].tolist()))}\n")
    loaded = modules_of(run, VERB, "predict", "rows.csv", cwd=published)
    assert "pyarrow" in loaded
    assert not loaded & (TRAINING | {"pydantic"})


def test_train_loads_no_pandas(run: Run, published: Path) -> None:
    """`train` of a table leaves out the pandas that scikit-learn and pyarrow would like."""
    rows = load_digits()
    lines = [",".join(map(str, [*row, label])) for row, label in zip(rows.X[:400].tolist(), rows.y[:400], strict=True)]
    (published / "rows.csv").write_text("\n".join([",".join([*rows.names, "digit"]), *lines, ""]))
    config = {"C": 1, "solver": "lbfgs", "max_iter": 1000, "dataset": {"path": "rows.csv", "target": "digit"}}
    (published / "config.json").write_text(json.dumps(config))
    loaded = modules_of(run, VERB, "train", "--config", "config.json", "--artifact", "rows", cwd=published)
    assert {"sklearn", "pyarrow"} <= loaded
    assert "pandas" not in loaded


IMPORT_ALL = """
import os, sys
from importlib import import_module

import numpy  # `metrics` is about arrays, and imports it; what it does to its process is its own affair

effects = []
EFFECTS = {"os.mkdir", "os.remove", "os.rename", "os.putenv", "socket.connect", "subprocess.Popen", "os.system"}

def hook(event, arguments):
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if writes or event in EFFECTS:
        effects.append((event, repr(arguments)))

environment = dict(os.environ)
sys.dont_write_bytecode = True
sys.addaudithook(hook)
for name in sys.argv[1:]:
    import_module(name)
assert not effects, effects
assert os.environ == environment
"""


def test_imports_do_no_work(run: Run, tmp_path: Path) -> None:
    """To import every module of the package writes, starts and sets nothing, and loads nothing heavy but NumPy."""
    names = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in modules()]
    names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    assert not modules_of(run, IMPORT_ALL, *names, cwd=tmp_path) & (HEAVY - {"numpy"})


# --- house rules, module by module


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(), str(module))


@cache
def nodes(module: Path) -> list[ast.AST]:
    """All nodes of a module: walking the package takes longer than parsing it."""
    return list(ast.walk(tree(module)))


def place(module: Path, node: ast.stmt | ast.expr | ast.excepthandler) -> str:
    return f"{module.relative_to(ROOT)}:{node.lineno}"


def functions(module: Path) -> Iterator[Function]:
    yield from (node for node in nodes(module) if isinstance(node, Function))


def calls(module: Path) -> Iterator[tuple[ast.Call, str]]:
    for node in nodes(module):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def test_modules_and_functions_are_short() -> None:
    """No module has more than 350 lines, no function more than 60."""
    long = [str(module) for module in modules() if len(module.read_text().splitlines()) > MAX_MODULE_LINES]
    for module in modules():
        for function in functions(module):
            assert function.end_lineno is not None
            if function.end_lineno - function.lineno >= MAX_FUNCTION_LINES:
                long.append(place(module, function))
    assert long == []


def test_functions_have_few_arguments() -> None:
    """No function takes more than six arguments, or more than four by position."""
    many = []
    for module in modules():
        for function in functions(module):
            positional = [*function.args.posonlyargs, *function.args.args]
            positional = [each for each in positional if each.arg not in {"self", "cls"}]
            if len(positional) > MAX_POSITIONAL or len(positional) + len(function.args.kwonlyargs) > MAX_ARGUMENTS:
                many.append(place(module, function))
    assert many == []


def public(body: list[ast.stmt]) -> Iterator[Function | ast.ClassDef]:
    """What other modules may use: names without an underscore, and the methods of such classes."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


def test_everything_public_says_what_it_is() -> None:
    """Each module, and each public function, class and method, has a docstring."""
    silent = [str(module) for module in modules() if not ast.get_docstring(tree(module))]
    for module in modules():
        silent += [place(module, node) for node in public(tree(module).body) if not ast.get_docstring(node)]
    assert silent == []


def test_only_the_command_line_prints() -> None:
    """Nothing outside `cli/` prints, or touches standard output and standard error."""
    loud = []
    for module in modules():
        loud += [place(module, call) for call, name in calls(module) if name in {"print", "pprint"}]
        if PACKAGE / "cli" not in module.parents:
            attributes = [node for node in nodes(module) if isinstance(node, ast.Attribute)]
            loud += [place(module, node) for node in attributes if ast.unparse(node) in {"sys.stdout", "sys.stderr"}]
    assert loud == []


def test_no_error_is_caught_blindly() -> None:
    """No handler is bare or catches Exception; one that catches BaseException, to clean up, raises it again."""
    blind = []
    for module in modules():
        for handler in nodes(module):
            if not isinstance(handler, ast.ExceptHandler):
                continue
            caught = set(re.findall(r"\w+", ast.unparse(handler.type))) if handler.type else {"Exception"}
            raises = isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None
            if "Exception" in caught or ("BaseException" in caught and not raises):
                blind.append(place(module, handler))
    assert blind == []


def test_nothing_is_ever_unpickled() -> None:
    """Of what can load a pickle, `pickle.dumps` and threads of joblib alone are imported; no array may hold objects."""
    harmless = {("pickle", "dumps"), ("joblib", "parallel_config"), ("joblib.parallel", "ThreadingBackend")}
    found = []
    for module in modules():
        for node in nodes(module):
            if isinstance(node, ast.Import) and any(name.name.partition(".")[0] in UNPICKLERS for name in node.names):
                found.append(place(module, node))
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in UNPICKLERS:
                found += [place(module, node) for name in node.names if (node.module, name.name) not in harmless]
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert ast.unparse(node.value) == "False"
        forbidden = {"eval", "exec", "compile", "__import__"}
        found += [place(module, call) for call, name in calls(module) if name in forbidden]
    assert found == []


def test_the_runtime_is_imported_in_one_place() -> None:
    """The package onnxruntime is imported by `runtime.load_onnxruntime` alone, which turns its telemetry off before."""
    found = []
    for module in modules():
        for node in nodes(module):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
                found += [module.name for name in names if name.partition(".")[0] == "onnxruntime"]
    assert found == ["runtime.py"]


def test_modules_hold_definitions_alone() -> None:
    """A module's own statements are imports, definitions and constants, and what stands under two known `if`s."""
    work = []
    for module in modules():
        for node in tree(module).body:
            guard = ast.unparse(node.test) if isinstance(node, ast.If) else ""
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            definition = isinstance(
                node, ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign | ast.ClassDef | Function
            )
            if not (definition or docstring or guard in {"TYPE_CHECKING", "__name__ == '__main__'"}):
                work.append(place(module, node))
    assert work == []


def test_annotations_are_never_evaluated() -> None:
    """Every module that defines something begins with the future import, so that types cost nothing at start."""
    without = []
    for module in modules():
        body = tree(module).body
        imports = {node.module for node in body if isinstance(node, ast.ImportFrom)}
        if any(isinstance(node, Function | ast.ClassDef | ast.AnnAssign) for node in body):
            without += [str(module)] if "__future__" not in imports else []
    assert without == []


def test_nothing_is_left_to_do() -> None:
    """No comment and no string puts something off, and no module is a drawer for everything."""
    later = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    found = []
    for module in [*modules(), *(ROOT / "src").glob("*.py")]:
        tokens = tokenize.generate_tokens(io.StringIO(module.read_text()).readline)
        texts = [token for token in tokens if token.type in {tokenize.COMMENT, tokenize.STRING}]
        found += [f"{module}:{token.start[0]}" for token in texts if later.search(token.string)]
    found += [str(module) for module in modules() if module.stem in {"utils", "helpers", "common", "misc"}]
    assert found == []
