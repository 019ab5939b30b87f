"""Documentation that can fail: README's commands print what it shows, the format page shows the golden manifest."""

from __future__ import annotations

import ast
import json
import os
import platform
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import click
import pytest
from msgspec import Struct, structs

from artifact_pipeline.artifact.environment import libc
from artifact_pipeline.artifact.manifest import Manifest
from artifact_pipeline.cli.app import app
from artifact_pipeline.config import Config, Gate, Table
from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.prediction.receipt import Receipt
from artifact_pipeline.reports.markdown import manifest_page
from artifact_pipeline.rows.faults import RULES
from artifact_pipeline.serving.figures import STATUSES
from artifact_pipeline.training.publication import publish
from conftest import install
from servers import Server, serving
from signatures import write_keys
from tables import write_table
from tools import cannot_run

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "artifact_pipeline"
GOLDEN = ROOT / "tests" / "golden" / "v1"
README = (ROOT / "README.md").read_text()
FORMAT = (ROOT / "docs" / "artifact-format.md").read_text()
INFERENCE = (ROOT / "docs" / "inference.md").read_text()
SERVING = (ROOT / "docs" / "serving.md").read_text()

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEX = re.compile(r"[0-9a-f]{64}")
(PLATFORM,) = re.findall(r"those of (\w+) ([\d.]+) on (\w+) (\w+)\s+with\s+(glibc [\d.]+);", README)
"""Of which platform the README's digests are."""


def blocks(language: str) -> list[str]:
    return [text for found, text in FENCE.findall(README) if found == language]


def test_commands_of_the_readme_print_what_it_shows(checkout: Path) -> None:
    """Each command that the README shows with its output is run in order in a clean checkout, and prints just that."""
    scripts = install(checkout) / ".venv" / "bin"
    foreign = str(Path(sys.executable).parent)
    system = os.pathsep.join(each for each in os.environ["PATH"].split(os.pathsep) if each != foreign)
    shown = [block for block in blocks("console") if not block.startswith("$ make")]
    assert len(shown) >= 4
    for block in shown:
        command, _, expected = block.removeprefix("$ ").partition("\n")
        # What is shown with its path is typed before the environment has been activated.
        path = system if command.startswith(".venv/bin/") else f"{scripts}{os.pathsep}{system}"
        env = {**os.environ, "PATH": path}
        done = subprocess.run(["sh", "-c", command], cwd=checkout, env=env, capture_output=True, text=True, check=False)
        printed = done.stdout if done.returncode == 0 else done.stderr
        # On another platform than the README's the digests are others; everything else is to the letter.
        if here() != PLATFORM:
            printed, expected = HEX.sub("<hex>", printed), HEX.sub("<hex>", expected)
        assert printed == expected, command


def here() -> tuple[str, ...]:
    """Python, system, architecture and C library of this machine."""
    python = (platform.python_implementation(), platform.python_version())
    return (*python, platform.system(), platform.machine(), libc())


def test_platform_of_the_readme_is_that_of_the_golden_artifact(run: Any) -> None:
    """What the README names to compare with is an artifact of the platform that it names, and its command works."""
    told = json.loads((GOLDEN / "manifest.json").read_text())["environment"]
    python = told["python"]
    assert (*python.values(), told["system"], told["architecture"], told["libc"]) == PLATFORM
    (command,) = re.findall(r"`artifact-pipeline (reproduce tests/golden/v1 .*?)`", README)
    done = run("-m", "artifact_pipeline", *command.split(), cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("reproduced: tests/golden/v1, grade ")


def test_python_of_the_readme_runs(run: Any) -> None:
    """The Python example works as it stands, from the project's root."""
    (example,) = blocks("python")
    done = run("-c", f"{example}\nprint(f'{{accuracy:.4f}} {{f1:.4f}}')", cwd=ROOT)
    assert done.stdout == "0.9750 0.9751\n", done.stderr


def test_config_of_the_readme_is_the_config() -> None:
    """The config that the README shows is the one in the repository."""
    (example,) = blocks("json")
    assert json.loads(example) == json.loads((ROOT / "config" / "config.json").read_text())


def test_readme_names_every_key_of_the_config() -> None:
    """The table of keys has every key of the config with its default, and no other."""
    section = README.split("## Configuration")[1].split("### The verbs")[0]
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.*?) \|", section, re.MULTILINE))
    expected: dict[str, object] = {}
    for name, field in Config.model_fields.items():
        if field.annotation is Gate:
            expected |= {f"{name}.{key}": each.default for key, each in Gate.model_fields.items()}
        else:
            expected[name] = field.default if not field.is_required() else None
    table = Table.model_fields.items()
    expected |= {f"dataset.{key}": each.default for key, each in table if not each.is_required()}
    shown = {key: None if value == "*needed*" else json.loads(value.strip("`")) for key, value in rows.items()}
    assert shown == expected


def test_readme_names_every_verb() -> None:
    """The table of verbs has every verb, and no other."""
    section = README.split("### The verbs")[1].split("### Errors")[0]
    assert set(re.findall(r"^\| `(\w+)", section, re.MULTILINE)) == set(app.commands)


def test_readme_names_every_option_of_predict() -> None:
    """The table of what `predict` takes has each of its options, but for those that `verify` takes too."""
    section = README.split("What `predict` takes beside")[1].split("### Errors")[0]
    shared = {"artifact", *(parameter.name for parameter in app.commands["verify"].params)} - {"receipt"}
    for parameter in app.commands["predict"].params:
        if parameter.param_type_name == "option" and parameter.name not in shared:
            assert any(f"`{name}" in section or f", `{name}" in section for name in _spellings(parameter)), (
                parameter.name
            )


def _spellings(parameter: Any) -> list[str]:
    longest = max(parameter.opts, key=len)
    return [longest, f"-o`, `{longest}", *parameter.secondary_opts]


def test_inference_page_describes_the_receipt() -> None:
    """The page of inference has a row for each field of the receipt."""
    table = INFERENCE.split("## The receipt")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \| ", table, re.MULTILINE)
    shown = {name.removesuffix("[]") for row in rows for name in re.findall(r"`([\w\[\]]+)`", row)}
    assert shown == {field.name for field in structs.fields(Receipt)}


def test_inference_page_names_every_rule() -> None:
    """The page of inference explains every rule by which a value, a row or a file can be refused."""
    told = INFERENCE.split("## Bad rows")[1].split("\n## ")[0]
    rules = set(RULES)
    for module in [*(PACKAGE / "rows").rglob("*.py"), *(PACKAGE / "storage").glob("*.py")]:
        texts = (node.value for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Constant))
        rules |= {text for text in texts if isinstance(text, str) and re.fullmatch(r"[a-z]+(-[a-z]+)+", text)}
    assert rules - set(re.findall(r"`([\w-]+)`", told)) == set()


def test_python_of_the_inference_page_runs(published: Path, run: Any) -> None:
    """The Python example of the page of inference works as it stands, beside a published artifact."""
    (example,) = [text for found, text in FENCE.findall(INFERENCE) if found == "python"]
    digits = load_digits()
    columns = {name: digits.X[:20, index] for index, name in enumerate(digits.names)}
    write_table(published / "rows.parquet", {**columns, "id": list(range(20)), "target": digits.y[:20]})
    done = run("-c", example, cwd=published, env={"PYTHONPATH": str(ROOT / "src")})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Rows(read=20, written=20, rejected=0")
    assert "accuracy=1.0" in done.stdout


@pytest.fixture(scope="module")
def server(candidate: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The documented model, served."""
    root = tmp_path_factory.mktemp("served")
    publish(candidate, artifact=root / "artifact", export=root / "model_train.pkl")
    with serving(root / "artifact") as found:
        yield found


def test_python_page_prints_what_it_shows(run: Any, checkout: Path) -> None:
    """The examples of docs/python.md run in order in one process, and each `print` prints what stands beside it."""
    page = (ROOT / "docs" / "python.md").read_text()
    code = [text for language, text in FENCE.findall(page) if language == "python"]
    if find_spec("model_signing") is None:
        code = [text for text in code if "ap.sign(" not in text]
    else:
        write_keys(checkout, "key")
    script = "".join(code)
    done = run("-c", script, cwd=checkout, env={"PYTHONPATH": str(checkout / "src")})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == re.findall(r"^ *print\(.*\)  # (.*)$", script, re.MULTILINE)
    assert len(done.stdout.splitlines()) >= 13


def example(page: str, language: str, word: str, server: Server) -> str:
    """The one example of a page in this language that holds a word, about this server."""
    (found,) = [text for told, text in FENCE.findall(page) if told == language and word in text]
    return found.replace("127.0.0.1:8080", server.url.removeprefix("http://"))


def test_curl_of_the_serving_page_runs(server: Server) -> None:
    """The commands with curl work as they stand, and the digit that is sent is a nought."""
    script = example(SERVING, "sh", "curl", server)
    done = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    metadata, end = json.JSONDecoder().raw_decode(done.stdout)
    answer = json.loads(done.stdout[end:])
    assert metadata["name"] == "digits"
    assert (answer["id"], answer["outputs"]) == (
        "first",
        [{"name": "label", "datatype": "INT64", "shape": [1], "data": [0]}],
    )


def test_python_of_the_serving_page_runs(server: Server, run: Any) -> None:
    """The example with the standard library works as it stands, and the digit that is sent is a one."""
    done = run("-c", example(SERVING, "python", "urlopen", server))
    assert done.returncode == 0, done.stderr
    label, probability, digest = re.split(r"\] | ", done.stdout.strip())
    assert (label, digest) == ("[1", server.artifact)
    assert float(probability) > 0.9


@pytest.mark.slow
def test_tritonclient_of_the_serving_page_runs(server: Server) -> None:
    """The example with NVIDIA's client works as it stands."""
    python = ROOT / ".venv-clients" / "bin" / "python"
    if not python.exists():
        cannot_run("needs .venv-clients: make test-slow sets it up")
    code = example(SERVING, "python", "tritonclient", server)
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "(64,)\n"), done.stderr


def test_serving_page_names_every_option_with_its_default() -> None:
    """The table of options has each option of `serve` beside those that every verb takes, and its default."""
    rows = re.findall(r"^\| (`--[^|]*)\|([^|]*)\|", SERVING.split("## Options")[1], re.MULTILINE)
    shown: dict[str, str] = {}
    for names, defaults in rows:
        told = defaults.strip().split(", ")
        values = told if len(told) > 1 else told * 9
        shown |= dict(zip(re.findall(r"--[\w-]+", names), values, strict=False))
    options = [each for each in app.commands["serve"].params if isinstance(each, click.Option)]
    options = [each for each in options if each.opts[-1] not in {"--json", "--quiet", "--debug"}]
    assert set(shown) == {each.opts[0] for each in options}
    for each in options:
        if each.show_default:
            assert (
                shown[each.opts[0]].removesuffix(" s") == f"{each.default:g}"
                if isinstance(each.default, float)
                else str(each.default)
            ), each.name


def test_serving_page_names_every_figure_and_status(server: Server) -> None:
    """The page names each figure that /metrics tells of the server, and each status that is counted."""
    assert server.infer(load_digits().X[:100])[0] == 200
    _, _, body = server.ask("GET", "/metrics")
    told = re.findall(r"^# TYPE (artifact_pipeline_\w+)", body.decode(), re.MULTILINE)
    section = SERVING.split("## Figures")[1].split("\n## ")[0]
    assert [name for name in told if name not in re.findall(r"artifact_pipeline_\w+", section)] == []
    section = SERVING.split("## What is refused")[1].split("\n## ")[0]
    assert set(STATUSES) - {200, 308, 500} == set(map(int, re.findall(r"(?<![\d,])[45]\d\d(?!,?\d)", section)))


@pytest.mark.parametrize("target", re.findall(r"^\| `make ([\w-]+)`", README, re.MULTILINE))
def test_targets_of_the_readme_are_in_the_makefile(target: str) -> None:
    """Each `make` target that the README names exists, with a line of help."""
    assert re.search(rf"^{target}:.*## \w", (ROOT / "Makefile").read_text(), re.MULTILINE)


PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Each relative link of a page leads to a file."""
    place = ROOT / page
    for link in re.findall(r"\]\(([^)#:]+)\)", place.read_text()):
        assert (place.parent / link).exists(), link


def test_headings_of_the_original_are_there() -> None:
    """The headings by which users of the original find their way are still there."""
    headings = re.findall(r"^## (.*)$", README, re.MULTILINE)
    for name in ("Overview", "Dataset and model", "Structure", "Branches", "Features", "Configuration", "Results"):
        assert name in headings
    assert {"Set-up", "Workflows", "Testing"} <= set(headings)


def manifest_paths(kind: type[Struct], prefix: str = "") -> Iterator[str]:
    hints = get_type_hints(kind)
    for field in structs.fields(kind):
        path = f"{prefix}{field.name}"
        parts = [hints[field.name], *get_args(hints[field.name])]
        nested = [each for each in parts if isinstance(each, type) and issubclass(each, Struct)]
        if nested:
            many = getattr(parts[0], "__origin__", None) is tuple
            yield from manifest_paths(nested[0], f"{path}{'[]' if many else ''}.")
        else:
            yield path


def at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value[part.removesuffix("[]")]
        value = value[0] if part.endswith("[]") else value
    return value


def test_format_page_describes_every_field_with_a_golden_example() -> None:
    """The format page has a row for each field of the manifest, whose example is the golden manifest's value."""
    table = FORMAT.split("## manifest.json")[1].split("## model.onnx")[0]
    rows = dict(re.findall(r"^\| `([\w.\[\]]+)` \| [^|]+ \| [^|]+ \|(?: `(.*)`)? \|$", table, re.MULTILINE))
    golden = json.loads((GOLDEN / "manifest.json").read_text())
    assert rows.keys() == set(manifest_paths(Manifest))
    shown = {path: json.loads(example) for path, example in rows.items() if example}
    assert shown == {path: at(golden, path) for path in shown}
    assert rows.keys() - shown.keys() == {"gate.rules[].label"}  # which the golden artifact's recipe does not ask for


@pytest.mark.parametrize("name", ["reference.json", "selftest.json"])
def test_format_page_names_every_key_of_the_other_files(name: str) -> None:
    """The format page names every key of the golden file, however deep."""

    def keys(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            yield from value
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from keys(each)

    section = FORMAT.split(f"## {name}")[1].split("\n## ")[0]
    for key in set(keys(json.loads((GOLDEN / name).read_text()))):
        assert f"`{key}`" in section or f"`{key}[]`" in section, key


def test_ci_page_shows_the_page_of_a_real_training(candidate: Any) -> None:
    """What docs/ci.md quotes of a job's summary is how the page of the documented training begins."""
    quoted = re.findall(r"^> ?(.*)$", (ROOT / "docs" / "ci.md").read_text(), re.MULTILINE)
    page = manifest_page(candidate.digest, candidate.manifest).splitlines()
    assert [HEX.sub("<hex>", line) for line in page[: len(quoted)]] == [HEX.sub("<hex>", line) for line in quoted]
