from __future__ import annotations

import base64
import json
import math
import re
import subprocess
import sys
import threading
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from artifact_pipeline import plugins
from artifact_pipeline.config import from_mapping
from artifact_pipeline.digits import feedback, panel
from artifact_pipeline.digits.dataset import NAMES, load_digits
from artifact_pipeline.digits.images import digit_from_image
from artifact_pipeline.errors import DataRejected, StorageError
from artifact_pipeline.model.predictor import Predictor
from artifact_pipeline.serving.http import Refusal
from artifact_pipeline.serving.model import Served, open_model
from artifact_pipeline.serving.page import form, table
from artifact_pipeline.serving.page.routes import document, routes
from artifact_pipeline.serving.settings import Settings
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.publication import publish
from artifact_pipeline.verification import verify
from drawing import draw_digit, encode
from linear_writer import linear_classifier
from tables import blobs, write_table

if TYPE_CHECKING:
    from artifact_pipeline.serving.http import Response
    from artifact_pipeline.training.sealed import Candidate

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "artifact_pipeline"
FOLDERS = (PACKAGE / "serving" / "page" / "static", PACKAGE / "digits" / "static")
DIGITS = load_digits()


@pytest.fixture(scope="module")
def served(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Served:
    folder = tmp_path_factory.mktemp("page")
    publish(candidate, artifact=folder / "artifact", export=folder / "model_train.pkl")
    return open_model(verify(folder / "artifact"))


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A model of a table with text labels."""
    folder = tmp_path_factory.mktemp("words")
    table = write_table(folder / "rows.parquet", blobs(["no", "yes"]))
    mapping = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000, "dataset": {"path": str(table), "target": "label"}}
    candidate = train(from_mapping(mapping), progress=lambda _: None)
    publish(candidate, artifact=folder / "artifact", export=folder / "model_train.pkl")
    return open_model(verify(folder / "artifact"))


def told(response: Response) -> Any:
    assert response.status == 200
    assert dict(response.headers)[b"content-type"].startswith(b"application/json")
    return json.loads(response.body)


def described(served: Served, settings: Settings | None = None) -> Any:
    """What the page is told of a model."""
    return told(routes(settings or Settings())["/page/model"].answer(served, None))  # type: ignore[arg-type]


def csv_of(rows: int, *, target: bool = True) -> list[str]:
    """The lines of a CSV of the digits."""
    names = [*DIGITS.names, *(["target"] if target else [])]
    values = [
        [*map(str, x), *([str(y)] if target else [])]
        for x, y in zip(DIGITS.X[:rows].tolist(), DIGITS.y[:rows].tolist(), strict=True)
    ]
    return [",".join(line) for line in [names, *values]]


def body_of(lines: list[str]) -> bytes:
    return "\n".join(lines).encode() + b"\n"


# --- what it says of the model


def test_the_model_is_described(served: Served, tmp_path: Path) -> None:
    """The page is told the digests, the measured figures, the verdict, and that one can draw."""
    manifest = served.verified.manifest
    value = described(served, Settings(feedback=tmp_path / "drawn.jsonl"))
    assert value["name"] == "digits"
    assert (value["digest"], value["model"]) == (served.verified.digest, manifest.model.digest)
    assert value["held_out"]["accuracy"] == manifest.metrics.held_out.accuracy.plain()
    assert value["held_out"]["f1"] == manifest.metrics.held_out.f1_weighted.plain()
    assert value["held_out"]["confusion"] == [list(row) for row in manifest.metrics.held_out.confusion]
    assert value["gate"] == "passed"
    assert [rule["metric"] for rule in value["rules"]] == ["accuracy", "f1_weighted"]
    assert value["labels"] == list(range(10))
    assert (value["panel"], value["feedback"]) == ("digits", True)
    assert described(served)["feedback"] is False


def test_a_model_of_something_else_takes_no_drawings(words: Served, tmp_path: Path) -> None:
    """Without the digits' 64 columns there is no canvas, no picture and no feedback, and tables are answered."""
    value = described(words, Settings(feedback=tmp_path / "drawn.jsonl"))
    assert value["panel"] == "form"
    assert "feedback" not in value
    with pytest.raises(Refusal, match="takes no pictures"):
        panel.read_picture(words, encode(draw_digit(3, np.random.default_rng(0))))
    with pytest.raises(Refusal, match="takes no drawings"):
        feedback.Feedback(tmp_path / "rows.jsonl").append(words, labelled("no"))
    answer = told(table.read_table(words, b"height,width\n0.1,6\n0.2,-6\n"))
    assert answer["answers"]["label"] == [0, 1]
    assert answer["accuracy"] is None


# --- pictures


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_is_answered(served: Served, kind: str) -> None:
    """A picture gets the row of the data set's recipe, ten probabilities, and what each pixel spoke."""
    picture = encode(draw_digit(3, np.random.default_rng(1)), kind)
    response = panel.read_picture(served, picture)
    value = told(response)
    pixels = digit_from_image(picture, place="picture")
    assert response.rows == 1
    assert value["label"] == 3
    assert value["pixels"] == pixels.tolist()
    assert len(value["probabilities"]) == 10
    assert math.isclose(sum(value["probabilities"]), 1)
    assert max(value["probabilities"]) == value["probabilities"][3]


def test_what_the_pixels_spoke_adds_up_to_the_score(served: Served) -> None:
    """The 64 numbers and the intercept are the winner's score, by which the probabilities stand."""
    from onnx import ModelProto, numpy_helper

    value = told(panel.read_picture(served, encode(draw_digit(5, np.random.default_rng(2)))))
    weights, biases, _ = (
        numpy_helper.to_array(each) for each in ModelProto.FromString(served.verified.role("model")).graph.initializer
    )
    scores = weights @ np.array(value["pixels"]) + biases
    assert np.allclose(sum(value["spoke"]) + biases[5], scores[5], atol=1e-4)
    assert np.allclose(np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum(), value["probabilities"])


def test_a_forest_of_the_digits_is_drawn_for(tmp_path: Path) -> None:
    """Any model of the digits that gives probabilities is drawn for; what spoke is an estimate where it must be."""
    trees = {"estimator": "RandomForestClassifier", "n_estimators": 10, "min_samples_leaf": 5}
    config = {"model": trees, "gate": {"min_accuracy": 0.3, "min_f1": 0.3}}
    publish(
        train(from_mapping(config), progress=lambda _: None),
        artifact=tmp_path / "artifact",
        export=tmp_path / "model_train.pkl",
    )
    forest = open_model(verify(tmp_path / "artifact"))
    assert described(forest)["panel"] == "digits"
    value = told(panel.read_picture(forest, encode(draw_digit(3, np.random.default_rng(1)))))
    assert value["by"] == "typical"
    assert len(value["spoke"]) == 64
    assert any(value["spoke"])


def test_scores_of_the_digits_get_a_form(served: Served) -> None:
    """Drawing shows shares of ten digits; a model that gives scores gets the form of its 64 columns."""
    scores = SimpleNamespace(kind="scores")
    assert described(replace(served, predictor=scores))["panel"] == "form"


def test_an_empty_canvas_is_refused(served: Served) -> None:
    """A picture without ink, and bytes that are none, are refused by name."""
    with pytest.raises(DataRejected) as caught:
        panel.read_picture(served, encode(np.full((280, 280), 255, dtype=np.uint8)))
    assert caught.value.rules == {"image-no-ink"}
    with pytest.raises(DataRejected, match="picture"):
        panel.read_picture(served, b"not a picture")


def test_threads_get_the_answers_of_one(served: Served) -> None:
    """Pictures that are asked at once are answered as one after the other."""
    pictures = [encode(draw_digit(digit, np.random.default_rng(digit))) for digit in range(10)]
    alone = [panel.read_picture(served, each).body for each in pictures]
    together: dict[int, bytes] = {}
    threads = [
        threading.Thread(target=lambda at=at: together.update({at: panel.read_picture(served, pictures[at]).body}))
        for at in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[at] for at in range(10)] == alone


# --- tables


def test_a_table_is_answered(served: Served) -> None:
    """A CSV with labels gets the mix of answers, the answer to each row, and its accuracy."""
    response = table.read_table(served, body_of(csv_of(500)))
    value = told(response)
    answers = served.predictor.predict(DIGITS.X[:500])
    assert (response.rows, value["rows"], value["rejected"]) == (500, 500, {"rows": 0, "first": []})
    assert [each["rows"] for each in value["labels"]] == np.bincount(answers.positions, minlength=10).tolist()
    right = float((answers.labels == DIGITS.y[:500]).mean())
    assert value["accuracy"] == {"value": right, "rows": 500, "own": False, "splits": []}
    assert [len(each) for each in value["answers"].values()] == [500] * 5
    sure = round(float(answers.probabilities[7].max()), 6)
    assert [*value["answers"]] == ["row", "label", "actual", "sure", "side"]
    assert [each[7] for each in value["answers"].values()] == [7, 7, 7, sure, -1]


def test_a_table_of_just_the_training_file_is_scored_by_split(served: Served) -> None:
    """The model's own rows, all of them, are split as the command splits them; one row less, and nothing is known."""
    lines = csv_of(1797)
    accuracy = told(table.read_table(served, body_of(lines)))["accuracy"]
    assert (accuracy["own"], accuracy["rows"]) == (True, 1797)
    assert accuracy["splits"] == [
        {"name": "held-out", "value": 0.975, "rows": 360},
        {"name": "training", "value": 1.0, "rows": 1437},
    ]
    for others in (lines[:-1], [*lines, lines[1]], [lines[0], *lines[:0:-1]]):
        accuracy = told(table.read_table(served, body_of(others)))["accuracy"]
        assert (accuracy["own"], accuracy["splits"]) == (False, [])


def test_columns_of_a_table_are_taken_by_name(served: Served) -> None:
    """The order of the columns decides nothing, and without labels there is no accuracy."""
    lines = [",".join(reversed(line.split(","))) for line in csv_of(50, target=False)]
    value = told(table.read_table(served, body_of(lines)))
    assert value["answers"]["label"] == served.predictor.predict(DIGITS.X[:50]).labels.tolist()
    assert value["accuracy"] is None
    assert set(value["answers"]["actual"]) == {-1}


def test_bad_rows_of_a_table_are_set_aside(served: Served) -> None:
    """A row that cannot be answered is named by row, column and reason; the others are answered."""
    lines = csv_of(40)
    lines[3] = "abc" + lines[3][3:]
    lines[10] = "1,2"
    lines[20] = lines[20].rpartition(",")[0] + ",77"
    value = told(table.read_table(served, body_of(lines)))
    assert (value["rows"], value["rejected"]["rows"], value["accuracy"]["rows"]) == (37, 3, 37)
    named = {each["row"]: each for each in value["rejected"]["first"]}
    assert named[2]["column"] == "pixel_0_0"
    assert "not a number" in named[2]["message"]
    assert "2 values" in named[9]["message"]
    assert named[19]["column"] == "target"


def test_rows_too_large_to_answer_are_set_aside(words: Served) -> None:
    """A row of which no probability comes is named, and not answered with NaN."""
    model = linear_classifier([[-1e200, 0], [1e200, 0]], [0, 0], ["no", "yes"], dtype="float64", name="steep")
    steep = replace(words, predictor=Predictor(model, ["no", "yes"]))
    value = told(table.read_table(steep, b"width,height\n6,0\n1e200,0\n"))
    assert value["rows"] == 1
    assert value["rejected"]["first"] == [
        {"row": 1, "column": "", "message": "the values are too large for the model to answer"}
    ]


def test_few_bad_rows_are_named_and_all_are_counted(served: Served) -> None:
    """However many rows are bad, ten are named."""
    value = told(table.read_table(served, body_of([csv_of(0)[0], *["1,2"] * 4000])))
    assert (value["rows"], value["rejected"]["rows"], len(value["rejected"]["first"])) == (0, 4000, 10)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"a,b\n1,2\n", r"no column 'pixel_0_0', and \d+ problems more; it has: 'a', 'b'"),
        (b"", "there is no header"),
        (b"\xff\xfe\n1\n", "UTF-8"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(served: Served, body: bytes, message: str) -> None:
    """What is no CSV of the model's columns is refused in one sentence, which names no place of the server."""
    with pytest.raises(Refusal, match=message) as caught:
        table.read_table(served, body)
    assert caught.value.status == 400
    assert "/" not in caught.value.message


def test_a_table_with_too_many_rows_is_refused(served: Served) -> None:
    """One row more than a request may have is refused with 413."""
    lines = csv_of(1)
    assert told(table.read_table(served, body_of([lines[0], *[lines[1]] * served.max_rows])))["rows"] == served.max_rows
    with pytest.raises(Refusal) as caught:
        table.read_table(served, body_of([lines[0], *[lines[1]] * (served.max_rows + 1)]))
    assert caught.value.status == 413


# --- feedback


def labelled(label: object, pixels: object = None) -> bytes:
    return json.dumps({"pixels": [0.0] * 64 if pixels is None else pixels, "label": label}).encode()


def test_feedback_is_a_row_of_the_data_set(served: Served, tmp_path: Path) -> None:
    """A labelled drawing becomes one line of JSON with the columns that the model learns from."""
    place = tmp_path / "rows.jsonl"
    file = feedback.Feedback(place)
    assert told(file.append(served, labelled(7, DIGITS.X[7].tolist()))) == {"label": 7}
    file.append(served, labelled(8, DIGITS.X[8].tolist()))
    first, second = map(json.loads, place.read_text().splitlines())
    assert first == {**dict(zip(DIGITS.names, DIGITS.X[7].tolist(), strict=True)), "target": 7}
    assert second["target"] == 8


@pytest.mark.parametrize(
    "body",
    [
        labelled(10),
        labelled("7"),
        labelled(7).replace(b"7", b"true"),
        labelled(7.5),
        labelled(None),
        labelled(7, [0.0] * 63),
        labelled(7, [0.0] * 65),
        labelled(7, [*[0.0] * 63, 16.5]),
        labelled(7, [*[0.0] * 63, -1.0]),
        labelled(7, [*[0.0] * 63, math.nan]),
        labelled(7, [*[0.0] * 63, math.inf]),
        labelled(7, [*[0.0] * 63, "1"]),
        labelled(7).replace(b'"label"', b'"Label"'),
        labelled(7)[:-1] + b', "more": 1}',
        labelled(7)[:-1],
        b"[" * 100_000,
        b"",
        b"\xff",
    ],
)
def test_feedback_that_is_no_drawing_is_refused(served: Served, tmp_path: Path, body: bytes) -> None:
    """A label that the model does not know, and pixels that are none, are refused, and nothing is written."""
    file = feedback.Feedback(tmp_path / "rows.jsonl")
    with pytest.raises(Refusal) as caught:
        file.append(served, body)
    assert caught.value.status == 400
    assert (tmp_path / "rows.jsonl").read_bytes() == b""


def test_feedback_begins_a_line_of_its_own(served: Served, tmp_path: Path) -> None:
    """A last line without its end, such as an editor leaves, is not spoiled."""
    place = tmp_path / "rows.jsonl"
    place.write_text('{"target": 1}')
    feedback.Feedback(place).append(served, labelled(7))
    assert [json.loads(line)["target"] for line in place.read_text().splitlines()] == [1, 7]


def test_feedback_ends_at_its_bound(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that would grow beyond 64 MiB is left as it is, with 503."""
    assert feedback.MAX_BYTES == 64 << 20
    place = tmp_path / "rows.jsonl"
    feedback.Feedback(place).append(served, labelled(7))
    before = place.read_bytes()
    monkeypatch.setattr(feedback, "MAX_BYTES", len(before) + 100)
    with pytest.raises(Refusal, match="bound") as caught:
        feedback.Feedback(place).append(served, labelled(7))
    assert caught.value.status == 503
    assert place.read_bytes() == before


def test_feedback_to_a_full_disk_leaves_no_half_line(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only a part of a line finds room, none of it stays."""
    place = tmp_path / "rows.jsonl"
    file = feedback.Feedback(place)
    file.append(served, labelled(7))
    before = place.read_bytes()
    whole = feedback.os.write
    monkeypatch.setattr(feedback.os, "write", lambda to, data: whole(to, data[:100]))
    with pytest.raises(Refusal, match="no space left") as caught:
        file.append(served, labelled(8))
    assert caught.value.status == 503
    assert place.read_bytes() == before


@pytest.mark.parametrize("name", ["folder", "missing/rows.jsonl"])
def test_a_place_that_cannot_be_appended_to_is_refused_at_once(tmp_path: Path, name: str) -> None:
    """A folder, or a file in a folder that is not there, stops the server before it starts."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="cannot write"):
        feedback.Feedback(tmp_path / name)


APPENDER = """
import sys
from pathlib import Path
from artifact_pipeline.verification import verify
from artifact_pipeline.digits import feedback
from artifact_pipeline.serving.model import open_model

served = open_model(verify(Path(sys.argv[1])))
file = feedback.Feedback(Path(sys.argv[2]))
for _ in range(200):
    file.append(served, sys.argv[3].encode())
"""


def test_processes_that_append_at_once_tear_no_line(published: Path, tmp_path: Path) -> None:
    """Two processes write two hundred drawings each, and every line is whole."""
    place = tmp_path / "rows.jsonl"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", APPENDER, published / "artifact", place, labelled(label, [label] * 64).decode()],
            env={"PYTHONPATH": str(ROOT / "src")},
        )
        for label in (3, 8)
    ]
    assert [process.wait() for process in started] == [0, 0]
    lines = [json.loads(line) for line in place.read_text().splitlines()]
    assert sorted(line["target"] for line in lines) == [3] * 200 + [8] * 200
    assert all(line[pixel] == line["target"] for line in lines for pixel in NAMES)


# --- the files


class Elements(HTMLParser):
    """Every element of a page with its attributes and the text in it."""

    VOID = ("meta", "link", "input", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[dict[str, Any]] = []
        self._open: list[dict[str, Any]] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        element = {"tag": tag, "text": "", **dict(attrs)}
        self.found.append(element)
        if tag not in self.VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        """It ends."""
        assert self._open.pop()["tag"] == tag

    def handle_data(self, data: str) -> None:
        """Text of all that are open."""
        for element in self._open:
            element["text"] += data


PANELS = [*(plugins.panel(name)(Settings()) for name in plugins.PANELS), form.panel()]
NAMES_OF_PANELS = [each.name for each in PANELS]
FILES = [file for folder in FOLDERS for file in sorted(folder.iterdir())]
SCRIPTS = [file for file in FILES if file.suffix == ".js"]


PAGES = {each.name: Elements(document(FOLDERS[0], each).decode()).found for each in PANELS}
on_each_page = pytest.mark.parametrize("name", NAMES_OF_PANELS)


def ids_of(name: str) -> list[str]:
    return [element["id"] for element in PAGES[name] if "id" in element]


def scripts_of(name: str) -> list[Path]:
    """The scripts that a page loads, one by the other."""
    found: list[str] = []
    wanted = [element["src"] for element in PAGES[name] if element["tag"] == "script"]
    while wanted:
        script = wanted.pop()
        if script not in found:
            found.append(script)
            text = next(file for file in SCRIPTS if file.name == script).read_text()
            wanted += re.findall(r"from '\./(.*?)'", text)
    return [file for file in SCRIPTS if file.name in found]


def test_each_file_is_served() -> None:
    """Styles and scripts are there with their types, each is part of a page, and nothing else lies beside them."""
    made = routes(Settings()).items()
    served: dict[str, Any] = {
        path: route.answer(None, None)  # type: ignore[arg-type]
        for path, route in made
        if path != "/" and not path.startswith("/page/")
    }
    assert {f"/{file.name}" for file in FILES if file.suffix != ".html"} == set(served)
    for path, response in served.items():
        assert response.body == next(file for file in FILES if f"/{file.name}" == path).read_bytes()
        kind = {"css": b"text/css", "js": b"text/javascript"}[path.rpartition(".")[2]]
        assert dict(response.headers)[b"content-type"] == kind + b"; charset=utf-8"
    styles = {element["href"] for page in PAGES.values() for element in page if element.get("rel") == "stylesheet"}
    scripts = {script.name for name in PAGES for script in scripts_of(name)}
    assert {f"/{name}" for name in styles | scripts} == set(served)


def test_each_model_gets_its_page(served: Served, words: Served) -> None:
    """The page of the digits has a sheet and the page of a table has none; both are HTML under one policy."""
    page = routes(Settings())["/"]
    for model, drawn in ((served, True), (words, False)):
        response = page.answer(model, None)  # type: ignore[arg-type]
        assert (b"<canvas" in response.body) == drawn
        assert dict(response.headers)[b"content-type"] == b"text/html; charset=utf-8"
        assert b"default-src 'none'; script-src 'self'" in dict(response.headers)[b"content-security-policy"]


@on_each_page
def test_the_page_needs_nothing_inline_and_nothing_from_elsewhere(name: str) -> None:
    """The content security policy can forbid inline code and styles, and other hosts: there is none of it."""
    for element in PAGES[name]:
        assert element["tag"] not in {"style", "iframe", "form", "base"}
        assert not [each for each in element if each == "style" or each.startswith("on")]
        assert element["tag"] != "script" or (element["src"] and not element["text"])
    for file in FILES:
        assert not re.search(r"//[a-z0-9]|@import|url\(|https?:", re.sub(r"base64,\S+", "", file.read_text())), file
    icon = next(element["href"] for element in PAGES[name] if element.get("rel") == "icon")
    assert b"<script" not in base64.b64decode(icon.partition(",")[2])


def test_scripts_never_read_text_as_code() -> None:
    """What the server says is shown as text; no script makes HTML or code of it."""
    for script in SCRIPTS:
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setAttribute\('(style|on)",
            script.read_text(),
        )
        assert script.read_text().startswith("'use strict';")


@on_each_page
def test_the_scripts_find_what_they_look_for(name: str) -> None:
    """Every id that a script of a page names is in it, once."""
    text = "".join(script.read_text() for script in scripts_of(name))
    wanted = set(re.findall(r"\$\('([\w-]+)'\)", text))
    wanted |= {
        name for several in re.findall(r"of \[('.*?')\]\) \$\(id\)", text) for name in re.findall(r"[\w-]+", several)
    }
    assert len(wanted) > 15
    assert wanted <= set(ids_of(name))
    assert len(set(ids_of(name))) == len(ids_of(name))


@on_each_page
def test_every_control_and_region_has_a_name(name: str) -> None:
    """Buttons, the canvas, the file's field, pictures and regions have a text or a label, and labels exist."""
    for element in PAGES[name]:
        for attribute in ("aria-labelledby", "aria-describedby"):
            assert set(element.get(attribute, "").split()) <= set(ids_of(name))
        is_control = element["tag"] in {"button", "canvas", "input", "section"}
        if is_control or element.get("role") in {"img", "region", "group", "application"}:
            assert element.get("aria-label") or element.get("aria-labelledby") or element["text"].strip(), element


@on_each_page
def test_the_page_is_in_one_language_and_fits_a_phone(name: str) -> None:
    """The page says its language, its width, and that it has a dark and a light face and little motion."""
    assert next(element for element in PAGES[name] if element["tag"] == "html")["lang"] == "en"
    metas = {element.get("name"): element.get("content") for element in PAGES[name] if element["tag"] == "meta"}
    assert metas["viewport"] == "width=device-width, initial-scale=1"
    style = (FOLDERS[0] / "page.css").read_text()
    assert "prefers-color-scheme: dark" in style
    assert "prefers-reduced-motion: reduce" in style
