"""Splits that do not leak: by a hash of the row, by group, by time; and duplicates across a random one."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_pipeline.cli import main
from artifact_pipeline.config.preparing import Split
from artifact_pipeline.errors import DataRejected
from artifact_pipeline.rows.features import Column, Features
from artifact_pipeline.rows.row_hash import below, feature_hashes, key_hashes
from artifact_pipeline.training.splits import LabelledRows, Sides, of_two_files, repeated, split
from tables import blobs, write_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

COLUMNS = (Column("b", "number", nullable=True), Column("town", "category"), Column("a", "number"))
values = st.floats(width=64) | st.sampled_from([0.0, -0.0, float("nan")])
rows_of = st.lists(st.tuples(values, values, st.text(max_size=5)), min_size=1, max_size=30)


def features(rows: Sequence[tuple[float, float, str]]) -> Features:
    X = np.array([row[:2] for row in rows], dtype=np.float64).reshape(len(rows), 2)
    S = np.array([[row[2]] for row in rows], dtype=object).reshape(len(rows), 1)
    return Features(X, S)


def table(rows: int = 1000, classes: int = 2, others: Mapping[str, Any] | None = None, seed: int = 5) -> LabelledRows:
    random = np.random.default_rng(seed)
    X, S = random.normal(size=(rows, 2)), random.choice(["Rom", "Paris"], (rows, 1)).astype(object)
    return LabelledRows(COLUMNS, Features(X, S), random.integers(0, classes, rows), others or {})


def split_of(asked: LabelledRows, seed: int = 42, **keys: Any) -> np.ndarray:
    """Whether each row is held out; every row is on one side."""
    sides = split(asked, Split(**keys), random_state=seed)
    assert sorted([*sides.train, *sides.held_out]) == list(range(len(asked.y)))
    out = np.zeros(len(asked.y), dtype=bool)
    out[sides.held_out] = True
    return out


# The hash


def test_a_hash_is_blake2b_of_the_rows_bytes() -> None:
    """Anyone can compute the hash again: BLAKE2b of the numbers as float64 and the texts as UTF-8, by their names."""
    found = feature_hashes(COLUMNS, features([(2.0, 1.0, "Łódź")]), seed=7)
    data = np.array([1.0, 2.0], dtype="<f8").tobytes() + len("Łódź".encode()).to_bytes(4, "little") + "Łódź".encode()
    salt = (7).to_bytes(8, "little")
    expected = hashlib.blake2b(data, digest_size=8, person=b"row-split-1", salt=salt).digest()
    assert found.tolist() == [int.from_bytes(expected, "little")]


def test_the_hash_of_a_row_never_changes() -> None:
    """The split of an artifact that exists is found again by every later version: these hashes are for ever."""
    rows = features([(1.5, -0.0, "Rom"), (float("nan"), 1e300, "")])
    assert feature_hashes(COLUMNS, rows, seed=42).tolist() == [15630493650234685084, 12859346913196512067]
    assert key_hashes({"id": [17, "007"]}, seed=42).tolist() == [9351953651861399931, 6349986122312199826]


@given(rows_of, st.randoms(use_true_random=False), st.integers(0, 2**32 - 1))
def test_a_hash_is_of_the_row_alone(rows: list[tuple[float, float, str]], random: Any, seed: int) -> None:
    """Neither the other rows, nor their order, nor the order of the columns changes the hash of a row."""
    found = feature_hashes(COLUMNS, features(rows), seed=seed).tolist()
    order = list(range(len(rows)))
    random.shuffle(order)
    again = feature_hashes(COLUMNS, features([rows[position] for position in order]), seed=seed).tolist()
    assert again == [found[position] for position in order]
    turned = features([(a, b, town) for b, a, town in rows])
    assert feature_hashes(COLUMNS[::-1], turned, seed=seed).tolist() == found
    assert [feature_hashes(COLUMNS, features([row]), seed=seed)[0] for row in rows] == found


@given(rows_of, st.integers(0, 2**32 - 1))
def test_rows_have_one_hash_just_where_they_are_equal(rows: list[tuple[float, float, str]], seed: int) -> None:
    """Equal rows have equal hashes, both zeros and every NaN counting as one; other rows have others."""
    found = feature_hashes(COLUMNS, features(rows), seed=seed).tolist()
    plain = [(str(b + 0.0), str(a + 0.0), re.sub(r"^(-?[0-9]+)[.]0$", r"\1", town)) for b, a, town in rows]
    for first, one in zip(plain, found, strict=True):
        for second, other in zip(plain, found, strict=True):
            assert (first == second) == (one == other)


@pytest.mark.parametrize(
    "same",
    [
        [np.int64(17), 17, 17.0, np.float64(17), "17"],
        [2**53 + 1, np.int64(2**53 + 1), str(2**53 + 1)],
        [0.1, np.float64(0.1), "0.1"],
        [True, np.True_, "true"],
        [None, float("nan"), "", np.datetime64("NaT")],
        [np.datetime64("2024-05-01"), "2024-05-01"],
    ],
)
def test_a_key_has_one_hash_in_every_format(same: list[Any]) -> None:
    """A key is the same whether a file holds it as a number or as text."""
    assert len(set(key_hashes({"id": same}, seed=1).tolist())) == 1


def test_keys_of_several_columns_are_told_apart() -> None:
    """No two keys run into one another, and the order in which the columns are named is no part of a key."""
    keys = {"a": ["ab", "a", "007"], "b": ["c", "bc", "7"]}
    found = key_hashes(keys, seed=1).tolist()
    assert len(set(found)) == 3
    assert key_hashes(dict(reversed(keys.items())), seed=1).tolist() == found
    assert len(set(key_hashes({"id": ["007", "7"]}, seed=1).tolist())) == 2
    assert len(set(key_hashes({"id": [1, True, "1.5", "a"]}, seed=1).tolist())) == 4


@pytest.mark.parametrize("share", [1e-9, 0.1, 0.2, 0.5, 1 - 2**-53])
def test_the_share_is_met(share: float) -> None:
    """Of many rows the share is held out, within five standard deviations."""
    hashes = key_hashes({"id": range(20_000)}, seed=3)
    expected = 20_000 * share
    assert abs(below(hashes, share).sum() - expected) <= 5 * np.sqrt(expected * (1 - share)) + 1


# The splits


def test_a_hash_split_keeps_rows_where_they_are_as_data_grows() -> None:
    """A later, longer, shuffled file holds out the rows that the first one held out, and no other of them."""
    first, later = table(500), table(500, seed=6)
    X = np.concatenate([later.rows.X, first.rows.X])[::-1]
    S = np.concatenate([later.rows.S, first.rows.S])[::-1]
    grown = LabelledRows(COLUMNS, Features(X, S), np.concatenate([later.y, first.y])[::-1], {})
    assert split_of(grown, by="hash")[:500].tolist() == split_of(first, by="hash")[::-1].tolist()
    # A single row is told by itself.
    hashes = feature_hashes(COLUMNS, first.rows[3:4], seed=42)
    assert below(hashes, 0.2)[0] == split_of(first, by="hash")[3]
    assert split_of(first, by="hash").tolist() != split_of(first, by="hash", seed=43).tolist()


def test_rows_of_one_key_stay_together() -> None:
    """By a key, all rows of it are on one side, whatever their features are."""
    patient = np.arange(1000) % 120
    out = split_of(table(others={"patient": patient}), by="hash", key=["patient"])
    assert all(len(set(out[patient == each])) == 1 for each in range(120))
    texts = split_of(table(others={"patient": patient.astype(str)}), by="hash", key=["patient"])
    assert texts.tolist() == out.tolist()
    towns = table().rows.S[:, 0]
    of_town = split_of(table(), by="hash", key=["town"], test_size=0.5, seed=0)
    assert of_town.tolist() in [(towns == each).tolist() for each in ("Rom", "Paris")]


def test_a_group_stays_together_and_the_share_is_near() -> None:
    """Whole groups are held out until the share of rows is reached, and at least one group is left."""
    group = np.sort(np.random.default_rng(1).integers(0, 40, 1000))
    out = split_of(table(others={"site": group}), by="group", column="site", test_size=0.3)
    assert all(len(set(out[group == each])) == 1 for each in set(group))
    assert 300 <= out.sum() < 300 + np.bincount(group).max()
    assert split_of(table(others={"site": ["a"] * 990 + ["b"] * 10}), by="group", column="site").sum() in {10, 990}


def test_a_time_split_holds_the_latest_rows_out() -> None:
    """The latest rows are held out, and those of one time stay together."""
    day = np.random.default_rng(1).integers(0, 30, 1000)
    out = split_of(table(others={"day": day}), by="time", column="day", test_size=0.25)
    assert day[~out].max() < day[out].min()
    assert 250 <= out.sum() < 250 + np.bincount(day).max()
    dates = np.datetime64("2024-01-01") + day
    for other in (dates, dates.astype(str), day.astype(float)):
        assert split_of(table(others={"day": other}), by="time", column="day", test_size=0.25).tolist() == out.tolist()
    # Where the earliest time is the share already, the rows after it are held out.
    assert split_of(table(others={"day": [0] * 900 + [1] * 100}), by="time", column="day").sum() == 100


def test_another_files_rows_are_held_out() -> None:
    """The rows of a held-out file are those behind the first file's."""
    sides = of_two_files(np.array([0, 1, 0, 1, 1]), training=3)
    assert (sides.train.tolist(), sides.held_out.tolist()) == ([0, 1, 2], [3, 4])


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"by": "hash", "test_size": 1e-9}, {}, "split: no row is on the held-out side"),
    ({"by": "hash", "test_size": 1 - 1e-12}, {}, "split: no row is on the training side"),
    ({"by": "hash", "key": ["id"]}, {}, "split-column: no column 'id', by which the rows are to be split"),
    ({"by": "group", "column": "s"}, {"s": ["a"] * 1000}, "split: no row is on the held-out side"),
    (
        {"by": "group", "column": "s"},
        {"s": ["a"] * 999 + [""]},
        "split-missing: row 1000 has no value in the column 's'",
    ),
    (
        {"by": "time", "column": "s"},
        {"s": [1.0] * 999 + [np.nan]},
        "split-missing: row 1000 has no value in the column",
    ),
    ({"by": "time", "column": "s"}, {"s": [1.0] * 1000}, "split: no row is on the held-out side"),
]


@pytest.mark.parametrize(("asked", "others", "problem"), REFUSED)
def test_a_split_that_cannot_be_made_is_refused(asked: dict[str, Any], others: dict[str, Any], problem: str) -> None:
    """An empty side, a missing column and a missing value are refused by their rules."""
    with pytest.raises(DataRejected) as caught:
        split(table(others=others), Split(**asked), random_state=42)
    found = caught.value.problems[0]
    assert f"{found.rule}: {found.message}".startswith(problem)
    assert caught.value.hint


def test_a_class_that_training_lacks_is_refused() -> None:
    """A label of held-out rows alone cannot be learned."""
    asked = table(others={"day": list(range(1000))})
    late = LabelledRows(COLUMNS, asked.rows, np.repeat([0, 1], [900, 100]), asked.others)
    with pytest.raises(DataRejected, match="rows cannot be split") as caught:
        split(late, Split(by="time", column="day"), random_state=42)
    assert caught.value.problems[0].rule == "class-not-in-training"
    assert caught.value.hint == "give earlier rows of that label, or hold out fewer rows: a smaller split.test_size"


@given(rows_of)
def test_rows_are_repeated_just_where_they_are_equal(rows: list[tuple[float, float, str]]) -> None:
    """The count is that of the held-out rows that equal a training row, both zeros and every NaN counting as one."""
    plain = [(str(b + 0.0), str(a + 0.0), town) for b, a, town in rows]
    half = len(rows) // 2
    sides = Sides(np.arange(half), np.arange(half, len(rows)))
    assert repeated(features(rows), sides) == sum(each in plain[:half] for each in plain[half:])


def test_repeated_rows_are_counted() -> None:
    """A held-out row that training has, too, is counted, whatever its label is."""
    rows = features([(1.0, 2.0, "a"), (1.0, 2.0, "a"), (1.0, 2.0, "b"), (-0.0, 1.0, ""), (0.0, 1.0, "")])
    sides = of_two_files(np.array([0, 1, 0, 1, 0]), training=2)
    assert repeated(rows, sides) == 0
    sides = of_two_files(np.array([0, 1, 0, 1, 0]), training=4)
    assert repeated(rows, sides) == 1


# Through the command


def test_a_random_split_of_repeated_rows_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`train` counts held-out rows that also stand among the training rows; by the hash there is none, in any order."""
    monkeypatch.chdir(tmp_path)
    columns = {name: np.tile(each, 2) for name, each in blobs([0, 1], rows=150).items()}
    write_table(tmp_path / "rows.csv", columns)
    write_table(tmp_path / "shuffled.parquet", {name: each[::-1] for name, each in reversed(columns.items())})
    dataset = {"path": "rows.csv", "target": "label"}
    config = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000, "dataset": dataset, "split": {"by": "random"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    train = ["train", "--config", "config.json", "--artifact", "one"]
    assert main(train) == 0
    assert "of 60 held-out rows also stand among the training rows, in every feature" in capsys.readouterr().err
    assert main([*train, "-S", "split.by=hash"]) == 0
    assert "also stand among" not in capsys.readouterr().err
    held_out = json.loads((tmp_path / "one" / "manifest.json").read_text())["data"]["split"]["held_out"]
    assert held_out % 2 == 0
    manifest = json.loads((tmp_path / "one" / "manifest.json").read_text())
    assert manifest["recipe"]["split"] == {"by": "hash", "test_size": 0.2}
    assert "test_size" not in manifest["recipe"]
    assert main(["reproduce", "one", "--data", "rows.csv"]) == 0
    shuffled = [
        "-S",
        "split.by=hash",
        "-S",
        "dataset.path=shuffled.parquet",
        "-S",
        'dataset.features=["width", "height"]',
    ]
    assert main([*train, "--artifact", "two", *shuffled]) == 0
    assert json.loads((tmp_path / "two" / "manifest.json").read_text())["data"]["split"]["held_out"] == held_out
