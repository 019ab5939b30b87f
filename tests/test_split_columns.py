"""Columns that split the rows without being learned from: keys, groups and times."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from artifact_pipeline.cli import main
from artifact_pipeline.errors import DataRejected
from artifact_pipeline.rows.row_hash import key_hashes
from artifact_pipeline.rows.table import read_table
from artifact_pipeline.verification import verify
from tables import blobs, write_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified

ROWS = 240
DAYS = np.random.default_rng(3).integers(0, 90, ROWS).tolist()
PATIENTS = np.random.default_rng(4).integers(0, 60, ROWS)


def columns(**more: Any) -> dict[str, Any]:
    return {**more, **blobs(["no", "yes"], rows=ROWS)}


def days(kind: str) -> Any:
    dates = [date(2023, 12, 1) + timedelta(days=day) for day in DAYS]
    times = [datetime(each.year, each.month, each.day, 12, tzinfo=UTC) for each in dates]
    return {
        "text": [str(each) for each in dates],
        "date": pa.array(dates),
        "timestamp": pa.array([each.replace(tzinfo=None) for each in times], pa.timestamp("ns")),
        "zoned": pa.array(times, pa.timestamp("ms", "UTC")),
        "zoned text": [f"{each:%Y-%m-%dT}13:00+01:00" for each in times],
        "number": pa.array(DAYS),
        "number as text": [f"{day}.0" for day in DAYS],
    }[kind]


def train(folder: Path, file: str, split: dict[str, Any], drop: Sequence[str], **more: Any) -> Verified:
    """Train on a file, and return the artifact."""
    config = {
        "C": 1.0,
        "solver": "lbfgs",
        "max_iter": 1000,
        "dataset": {"path": file, "target": "label", "drop": [*drop]},
        "preprocess": "auto",
        "split": split,
        **more,
    }
    (folder / "config.json").write_text(json.dumps(config))
    places = ["--artifact", str(folder / "artifact"), "--export", str(folder / "model.pkl")]
    assert main(["train", "--config", str(folder / "config.json"), *places, "-q"]) == 0
    return verify(folder / "artifact")


def held_out(artifact: Verified) -> np.ndarray:
    bits = np.frombuffer(artifact.role("split"), dtype=np.uint8)
    return np.unpackbits(bits, count=artifact.manifest.data.rows, bitorder="little").astype(bool)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_key_that_is_dropped_splits_the_rows(tmp_path: Path, suffix: str) -> None:
    """All rows of a patient are on one side, which is that of the patient's hash; the model has no such column."""
    keys = [f"{each:03}" for each in PATIENTS]
    write_table(tmp_path / f"rows.{suffix}", columns(patient=keys))
    artifact = train(tmp_path, f"rows.{suffix}", {"by": "hash", "key": ["patient"]}, ["patient"])
    out = held_out(artifact)
    sides = {key: set(out[key == PATIENTS]) for key in set(PATIENTS.tolist())}
    assert set(map(len, sides.values())) == {1}
    assert {each.name for each in artifact.manifest.model.columns} == {"width", "height"}
    assert artifact.manifest.recipe["split"] == {"by": "hash", "key": ["patient"], "test_size": 0.2}
    assert main(["reproduce", str(tmp_path / "artifact"), "--data", str(tmp_path / f"rows.{suffix}")]) == 0


def test_a_key_is_one_in_every_format(tmp_path: Path) -> None:
    """Whole numbers, booleans, decimals and dates are the same keys in a CSV, in Parquet and in JSON Lines."""
    keys = {
        "whole": pa.array(PATIENTS),
        "float": pa.array(PATIENTS / 4),
        "flag": pa.array(PATIENTS % 2 == 1),
        "day": days("date"),
    }
    for name, values in keys.items():
        found = []
        for suffix in ("csv", "parquet", "jsonl"):
            cells = [str(each) for each in values.to_pylist()] if (suffix, name) == ("jsonl", "day") else values
            path = write_table(tmp_path / f"{name}.{suffix}", columns(key=cells))
            asked = {"key": "key"}
            found.append(read_table(str(path), target="label", drop=["key"], split_by=asked).split_by["key"])
        hashes = [key_hashes({"key": each}, seed=1).tolist() for each in found]
        assert hashes[0] == hashes[1] == hashes[2]
        assert len(set(hashes[0])) > 1


@pytest.mark.parametrize("kind", ["text", "date", "timestamp", "zoned", "zoned text", "number", "number as text"])
def test_the_latest_rows_are_held_out(tmp_path: Path, kind: str) -> None:
    """A time is a date, a time with or without a zone, or a number, as text or typed; it is ordered by its value."""
    write_table(tmp_path / "rows.parquet", columns(when=days(kind)))
    out = held_out(train(tmp_path, "rows.parquet", {"by": "time", "column": "when", "test_size": 0.25}, ["when"]))
    when = np.array(DAYS)
    assert when[~out].max() < when[out].min()
    assert 60 <= out.sum() < 60 + np.bincount(when).max()


@pytest.mark.parametrize(
    "times",
    [
        ["2024-05-01T12:00+09:00", "2024-05-01T12:00+02:00", "2024-05-01T12:00Z"],
        ["2024-05", "2024-05-01T00:00:01", "20240502T10"],
        ["-5", "1e1", "10.5"],
    ],
)
def test_times_are_ordered_across_zones_and_spellings(tmp_path: Path, times: list[str]) -> None:
    """Noon in Tokyo is before noon in Rome; a month, a day and a time of day are in one order; so are numbers."""
    path = write_table(tmp_path / "rows.csv", {"t": times, "a": [0.5, 2, 3], "label": [0, 1, 1]})
    found = read_table(str(path), target="label", drop=["t"], split_by={"t": "time"}).split_by["t"]
    assert found[0] < found[1] < found[2]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_group_that_is_no_feature_stays_together(tmp_path: Path, suffix: str) -> None:
    """`dataset.features` may leave the group out: then it is read all the same."""
    path = write_table(tmp_path / f"rows.{suffix}", columns(site=[f"site {each % 12}" for each in PATIENTS]))
    artifact = train(
        tmp_path, "", {"by": "group", "column": "site"}, [],
        dataset={"path": str(path), "target": "label", "features": ["height", "width"]},
    )  # fmt: skip
    out = held_out(artifact)
    assert all(len(set(out[site == PATIENTS % 12])) == 1 for site in range(12))
    assert [each.name for each in artifact.manifest.model.columns] == ["height", "width"]


def test_a_key_may_stand_in_the_names_of_folders(tmp_path: Path) -> None:
    """A column of Hive's folders splits the rows, though it stands in no file."""
    for site in "ab":
        (tmp_path / "rows" / f"site={site}").mkdir(parents=True)
        write_table(tmp_path / "rows" / f"site={site}" / "part.csv", columns())
    out = held_out(train(tmp_path, "rows", {"by": "group", "column": "site", "test_size": 0.5}, []))
    assert sorted([out[:ROWS].sum(), out[ROWS:].sum()]) == [0, ROWS]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize(
    ("role", "bad", "message", "hint"),
    [
        (
            "time",
            "31.05.2024",
            "'31.05.2024' is neither a number nor a date or a time as ISO 8601 writes it",
            "write each",
        ),
        ("time", "2024-05-31T12:00Z", "'2024-05-31T12:00Z' is not what the values before it are", "write all times"),
        ("time", None, "the value is missing, and the rows are split by it", "fill in the value"),
        ("key", None, "the value is missing, and the rows are split by it", "fill in the value"),
    ],
)
def test_a_value_by_which_no_row_can_be_split_is_refused(
    tmp_path: Path, suffix: str, role: Any, bad: str | None, message: str, hint: str
) -> None:
    """A bad value is refused with its row, its column, the rule and what to do."""
    values = days("text")
    values[17] = bad
    path = write_table(tmp_path / f"rows.{suffix}", columns(when=values))
    with pytest.raises(DataRejected) as caught:
        read_table(str(path), target="label", drop=["when"], split_by={"when": role})
    (problem,) = caught.value.problems
    assert problem.place == f"{path}, row 17, column 'when'"
    assert problem.message.startswith(message)
    assert str(caught.value.hint).startswith(hint)


def test_a_column_of_no_key_is_refused(tmp_path: Path) -> None:
    """Bytes are no key, and a truth value is no time."""
    path = write_table(tmp_path / "rows.parquet", columns(raw=pa.array([b"x"] * ROWS), flag=[True] * ROWS))
    for name, role, rule in (("raw", "key", "not-a-key"), ("flag", "time", "not-a-time")):
        with pytest.raises(DataRejected) as caught:
            read_table(str(path), target="label", drop=["raw", "flag"], split_by={name: role})
        assert caught.value.rules == {rule}


def test_a_column_that_is_missing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt column is refused with the one that may be meant, before a row is read."""
    write_table(tmp_path / "rows.csv", columns(patient=PATIENTS))
    with pytest.raises(DataRejected) as caught:
        read_table(str(tmp_path / "rows.csv"), target="label", split_by={"pateint": "key"})
    assert caught.value.rules == {"split-column"}
    assert "did you mean 'patient'?" in str(caught.value.hint)


@pytest.mark.parametrize(
    "split", [{"by": "hash", "key": ["label"]}, {"by": "group", "column": "label"}, {"by": "time", "column": "label"}]
)
def test_the_target_splits_no_rows(tmp_path: Path, split: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """A split by the label would leave a class without training rows, and is refused in the config."""
    config = {
        "C": 1.0,
        "solver": "lbfgs",
        "max_iter": 9,
        "dataset": {"path": "rows.csv", "target": "label"},
        "split": split,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert main(["train", "--config", str(tmp_path / "config.json")]) == 2
    assert "another column than the target 'label'" in capsys.readouterr().err


def test_another_key_is_a_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file whose keys alone have changed is trained from again, since other rows are held out."""
    write_table(tmp_path / "rows.csv", columns(patient=PATIENTS))
    split: dict[str, Any] = {"by": "hash", "key": ["patient"]}
    first = held_out(train(tmp_path, "rows.csv", split, ["patient"]))
    places = ["--artifact", str(tmp_path / "artifact"), "--export", str(tmp_path / "model.pkl")]
    again = ["train", "--config", str(tmp_path / "config.json"), *places, "--explain"]
    capsys.readouterr()
    assert main(again) == 0
    assert "unchanged" in capsys.readouterr().out
    write_table(tmp_path / "rows.csv", columns(patient=PATIENTS + 100))
    assert main(again) == 0
    assert "changed: split.columns:" in capsys.readouterr().out
    assert held_out(verify(tmp_path / "artifact")).tolist() != first.tolist()
