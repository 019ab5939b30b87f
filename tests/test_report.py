"""`artifact-pipeline report`: what the page says of any artifact; and nothing from a file gets out of its place."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from artifact_pipeline.canonical import canonical_json
from artifact_pipeline.cli import main
from artifact_pipeline.errors import ArtifactRejected, ConfigError, DataRejected
from artifact_pipeline.reports.page.request import Report, ReportRequest, report
from forging import reseal
from tables import write_table
from tools import slow

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.needs("matplotlib", "jinja2")

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
DIGITS = GOLDEN / "v2" / "digits"
ROWS = GOLDEN / "v2" / "rows.csv"
CLASSIFIERS = sorted(each.name for each in (GOLDEN / "v2").iterdir() if each.is_dir())
QUICK = {"LogisticRegression", "RandomForestClassifier", "LinearSVC"}
VOID = {"meta", "link", "img", "path", "use", "rect"}
HOSTILE = ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "\u202egpj.exe", "a\nb\x1b[31m", "x" * 250]


class Elements(HTMLParser):
    """The elements of a page, each with its attributes; whether each is closed; and the text of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: D102 - HTMLParser's
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: D102 - HTMLParser's
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:  # noqa: D102 - HTMLParser's
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:  # noqa: D102 - HTMLParser's
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        """The texts, with one space for any run of white space."""
        return " ".join(" ".join(self.texts).split())


def page_of(*artifacts: Path, to: Path, data: Path | None = None, receipt: Path | None = None) -> Elements:
    """The page about some artifacts, sound as it is."""
    file = to / "report.html"
    report(ReportRequest(artifacts, file, None if data is None else str(data), receipt))
    return sound(file.read_text())


def sound(text: str) -> Elements:
    """A page that is well-formed, runs nothing, asks for nothing, and whose links and ids agree."""
    page = Elements(text)
    assert page.open == []
    names = [tag for tag, _ in page.found]
    assert not {"script", "iframe", "object", "form", "base"} & set(names)
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.found:
        assert "style" not in attributes, (tag, attributes)
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for name in ("href", "src"):
            place = attributes.get(name, "#content")
            assert place.startswith("data:") or place.removeprefix("#") in ids, (tag, place)
    assert not any("\u202e" in each or "\x1b" in each for each in page.texts)
    return page


def table_of(folder: Path, rows: int = 240) -> Path:
    """A table of numbers with gaps, categories and a boolean, and two classes that they tell apart in part."""
    generator = np.random.default_rng(3)
    age, city = generator.normal(40, 10, rows).round(1), generator.choice(["Bern", "Basel", "Chur"], rows)
    member = generator.choice(["true", "false"], rows)
    bought = np.where((age > 40) ^ (generator.random(rows) < 0.15), "yes", "no")
    columns = {"age": age.astype(str), "city": city, "member": member, "bought": bought}
    columns["age"][::17] = ""
    return write_table(folder / "rows.csv", columns)


def trained_on(folder: Path, model: dict[str, object], **config: object) -> Path:
    """An artifact of a table in the folder."""
    from artifact_pipeline.api import train
    from artifact_pipeline.errors import GateFailed

    asked = {"dataset": {"path": str(folder / "rows.csv"), "target": "bought"}, "model": model, **config}
    try:
        train({"gate": {"min_accuracy": 0.5, "min_f1": 0.4}, **asked}, artifact=folder / "artifact")
    except GateFailed as error:
        return Path(error.result.artifact.folder if hasattr(error.result, "artifact") else error.result.folder)
    return folder / "artifact"


@pytest.fixture(scope="module")
def digits_page(tmp_path_factory: pytest.TempPathFactory) -> Elements:
    return page_of(DIGITS, to=tmp_path_factory.mktemp("digits"))


def test_page_begins_with_verdict_digests_and_figures(digits_page: Elements) -> None:
    """The head has the gate's verdict, both digests, and the figures with interval beside the majority share."""
    head = digits_page.text.partition("Mistakes, surest first 9 of")[0]
    manifest = json.loads((DIGITS / "manifest.json").read_bytes())
    digest = sha256((DIGITS / "manifest.json").read_bytes()).hexdigest()
    for words in (
        "gate passed",
        f"sha256:{digest}",
        manifest["model"]["digest"],
        "0.9750",
        "0.9532 to 0.9868",
        "0.1306",
    ):
        assert words in head


def test_mistakes_of_digits_are_pictures_the_surest_first(digits_page: Elements) -> None:
    """The nine held-out digits that are answered wrong stand first, as pictures, by falling probability."""
    pictures = [attributes for tag, attributes in digits_page.found if tag == "img"][:9]
    named = [re.fullmatch(r"row (\d+): (\d), predicted (\d)", each["alt"]) for each in pictures]
    assert all(each is not None and each[2] != each[3] for each in named)
    mistakes = digits_page.text.partition("Actual → predicted")[2].partition("Figures and gate")[0]
    sure = [float(each) for each in re.findall(r"→ \d ([01]\.\d\d) row", mistakes)]
    assert len(sure) == 9
    assert sure == sorted(sure, reverse=True)


def test_each_number_of_the_confusion_matrix_leads_to_its_rows(digits_page: Elements) -> None:
    """Each number of the matrix is a link to a place that holds pictures of that class."""
    links = [
        attributes["href"] for tag, attributes in digits_page.found if tag == "a" and "cell-" in attributes["href"]
    ]
    assert len(links) == 10 + 9
    assert len(set(links)) == len(links)


def test_figures_are_computed_again_from_the_rows(digits_page: Elements) -> None:
    """Where the rows are at hand, the page says that their digest is the manifest's and the figures come back."""
    checks = digits_page.text.partition("Split and leakage checks")[2]
    assert "the rows are those of the manifest holds" in checks
    assert "the figures come back from the rows holds" in checks
    assert "no held-out row is a training row holds" in checks


def test_policy_allows_its_own_style_sheet_alone(tmp_path: Path) -> None:
    """The policy of the page names the digest of its style sheet, and allows no script and no request."""
    report(ReportRequest((DIGITS,), tmp_path / "report.html"))
    text = (tmp_path / "report.html").read_text()
    (style,) = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    (policy,) = re.findall('Content-Security-Policy" content="(.*?)"', text)
    assert f"style-src &#39;sha256-{b64encode(sha256(style.encode()).digest()).decode()}&#39;" in policy
    assert policy.startswith("default-src &#39;none&#39;;")
    assert "unsafe" not in policy
    assert "http" not in re.sub(r"http://www\.w3\.org/[\w/]*", "", text.replace("http-equiv", ""))


@pytest.mark.slow
def test_two_processes_write_the_same_bytes_and_nothing_elsewhere(tmp_path: Path) -> None:
    """Whatever HOME, locale and settings of matplotlib there are, the bytes are the same, and HOME stays empty."""
    pages = []
    for name, more in (("one", {}), ("two", {"LC_ALL": "C", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"})):
        folder = tmp_path / name
        (folder / "home").mkdir(parents=True)
        if more:
            (folder / "matplotlibrc").write_text("font.size: 30\nlines.linewidth: 9\nsvg.fonttype: path\n")
        environment = {**os.environ, "HOME": str(folder / "home"), "MPLBACKEND": "agg", **more}
        environment.pop("MPLCONFIGDIR", None)
        command = [sys.executable, "-m", "artifact_pipeline", "report", str(DIGITS), "-o", "report.html", "--json"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        pages.append((folder / "report.html").read_bytes())
        assert done.stderr == ""
        assert json.loads(done.stdout)["sha256"] == f"sha256:{sha256(pages[-1]).hexdigest()}"
        assert [*(folder / "home").iterdir()] == []
    assert pages[0] == pages[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", [each if each in QUICK else slow(each) for each in CLASSIFIERS])
def test_each_classifier_has_a_page(name: str, tmp_path: Path) -> None:
    """Each classifier that can be written has a sound page, without rows, and in Markdown too."""
    artifact = GOLDEN / "v2" / name
    assert "Prove it" in page_of(artifact, to=tmp_path).text
    report(ReportRequest((artifact,), tmp_path / "report.md", form="markdown"))
    assert "### Prove it" in (tmp_path / "report.md").read_text()


@pytest.mark.slow
def test_format_1_has_a_page(tmp_path: Path) -> None:
    """An artifact of format 1 has the page that one of format 2 has, its pictures too."""
    page = page_of(GOLDEN / "v1", to=tmp_path)
    assert "Weights as pictures" in page.text
    assert "the figures come back from the rows holds" in page.text


def test_rows_of_a_table_are_shown_where_it_is_named(tmp_path: Path) -> None:
    """Without --data no value of a row is on the page; with it the mistakes, calibration and thresholds are."""
    table = table_of(tmp_path)
    artifact = trained_on(tmp_path, {"estimator": "LogisticRegression"})
    without, with_rows = page_of(artifact, to=tmp_path), page_of(artifact, to=tmp_path, data=table)
    assert "The artifact holds no rows" in without.text
    assert "surest first" not in without.text
    assert "ROC of yes" in with_rows.text
    assert "Calibration, held-out rows" in with_rows.text
    assert "the rows are those of the manifest holds" in with_rows.text
    assert re.search(r"Weights towards yes.*city = Basel", with_rows.text)


def test_importance_is_of_the_column_that_decides(tmp_path: Path) -> None:
    """Of a forest the page says what is lost without a column, and the one that decides comes first."""
    table = table_of(tmp_path)
    artifact = trained_on(tmp_path, {"estimator": "RandomForestClassifier", "n_estimators": 12})
    text = page_of(artifact, to=tmp_path, data=table).text
    assert re.search(
        r"Accuracy lost without the column, the most first: the numbers column loss 95 % interval age \+0\.", text
    )


@pytest.mark.slow
def test_rows_of_another_table_are_told_apart_by_the_hash_split(tmp_path: Path) -> None:
    """Of another table the rows on the held-out side are taken, and the page does not call it the training table."""
    table_of(tmp_path)
    artifact = trained_on(tmp_path, {"estimator": "LogisticRegression"})
    (tmp_path / "more").mkdir()
    text = page_of(artifact, to=tmp_path, data=table_of(tmp_path / "more", rows=300)).text
    assert "the rows are those of the manifest not known" in text
    assert "held-out rows" in text


@pytest.mark.slow
def test_rows_that_may_be_learned_are_called_so(tmp_path: Path) -> None:
    """Of a random split other rows than the training table's cannot be told apart, and the page says it."""
    table_of(tmp_path)
    artifact = trained_on(tmp_path, {"estimator": "LogisticRegression"}, split={"by": "random"})
    (tmp_path / "more").mkdir()
    text = page_of(artifact, to=tmp_path, data=table_of(tmp_path / "more", rows=60)).text
    assert "the model may have learned them" in text


def test_table_without_labels_is_refused(tmp_path: Path) -> None:
    """A table without the label's column cannot be compared with the answers, and the refusal names the column."""
    table_of(tmp_path)
    artifact = trained_on(tmp_path, {"estimator": "LogisticRegression"})
    new = write_table(tmp_path / "new.csv", {"age": ["1"], "city": ["Bern"], "member": ["true"]})
    with pytest.raises(DataRejected) as caught:
        report(ReportRequest((artifact,), tmp_path / "report.html", str(new)))
    assert "'bought'" in str(caught.value.problems[0])
    assert not (tmp_path / "report.html").exists()


@pytest.mark.slow
def test_failed_gate_is_shown(tmp_path: Path) -> None:
    """An artifact whose gate failed has a page that says so, with the rule that failed."""
    table = table_of(tmp_path)
    artifact = trained_on(tmp_path, {"estimator": "LogisticRegression"}, gate={"min_accuracy": 0.999})
    text = page_of(artifact, to=tmp_path, data=table).text
    assert "gate failed" in text
    assert "≥ 0.9990 failed" in text
    assert "--accept-failed-gate" in text


@pytest.mark.slow
def test_scores_without_probabilities_have_a_page(tmp_path: Path) -> None:
    """A model that gives scores alone has mistakes and thresholds, and no calibration."""
    table = table_of(tmp_path)
    text = page_of(trained_on(tmp_path, {"estimator": "LinearSVC"}), to=tmp_path, data=table).text
    assert "row actual predicted score" in text
    assert "ROC of yes" in text
    assert "Calibration" not in text


@pytest.mark.parametrize("form", ["html", "markdown"])
def test_hostile_names_stay_in_their_place(form: str, tmp_path: Path) -> None:
    """Names of columns, levels and labels that would be elements, turn letters round or move a cursor are texts."""
    generator = np.random.default_rng(5)
    first = generator.normal(0, 1, 200)
    columns = {
        HOSTILE[0]: first.astype(str),
        HOSTILE[4]: generator.choice([HOSTILE[1], HOSTILE[2], "$x^2$", "x" * 900], 200),
        "bought": np.where(first + generator.normal(0, 1, 200) > 0, HOSTILE[0], HOSTILE[2]),
    }
    table = write_table(tmp_path / "rows.csv", columns)
    artifact = trained_on(tmp_path, {"estimator": "LogisticRegression"})
    file = tmp_path / "report"
    report(ReportRequest((artifact,), file, str(table), form="html" if form == "html" else "markdown"))
    text = file.read_text()
    if form == "html":
        assert "<script>alert(1)</script>" in sound(text).text
    else:
        assert "\u202e" not in text
        assert "<script" not in re.sub("`[^`]*`", "", text)


@pytest.mark.slow
def test_many_classes_and_columns_are_cut_and_said(tmp_path: Path) -> None:
    """A hundred classes and 120 columns give a page of bounded size that says what it leaves out."""
    generator = np.random.default_rng(6)
    names = [f"column_{place}" for place in range(120)]
    label = np.arange(600) % 100
    columns = {name: (generator.normal(0, 1, 600) + label * (place == 0)).round(2) for place, name in enumerate(names)}
    table = write_table(tmp_path / "rows.csv", {**columns, "bought": label})
    artifact = trained_on(tmp_path, {"estimator": "GaussianNB"}, gate={})
    page = page_of(artifact, to=tmp_path, data=table)
    assert "100 classes are too many for numbers" in page.text
    assert "40 of 120 columns are shown" in page.text
    assert (tmp_path / "report.html").stat().st_size < 1 << 20


def test_several_stand_beside_each_other(tmp_path: Path) -> None:
    """Two models of the same rows are compared row by row; what differs in their recipes is listed."""
    table, artifacts = table_of(tmp_path), []
    for place, model in enumerate(("LogisticRegression", "DecisionTreeClassifier")):
        (tmp_path / str(place)).mkdir()
        (tmp_path / str(place) / "rows.csv").symlink_to(table)
        artifacts.append(trained_on(tmp_path / str(place), {"estimator": model}))
    text = page_of(*artifacts, to=tmp_path, data=table).text
    assert "2 models beside each other" in text
    assert re.search(r"B: DecisionTreeClassifier [0-9a-f]{8} [+-]0\.\d{4} [+-]", text)
    assert re.search(r"estimator sklearn\.linear_model\S+ sklearn\.tree\S+", text)


@pytest.mark.slow
def test_models_of_other_rows_are_not_compared_row_by_row(tmp_path: Path) -> None:
    """Models that held out other rows stand beside each other, and the page says that no row is compared."""
    text = page_of(DIGITS, GOLDEN / "v2" / "SVC", to=tmp_path).text
    assert "it held out other rows, and is not compared row by row" in text


def test_drift_of_a_receipt_is_shown(tmp_path: Path) -> None:
    """With the receipt of a prediction by the artifact the page shows its drift; that of another one is refused."""
    from artifact_pipeline.api import predict_files

    table = table_of(tmp_path)
    artifact = trained_on(tmp_path, {"estimator": "LogisticRegression"})
    predict_files(table, artifact=artifact, to=tmp_path / "predictions.csv")
    receipt = tmp_path / "predictions.csv.receipt.json"
    assert "240 rows read, 240 answered" in page_of(artifact, to=tmp_path, receipt=receipt).text
    with pytest.raises(ArtifactRejected, match="about another artifact"):
        page_of(DIGITS, to=tmp_path, receipt=receipt)
    found = json.loads(receipt.read_bytes())
    for drift in ({"tested": 3, "worst": 1, "drifted": 5}, {"tested": 3, "worst": [{"effect": "x", "p": []}, 1]}):
        receipt.write_bytes(canonical_json({**found, "drift": drift}))
        assert "of 3 respects" in page_of(artifact, to=tmp_path, receipt=receipt).text
    receipt.write_text("{}")
    with pytest.raises(ArtifactRejected):
        page_of(artifact, to=tmp_path, receipt=receipt)


@pytest.mark.parametrize(
    "changes",
    [{"split": {"by": [1], "column": {}}}, {"split": {"by": "hash", "key": 1}}, {"search": {"space": 5, "metric": []}}],
    ids=str,
)
def test_a_recipe_of_any_shape_has_a_page(tmp_path: Path, changes: dict[str, object]) -> None:
    """A recipe that this version could not have written is shown, and ends no page."""
    folder = tmp_path / "artifact"
    shutil.copytree(DIGITS, folder)
    reseal(folder, {f"recipe.{key}": value for key, value in changes.items()})
    assert "Split and leakage checks" in page_of(folder, to=tmp_path).text


def test_changed_artifact_is_refused(published: Path) -> None:
    """An artifact with one changed byte is refused, and no page is written."""
    split = published / "artifact" / "split.bin"
    split.write_bytes(bytes([split.read_bytes()[0] ^ 1]) + split.read_bytes()[1:])
    with pytest.raises(ArtifactRejected):
        report(ReportRequest((published / "artifact",), published / "report.html"))
    assert not (published / "report.html").exists()


def test_output_is_no_input(tmp_path: Path) -> None:
    """A page is not written over the table that it shows, nor into the artifact."""
    table = table_of(tmp_path)
    artifact = trained_on(tmp_path, {"estimator": "LogisticRegression"})
    for place in (table, artifact / "report.html"):
        with pytest.raises(ConfigError, match="an output cannot be an input"):
            report(ReportRequest((artifact,), place, str(table)))


def test_verb_writes_the_page_and_says_so(
    published: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without arguments the verb writes report.html about `artifact`; in Markdown report.md."""
    monkeypatch.chdir(published)
    assert main(["report", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["report"] == "report.html"
    assert said["rows"] == [{"which": "held out", "count": 360}]
    assert main(["report", "--format", "markdown"]) == 0
    assert "gate passed" in (published / "report.md").read_text()


def test_missing_extra_is_named(published: Path, run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """Without matplotlib the error names the extra that brings it, and no page is written."""
    script = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from artifact_pipeline.cli import main\nsys.exit(main(['report', 'artifact']))"
    )
    done = run("-c", script)
    assert done.returncode == 1
    assert "pip install 'artifact-pipeline[report]'" in done.stderr
    assert not (published / "report.html").exists()


def test_markdown_needs_no_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Markdown, which has no plots, a page is made without matplotlib and Jinja2, and is the same as with them."""
    asked = ReportRequest((DIGITS,), tmp_path / "report.md", form="markdown")
    report(asked)
    before = asked.output.read_bytes()
    for name in ("matplotlib", "jinja2", "markupsafe"):
        for loaded in [each for each in sys.modules if each.partition(".")[0] == name]:
            monkeypatch.delitem(sys.modules, loaded)
        monkeypatch.setitem(sys.modules, name, None)
    report(asked)
    assert asked.output.read_bytes() == before


def test_a_report_says_what_it_is_about(tmp_path: Path) -> None:
    """What `report` returns names rows, and the file by its digest; the page of the digits has at most 200 KiB."""
    found = report(ReportRequest((DIGITS,), tmp_path / "report.html"))
    assert isinstance(found, Report)
    assert found.size <= 200 * 1024
    assert found.rows == (("held out", 360),)
    assert found.sha256 == f"sha256:{sha256((tmp_path / 'report.html').read_bytes()).hexdigest()}"
