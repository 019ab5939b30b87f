"""The workflow files, run: what one job hands to the next, and what stops the next one."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.registries import docker_registry
from tests.tools import cannot_run, require_tool
from tests.workflows.run import ROOT, copy_tree, missing_tool, run_workflow

from artifact_pipeline.canonical import canonical_json, digest
from artifact_pipeline.verification import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.workflows.run import Job, Run

pytestmark = [
    pytest.mark.workflows,
    pytest.mark.skipif("ACT" in os.environ, reason="act is not started by what act runs"),
]

GOLDEN = ROOT / "tests" / "golden" / "v1"
TOKEN = "a-token-of-this-run"


def edited(name: str, old: str, new: str) -> dict[str, str]:
    """A file of the repository with one place replaced, as a change of the tree."""
    text = (ROOT / name).read_text()
    assert text.count(old) == 1, f"{name} has no such place any more: {old}"
    return {name: text.replace(old, new)}


def other_manifest() -> str:
    """The golden artifact's manifest under another name: with the golden files, another artifact, as whole as it is."""
    manifest = json.loads((GOLDEN / "manifest.json").read_text())
    return canonical_json({**manifest, "name": "another"}).decode()


# Where the tests are not the question, the job that calls them succeeds at once.
NO_TESTS = {
    ".github/workflows/test.yml": (
        "on: workflow_call\njobs:\n  none:\n    runs-on: ubuntu-24.04\n    steps: [{run: 'true'}]\n"
    )
}


def login(registry: str) -> str:
    """What `docker login` would write of the workflows' login."""
    return json.dumps({"auths": {registry: {"auth": base64.b64encode(f"someone:{TOKEN}".encode()).decode()}}})


def failing_test() -> dict[str, str]:
    """One more smoke test, that fails; the checks are left out."""
    test = "import pytest\n\n@pytest.mark.smoke\ndef test_fails():\n    assert not 'this one'\n"
    no_check = edited(".github/workflows/test.yml", "run: make check PYTHON=python", "run: 'true'")
    return {"tests/test_failing.py": test, **no_check}


def failing_gate() -> dict[str, str]:
    """A gate that the model does not reach."""
    config = json.loads((ROOT / "config" / "config.json").read_text())
    return {"config/config.json": json.dumps({**config, "gate": {"min_accuracy": 1.0}}), **NO_TESTS}


def planted() -> dict[str, str]:
    """Files in the workspace that are named as what the steps import: pip, venv, the verifier, and what it needs."""
    names = ("pip", "venv", "ensurepip", "artifact_pipeline", "msgspec", "click", "numpy", "pickle")
    return {f"{name}.py": "raise SystemExit('a file of the workspace was taken for a module')\n" for name in names}


def swapped() -> dict[str, str]:
    """A job between train and inference that has the storage in its hands.

    Under the same name and id stands another artifact then. In the inference job Python prints what it imports.
    """
    swap = """\
  swap:
    needs: train
    runs-on: ubuntu-24.04
    steps:
      - run: cd "$CHECKOUT_FROM/tests/golden/v1" && python3 -m zipfile -c "$UPLOADS"/*/model-[0-9]*/*.zip *

  inference:
    name: inference
    needs: [train, swap]
    env:
      PYTHONPROFILEIMPORTTIME: "1"
"""
    place = "  inference:\n    name: inference\n    needs: train\n"
    other = {"tests/golden/v1/manifest.json": other_manifest()}
    return {**edited(".github/workflows/inference.yml", place, swap), **other, **NO_TESTS}


def hostile_names() -> dict[str, str]:
    """A job that is told of a file whose name sets a step output, and that sets another one itself."""
    log = f"""\
on: push
jobs:
  log:
    runs-on: ubuntu-24.04
    env:
      PYTHONPATH: {ROOT / "src"}
    steps:
      - run: |
          echo "::set-output name=own::yes"
          {sys.executable} -P -m artifact_pipeline verify "::set-output name=foreign::yes" --debug || test $? = 4
"""
    return {".github/workflows/log.yml": log}


RUNS = {
    "whole": ("inference.yml", dict),
    "train": ("train.yml", planted),
    "swapped": ("inference.yml", swapped),
    "failing test": ("inference.yml", failing_test),
    "failing gate": ("inference.yml", failing_gate),
    "hostile names": ("log.yml", hostile_names),
    "release": ("release.yml", dict),
    "promotion": ("promote.yml", dict),
}
INPUTS = ("--input", "candidate=second", "--input", "role=champion", "--input", "margin=0.02")


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a registry that takes the login of the workflows alone."""
    base = tmp_path_factory.mktemp("registry")
    login = subprocess.run(
        [require_tool("htpasswd"), "-Bbn", "someone", TOKEN], capture_output=True, text=True, check=True
    )
    (base / "htpasswd").write_text(login.stdout)
    with docker_registry(base / "registry", htpasswd=base / "htpasswd") as address:
        yield address


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory, registry: str) -> Callable[..., str]:
    """Run a verb of ours that must succeed, with the workflows' login; what it prints."""
    place = tmp_path_factory.mktemp("login") / "login.json"
    place.write_text(login(registry))

    def call(*arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "artifact_pipeline", *map(str, arguments)],
            env={**os.environ, "REGISTRY_AUTH_FILE": str(place)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


@pytest.fixture(scope="session")
def remote(tmp_path_factory: pytest.TempPathFactory, registry: str, pipeline: Callable[..., str]) -> str:
    """The repository that the promotions are pushed to; of two artifacts in the registry the first is champion."""
    folder = tmp_path_factory.mktemp("remote")
    subprocess.run(["git", "init", "--quiet", "--bare", folder], check=True)
    place, remote = f"oci://{registry}/nektos/act/model", f"file://{folder}"
    for name, artifact in {"first": GOLDEN, "second": GOLDEN.parent / "v2" / "digits"}.items():
        pipeline("push", artifact, f"{place}:{name}")
    pipeline("promote", f"{place}:first", "champion", "--pointer", f"git:{remote}")
    return remote


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, registry: str, remote: str) -> Iterator[Callable[[str], Run]]:
    """The run of that name; all of them are begun at once, two at a time."""
    if missing := missing_tool():
        cannot_run(missing)
    base, stop = tmp_path_factory.mktemp("workflows"), threading.Event()
    variables = ("--var", f"REGISTRY={registry}", "--var", f"REMOTE={remote}")
    options = (*variables, "--actor", "someone", "--secret", f"GITHUB_TOKEN={TOKEN}")

    def start(name: str) -> Run:
        workflow, changes = RUNS[name]
        folder = base / name.replace(" ", "-")
        tree = copy_tree(folder / "tree", changes(), branch="inference_branch" if name == "whole" else "main")
        given = (*options, *INPUTS) if name == "promotion" else options
        return run_workflow(tree, workflow, folder / "run", stop=stop, options=given)

    with ThreadPoolExecutor(2) as pool:
        begun = {name: pool.submit(start, name) for name in RUNS}
        try:
            yield lambda name: begun[name].result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


@pytest.fixture
def whole(run: Callable[[str], Run]) -> Run:
    """The run of inference.yml as it stands, which succeeded."""
    whole = run("whole")
    assert whole.status == 0, whole.story()
    return whole


def members(upload: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(upload) as files:
        return {name: files.read(name) for name in files.namelist()}


def failed_at(job: Job) -> str:
    """The name of the step at which a job failed, after which it did nothing."""
    step, outcome = list(job.steps.items())[-1]
    assert (job.outcome, outcome) == ("failure", "failure")
    return step


def test_the_three_jobs_run_in_order(whole: Run) -> None:
    """inference.yml succeeds from end to end: all tests are over before train begins, train before inference."""
    assert {job.outcome for job in whole.jobs.values()} == {"success"}
    # The fault tests and the attestations are for GitHub's own runners.
    assert list(whole.jobs)[-3:] == ["train/train", "inference", "push"]
    tests = {name: job for name, job in whole.jobs.items() if name.startswith("test/")}
    assert set(tests) == {"test/check", "test/suite", "test/all-green"}
    assert max(job.ended for job in tests.values()) < whole.jobs["train/train"].begun
    assert whole.jobs["train/train"].ended < whole.jobs["inference"].begun
    assert whole.jobs["inference"].ended < whole.jobs["push"].begun


def test_the_model_is_pushed(whole: Run, pipeline: Callable[..., str], tmp_path: Path) -> None:
    """What the registry of the repository holds then is the artifact that was trained and that has answered."""
    pushed = whole.jobs["push"].outputs
    pipeline("pull", f"oci://{pushed['name']}@{pushed['digest']}", "--artifact", tmp_path / "artifact")
    assert verify(tmp_path / "artifact").digest == whole.jobs["train/train"].outputs["digest"]
    assert pushed["digest"] in whole.jobs["push"].page
    assert TOKEN not in whole.jobs["push"].text
    assert not list(whole.uploads.parent.rglob("login.json"))


def test_a_person_promotes_a_model(
    run: Callable[[str], Run], registry: str, remote: str, pipeline: Callable[..., str]
) -> None:
    """promote.yml compares the candidate with the champion, and moves the ref and the tag; its page is the history."""
    promotion = run("promotion")
    assert promotion.status == 0, promotion.story()
    place = f"oci://{registry}/nektos/act/model"
    told = json.loads(pipeline("history", place, "champion", "--pointer", f"git:{remote}", "--json"))
    assert told["mirrored"]
    assert [each["action"] for each in told["promotions"]] == ["promote", "promote"]
    now = told["promotions"][0]
    assert now["to"]["artifact"] == verify(GOLDEN.parent / "v2" / "digits").digest
    assert now["comparison"]["accepted"]
    assert now["to"]["image"].removeprefix("sha256:")[:12] in promotion.jobs["promote"].page
    assert TOKEN not in promotion.jobs["promote"].text


def test_the_digest_crosses(whole: Run) -> None:
    """One digest: that of the uploaded manifest, of train's output, and of the artifact that inference verified."""
    told = whole.jobs["train/train"].outputs["digest"]
    assert digest(members(whole.upload("model"))["manifest.json"]) == told
    assert json.loads(members(whole.upload("predictions"))["report.json"])["artifact"] == told


def test_predictions_and_report_are_uploaded(whole: Run) -> None:
    """Whoever looks at the run finds a prediction for each of the 1,797 rows, and the report of them."""
    found = members(whole.upload("predictions"))
    assert set(found) == {"predictions.csv", "predictions.csv.receipt.json", "report.json"}
    assert len(list(csv.DictReader(io.StringIO(found["predictions.csv"].decode())))) == 1797
    assert json.loads(found["report.json"])["rows"]["written"] == 1797


def test_each_job_writes_its_page(whole: Run) -> None:
    """The job's summary tells the digest where a model is made and where it is used, and what the tests did."""
    told = whole.jobs["train/train"].outputs["digest"]
    assert told in whole.jobs["train/train"].page
    assert told in whole.jobs["inference"].page
    assert " passed, 0 failed" in whole.jobs["test/suite"].page


def test_the_verifier_is_all_that_inference_checks_out(whole: Run) -> None:
    """The base lock and `src/` are enough to verify and predict, and nothing else was there."""
    assert "checked out: requirements-base.txt src\n" in whole.jobs["inference"].text


def test_a_release_is_built_and_stays_here(run: Callable[[str], Run]) -> None:
    """release.yml builds, tries and uploads a release; outside of GitHub nothing is signed or published."""
    release = run("release")
    assert release.status == 0, release.story()
    assert [name for name, job in release.jobs.items() if job.outcome == "success"] == ["build"]
    found = members(release.upload("dist"))
    kinds = sorted(name.rsplit(".", 1)[-1] for name in found if name.startswith("packages/"))
    assert kinds == ["gz", "whl"]
    assert json.loads(found["bom.cdx.json"])["bomFormat"] == "CycloneDX"


def test_train_alone(run: Callable[[str], Run]) -> None:
    """train.yml by itself succeeds, and uploads the artifact, which verifies by its digest, and the export.

    Files of the workspace that are named as modules of the steps are not taken for them.
    """
    train = run("train")
    assert train.status == 0, train.story()
    assert list(train.jobs) == ["train"]
    outputs = train.jobs["train"].outputs
    assert outputs["verdict"] == "passed"
    assert float(outputs["accuracy"]) == pytest.approx(0.975)
    folder = train.uploads.parent / "unpacked"
    zipfile.ZipFile(train.upload("model")).extractall(folder)
    verified = verify(folder, expect=outputs["digest"])
    export = members(train.upload("model-export"))
    assert {name: digest(data) for name, data in export.items()} == {
        "model_train.pkl": verified.manifest.exports[0].sha256
    }


def test_a_failing_test_stops_train(run: Callable[[str], Run]) -> None:
    """Where one test fails, the job that stands for all fails, and nothing is trained."""
    failing = run("failing test")
    assert failing.status != 0
    assert failed_at(failing.jobs["test/suite"]).startswith("make test")
    assert "test_failing.py::test_fails" in failing.jobs["test/suite"].text
    assert failing.jobs["test/all-green"].outcome == "failure"
    assert set(failing.jobs) == {"test/check", "test/suite", "test/all-green"}, failing.story()


def test_a_failing_gate_stops_inference(run: Callable[[str], Run]) -> None:
    """A model that does not reach its gate ends the training with status 3, and nobody predicts.

    It is uploaded as a candidate, to be looked at, and as nothing else; the job says how to get it.
    """
    failing = run("failing gate")
    train = failing.jobs["train/train"]
    assert failing.status != 0
    assert "exit status 3" in train.text, failing.story()
    assert "gate failed" in train.page
    assert train.steps["Train, measure, judge"] == "failure"
    assert "Verify what was written" not in train.steps
    (upload,) = failing.uploads.rglob("*.zip")
    assert upload == failing.upload("model-candidate")
    assert digest(members(upload)["manifest.json"]) == train.outputs["digest"]
    assert json.loads(members(upload)["manifest.json"])["gate"]["verdict"] == "failed"
    look = f"--name '{upload.parent.name}' --dir candidate && artifact-pipeline inspect candidate"
    assert look in train.text
    assert look in train.page
    assert set(failing.jobs) == {"test/none", "train/train"}


def test_a_swapped_artifact_is_refused_unread(run: Callable[[str], Run], tmp_path: Path) -> None:
    """A valid artifact in the place of the trained one ends with status 4 at the verification, its model unparsed."""
    other = shutil.copytree(GOLDEN, tmp_path / "other")
    (other / "manifest.json").write_text(other_manifest())
    found = verify(other).digest

    swapped = run("swapped")
    inference = swapped.jobs["inference"]
    assert failed_at(inference) == "Verify, then predict", swapped.story()
    assert "exit status 4" in inference.text
    assert f"expected {swapped.jobs['train/train'].outputs['digest']}, found {found}" in inference.text
    assert not list(swapped.uploads.glob("*/predictions-*"))
    imported = re.findall(r"^import time: .*\| +([\w.]+)$", inference.text, re.MULTILINE)
    assert "artifact_pipeline.verification" in imported
    assert not {"numpy", "onnxruntime"} & set(imported)


def test_a_file_name_is_no_command(run: Callable[[str], Run]) -> None:
    """What is printed of a file name that looks like a command is obeyed by no runner; the step's own command is."""
    hostile = run("hostile names")
    assert hostile.status == 0, hostile.story()
    assert "name=foreign" in hostile.jobs["log"].text
    assert hostile.jobs["log"].outputs == {"own": "yes"}


def test_a_python_that_is_not_here_fails() -> None:
    """The stand-in for setup-python does not take another Python for the one that a workflow asks for."""
    if missing := missing_tool():
        cannot_run(missing)
    asked = {"INPUT_PYTHON-VERSION": "3.99", "INPUT_CACHE-DEPENDENCY-PATH": "requirements.txt"}
    env = {**os.environ, **asked, "GITHUB_WORKSPACE": str(ROOT)}
    stand_in = ROOT / "tests" / "workflows" / "actions" / "setup-python" / "index.js"
    done = subprocess.run(["node", stand_in], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "this Python is not here: spawnSync python3.99" in done.stdout
