"""The model card: what the Hub reads of it, what people read, and that no name gets out of its place."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from huggingface_hub import ModelCard, metadata_load
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from artifact_pipeline.cli import main
from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.reports.card import model_card
from artifact_pipeline.reports.documents import document
from artifact_pipeline.reports.markdown import prose
from artifact_pipeline.reports.page import origins
from artifact_pipeline.reports.yaml_text import yaml_text
from artifact_pipeline.verification import verify
from mixedmodels import FOREST, train_mixed
from test_about import ABOUT
from test_markdown import LINKS, PLAIN, Rendered

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Verified

GOLDEN = Path(__file__).parent / "golden"
GOLDENS = [GOLDEN / "v1", *(each for each in sorted((GOLDEN / "v2").iterdir()) if each.is_dir())]
HOSTILE = ["<img src=x>", "a|b", "@everyone", "[x](y)", "`", "---", "a: b # c", "line\nbreak", "\x1b[31m", '"']


def digits() -> Verified:
    return verify(GOLDEN / "v2" / "digits")


def with_recipe(verified: Verified, **keys: Any) -> Verified:
    """The artifact with other keys in its recipe, as an in-memory manifest has them."""
    return replace_manifest(verified, recipe={**verified.manifest.recipe, **keys})


def replace_manifest(verified: Verified, **fields: Any) -> Verified:
    from dataclasses import replace as with_fields

    return with_fields(verified, manifest=replace(verified.manifest, **fields))


@pytest.mark.parametrize("artifact", GOLDENS, ids=lambda each: each.name)
def test_the_hub_reads_the_card_of_every_model(artifact: Path) -> None:
    """Of each released format and each classifier, `huggingface_hub` reads task, tags and every held-out figure."""
    verified = verify(artifact, accept_failed_gate=True)
    data = ModelCard(model_card(verified)).data
    assert (data.pipeline_tag, data.library_name) == ("tabular-classification", "onnx")
    assert {"scikit-learn", "onnx"} <= set(data.tags)
    results = {each.metric_name.split(" ")[0]: each for each in data.eval_results}
    accuracy = verified.manifest.metrics.held_out.accuracy
    assert results["accuracy"].metric_value == accuracy.value
    assert results["accuracy"].metric_name.endswith(f"95 % interval {accuracy.low:.4f} to {accuracy.high:.4f}")
    assert results["accuracy"].dataset_args["digest"] == verified.manifest.data.sources[0].digest
    assert data.model_name == verified.manifest.name


def test_card_says_what_about_says() -> None:
    """Description, intended use, limits, authors and contact stand on the page, the licence in the metadata too."""
    card = ModelCard(model_card(with_recipe(digits(), about=ABOUT)))
    assert card.data.license == "apache-2.0"
    page = card.text
    assert "\n\nReads one handwritten digit.\n\nIt was made to show the way.\n\n" in page
    assert "## Intended use\n\nTeaching.\n" in page
    assert "## Limits\n\nNot for cheques.\n" in page
    assert "| Authors | Ada, Grace |" in page
    assert "| Contact | `ml@example.org` |" in page


@pytest.mark.parametrize(
    ("said", "data"),
    [
        ("MIT", {"license": "mit"}),
        ("GPL-3.0-or-later", {"license": "gpl-3.0"}),
        ("ODbL-1.0", {"license": "odbl"}),
        ("CC-BY-2.5", {"license": "cc-by-2.5"}),
        ("CC-BY-ND-4.0", {"license": "cc-by-nd-4.0"}),
        ("LicenseRef-Ours", {"license": "other", "license_name": "licenseref-ours"}),
    ],
)
def test_licence_is_written_as_the_hub_calls_it(said: str, data: dict[str, str]) -> None:
    """An SPDX identifier becomes the Hub's own name; one that it does not have is `other`, with its name."""
    found = ModelCard(model_card(with_recipe(digits(), about={"license": said}))).data.to_dict()
    assert {key: found.get(key) for key in data} == data


def test_card_shows_digests_gate_metrics_and_how_to_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page has intervals, gate, data and commands with the digest; the commands work as they stand."""
    verified = digits()
    page = model_card(verified)
    assert "| held out | 360 | **0.9750** (0.9532 to 0.9868) | **0.9751** (0.9584 to 0.9890) |" in page
    assert "### Gate: passed" in page
    assert verified.manifest.data.sources[0].digest in page
    (script,) = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    first = script.splitlines()[0].replace("artifact --expect", f"{GOLDEN / 'v2' / 'digits'} --expect")
    assert main(first.split()[1:]) == 0
    assert verified.digest in capsys.readouterr().out


def test_card_of_a_mixed_table_shows_its_columns(tmp_path: Path) -> None:
    """Columns stand with their kinds and levels, and the command that trains again names the table."""
    page = model_card(verify(train_mixed(tmp_path, FOREST)))
    assert "| city | category | yes | " in page
    assert "`Łódź`" in page
    assert "artifact-pipeline reproduce artifact --data rows.csv" in page
    assert Rendered(page).elements.isdisjoint({"img", "script", "a"})


def test_a_failed_gate_is_said_on_the_card() -> None:
    """The card of a model whose gate failed warns of it, and its commands take such a model."""
    verified = digits()
    failed = replace(verified.manifest.gate, verdict="failed")
    card = model_card(replace_manifest(verified, gate=failed))
    assert "**The model did not pass its gate.**" in card
    assert re.findall(r"artifact-pipeline (\w+) .* --accept-failed-gate$", card, re.MULTILINE) == ["verify", "predict"]
    assert "accept_failed_gate=True" in card
    assert "accept" not in model_card(verified)


def test_the_command_that_trains_again_names_every_file() -> None:
    """The card and the page name the options for a held-out file and for each file of feedback."""
    verified = digits()
    (source,) = verified.manifest.data.sources
    others = [replace(source, name=name) for name in ("held_out", "feedback", "feedback")]
    data = replace(verified.manifest.data, sources=(source, *others))
    verified = replace_manifest(with_recipe(verified, dataset={"target": "label"}), data=data)
    options = "--held-out HELD_OUT --with FEEDBACK --with FEEDBACK"
    assert f"artifact-pipeline reproduce artifact --data rows.csv {options}\n" in model_card(verified)
    (block,) = origins.commands(verified).blocks
    assert (
        "train it again, and compare",
        f"artifact-pipeline reproduce artifact --data TABLE {options}",
    ) in block.lines


def test_hostile_names_stay_in_their_places() -> None:
    """Labels, columns, sources and what is said about the model break out of neither YAML nor Markdown."""
    verified = digits()
    manifest = verified.manifest
    inputs = tuple(replace(each, name=name) for each, name in zip(manifest.model.inputs, HOSTILE, strict=False))
    source = replace(manifest.data.sources[0], name='"\n---\nlicense: mit\n<script>')
    about = {"description": "\n\n".join([*HOSTILE, *LINKS]), "authors": HOSTILE, "contact": "www.evil.example"}
    page = model_card(
        replace_manifest(
            verified,
            model=replace(manifest.model, inputs=inputs, classes=tuple(sorted(HOSTILE)), estimator="a\nb: <script>"),
            data=replace(manifest.data, sources=(source,), target="](http://evil.example)"),
            recipe={**manifest.recipe, "about": about, "evil\n# key": ["<b>", None]},
        )
    )
    card = ModelCard(page)
    assert card.data.license is None
    assert card.data.eval_results[0].dataset_name == source.name
    assert card.data.tags[-1] == "a\nb: <script>"
    assert "\x1b" not in page
    rendered = Rendered(card.text)
    assert rendered.elements.isdisjoint({"a", "img", "script", "b", "hr", "blockquote", "ul", "ol"})
    assert "everyone" not in rendered.outside
    assert "evil.example" not in rendered.outside


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(), min_size=1))
def test_any_text_comes_back_from_the_metadata(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]
) -> None:
    """Whatever a text holds, the Hub's own reader gives it back, and nothing else."""
    file = tmp_path_factory.mktemp("card") / "README.md"
    file.write_text(
        f"---\n{yaml_text({'values': values, 'list': [*values.values()]})}---\n", newline="\n", encoding="utf-8"
    )
    assert metadata_load(file) == {"values": values, "list": [*values.values()]}


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53) | st.booleans())
def test_any_number_comes_back_from_the_metadata(value: float) -> None:
    """Numbers and booleans are themselves, and no texts, to a reader of YAML 1.1."""
    found = ModelCard(f"---\n{yaml_text({'value': value})}---\n").data.to_dict()["value"]
    assert (found, type(found)) == (value, type(value))


@given(
    st.lists(st.sampled_from([*LINKS, *HOSTILE, "a word,", "(so)", "1.", "-", "e.g.", "größer", "don't"])).map(" ".join)
)
def test_prose_shows_its_words_and_makes_nothing_else(text: str) -> None:
    """Prose is paragraphs of plain words and code: the words that went in, and no link, list, mark or HTML."""
    for paragraph in prose(text):
        rendered = Rendered(paragraph)
        assert rendered.elements <= {"p", "code"}
        assert not re.search(r"www|@|http|[0-9a-f]{7}|gh-[0-9]", rendered.outside, re.IGNORECASE)


def test_plain_prose_stays_as_it_is() -> None:
    """Sentences with the usual marks, and words of any script, are no code."""
    text = 'For nurses (and others): 1,000 patients, 3.5% of them "ill" - größer, don\'t. 日本!'
    assert prose(text) == [text]
    assert prose("one\ntwo\n \n\nthree") == ["one two", "three"]


def test_card_is_written_whole_and_the_same_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`card -o` writes what `card` prints, replaces what stood there, and gives the same bytes each time."""
    place, artifact = tmp_path / "MODEL_CARD.md", str(GOLDEN / "v2" / "digits")
    place.write_text("old")
    assert main(["card", artifact, "-o", str(place)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"model card: {place}"
    assert main(["card", artifact]) == 0
    printed = capsys.readouterr().out
    assert place.read_text() == printed == model_card(digits())
    assert main(["card", artifact, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"artifact": digits().digest, "card": printed}


@pytest.mark.parametrize("verb", [["card"], ["bom"], ["export", "json"]])
def test_documents_are_refused_over_what_is_read(
    verb: list[str], published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An output in the artifact's own folder is refused, and so is another digest than the expected one."""
    before = (published / "artifact" / "manifest.json").read_bytes()
    assert main([*verb, str(published / "artifact"), "-o", str(published / "artifact" / "manifest.json")]) == 2
    assert (published / "artifact" / "manifest.json").read_bytes() == before
    assert main([*verb, str(published / "artifact"), "--expect", f"sha256:{'0' * 64}"]) == 4
    assert main([*verb, str(published / "nothing")]) == 4
    assert main([*verb, str(published / "artifact"), "-o", str(published / "no" / "folder")]) == 8
    capsys.readouterr()


def test_an_about_that_cannot_be_read_is_refused() -> None:
    """A forged `about` is refused by its place, and nothing is written of it."""
    with pytest.raises(ArtifactRejected, match="what the artifact says about its model"):
        model_card(with_recipe(digits(), about={"licence": "mit"}))


def test_document_in_python(published: Path) -> None:
    """In Python one call gives the text and its artifact, and writes nothing without a place."""
    made = document("card", published / "artifact")
    assert made.text.startswith("---\n")
    assert made.artifact in made.text


def test_outside_of_code_is_plain() -> None:
    """The rule by which `escape` judges a word holds for the words of prose that GitHub could take for more."""
    for link in LINKS:
        (paragraph,) = prose(link) or [""]
        assert PLAIN.fullmatch(re.sub("`[^`]*`", "", paragraph).replace("|", "<"))
