"""Documentation that can fail: what the pages say is what the code has, their examples in Python and curl run.

test_shown_commands.py runs the commands that they show.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import click
import pytest
from msgspec import Struct, structs
from scripts import estimators, reference

from artifact_pipeline.artifact.manifest1 import Manifest1
from artifact_pipeline.cli.app import app
from artifact_pipeline.config import Gate, Table
from artifact_pipeline.config.about import About
from artifact_pipeline.config.estimators import WRITTEN
from artifact_pipeline.config.models import LogisticRegression
from artifact_pipeline.config.preparing import Preparation, Split
from artifact_pipeline.config.searching import Search
from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.prediction.receipt import Receipt
from artifact_pipeline.reports.markdown import manifest_page
from artifact_pipeline.rows.faults import RULES
from artifact_pipeline.training.publication import publish
from pages import FENCE, HEX, PAGES, PLATFORM, ROOT, blocks, read, section
from servers import Server, serving
from signatures import write_keys
from tables import write_table
from tools import program_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

PACKAGE = ROOT / "src" / "artifact_pipeline"
GOLDEN = ROOT / "tests" / "golden" / "v1"
README = read("README.md")
FORMAT = read("docs/artifact-format.md")
INFERENCE = read("docs/inference.md")
SERVING = read("docs/serving.md")


def test_the_page_of_classifiers_has_each_one_that_a_config_may_name() -> None:
    """Each classifier that can be written has its row, in one order, between what the script says of the table."""
    page = estimators.PAGE.read_text(encoding="utf-8")
    assert page.startswith(estimators.HEAD)
    assert page.endswith(estimators.FOOT)
    assert [line[0] for line in measured_rows(page)] == [f"`{name}`" for name in WRITTEN]


def measured_rows(page: str) -> list[list[str]]:
    """The cells of the table of classifiers."""
    table = page.removeprefix(estimators.HEAD).removesuffix(estimators.FOOT)
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]


@pytest.mark.slow
def test_the_page_of_classifiers_says_what_is_measured() -> None:
    """Trained, written and compared again, each has its row but for figures, no label differs, and none by 1e-12."""
    figures = slice(5, 7)
    said, found = measured_rows(estimators.PAGE.read_text(encoding="utf-8")), measured_rows("".join(estimators.rows()))
    for one, other in zip(said, found, strict=True):
        for cells in (one, other):
            assert float(cells[5]) <= 1e-12, cells
            del cells[figures]
        assert one == other
        assert one[4] == "0"


@pytest.mark.slow
def test_platform_of_the_readme_is_that_of_the_golden_artifact(run: Any) -> None:
    """What the README names to compare with is an artifact of the platform that it names, and its command works."""
    told = json.loads((GOLDEN / "manifest.json").read_text())["environment"]
    python = told["python"]
    assert (*python.values(), told["system"], told["architecture"], told["libc"]) == PLATFORM
    (command,) = re.findall(r"`artifact-pipeline (reproduce tests/golden/v2/digits .*?)`", README)
    done = run("-m", "artifact_pipeline", *command.split(), cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("reproduced: tests/golden/v2/digits, grade ")


@pytest.mark.slow
def test_python_of_the_scripts_page_runs(run: Any) -> None:
    """The Python example works as it stands, from the project's root."""
    (example,) = blocks("docs/scripts.md", "python")
    done = run("-c", f"{example}\nprint(f'{{accuracy:.4f}} {{f1:.4f}}')", cwd=ROOT)
    assert done.stdout == "0.9750 0.9751\n", done.stderr


@pytest.mark.parametrize("page", ["README.md", "docs/configuration.md"])
def test_config_of_a_page_is_the_config(page: str) -> None:
    """The config that a page shows is the one in the repository."""
    (example,) = blocks(page, "json")
    assert json.loads(example) == json.loads((ROOT / "config" / "config.json").read_text())


def test_reference_names_every_key_of_the_config() -> None:
    """The table of keys has every key of the config with its default, and no other."""
    rows = dict(
        re.findall(r"^\| `([\w.]+)` \| .*? \| (`.*?`|\*[\w ]+\*) \| ", read("docs/reference/config.md"), re.MULTILINE)
    )
    own = {
        "name": None,
        "dataset": "digits",
        "feedback": [],
        "random_state": 42,
        "range_margin": 0.5,
        "preprocess": None,
        "search": None,
        "about": None,
    }
    expected: dict[str, object] = {**own, "model.estimator": None}
    sections = {"gate": Gate, "dataset": Table, "split": Split, "preprocess": Preparation, "search": Search}
    sections |= {"about": About}
    expected |= {f"{name}.{key}": _default(each) for name, kind in sections.items() for key, each in _keys(kind)}
    expected |= {key: _default(each) for kind in (LogisticRegression, Split) for key, each in _keys(kind)}
    for inside in ("estimator", "by", "key", "column", "path"):
        del expected[inside]
    shown = {key: json.loads(value.strip("`")) if "`" in value else None for key, value in rows.items()}
    assert shown == expected


def _keys(kind: type[BaseModel]) -> Iterable[tuple[str, FieldInfo]]:
    return kind.model_fields.items()


def _default(field: FieldInfo) -> object:
    return None if field.is_required() else field.default


@pytest.mark.parametrize("page", sorted(reference.PAGES))
def test_reference_is_what_its_script_writes(page: str) -> None:
    """The pages of the reference say what the schema and the commands say today; `make docs` writes them again."""
    assert read(f"docs/reference/{page}") == reference.PAGES[page]()


@pytest.mark.parametrize(("page", "heading"), [("README.md", "### The verbs"), ("docs/commands.md", "## The verbs")])
def test_every_verb_is_named(page: str, heading: str) -> None:
    """The table of verbs has every verb, and no other."""
    cells = re.findall(r"^\| (`.*?) \| ", section(page, heading), re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`(\w+)[^`]*`", cell)} == set(app.commands)


def test_commands_page_names_every_option_of_predict() -> None:
    """The table of what `predict` takes has each of its options, but for those that `verify` takes too."""
    told = section("docs/commands.md", "## The options of predict")
    shared = {"artifact", *(parameter.name for parameter in app.commands["verify"].params)} - {"receipt"}
    for parameter in app.commands["predict"].params:
        if parameter.param_type_name == "option" and parameter.name not in shared:
            assert any(f"`{name}" in told or f", `{name}" in told for name in _spellings(parameter)), parameter.name


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


@pytest.mark.slow
@pytest.mark.needs("pandas")
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
    python = program_of(".venv-clients", "python")
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
    """The page names each figure that /metrics tells of the server, and each status that the API tells of."""
    assert server.infer(load_digits().X[:100])[0] == 200
    _, _, body = server.ask("GET", "/metrics")
    told = re.findall(r"^# TYPE (artifact_pipeline_\w+)", body.decode(), re.MULTILINE)
    section = SERVING.split("## Figures")[1].split("\n## ")[0]
    assert [name for name in told if name not in re.findall(r"artifact_pipeline_\w+", section)] == []
    section = SERVING.split("## What is refused")[1].split("\n## ")[0]
    document = json.loads(server.ask("GET", "/openapi.json")[2])
    told_of = {int(code) for path in document["paths"].values() for each in path.values() for code in each["responses"]}
    assert (told_of - {200}) | {405} == set(map(int, re.findall(r"(?<![\d,])[45]\d\d(?!,?\d)", section)))


@pytest.mark.parametrize(
    "target", sorted({each for page in PAGES for each in re.findall(r"`make ([\w-]+)", read(page))})
)
def test_targets_that_a_page_names_are_in_the_makefile(target: str) -> None:
    """Each `make` target that a page names exists, with a line of help."""
    assert re.search(rf"^{target}:.*## \w", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_target_is_told() -> None:
    """The page of development names every `make` target but `help` and `clean`, which say what they are."""
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert targets - {"help", "clean"} == set(
        re.findall(r"`make ([\w-]+)`", section("docs/development.md", "## Testing"))
    )


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Each relative link of a page leads to a file, and to a heading of it where it names one."""
    place = ROOT / page
    for link, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", place.read_text()):
        target = place.parent / link if link else place
        assert target.exists(), link
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}, (
            anchor
        )


def test_headings_of_the_original_are_there() -> None:
    """The headings by which users of the original find their way are still there."""
    headings = re.findall(r"^## (.*)$", README, re.MULTILINE)
    for name in (
        "Overview",
        "Dataset and model",
        "Project structure",
        "Branches",
        "Features",
        "Configuration",
        "Results",
    ):
        assert name in headings
    assert {"Set-up", "Workflows", "Testing"} <= set(headings)


def test_readme_is_short() -> None:
    """The README is read in one go: fewer than 180 lines."""
    assert len(README.splitlines()) < 180


WORDS = """artifact, artifact digest, pointer, store, manifest, recipe, gate, verdict, champion, candidate, receipt,
reference, drift, split, held-out rows, golden rows, self-test, export, policy, statement, quarantine, part, door"""


def test_glossary_explains_each_word_in_one_line() -> None:
    """The glossary has each word of the house once, in the order of the alphabet."""
    words = re.findall(r"^\| ([a-z -]+) \| \S.* \|$", read("docs/glossary.md"), re.MULTILINE)[1:]
    assert words == sorted(set(words))
    assert set(words) >= set(re.split(r",\s+", WORDS))


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
    assert rows.keys() == set(manifest_paths(Manifest1))
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
