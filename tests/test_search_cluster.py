"""A search on a Dask cluster: the results of one process, whatever dies meanwhile."""

from __future__ import annotations

import json
import signal
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from artifact_pipeline.cli import main
from artifact_pipeline.errors import PipelineError
from artifact_pipeline.runtime import KERNEL_VARIABLE
from artifact_pipeline.training.dataset import Dataset
from artifact_pipeline.training.reading import read_config
from artifact_pipeline.training.reproduction import ReproductionRequest, reproduce
from artifact_pipeline.training.request import Observer, TrainingRequest
from artifact_pipeline.training.run import run
from artifact_pipeline.training.search import cluster
from artifact_pipeline.training.search.bench import Bench
from artifact_pipeline.training.search.run import search
from artifact_pipeline.training.search.workers import workers
from clusters import Cluster, cluster_without_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from artifact_pipeline.artifact.trials import SearchResults
    from artifact_pipeline.training.request import Training

pytest.importorskip("distributed")
slow = pytest.mark.slow

SEARCH = {
    "dataset": "iris",
    "search": {
        "trials": 9,
        "folds": 2,
        "rounds": "halving",
        "space": [
            {"estimator": "LogisticRegression", "C": {"log_uniform": [0.01, 100]}, "max_iter": 1000},
            {"estimator": "DecisionTreeClassifier", "max_depth": {"int": [1, 6]}},
        ],
    },
}


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler, and no workers yet."""
    with cluster_without_workers(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def alone() -> bytes:
    """What one process finds."""
    config = read_config(SEARCH)
    return search(config, Dataset.load(config)).results.lines


def trained(root: Path, there: Cluster, observer: Observer | None = None, **keys: Any) -> Training:
    request = TrainingRequest(SEARCH, root / "artifact", scheduler=there.address, **keys)
    return run(request, observer or Observer())


def watched(watch: Callable[[SearchResults.Standing], None]) -> Observer:
    return Observer(searching=lambda: nullcontext(watch))


@slow
def test_two_workers_give_the_results_of_one_process_though_one_is_killed(
    there: Cluster, alone: bytes, tmp_path: Path
) -> None:
    """A worker is killed, another one joins, and the results stay those of one process, byte for byte."""
    first = there.add()
    there.add()
    seen: list[int] = []

    def kill(standing: SearchResults.Standing) -> None:
        seen.append(standing.done)
        if standing.done == 2 and first.poll() is None:
            first.kill()
            first.wait()
            there.add()

    training = trained(tmp_path, there, watched(kill))
    assert first.poll() == -signal.SIGKILL
    assert max(seen) == len(alone.splitlines())
    assert (training.folder / "search.jsonl").read_bytes() == alone
    (tmp_path / "stopped").mkdir()
    stopped = trained(tmp_path / "stopped", there, minutes=0.0)
    assert stopped.manifest.recipe["search"]["stop"] >= 1
    assert reproduce(ReproductionRequest(stopped.folder, search=True)).grade == "bytes"


@slow
def test_a_trial_that_ends_each_worker_ends_the_search(there: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that kills its workers is named; where none is left before that, this is said, and nothing hangs."""
    monkeypatch.setattr(cluster, "_MAX_IDLE_SECONDS", 0.0)
    config = read_config(SEARCH)
    bench = Bench.of(config, Dataset.load(config))
    deadly = "import os\nfrom artifact_pipeline.training.search.bench import Bench\nBench.run = lambda *_: os._exit(9)"
    there.add(deadly)
    with pytest.raises(PipelineError, match="has had no worker for 0 seconds"), workers(bench, there.address) as at:
        list(at.results([(4, 99)]))
    monkeypatch.setattr(cluster, "_MAX_DEATHS", 1)
    there.add(deadly)
    with (
        pytest.raises(PipelineError, match="the trial 4 of the search has ended 1 workers of the cluster"),
        workers(bench, there.address) as at,
    ):
        list(at.results([(4, 99)]))


@slow
def test_worker_with_another_kernel_is_refused(there: Cluster, tmp_path: Path) -> None:
    """A worker that runs another kernel of BLAS is refused by its name, and nothing is published."""
    there.add(**{KERNEL_VARIABLE: "Nehalem"})
    with pytest.raises(PipelineError, match="the workers are not as this process is") as caught:
        trained(tmp_path, there)
    found = [str(each) for each in caught.value.problems]
    assert any("worker tcp://127.0.0.1:" in each and "Nehalem" in each for each in found), found
    assert KERNEL_VARIABLE in (caught.value.hint or "")
    assert not (tmp_path / "artifact").exists()


@slow
def test_search_goes_on_where_a_scheduler_has_gone(there: Cluster, alone: bytes, tmp_path: Path) -> None:
    """A scheduler that dies ends the search with an error; without it the same search takes up what was found."""
    there.add()

    def kill(standing: SearchResults.Standing) -> None:
        if standing.done == 2:
            there.scheduler.kill()
            there.scheduler.wait()

    with pytest.raises(PipelineError, match="the Dask scheduler is gone") as caught:
        trained(tmp_path, there, watched(kill))
    assert "goes on" in (caught.value.hint or "")
    seen: list[int] = []
    training = run(TrainingRequest(SEARCH, tmp_path / "artifact"), watched(lambda each: seen.append(each.taken_up)))
    assert seen[0] >= 2
    assert (training.folder / "search.jsonl").read_bytes() == alone


def test_scheduler_without_a_search_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--scheduler` beside a config without a search is refused, and one that does not answer is named."""
    config = tmp_path / "config.json"
    place = ["--artifact", str(tmp_path / "artifact"), "--export", str(tmp_path / "model_train.pkl")]
    command = ["train", "--config", str(config), "--scheduler", "tcp://127.0.0.1:1", *place]
    config.write_text(json.dumps({"C": 1.0, "solver": "lbfgs", "max_iter": 99}))
    assert main(command) == 2
    assert "--scheduler: the config has no search" in capsys.readouterr().err
