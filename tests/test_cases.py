"""The tables that strangers tried: training and prediction see the same of each, or refuse it alike."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from artifact_pipeline.config import from_mapping, recipe
from artifact_pipeline.errors import ConfigError, DataRejected
from artifact_pipeline.prediction.scoring import Options, Scorer
from artifact_pipeline.rows.choosing import row_number_of
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.labels import Labels
from artifact_pipeline.rows.sources import find_sources
from artifact_pipeline.rows.table import read_table
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.dataset import load_rows
from artifact_pipeline.training.publication import publish
from artifact_pipeline.verification import verify
from rowfiles import write_rows
from tables import blobs
from verbs import run_verb

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.rows.matrix import Rows

CASES = Path(__file__).parent / "cases"
WITHOUT_GATE = {"min_accuracy": 0.0, "beats_baseline": False}


def config(path: Path, target: str, **table: Any) -> dict[str, Any]:
    """A config that learns from a table, whatever comes of it."""
    dataset = {"path": str(path), "target": target, **table}
    return {"C": 1.0, "solver": "lbfgs", "max_iter": 200, "dataset": dataset, "gate": WITHOUT_GATE}


def trained(folder: Path, path: Path, target: str, **table: Any) -> tuple[Rows, Verified]:
    """What a training saw of a table, and the artifact that came of it."""
    asked = from_mapping(config(path, target, **table))
    candidate = train(asked, progress=lambda _: None)
    publish(candidate, artifact=folder / "artifact", export=folder / "model_train.pkl")
    return load_rows(asked), verify(folder / "artifact")


def predicted(artifact: Verified, path: Path) -> tuple[np.ndarray, list[int | str | None]]:
    """What a prediction sees of a table: the matrix, and the labels."""
    pieces, labels = [], list[int | str | None]()
    scorer = Scorer(artifact, Options())
    classes = scorer.classes
    for source in find_sources([str(path)]):
        with open_rows(source, scorer.wanted(source)) as rows:
            for batch in rows.batches(0):
                assert not batch.rejected
                pieces.append(np.stack(batch.columns, axis=1).astype(np.float64))
                labels += [None if at < 0 else classes[at] for at in batch.actual.tolist()]
    return np.concatenate(pieces), labels


READ = [
    ("UP.CSV", "kind", ("width", "height", "depth", "mass"), {0, 1, 2}),
    ("cr.csv", "kind", ("width", "height", "depth", "mass"), {0, 1, 2}),
    ("a.npz", "kind", ("x0", "x1", "x2", "x3"), {0, 1, 2}),
    ("lab_zeros.csv", "kind", ("width", "height", "depth", "mass"), {"007", "042", "100"}),
    ("lab_boolpd.csv", "kind", ("width", "height", "depth", "mass"), {"False", "True"}),
    ("lab_cat.parquet", "kind", ("width", "height", "depth", "mass"), {"a", "b", "c"}),
    ("index_named.parquet", "kind", ("width", "height", "depth", "mass"), {0, 1, 2}),
    ("index/rows.csv", "y", ("noise",), {"x", "y", "z"}),
    ("bool.csv", "y", ("a", "b", "c"), {"False", "True"}),
    ("bool01f.csv", "y", ("a", "b", "c"), {0, 1}),
    ("boolcol.csv", "y", ("a", "b", "c"), {"no", "yes"}),
    ("labspace.csv", "y", ("a", "b", "c"), {"no", "no ", "yes", "yes "}),
]


@pytest.mark.parametrize(("name", "target", "names", "labels"), READ, ids=[each[0] for each in READ])
def test_both_verbs_see_the_same(
    tmp_path: Path, name: str, target: str, names: tuple[str, ...], labels: set[int | str]
) -> None:
    """What a model is trained from is what is read again to be predicted: names, matrix, and labels as they stand."""
    rows, artifact = trained(tmp_path, CASES / name, target)
    assert rows.names == names == tuple(each.name for each in artifact.manifest.model.inputs)
    assert set(rows.y.tolist()) == labels
    X, y = predicted(artifact, CASES / name)
    assert np.array_equal(X, rows.X)
    assert y == rows.y.tolist()


FORMATS = [
    "csv",
    "CSV",
    "csv.gz",
    "csv.zst",
    "parquet",
    "pq",
    "arrow",
    "feather",
    "arrows",
    "jsonl",
    "ndjson",
    "jsonl.gz",
]


@pytest.mark.parametrize("labels", [["no", "yes"], [3, 7], [True, False]], ids=["text", "whole", "boolean"])
def test_every_format_gives_the_same_rows(tmp_path: Path, labels: list[Any]) -> None:
    """The same table in every format, booleans among its features, is the same rows for both verbs."""
    columns: dict[str, Any] = {**blobs(labels, rows=60), "flag": np.arange(60) % 3 == 0}
    first, artifact = trained(tmp_path, write_rows(tmp_path / "rows.csv", columns), "label")
    if labels[0] is True:  # Arrow writes true, and Python True
        assert set(first.y.tolist()) == {"true", "false"}
        first, artifact = trained(tmp_path, write_rows(tmp_path / "rows.parquet", columns), "label")
    assert first.kinds == ("number", "number", "boolean")
    for suffix in FORMATS:
        if labels[0] is True and "csv" in suffix.lower():
            continue
        path = write_rows(tmp_path / f"again.{suffix}", columns)
        again = read_table(str(path), target="label")
        assert (again.digest(), again.kinds) == (first.digest(), first.kinds), suffix
        X, y = predicted(artifact, path)
        assert np.array_equal(X, first.X), suffix
        assert y == first.y.tolist(), suffix


def test_a_numpy_archive_is_read_in_any_order(tmp_path: Path) -> None:
    """A matrix in Fortran's order, packed or not, is the same as one in C's."""
    columns = blobs([0, 1], rows=40)
    matrix, labels = np.column_stack([columns["width"], columns["height"]]), columns["label"]
    digests = set()
    for index, (save, order) in enumerate(zip([np.savez, np.savez_compressed] * 2, "CCFF", strict=True)):
        path = tmp_path / f"{index}.npz"
        save(path, X=np.array(matrix, order=order), y=labels)
        digests.add(read_table(str(path), target="kind").digest())
    assert len(digests) == 1


REFUSED = [
    ("f_dash.csv", "kind", "not-a-number", "row 7, column 'mass'", "'-' is not a number", "leave a cell empty"),
    ("na_tokens.csv", "y", "not-a-number", "row 11, column 'a'", "'?' is not a number", "leave a cell empty"),
    ("lab_latin1.csv", "kind", "not-utf-8", "", "line 9 is no UTF-8: its byte 0xf6", "iconv -f WINDOWS-1252 -t UTF-8"),
    ("latin1.csv", "y", "not-utf-8", "", "line 1 is no UTF-8: its byte 0xf6", "iconv -f WINDOWS-1252 -t UTF-8"),
    ("semicolon.csv", "y", "column-missing", "", "no column 'y'", "separated by semicolons"),
    ("csv_index.csv", "kind", "column-name", "", "looks like an index that pandas", "dataset.drop="),
    ("unnamed.csv", "y", "column-name", "", "looks like an index that pandas", "index=False"),
    ("sqA.csv", "kind", "label-lines", "row 100, column 'kind'", "spans several lines of the file", "mend the quotes"),
]


@pytest.mark.parametrize(
    ("name", "target", "rule", "place", "message", "hint"), REFUSED, ids=[each[0] for each in REFUSED]
)
def test_a_refusal_says_where_what_and_how_to_mend_it(
    name: str, target: str, rule: str, place: str, message: str, hint: str
) -> None:
    """The row, the column, the value, and what to do."""
    with pytest.raises(DataRejected) as caught:
        read_table(str(CASES / name), target=target)
    problem = caught.value.problems[0]
    assert problem.rule == rule
    assert problem.place == ", ".join(filter(None, [str(CASES / name), place]))
    assert message in problem.message
    assert hint in str(caught.value.hint)


@pytest.fixture(scope="module")
def of_kinds(tmp_path_factory: pytest.TempPathFactory) -> Verified:
    """A model of the columns of most cases."""
    return trained(tmp_path_factory.mktemp("kinds"), CASES / "UP.CSV", "kind")[1]


@pytest.mark.parametrize("name", ["f_dash.csv", "lab_latin1.csv", "semicolon.csv", "latin1.csv"])
def test_prediction_refuses_by_the_same_words(of_kinds: Verified, tmp_path: Path, name: str) -> None:
    """Both verbs say the same of a file that neither can read."""
    with pytest.raises(DataRejected) as training:
        read_table(str(CASES / name), target="kind")
    said = run_verb("predict", CASES / name, "--artifact", of_kinds.folder, "-o", tmp_path / "out.csv", "--json")
    assert said.status == 5
    problem = training.value.problems[0]
    told = json.loads(said.out)["error"]["problems"]
    assert problem.rule in {each["rule"] for each in told}
    if name != "semicolon.csv":
        assert any(problem.message.startswith(each["message"]) for each in told)


def test_swallowed_lines_are_said_of_predicted_rows(tmp_path: Path) -> None:
    """A label that spans several lines is refused by prediction for the same reason; elsewhere it is warned of."""
    _, artifact = trained(tmp_path, CASES / "lab_cat.parquet", "kind")
    said = run_verb("predict", CASES / "sqA.csv", "--artifact", artifact.folder, "-o", tmp_path / "out.csv")
    assert "row 100, column 'kind': 'c\\n2.7663" in said.err
    assert "spans several lines of the file" in said.err
    (tmp_path / "note.csv").write_text('a,b,note,y\n1.5,2,"x\n3,4",no\n2.5,5,z,yes\n')
    assert (
        "line 2: a value in quotes goes on in the next line"
        in read_table(str(tmp_path / "note.csv"), target="y", features=["a", "b"]).warnings[0]
    )


@pytest.mark.parametrize(("name", "rows"), [("gzpad.csv.gz", 600), ("spark_empty_part", 600)])
def test_padding_and_empty_parts_are_no_rows(of_kinds: Verified, tmp_path: Path, name: str, rows: int) -> None:
    """Zeros behind a gzip file and a part without a byte are read over; the empty part is counted."""
    said = run_verb("predict", CASES / name, "--artifact", of_kinds.folder, "-o", tmp_path / "out.csv", "--no-drift")
    assert said.status == 0, said.err
    assert f"rows: {rows} read = {rows} written" in said.out
    assert ("1 of 2 files without a row" in said.err) == (name == "spark_empty_part")


def test_training_counts_empty_parts(tmp_path: Path) -> None:
    """A part without a byte, and one of a header alone, are counted and not learned from."""
    shutil.copy(CASES / "UP.CSV", tmp_path / "part-0.csv")
    (tmp_path / "part-1.csv").touch()
    (tmp_path / "part-2.csv").write_text("width,height,depth,mass,kind\n")
    (tmp_path / "_SUCCESS").touch()
    rows = read_table(str(tmp_path), target="kind")
    assert (len(rows.X), rows.files) == (600, (3, 2))
    assert rows.digest() == read_table(str(CASES / "UP.CSV"), target="kind").digest()


def test_each_bad_column_is_named_with_its_mend() -> None:
    """Of a table with ids, dates and gaps each bad column is named with row and value, and the hint can be typed."""
    with pytest.raises(DataRejected) as caught:
        read_table(str(CASES / "patients" / "patients.csv"), target="diagnosis")
    told = {each.place.partition("column ")[2]: each.message for each in caught.value.problems}
    assert told["'patient_id'"].startswith("'P0000' is one of 199 different texts in 199 rows")
    assert told["'visited'"] == "'2024-06-15' is a date or a time"
    assert told.keys() == {"'patient_id'", "'visited'"}
    assert """-S 'dataset.drop=["patient_id", "visited"]'""" in str(caught.value.hint)


def test_training_says_what_it_learns_from(tmp_path: Path) -> None:
    """The columns that are learned from, and those that are left out and why, in text, in JSON and in a dry run."""
    (tmp_path / "config.json").write_text(json.dumps(config(CASES / "index_named.parquet", "kind", drop=["mass"])))
    asked = ("train", "--config", tmp_path / "config.json", "--artifact", tmp_path / "artifact")
    asked = (*asked, "--export", tmp_path / "m.pkl")
    for more in ((), ("--dry-run",)):
        said = run_verb(*asked, *more)
        assert "columns: 'kind' is learned from 'width', 'height', 'depth'; 600 rows" in said.out
        assert "'idx' (the file says that it is the index of pandas)" in said.out
        assert "'mass' (dataset.drop names it)" in said.out
        columns = json.loads(run_verb(*asked, *more, "--json").out)["columns"]
        assert [each["name"] for each in columns["learned"]] == ["width", "height", "depth"]
        assert {each["name"] for each in columns["left_out"]} == {"idx", "mass"}


def test_training_says_of_which_kind_each_column_is(tmp_path: Path) -> None:
    """Where some columns are categories, the JSON names their kinds, and those of the numbers beside them."""
    rows = "".join(f"{number % 7}.5,{'ab'[number % 2]},{'xy'[number // 2 % 2]}\n" for number in range(40))
    (tmp_path / "rows.csv").write_text(f"size,town,kind\n{rows}")
    (tmp_path / "config.json").write_text(json.dumps(config(tmp_path / "rows.csv", "kind")))
    asked = ("train", "--config", tmp_path / "config.json", "--artifact", tmp_path / "artifact")
    said = run_verb(*asked, "--dry-run", "--json")
    assert json.loads(said.out)["columns"]["learned"] == [
        {"name": "size", "kind": "number"},
        {"name": "town", "kind": "category"},
    ]


def test_labels_that_differ_in_case_or_space_are_warned_of() -> None:
    """Both are named; each stays a class of its own."""
    warnings = read_table(str(CASES / "labspace.csv"), target="y").warnings
    assert [each.partition(" differ")[0] for each in warnings] == [
        "the labels 'no' and 'no '",
        "the labels 'yes' and 'yes '",
    ]
    labels = Labels("y")
    labels.add(pa.array(["Yes", "yes", "no"]), "text")
    assert "'Yes' and 'yes'" in labels.alike()[0]


LABELS = [
    (["007", "042"], ["007", "042"]),
    (["0x10", "16"], ["0x10", "16"]),
    (["1", "2"], [1, 2]),
    (["1.0", "0.0"], [1, 0]),
    (["1.0", "2"], [1, 2]),
    (["1", "x"], ["1", "x"]),
    (["-0", "1"], ["-0", "1"]),
    (["+1", "2"], ["+1", "2"]),
    (["true", "false"], ["true", "false"]),
    (["2024-01-01", "2024-01-02"], ["2024-01-01", "2024-01-02"]),
]


@pytest.mark.parametrize(("written", "read"), LABELS, ids=str)
def test_labels_of_a_csv_are_text_unless_all_are_whole(written: list[str], read: list[int | str]) -> None:
    """A whole number has one spelling; any other spelling is text, and then all labels are."""
    labels = Labels("y")
    labels.add(pa.array(written), "any")
    assert labels.finish().tolist() == read


TYPED = [
    (pa.array([True, False]), ["True", "False"]),
    (pa.array([1.0, 2.0]), [1, 2]),
    (pa.array([1, 2], pa.decimal128(5, 2)), [1, 2]),
    (pa.array([19723, 19724], pa.date32()), ["2024-01-01", "2024-01-02"]),
    (pa.array([1704067200, 1704067201], pa.timestamp("s")), ["2024-01-01", "2024-01-01 00:00:01"]),
    (pa.array([1704067200 * 10**9, 1704067201 * 10**9], pa.timestamp("ns")), ["2024-01-01", "2024-01-01 00:00:01"]),
    (pa.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
    (pa.array([7, 9]).dictionary_encode(), [7, 9]),
]


@pytest.mark.parametrize(("column", "read"), TYPED, ids=[str(each[0].type) for each in TYPED])
def test_labels_of_other_types(tmp_path: Path, column: pa.Array, read: list[int | str]) -> None:
    """Booleans, whole floats and decimals, dates and categories are labels, as training and prediction see them."""
    table = pa.table({"a": [0.5, 1.5], "kind": column})
    parquet.write_table(table, tmp_path / "rows.parquet")
    assert read_table(str(tmp_path / "rows.parquet"), target="kind").y.tolist() == read


@pytest.mark.parametrize("gap", ["csv", "parquet", "jsonl"])
def test_a_label_column_that_is_partly_empty_stops_no_prediction(of_kinds: Verified, tmp_path: Path, gap: str) -> None:
    """Pandas makes floats of whole numbers with gaps: they are the same labels, and rows without one are answered."""
    columns = {name: [0.5, 1.5, 2.5] for name in ("width", "height", "depth", "mass")}
    path = write_rows(tmp_path / f"rows.{gap}", {**columns, "kind": pa.array([1.0, None, 2.0])})
    _, labels = predicted(of_kinds, path)
    assert labels == [1, None, 2]


# Columns


@given(st.permutations(range(7)), st.integers(0, 2), st.lists(st.integers(1, 6), max_size=2))
def test_a_column_that_counts_the_rows_is_found_in_any_order(order: list[int], first: int, cuts: list[int]) -> None:
    """0 to n - 1 or 1 to n, each once, wherever the rows are cut; another beginning is a column like any other."""
    column = np.array(order, dtype=np.float64) + first
    pieces = [piece for piece in np.split(column, sorted(cuts)) if len(piece)]
    assert row_number_of(pieces) == (first if first < 2 else None)
    assert row_number_of([column + 0.5]) is None
    column[3] = column[4]
    assert row_number_of([column]) is None


def test_features_take_an_index_all_the_same() -> None:
    """`dataset.features` names the columns, their order, and wins over what looks like an index."""
    rows = read_table(str(CASES / "index_named.parquet"), target="kind", features=["idx", "mass"])
    assert rows.names == ("idx", "mass")
    rows = read_table(str(CASES / "index" / "rows.csv"), target="y", features=["Unnamed: 0"])
    assert rows.names == ("Unnamed: 0",)


def test_an_unnamed_column_can_be_dropped() -> None:
    """The hint of its refusal works as it is typed."""
    rows = read_table(str(CASES / "unnamed.csv"), target="y", drop=[""])
    assert rows.names == ("a", "b", "c")
    assert [each.name for each in rows.left_out] == [""]


def test_a_name_that_is_not_there_is_told_with_what_may_be_meant() -> None:
    """Of a column that is missing the nearest one is named, and of very many the number."""
    with pytest.raises(DataRejected) as caught:
        read_table(str(CASES / "UP.CSV"), target="Kind", drop=["widht"])
    assert caught.value.hint == "did you mean 'kind'? it has: 'width', 'height', 'depth', 'mass', 'kind'"
    with pytest.raises(DataRejected) as caught:
        read_table(str(CASES / "patients" / "patients.csv"), target="clas")
    assert "… (34 in all)" in str(caught.value.hint)


def test_features_and_drop_are_part_of_the_recipe_only_when_given(tmp_path: Path) -> None:
    """A config without them has the recipe that it had; one with them says so."""
    plain = from_mapping(config(tmp_path / "a.csv", "y"))
    assert recipe(plain)["dataset"] == {"target": "y"}
    asked = from_mapping(config(tmp_path / "a.csv", "y", features=["a"], drop=["b"]))
    assert recipe(asked)["dataset"] == {"target": "y", "features": ["a"], "drop": ["b"]}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"drop": ["a", "a"]}, "'a' stands twice"),
        ({"drop": ["y"]}, "'y' is the target"),
        ({"features": ["y"]}, "'y' is the target"),
        ({"features": ["a"], "drop": ["a"]}, "'a' is a feature"),
        ({"features": []}, "got an array"),
        ({"features": "a"}, "must be an array of at least one name"),
        ({"drop": [1]}, "must be an array of names"),
    ],
)
def test_names_that_do_not_fit_are_refused(table: dict[str, Any], words: str) -> None:
    """A name that stands twice, or has another part already, is refused before a table is read."""
    with pytest.raises(ConfigError) as caught:
        from_mapping(config(Path("rows.csv"), "y", **table))
    assert words in str(caught.value)


# Values


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_decimals_are_read_if_a_float_holds_them(tmp_path: Path, suffix: str) -> None:
    """A decimal of 15 digits is the float that a CSV gives; one that would become another number is refused."""
    good = pa.array(["0.10", "1234567890123.45", "-3.00"]).cast(pa.decimal128(20, 2))
    columns = {"a": good, "kind": ["x", "y", "x"]}
    read = read_table(str(write_rows(tmp_path / f"rows.{suffix}", columns)), target="kind")
    assert read.X[:, 0].tolist() == [0.1, 1234567890123.45, -3.0]
    bad = pa.array(["0.10", "12345678901234567.89", "1.00"]).cast(pa.decimal128(20, 2))
    with pytest.raises(DataRejected) as caught:
        read_table(str(write_rows(tmp_path / f"rows.{suffix}", {**columns, "a": bad})), target="kind")
    assert caught.value.rules == {"too-many-digits"}
    assert "row 1, column 'a'" in caught.value.problems[0].place


def test_a_boolean_column_takes_no_other_values(tmp_path: Path) -> None:
    """Where the first rows are true or false a number is refused in training; prediction takes 1 and 0 alone."""
    rows = "".join(f"{number % 5}.5,{str(number % 2 == 0).lower()},{'xy'[number % 2]}\n" for number in range(40))
    (tmp_path / "rows.csv").write_text(f"a,b,kind\n{rows}")
    _, artifact = trained(tmp_path, tmp_path / "rows.csv", "kind")
    assert [each.kind for each in artifact.manifest.model.inputs] == ["number", "boolean"]
    (tmp_path / "more.csv").write_text("a,b\n1,TRUE\n2,0\n3,1.0\n4,False\n")
    said = run_verb(
        "predict", tmp_path / "more.csv", "--artifact", artifact.folder, "-o", tmp_path / "out.csv", "--json"
    )
    assert said.status == 0
    (tmp_path / "more.csv").write_text("a,b\n1,maybe\n")
    said = run_verb(
        "predict", tmp_path / "more.csv", "--artifact", artifact.folder, "-o", tmp_path / "out.csv", "--json"
    )
    assert json.loads(said.out)["error"]["problems"][0]["rule"] == "not-a-boolean"
    for more, rule in (("1,0,x\n", "not-a-number"), ("1,2,x\n1,true,x\n", "free-text")):
        (tmp_path / "mixed.csv").write_text(f"a,b,kind\n1,true,x\n{more}")
        with pytest.raises(DataRejected) as caught:
            read_table(str(tmp_path / "mixed.csv"), target="kind")
        assert caught.value.rules == {rule}


OTHERS = [
    (gzip.compress(b"a,kind\n1,x\n"), "rows.csv", "another-format", "mv "),
    (b"FEA1" + bytes(40), "rows.feather", "another-format", "write_feather"),
    ("a,kind\n1,x\n".encode("utf-16"), "rows.csv", "not-utf-8", "iconv -f UTF-16"),
    ("a,kind\n1,x\n".encode("utf-16-be"), "rows.csv", "not-utf-8", "iconv -f UTF-16"),
    (b"PK\x03\x04", "rows.csv", "another-format", "as CSV"),
    (b"a\tkind\n1\tx\n", "rows.csv", "column-missing", "separated by tabs"),
]


@pytest.mark.parametrize(("data", "name", "rule", "hint"), OTHERS, ids=[f"{each[2]} {each[3]}" for each in OTHERS])
def test_what_a_file_really_is_is_told(
    of_kinds: Verified, tmp_path: Path, data: bytes, name: str, rule: str, hint: str
) -> None:
    """A file that is not what its name says is refused with the command that mends it, by both verbs."""
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataRejected) as caught:
        read_table(str(path), target="kind")
    assert caught.value.rules == {rule}
    assert hint in str(caught.value.hint)
    said = run_verb("predict", path, "--artifact", of_kinds.folder, "-o", tmp_path / "out.csv", "--json")
    error = json.loads(said.out)["error"]
    assert {each["rule"] for each in error["problems"]} == {rule}
    assert hint in error["hint"]


def test_columns_in_the_names_of_folders_can_be_kept(of_kinds: Verified, tmp_path: Path) -> None:
    """`year=2024/part-0.parquet` has a column `year` that is carried through; training says that it leaves it out."""
    columns = {name: [0.5, 1.5, 2.5] for name in ("width", "height", "depth", "mass")}
    for year, name in (("2023", "a b"), ("2024", "__HIVE_DEFAULT_PARTITION__")):
        folder = tmp_path / "rows" / f"year={year}" / f"city={name.replace(' ', '%20')}"
        folder.mkdir(parents=True)
        write_rows(folder / "part-0.parquet", {**columns, "kind": [0, 1, 2]})
    out = tmp_path / "out.parquet"
    said = run_verb("predict", tmp_path / "rows", "--artifact", of_kinds.folder, "--keep", "year,city", "-o", out)
    assert said.status == 0, said.err
    told = parquet.read_table(out)
    assert told["year"].to_pylist() == ["2023"] * 3 + ["2024"] * 3
    assert told["city"].to_pylist() == ["a b"] * 3 + [""] * 3
    rows = read_table(str(tmp_path / "rows"), target="kind")
    assert {each.name for each in rows.left_out} == {"year", "city"}


def test_labels_can_stand_in_the_names_of_folders(tmp_path: Path) -> None:
    """A target that only the folders' names have, as Hive writes them, is learned from."""
    for label, x in (("a", 1), ("b", 2)):
        folder = tmp_path / f"kind={label}"
        folder.mkdir()
        (folder / "part.csv").write_text(f"x,y\n{x},2.5\n{x},3.5\n")
    rows = read_table(str(tmp_path), target="kind")
    assert (rows.names, rows.X.tolist()) == (("x", "y"), [[1, 2.5], [1, 3.5], [2, 2.5], [2, 3.5]])
    assert rows.y is not None
    assert rows.y.tolist() == ["a", "a", "b", "b"]
