"""A search: its plan, its folds, its results wherever they are computed and however often it was killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from sklearn.metrics import get_scorer
from sklearn.model_selection import cross_val_score

from artifact_pipeline.artifact.manifest2 import Manifest2
from artifact_pipeline.artifact.trials import SIMPLER, SearchResults
from artifact_pipeline.canonical import digest
from artifact_pipeline.cli import main
from artifact_pipeline.cli.searching import SearchLog
from artifact_pipeline.config import json_schema, with_model
from artifact_pipeline.config.space import draw
from artifact_pipeline.errors import ArtifactRejected, ConfigError, DataRejected, PipelineError, StorageError
from artifact_pipeline.metrics.registry import METRICS
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.dataset import Dataset
from artifact_pipeline.training.estimators import build, resolved
from artifact_pipeline.training.publication import publish
from artifact_pipeline.training.reading import read_config
from artifact_pipeline.training.reproduction import ReproductionRequest, reproduce
from artifact_pipeline.training.request import Observer, TrainingRequest
from artifact_pipeline.training.run import run
from artifact_pipeline.training.search.bench import Bench, sections
from artifact_pipeline.training.search.folds import ranks_of, rounds_of
from artifact_pipeline.training.search.records import records
from artifact_pipeline.training.search.run import Searched, search
from artifact_pipeline.training.search.workers import workers
from artifact_pipeline.verification import verify
from conftest import ROOT
from servers import wait_until
from tables import blobs, write_table
from terminal import in_terminal

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.config import Config
    from artifact_pipeline.training.request import Training

Trial = SearchResults.Trial
TREE = {"estimator": "DecisionTreeClassifier", "max_depth": {"int": [1, 6]}, "min_samples_leaf": {"choice": [1, 5]}}
BAYES = {"estimator": "GaussianNB", "var_smoothing": {"log_uniform": [1e-9, 1e-3]}, "preprocess": "none"}
SPACE: list[dict[str, Any]] = [TREE, BAYES]
SCORED = {"roc_auc": "roc_auc_ovr", "log_loss": "neg_log_loss", "brier": "neg_brier_score"}


def asked(dataset: object = "iris", **keys: Any) -> dict[str, Any]:
    """The values of a config with a small search."""
    found = {"trials": 4, "folds": 2, "space": SPACE} | keys
    return {"dataset": dataset, "search": {key: value for key, value in found.items() if value is not None}}


def loaded(values: dict[str, Any]) -> tuple[Config, Dataset]:
    config = read_config(values)
    return config, Dataset.load(config)


def trials_of(training: Training) -> tuple[Trial, ...]:
    """The results in an artifact."""
    found = SearchResults.of_artifact(verify(training.folder))
    assert found is not None
    return found.trials


def trained(root: Path, values: dict[str, Any] | Path, observer: Observer | None = None, **keys: Any) -> Training:
    return run(TrainingRequest(values, root / "artifact", **keys), observer or Observer())


def results(training: Training) -> bytes:
    return (training.folder / "search.jsonl").read_bytes()


# The plan


def test_trial_is_drawn_from_seed_and_number_alone() -> None:
    """More trials leave the earlier ones as they are, the order of keys decides nothing, and floats survive JSON."""
    config = read_config(asked(trials=3))
    again = read_config(asked(trials=9, space=[dict(reversed(each.items())) for each in SPACE]))
    drawn = [sections(config, number) for number in range(3)]
    assert drawn == [sections(again, number) for number in range(3)]
    assert json.loads(json.dumps(drawn)) == drawn
    assert len({json.dumps(sections(config, number)) for number in range(20)}) > 10


@given(st.integers(0, 2**32), st.floats(1e-6, 1.0), st.floats(1.001, 1e6), st.integers(-50, 50), st.integers(1, 50))
def test_what_is_drawn_lies_in_its_range(seed: int, low: float, factor: float, start: int, more: int) -> None:
    """Each value lies in its range, both ends included, and a whole range gives a whole number."""
    ends, whole = [low, low * factor], [start, start + more]
    space = {"estimator": "SVC", "C": {"log_uniform": ends}, "tol": {"uniform": ends}, "degree": {"int": whole}}
    model = draw([space], np.random.default_rng(seed))["model"]
    assert ends[0] <= model["C"] <= ends[1]
    assert ends[0] <= model["tol"] <= ends[1]
    assert type(model["degree"]) is int
    assert whole[0] <= model["degree"] <= whole[1]


# The config


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ('{"estimator": "SVC", "C": {"log_uniform": [-1, 5]}}', "search.space.0.C.log_uniform: must be an array of"),
        ('{"estimator": "SVC", "C": {"loguniform": [1, 5]}}', "did you mean log_uniform?"),
        ('{"estimator": "SVC", "c": {"uniform": [1, 5]}}', "search.space.0.c: SVC has no such parameter, did you mean"),
        ('{"estimator": "SVC", "C": {"uniform": [0, 5]}}', ":1:62: search.space.0.C.uniform.0: must be a"),
        ('{"estimator": "SVC", "kernel": {"choice": ["rbf", "rfb"]}}', "search.space.0.kernel.choice.1: must be"),
        ('{"estimator": "SVC", "C": {"uniform": [1, 5], "x": 2}}', "an array alone in its object"),
        ('{"estimator": "SCV"}', 'search.space.0.estimator: must be a classifier that can be written, got "SCV"'),
        ('{"estimator": "SVC", "preprocess": {"choice": ["aut"]}}', "search.space.0.preprocess.choice.0: must be"),
        ('{"estimator": "LogisticRegression", "C": {"uniform": [0, 1]}}', "search.space.0.C.uniform.0: must be a"),
        ('{"estimator": "LogisticRegression", "max_itr": 9}', "search.space.0.max_itr: unknown key, did you mean"),
        ('{"estimator": "KNeighborsClassifier", "n_neighbors": {"int": [0, 9]}}', "n_neighbors.int.0: must be a whole"),
        ('{"estimator": "KNeighborsClassifier", "n_neighbors": {"uniform": [1, 9]}}', ": uniform draws fractions, int"),
        (
            '{"estimator": "BaggingClassifier", "base_estimator": {"estimator": "SVC", "C": {"uniform": [-1, 1]}}}',
            "search.space.0.base_estimator.C.uniform.0: must be",
        ),
        ("3", "search.space.0: must be an object with estimator, got 3"),
    ],
)  # fmt: skip
def test_space_is_checked_at_its_place(tmp_path: Path, space: str, message: str) -> None:
    """Both ends of each range are compared with scikit-learn's constraints before any row is read."""
    place = tmp_path / "config.json"
    place.write_text(f'{{"search": {{"space": [{space}]}}}}')
    with pytest.raises(ConfigError) as caught:
        read_config(place)
    assert message in str(caught.value.problems[0])
    assert len(caught.value.problems) == (2 if "fractions" in message else 1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"search": {"trails": 3, "space": SPACE}}, "search.trails: unknown key, did you mean trials?"),
        ({"search": {"space": []}}, "search.space: must be an array of at least one object"),
        ({"search": "quik"}, 'search: must be "quick", or an object'),
        ({"search": "quick", "C": 3.0}, "C: unknown key: beside search.space it stands in there"),
        (
            {"search": "quick", "model": {"estimator": "SVC"}},
            "model: must be left away beside search.space, from which it is drawn (-S model=null), got",
        ),
        ({"search": {"trials": 2}, "model": {"estimator": "SVC"}}, "search: must be an object with trials 1"),
        ({"model": None}, "model: must be an object with estimator"),
        (
            {"search": {"repeats": 2, "space": SPACE}, "split": {"by": "time", "column": "t"},
             "dataset": {"path": "x.csv", "target": "y"}},
            "search: must be an object with repeats 1 where the split is by time",
        ),
    ],
)  # fmt: skip
def test_search_is_checked(values: dict[str, Any], message: str) -> None:
    """A search that contradicts itself, its model or its split is refused, and so is a mistyped key."""
    with pytest.raises(ConfigError) as caught:
        read_config(values)
    assert [each.message.startswith(message) for each in caught.value.problems] == [True], caught.value.problems


def test_schema_takes_a_search_and_no_mistyped_one() -> None:
    """An editor takes a search, quick or by a space, and marks a model beside it and parameters that do not exist."""
    validator = jsonschema.Draft202012Validator(json_schema())
    model = {"model": {"estimator": "SVC"}}
    good = [asked(), {"search": "quick"}, {"search": {"repeats": 5}, **model}]
    bad = [
        asked() | model,
        {"search": "quick", "C": 1.0},
        {"search": {"repeats": 5}},
        asked(space=[{"estimator": "SVC", "c": 1}]),
    ]
    assert [validator.is_valid(each) for each in good] == [True] * 3
    assert [validator.is_valid(each) for each in bad] == [False] * 4


def test_a_config_without_a_search_has_the_recipe_that_it_had() -> None:
    """The key stands in a recipe only where it is used, and a quick search stands there in full."""
    from artifact_pipeline.config import recipe

    assert "search" not in recipe(read_config({"C": 1.0, "solver": "lbfgs", "max_iter": 9}))
    found = recipe(read_config({"search": "quick"}))
    assert len({each["estimator"] for each in found["search"]["space"]}) == 4
    assert not {"model", "C"} & found.keys()


# Folds


@pytest.mark.parametrize("metric", [each.name for each in METRICS])
def test_scores_are_those_of_scikit_learn(metric: str) -> None:
    """Each score is `cross_val_score`'s on the same folds, to the last digit; a loss is one, and no negative loss."""
    config, data = loaded(asked(metric=metric, trials=2, folds=3, repeats=2))
    bench = Bench.of(config, data)
    for number in range(2):
        model = build(resolved(with_model(config, sections(config, number))), [])
        scorer = get_scorer(SCORED.get(metric, metric))
        expected = cross_val_score(model, bench.features.X, bench.y, cv=bench.folds, scoring=scorer)
        sign = -1 if metric in {"log_loss", "brier"} else 1
        assert bench.run((number, len(bench.y))).scores == tuple((sign * expected).tolist())


def test_held_out_rows_are_not_looked_at() -> None:
    """A bench has the training rows and no other, and each of them is scored once in each repeat."""
    config, data = loaded(asked(folds=3, repeats=2))
    bench = Bench.of(config, data)
    assert np.array_equal(bench.features.X, data.X[data.train])
    for repeat in (bench.folds[:3], bench.folds[3:]):
        assert sorted(np.concatenate([each.test for each in repeat])) == list(range(len(data.train)))
        assert all(sorted([*each.train, *each.test]) == list(range(len(data.train))) for each in repeat)
    assert not np.array_equal(bench.folds[0].test, bench.folds[3].test)


def grouped(place: Path, *, by: str) -> dict[str, Any]:
    """A config of 200 rows in 20 groups, at 40 times, of which 50 are there twice."""
    random = np.random.default_rng(3)
    columns = blobs(["a", "b"])
    columns = {name: np.concatenate([values[:150], values[:50]]) for name, values in columns.items()}
    others = {"site": [f"s{each}" for each in random.integers(0, 20, 200)], "day": random.integers(0, 40, 200)}
    write_table(place, {**columns, **others})
    table = {"path": str(place), "target": "label", "drop": ["site", "day"]}
    split = {"group": {"column": "site"}, "time": {"column": "day"}, "key": {"key": ["site"]}, "hash": {}}[by]
    return asked(table, folds=3) | {"split": {"by": "hash" if by == "key" else by, **split}}


@pytest.mark.parametrize("by", ["group", "key", "hash"])
def test_what_a_split_keeps_together_stays_in_one_fold(tmp_path: Path, by: str) -> None:
    """A group, a key and equal rows stand on one side of each fold."""
    config, data = loaded(grouped(tmp_path / "rows.csv", by=by))
    bench = Bench.of(config, data)
    sites = data.rows.split_by["site"] if by != "hash" else data.X[:, 0]
    names = np.asarray(sites)[data.train]
    assert max(Counter(names.tolist()).values()) > 1
    assert all(not set(names[each.train]) & set(names[each.test]) for each in bench.folds)


def test_time_goes_forward(tmp_path: Path) -> None:
    """Each fold is later than all that its model learns from, and equal times stay together."""
    config, data = loaded(grouped(tmp_path / "rows.csv", by="time"))
    days = np.asarray(data.rows.split_by["day"])[data.train]
    folds = Bench.of(config, data).folds
    assert len(folds) == 3
    assert all(days[each.train].max() < days[each.test].min() for each in folds)
    assert all(len(later.train) > len(earlier.train) for earlier, later in pairwise(folds))


@pytest.mark.parametrize(("by", "folds"), [("group", 50), ("time", 99)])
def test_too_many_folds_are_refused(tmp_path: Path, by: str, folds: int) -> None:
    """More folds than groups or times are refused, with the mend."""
    values = grouped(tmp_path / "rows.csv", by=by)
    values["search"]["folds"] = folds
    config, data = loaded(values)
    with pytest.raises(DataRejected, match="cannot be folded") as caught:
        Bench.of(config, data)
    assert caught.value.hint == "set fewer search.folds"


@given(st.lists(st.integers(0, 3), min_size=8, max_size=60), st.integers(0, 99))
def test_each_beginning_of_the_order_is_stratified(labels: list[int], seed: int) -> None:
    """Of any first rows in the order of halving, each label has its share, within one row."""
    y = np.array(labels)
    ranks = ranks_of(y, seed)
    assert sorted(ranks) == list(range(len(y)))
    for count in range(1, len(y) + 1):
        first = Counter(y[ranks < count].tolist())
        shares = {label: count * rows / len(y) for label, rows in Counter(labels).items()}
        assert all(abs(first[label] - share) <= len(shares) for label, share in shares.items())


def test_halving_grows_rows_and_keeps_the_best_third() -> None:
    """Each round has three times the rows, and the best third of the trials; the last one has all rows."""
    config, data = loaded(asked("breast_cancer", trials=9, folds=2, rounds="halving"))
    assert config.search is not None
    rounds = rounds_of(data.y[data.train], config.search)
    assert [trials for _, trials in rounds] == [9, 3, 1]
    assert rounds[-1][0] == len(data.train) == pytest.approx(9 * rounds[0][0], abs=9)
    found = search(config, data)
    by_rows = {rows: [each for each in found.results.trials if each.rows == rows] for rows, _ in rounds}
    for (rows, _), (more, count) in pairwise(rounds):
        best = sorted(by_rows[rows], key=lambda each: (-each.mean, each.trial))[:count]
        assert {each.trial for each in by_rows[more]} == {each.trial for each in best}
    assert found.winner.rows == len(data.train)


# The choice


def result(number: int, *scores: float, rows: int = 9, **model: Any) -> Trial:
    return Trial(trial=number, rows=rows, model={"model": {"estimator": "SVC", **model}}, scores=scores)


def test_best_mean_is_taken_then_the_lowest_number() -> None:
    """Of those on the most rows the best mean wins, by a loss the least, and of equal ones the lowest number."""
    trials = [result(3, 0.5, 0.7), result(1, 0.6, 0.6), result(0, 0.9, 0.9, rows=3), result(2, 0.1, 0.1)]
    chosen = [SearchResults.of(trials).chosen(metric, "best") for metric in ("accuracy", "log_loss")]
    assert [each.trial for each in chosen if each] == [1, 2]
    assert SearchResults.of([]).chosen("accuracy", "best") is None


def test_one_standard_error_takes_the_simpler_model() -> None:
    """`one_se` takes the simplest within a standard error of the best: less C, or a simpler classifier."""
    best, near, far = result(0, 0.8, 0.9, C=10.0), result(1, 0.79, 0.89, C=0.1), result(2, 0.4, 0.5, C=0.01)
    assert [
        getattr(SearchResults.of([best, near, far]).chosen("accuracy", each), "trial", None)
        for each in ("best", "one_se")
    ] == [
        0,
        1,
    ]
    line = Trial(trial=3, rows=9, model={"model": {"estimator": "LogisticRegression", "C": 99.0}}, scores=(0.8, 0.88))
    assert SearchResults.of([best, near, line]).chosen("accuracy", "one_se") == line
    beyond = Trial(trial=4, rows=9, model={"model": {"estimator": "SVC", "C": 10**400}}, scores=(0.8, 0.9))
    assert SearchResults.of([best, near, beyond]).chosen("accuracy", "one_se") == near


def test_a_trial_that_fails_is_a_line_and_stops_nothing(tmp_path: Path) -> None:
    """A model that cannot be scored has its reason in its line; where every one fails, all are named."""
    perceptron = {"estimator": "Perceptron", "tol": {"uniform": [0.001, 0.01]}}
    training = trained(tmp_path, asked(metric="log_loss", trials=6, space=[BAYES, perceptron]))
    trials = trials_of(training)
    failed = [each for each in trials if not each.scores]
    assert len(trials) == 6
    assert {each.estimator for each in failed} == {"Perceptron"}
    assert all("predict_proba" in str(each.error) for each in failed)
    with pytest.raises(DataRejected, match="every trial of the search failed") as caught:
        trained(tmp_path, asked(metric="log_loss", space=[perceptron]))
    assert caught.value.hint


def test_a_drawn_model_that_the_config_refuses_fails_in_its_words(tmp_path: Path) -> None:
    """Two values that do not go together fail their trial by the config's own message, with no word of a library."""
    l1 = {"solver": {"choice": ["liblinear", "lbfgs"]}, "l1_ratio": {"choice": [0.0, 1.0]}}
    space = [{"estimator": "LogisticRegression", "preprocess": "none"} | l1]
    failed = [each for each in trials_of(trained(tmp_path, asked("breast_cancer", space=space))) if not each.scores]
    assert {each.error for each in failed} == {
        "model.l1_ratio: must be 0 with the solver lbfgs (saga takes 0 to 1), got 1.0"
    }


# The artifact


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A search that ran to its end in one go."""
    return trained(tmp_path_factory.mktemp("whole"), asked())


def test_results_are_a_member_of_the_artifact(whole: Training) -> None:
    """The manifest has the digest of the results, which are sorted lines; the model is that of the best one."""
    assert isinstance(whole.manifest, Manifest2)
    record = next(each for each in whole.manifest.files if each.role == "search")
    assert record.sha256 == digest(results(whole))
    trials = trials_of(whole)
    assert SearchResults.of(trials).lines == results(whole)
    assert [each.trial for each in trials] == [0, 1, 2, 3]
    winner = max(trials, key=lambda each: (each.mean, -each.trial))
    drawn = winner.model["model"]
    assert whole.manifest.model.estimator.endswith(drawn["estimator"])
    assert {key: whole.manifest.model.parameters[key] for key in drawn if key != "estimator"} == {
        key: value for key, value in drawn.items() if key != "estimator"
    }
    assert whole.looks == 1


def test_an_unchanged_search_is_not_done_again(whole: Training) -> None:
    """With the same config and data nothing is trained; a forced search gives the same artifact."""
    root = whole.folder.parents[1]
    assert trained(root, asked()).unchanged
    assert trained(root, asked(), force=True).digest == whole.digest


def test_reproduction_of_the_winner_and_of_the_search(whole: Training, tmp_path: Path) -> None:
    """The winner alone gives the bytes again by the results in the artifact, and the whole search gives them, too."""
    for again in (False, True):
        found = reproduce(ReproductionRequest(whole.folder, search=again))
        assert (found.grade, found.artifact) == ("bytes", whole.digest)
        assert any("search.jsonl" in each for each in found.carried) is not again
    plain = trained(tmp_path, {"dataset": "iris", "model": {"estimator": "GaussianNB"}})
    with pytest.raises(ConfigError, match="--search"):
        reproduce(ReproductionRequest(plain.folder, search=True))


def test_results_that_are_none_are_refused(whole: Training) -> None:
    """Lines in another order or spelling, twice, or with neither scores nor a reason, are no results."""
    artifact, good = verify(whole.folder), results(whole)
    first, second, *_ = good.splitlines(keepends=True)
    for bad in (second + first, first + first, first[:-1], b"{}\n", first.replace(b'"rows":', b'"rows": '), b"\xff\n"):
        with pytest.raises(ArtifactRejected, match="search"):
            SearchResults.of_artifact(replace(artifact, members={**artifact.members, "search.jsonl": bad}))
    for none in ({}, {"scores": (1e200, 0.0)}):
        line = Trial(trial=0, rows=3, model={"model": {}}, **none).line()
        with pytest.raises(ArtifactRejected, match="search"):
            SearchResults.of_artifact(replace(artifact, members={**artifact.members, "search.jsonl": line}))


def test_cross_validation_of_one_model(tmp_path: Path) -> None:
    """Without a space the config's own model is scored on every fold of every repeat, and trained as without it."""
    model = {"dataset": "iris", "model": {"estimator": "GaussianNB"}}
    training = trained(tmp_path, model | {"search": {"folds": 5, "repeats": 3}})
    (trial,) = trials_of(training)
    assert len(trial.scores) == 15
    assert len(set(trial.scores)) > 1
    assert training.manifest.model.digest == trained(tmp_path, model).manifest.model.digest


# Killed, stopped, spread


def test_a_killed_search_goes_on(whole: Training, tmp_path: Path) -> None:
    """After a kill in mid-line the whole lines are taken up, and the artifact is that of one go."""
    place = tmp_path / "artifacts" / ".search"
    (kept,) = (whole.folder.parent / ".search").glob("*.jsonl")
    done = kept.read_bytes().splitlines(keepends=True)
    place.mkdir(parents=True)
    (place / kept.name).write_bytes(done[0] + done[1] + done[2][:-9])
    seen: list[int] = []
    training = trained(tmp_path, asked(), watched(seen))
    assert seen == [2, 3, 4]
    assert (training.digest, results(training)) == (whole.digest, results(whole))
    assert training.searched is not None


def watched(seen: list[int]) -> Observer:
    """An observer that notes how many results there are."""
    from contextlib import nullcontext

    return Observer(searching=lambda: nullcontext(lambda standing: seen.append(standing.done)))


def test_more_trials_take_up_the_earlier_ones(tmp_path: Path) -> None:
    """A search with more trials, another choice or another gate computes only what is new."""
    seen: list[int] = []
    trained(tmp_path, asked(trials=2))
    training = trained(tmp_path, asked(trials=3, select="one_se") | {"gate": {"min_accuracy": 0.5}}, watched(seen))
    assert seen == [2, 3]
    assert len(trials_of(training)) == 3
    seen.clear()
    trained(tmp_path, asked(trials=2, seed=1), watched(seen))
    assert seen == [0, 1, 2]


def test_a_search_that_is_stopped_can_be_replayed_and_goes_on(whole: Training, tmp_path: Path) -> None:
    """`--minutes` ends it after a trial, the recipe holds the count, and another training goes on to the end."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(asked()))
    stopped = trained(tmp_path, config, minutes=0.0)
    assert stopped.manifest.recipe["search"]["stop"] == 1
    assert len(results(stopped).splitlines()) == 1
    again = reproduce(ReproductionRequest(stopped.folder, search=True))
    assert again.grade == "bytes"
    assert trained(tmp_path, config).digest == whole.digest
    with pytest.raises(ConfigError, match="--minutes"):
        trained(tmp_path, {"C": 1.0, "solver": "lbfgs", "max_iter": 99}, minutes=1.0)


def test_halving_is_stopped_between_two_rounds(tmp_path: Path) -> None:
    """Where the time ends in a later round, that round is left out, and the best of the one before is taken."""
    config, data = loaded(asked("breast_cancer", trials=9, folds=2, rounds="halving"))
    clock = iter([0.0] * 10)  # the start, and one look after each trial but the last of the round

    def late() -> float:
        return next(clock, 1e9)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("artifact_pipeline.training.search.run.time.monotonic", late)
        found = search(config, data, minutes=1.0)
    assert found.config.search is not None
    assert found.config.search.stop == len(found.results.trials) == 9
    assert search(found.config, data).results.lines == found.results.lines


def test_one_search_runs_once_at_a_time(tmp_path: Path) -> None:
    """A second process of the same search is refused at once, and what the first one writes stays whole."""
    with records(tmp_path, {"data": "x"}, resume=True) as first:
        with pytest.raises(StorageError, match="busy"), records(tmp_path, {"data": "x"}, resume=True):
            pass
        with records(tmp_path, {"data": "y"}, resume=True) as other:
            assert other.found == {}
        first.append(result(0, 0.5))
    with records(tmp_path, {"data": "x", "recipe.search.trials": "9"}, resume=True) as again:
        assert [*again.found] == [(0, 9)]
    with records(tmp_path, {"data": "x"}, resume=False) as forced:
        assert forced.found == {}


def test_files_of_other_searches_are_few(tmp_path: Path) -> None:
    """The files of the latest other searches stay, and older ones are removed."""
    for number in range(14):
        with records(tmp_path, {"data": str(number)}, resume=True) as each:
            each.append(result(0, 0.5))
            os.utime(each._path, (number, number))
    assert len([*(tmp_path / ".search").iterdir()]) == 11


def children() -> list[multiprocessing.process.BaseProcess]:
    return multiprocessing.active_children()


@pytest.mark.slow
def test_processes_give_the_same_results_though_one_is_killed(whole: Training, tmp_path: Path) -> None:
    """Two processes give the bytes of one, also where a process is killed in mid-trial, and none is left."""
    from contextlib import nullcontext

    killed: list[int] = []

    def kill(_: object) -> None:
        if not killed and (alive := children()):
            killed.extend(each.pid for each in alive if each.pid)
            for each in alive:
                each.kill()

    training = trained(tmp_path, asked(), Observer(searching=lambda: nullcontext(kill)), jobs=2)
    assert len(killed) >= 1
    assert results(training) == results(whole)
    assert training.digest == whole.digest
    assert children() == []


@pytest.mark.slow
def test_a_trial_that_ends_each_process_ends_the_search() -> None:
    """A trial whose process dies again and again is named, and no process is left."""
    config, data = loaded(asked(trials=1))
    deadly = Deadly(*(getattr(Bench.of(config, data), name) for name in Bench.__dataclass_fields__))
    with (
        pytest.raises(PipelineError, match="the trial 0 of the search has ended 3 processes"),
        workers(deadly, 2) as at,
    ):
        list(at.results([(0, 9)]))
    assert children() == []


class Deadly(Bench):
    """A bench that kills the process that runs a trial."""

    def run(self, asked: tuple[int, int]) -> Trial:  # noqa: D102
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError(asked)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_the_search(tmp_path: Path, how: signal.Signals) -> None:
    """Ctrl-C ends with status 130 and leaves no process; one that is killed leaves none either, and can go on."""
    space = [{"estimator": "RandomForestClassifier", "n_estimators": {"int": [300, 400]}}]
    (tmp_path / "config.json").write_text(json.dumps(asked("digits", trials=50, space=space)))
    command = [sys.executable, "-m", "artifact_pipeline", "train", "--config", "config.json", "--jobs", "2"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        wait_until(lambda: any(path.stat().st_size for path in tmp_path.glob("artifacts/.search/*")), 60)
        process.send_signal(how)
        _, said = process.communicate(timeout=20)
        assert process.returncode == (130 if how is signal.SIGINT else -signal.SIGKILL)
        assert "Traceback" not in said

        def gone() -> bool:
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return True
            return False

        wait_until(gone, 20)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    (kept,) = tmp_path.glob("artifacts/.search/*")
    assert all(map(Trial.of_line, kept.read_bytes().splitlines(keepends=True)[:-1]))


# The commands


def test_commands_say_what_was_found(whole: Training, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`train` and `inspect` say how many results there are, and which one is chosen, as text and as JSON."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(asked()))
    place = ["--artifact", str(tmp_path / "artifact"), "--export", str(tmp_path / "model_train.pkl")]
    assert main(["train", "--config", str(config), *place]) == 0
    said = capsys.readouterr().out
    assert f"search: 4 results, {digest(results(whole))}" in said
    assert "held-out rows: looked at 1 time, this one included" in said
    assert main(["inspect", str(tmp_path / "artifact"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["search"]
    assert main(["train", "--config", str(config), *place, "--json"]) == 0  # it is unchanged
    assert json.loads(capsys.readouterr().out)["search"] == found
    assert found["digest"] == digest(results(whole))
    assert found["results"] == 4
    assert f"chosen: trial {found['winner']['trial']}, accuracy" in said


def test_a_log_says_how_a_search_stands() -> None:
    """A log has a line for what was taken up, then lines with the speed, the time left and the best."""
    said: list[str] = []
    update = SearchLog(said.append, pause=0).update
    update(SearchResults.Standing(2, 2, 8, (), "accuracy"))
    update(SearchResults.Standing(3, 2, 8, (result(5, 0.5),), "accuracy"))
    assert said[0] == "taken up: 2 results of an earlier run"
    pattern = r"searching: 3 of 8 results, [\d,.]+ a minute, about [\d,]+ s left; accuracy 0\.5000 by trial 5, SVC"
    assert re.fullmatch(pattern, said[1])
    assert len(said) == 2


@pytest.mark.slow
def test_a_terminal_shows_the_best(tmp_path: Path) -> None:
    """On a terminal the best stand in a table while the search runs, and the table is gone afterwards."""
    (tmp_path / "config.json").write_text(json.dumps(asked()))
    status, said = in_terminal("-m", "artifact_pipeline", "train", "--config", "config.json", cwd=tmp_path)
    assert status == 0, said
    assert "searching: 4 of 4 results" in said
    assert said.count("standard error") >= 2


def test_forged_results_do_not_come_back(tmp_path: Path) -> None:
    """Results that were made up choose another model and reproduce as such; the search done again tells."""
    config, data = loaded(asked())
    found = search(config, data)
    loser = next(each for each in found.results.trials if each.trial != found.winner.trial)
    better = structs.replace(loser, scores=(1.0, 1.0))
    others = [each for each in found.results.trials if each is not loser]
    forged = train(config, data, progress=str, searched=Searched.of(config, SearchResults.of([*others, better])))
    folder = publish(forged, artifact=tmp_path / "artifact", export=None)
    assert reproduce(ReproductionRequest(folder)).grade == "bytes"
    again = reproduce(ReproductionRequest(folder, search=True))
    assert again.grade != "bytes"
    assert "search.jsonl" in again.differences.files
    assert again.refusal("bytes") is not None


def test_page_says_which_model_is_simpler() -> None:
    """The page has the classifiers that `one_se` knows, in their order."""
    text = (ROOT / "docs" / "search.md").read_text().partition("Simpler is")[2].partition("all others")[0]
    assert re.findall(r"`([A-Z]\w{2,})`", text) == [*SIMPLER]


# What is shown of it


@pytest.mark.needs("matplotlib", "jinja2")
def test_show_lists_and_draws_the_results(whole: Training, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`search show` lists the best first, draws the same bytes each time, and the report has the plot, too."""
    place = str(whole.folder)
    for name in ("a.svg", "b.svg", "a.png", "b.png", "a.html"):
        assert main(["search", "show", place, "-o", str(tmp_path / name), "--quiet"]) == 0
    for ending in ("svg", "png"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()
    drawn = trials_of(whole)
    assert all(each.estimator in (tmp_path / "a.svg").read_text() for each in drawn)
    assert any(key in (tmp_path / "a.svg").read_text() for each in drawn for key in each.model["model"])
    assert main(["report", place, "-o", str(tmp_path / "report.html"), "--quiet"]) == 0
    for page in ("a.html", "report.html"):
        assert "accuracy against each parameter" in (tmp_path / page).read_text()
    capsys.readouterr()
    assert main(["search", "show", place, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    means = [sum(each["scores"]) for each in found["trials"]]
    assert means == sorted(means, reverse=True)
    assert found["search"]["winner"]["trial"] == found["trials"][0]["trial"]
    assert main(["search", "show", place, "-o", str(tmp_path / "plot.pdf")]) == 2


def test_trials_that_failed_are_shown_with_their_reason(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What failed stands at the end with its reason; an artifact without a search is refused."""
    bad = {"estimator": "KNeighborsClassifier", "n_neighbors": 1000}
    training = trained(tmp_path, asked(trials=6, space=[BAYES, bad]))
    assert any(not each.scores for each in trials_of(training))
    assert main(["search", "show", str(training.folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "failed: " in next(line for line in reversed(lines) if "Classifier" in line)
    assert main(["search", "show", str(ROOT / "tests" / "golden" / "v1")]) == 2


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30), st.integers(2, 10))
def test_interval_over_folds_is_the_corrected_resampled_one(differences: list[float], folds: int) -> None:
    """The interval is the t-interval of the differences with Nadeau and Bengio's variance."""
    from scipy.stats import t

    from artifact_pipeline.metrics.paired import resampled_interval

    mean, low, high = resampled_interval(differences, 1 / (folds - 1))
    count = len(differences)
    error = np.sqrt((1 / count + 1 / (folds - 1)) * np.var(differences, ddof=1))
    half = t.ppf(0.975, count - 1) * error
    assert (mean, low, high) == pytest.approx((np.mean(differences), mean - half, mean + half), abs=1e-9)


def test_chosen_trial_is_compared_with_the_first_by_folds() -> None:
    """Over trial 0 on as many rows, unless it is chosen, fell out before, or the folds differ in size."""
    recipe = {"search": {"metric": "accuracy", "select": "best", "folds": 2}}
    both = [scored(0, 9, (0.5, 0.7)), scored(1, 9, (0.8, 0.9))]
    over = SearchResults.of(both).over_first(recipe)
    assert over is not None
    assert over[0] == pytest.approx(0.25)
    assert over[1] < 0.25 < over[2]
    assert SearchResults.of(both[:1]).over_first(recipe) is None
    assert SearchResults.of([scored(0, 3, (0.5, 0.7)), both[1]]).over_first(recipe) is None
    assert SearchResults.of(both).over_first({**recipe, "split": {"by": "time"}}) is None


def scored(trial: int, rows: int, scores: tuple[float, ...]) -> Trial:
    """A result with these scores."""
    return Trial(trial=trial, rows=rows, model={"model": {"estimator": "SVC"}}, scores=scores)


@pytest.mark.parametrize("split", [{"by": "group", "column": "site"}, {"by": "random"}])
def test_rows_of_feedback_are_folded_too(tmp_path: Path, split: dict[str, Any]) -> None:
    """Feedback is among the rows that are folded, with its groups on one side, and no held-out row is."""
    values = grouped(tmp_path / "rows.csv", by="group")
    values["dataset"]["drop"] = ["day"] if split["by"] == "group" else ["site", "day"]
    more = {name: cells[:30] for name, cells in blobs(["a", "b"], rows=60, seed=9).items()}
    more |= {"site": [f"s{each % 25}" for each in range(30)], "day": list(range(30))}
    write_table(tmp_path / "feedback.csv", more)
    config, data = loaded(values | {"split": split, "feedback": [str(tmp_path / "feedback.csv")]})
    bench = Bench.of(config, data)
    assert len(bench.y) == len(data.train) > 200 - len(data.held_out)
    for fold in bench.folds:
        assert sorted([*fold.train, *fold.test]) == list(range(len(bench.y)))
        if split["by"] == "group":
            sites = np.asarray(data.rows.split_by["site"])[data.train]
            assert not set(sites[fold.train]) & set(sites[fold.test])
        else:
            shares = [np.mean(bench.y[side] == "a") for side in fold]
            assert shares[0] == pytest.approx(shares[1], abs=0.05)
