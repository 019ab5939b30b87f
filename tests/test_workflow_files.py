"""The workflow files as text: what GitHub refuses, or lets pass in silence, and no run on this machine would show."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from artifact_pipeline.canonical import digest

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = {path.stem: path for path in sorted((ROOT / ".github" / "workflows").iterdir())}
CHAIN = ("train", "test", "inference")
"""The workflows of the documented branches; the others look at the repository, measure and release."""
ACTION = ROOT / "action.yml"
CONSUMER = ROOT / "verify-predict" / "action.yml"
ACTIONS = {"": ACTION, " of verify-predict": CONSUMER}
FILES = [*WORKFLOWS.values(), *ACTIONS.values()]

PINNED = re.compile(r"[\w-]+/[\w-]+(?:/[\w-]+)?@[0-9a-f]{40} # v\d+\.\d+\.\d+")
LEVELS = {"none": 0, "read": 1, "write": 2}


def load(path: Path) -> dict[str, Any]:
    return dict(YAML(typ="safe").load(path.read_text()))


def jobs(workflow: str) -> dict[str, Any]:
    return dict(load(WORKFLOWS[workflow])["jobs"])


ALL_JOBS = [
    pytest.param(workflow, job, id=f"{workflow}-{name}")
    for workflow in WORKFLOWS
    for name, job in jobs(workflow).items()
]


def all_steps() -> list[dict[str, Any]]:
    of_jobs = [step for name in WORKFLOWS for job in jobs(name).values() for step in job.get("steps", ())]
    return [*of_jobs, *(step for action in ACTIONS.values() for step in load(action)["runs"]["steps"])]


def steps_using(action: str, *workflows: str) -> list[dict[str, Any]]:
    """What each use of an action is given, in all files, or in some workflows."""
    steps = [step for name in workflows for job in jobs(name).values() for step in job.get("steps", ())] or all_steps()
    found = [step.get("with", {}) for step in steps if step.get("uses", "").startswith(f"actions/{action}@")]
    assert found
    return found


def grants(permissions: dict[str, str]) -> dict[str, int]:
    return {scope: LEVELS[level] for scope, level in permissions.items()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_action_is_pinned_by_its_commit(path: Path) -> None:
    """What a `uses` names is a file of this repository, or a full commit with its version as the comment."""
    for told in re.findall(r"uses: (.*)", path.read_text()):
        assert told.startswith("./") or PINNED.fullmatch(told), told


def test_an_action_has_one_commit_everywhere() -> None:
    """No action stands in two versions, so that an update cannot forget a file."""
    told = {told for path in FILES for told in re.findall(r"uses: ([^./].*)", path.read_text())}
    found = {("/".join(action.split("/")[:2]), commit) for action, _, commit in (each.partition("@") for each in told)}
    assert len(found) == len({repository for repository, _ in found}), sorted(found)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_workflow_may_do_nothing_by_itself(workflow: str) -> None:
    """Each file gives no permission at its top; what a job needs stands at the job."""
    assert load(WORKFLOWS[workflow])["permissions"] == {}


WRITING = {
    "release": {
        "provenance": {"id-token": "write", "attestations": "write"},
        "publish": {"id-token": "write"},
    },
    "codeql": {"analyze ${{ matrix.language }}": {"contents": "read", "security-events": "write"}},
    "scorecard": {"analysis": {"contents": "read", "id-token": "write", "security-events": "write"}},
}
"""What a job beside the chain may write."""


def test_a_job_that_may_write_runs_nothing_of_ours() -> None:
    """What may sign, publish or report has no other permission, runs actions alone, and none of this repository."""
    for workflow, expected in WRITING.items():
        writing = {job["name"]: job for job in jobs(workflow).values() if "write" in str(job["permissions"])}
        assert {name: job["permissions"] for name, job in writing.items()} == expected
        for job in writing.values():
            assert not [step for step in job["steps"] if "run" in step or step["uses"].startswith("./")]


def test_a_release_is_published_by_a_tag_alone() -> None:
    """What is published was built, tested and attested before, in an environment, and only for a tag."""
    release = jobs("release")
    assert release["publish"]["needs"] == ["build", "provenance"]
    assert release["publish"]["environment"] == {"name": "release"}
    for name in ("provenance", "publish"):
        assert release[name]["if"].startswith("github.event_name == 'push' && ")
        (download,) = [step["with"] for step in release[name]["steps"] if "download-artifact@" in step["uses"]]
        assert download["artifact-ids"] == "${{ needs.build.outputs.artifact-id }}"
    (built,) = [step["run"] for step in release["build"]["steps"] if "run" in step]
    assert built == "make dist PYTHON=python"
    assert not [step for step in release["build"]["steps"] if "cache" in step.get("with", {})]


@pytest.mark.parametrize(("workflow", "job"), ALL_JOBS)
def test_only_stated_jobs_may_write(workflow: str, job: dict[str, Any]) -> None:
    """A job reads the repository or has no permission at all, but for those that sign, push or promote."""
    name = job.get("name")
    if name in ("attest", "attest-image"):
        packages = {"packages": "write"} if name == "attest-image" else {}
        assert job["permissions"] == {"id-token": "write", "attestations": "write", **packages}
        assert [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step] == ["actions/attest"]
    elif name in PUBLISHING:
        more = {"contents": "write", "id-token": "write"} if name == "promote" else {"contents": "read"}
        assert job["permissions"] == {"packages": "write", **more}
    elif name not in WRITING.get(workflow, {}):
        assert job.get("permissions", {}) in ({}, {"contents": "read"})


PUBLISHING = {"push": "inference", "promote": "promote"}
"""The jobs that change the registry, by what the commit itself brings, and the workflow of each."""


@pytest.mark.parametrize("name", PUBLISHING)
def test_a_job_that_changes_the_registry_takes_nothing_from_other_runs(name: str) -> None:
    """It checks out the verifier and its lock alone, installs by hash without a cache, and removes its login."""
    job = jobs(PUBLISHING[name])[name]
    (setup,) = (step["with"] for step in job["steps"] if "setup-python@" in step.get("uses", ""))
    (checkout,) = (step["with"] for step in job["steps"] if "checkout@" in step.get("uses", ""))
    assert "cache" not in setup
    locks = {"push": ["registry"], "promote": ["sign", "train"]}[name]
    files = [f"requirements-{lock}.txt" for lock in locks]
    assert checkout["sparse-checkout"].split() == [*(f"/{file}" for file in files), "/src/"]
    assert f"--require-hashes -r {' -r '.join(files)}\n" in next(each["run"] for each in job["steps"] if "run" in each)
    last = job["steps"][-1]
    assert (last["if"], last["run"]) == ("always()", 'rm -f "$RUNNER_TEMP/login.json"')


def test_a_model_is_pushed_from_one_branch_and_promoted_by_a_person() -> None:
    """Only what inference_branch has answered with is pushed; only an environment's reviewer lets a role move."""
    assert jobs("inference")["push"]["if"] == "github.ref == 'refs/heads/inference_branch'"
    assert jobs("inference")["push"]["needs"] == ["train", "inference"]
    assert '--expect "$DIGEST"' in str(jobs("inference")["push"]["steps"][-2]["run"])
    assert jobs("promote")["promote"]["environment"] == {"name": "production"}


@pytest.mark.parametrize(("workflow", "job"), ALL_JOBS)
def test_a_called_workflow_asks_for_no_more_than_its_caller_grants(workflow: str, job: dict[str, Any]) -> None:
    """GitHub refuses the whole file otherwise: each called job's permissions are within the calling job's."""
    called = job.get("uses", "")
    if called:
        granted = grants(job["permissions"])
        for inner in jobs(Path(called).stem).values():
            for scope, level in grants(inner.get("permissions", {})).items():
                assert level <= granted.get(scope, 0), f"{scope} in {called}"


def test_concurrency_groups_are_literals_and_differ() -> None:
    """A caller that held its own callee's group would wait for itself: each group is a literal of its own."""
    groups = [load(path)["concurrency"]["group"] for path in WORKFLOWS.values()]
    assert len(set(groups)) == len(WORKFLOWS)
    assert not [group for group in groups if "${{" in group]


@pytest.mark.parametrize(("workflow", "job"), ALL_JOBS)
def test_every_job_ends_in_a_stated_time(workflow: str, job: dict[str, Any]) -> None:
    """A job that runs steps has a time limit of an hour or less, and a runner image with a version."""
    if "uses" not in job:
        assert 0 < job["timeout-minutes"] <= 60
        assert job["runs-on"] == "ubuntu-24.04"


def test_no_expression_stands_in_a_shell_line() -> None:
    """Text from outside reaches a shell by the environment alone, where it cannot become a command."""
    scripts = [step["run"] for step in all_steps() if "run" in step]
    assert scripts
    assert not [script for script in scripts if "${{" in script]


def test_no_checkout_leaves_its_token_behind() -> None:
    """Every checkout says that the token is not kept for the steps after it."""
    assert all(step.get("persist-credentials") is False for step in steps_using("checkout"))


def test_uploads_fail_when_empty_and_are_kept_for_a_stated_time() -> None:
    """Every upload fails where there is nothing, has a retention, and a name that no other attempt's upload has.

    Of the action, which any job of a run may use, also none that another job or another leg of its matrix has.
    """
    ours = [
        step["with"]["name"] for step in load(ACTION)["runs"]["steps"] if "upload-artifact@" in step.get("uses", "")
    ]
    uploads = steps_using("upload-artifact")
    for each in uploads:
        assert each["if-no-files-found"] == "error"
        assert each["retention-days"]
        assert ":" not in each["name"]
        name = each["name"]
        leg = "-${{ github.job }}-${{ strategy.job-index }}"
        assert name.endswith(leg) == (name in ours)
        assert name.removesuffix(leg).endswith("-${{ github.run_id }}-${{ github.run_attempt }}")
    assert len({each["name"] for each in uploads}) == len(uploads)


def test_a_candidate_is_never_handed_on() -> None:
    """What is uploaded after a failed gate has a name of its own, and no output of the action speaks of its upload."""
    action = load(ACTION)
    steps = {step["id"]: step for step in action["runs"]["steps"] if "id" in step}
    assert steps["candidate"]["if"].startswith("failure() && steps.train.outcome == 'failure'")
    assert "if" not in steps["upload"]
    assert steps["candidate"]["with"]["name"].startswith("${{ inputs.artifact-name }}-candidate-")
    assert steps["upload"]["with"]["name"].startswith("${{ inputs.artifact-name }}-${{ github.run_id }}-")
    values = [told["value"] for told in action["outputs"].values()]
    assert "${{ steps.upload.outputs.artifact-id }}" in values
    assert not [value for value in values if "candidate" in value]


def test_every_python_starts_without_the_workspace_on_its_path() -> None:
    """Each Python that an action or a workflow starts is isolated (-I), or leaves the working folder out (-P)."""
    scripts = [step["run"] for step in all_steps() if "run" in step and not step["run"].startswith("make ")]
    starts = [told for script in scripts for told in re.findall(r'(?:^|[\s"/])python[0-9.]*"? +(\S+)', script)]
    assert len(starts) == 20
    assert set(starts) == {"-I", "-P"}


TAKEN = "import sys\nsys.exit('a file of the workspace was taken for a module')\n"


@pytest.mark.slow
def test_the_action_takes_no_module_from_the_workspace(tmp_path: Path) -> None:
    """The action's own commands train and verify, whatever files of the workspace are named as the modules they use."""
    workspace, temp = tmp_path / "workspace", tmp_path / "temp"
    for folder in (workspace / "artifact_pipeline", temp / "artifact-pipeline" / "bin"):
        folder.mkdir(parents=True)
    planted = (
        "artifact_pipeline/__init__",
        "msgspec",
        "click",
        "numpy",
        "pickle",
        "sitecustomize",
        "_preflight",
        "utils",
    )
    for name in planted:
        (workspace / f"{name}.py").write_text(TAKEN)
    (workspace / "config.json").write_bytes((ROOT / "config" / "config.json").read_bytes())
    installed = temp / "artifact-pipeline" / "bin" / "python"
    installed.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    installed.chmod(0o755)
    steps = {step.get("name"): step for step in load(ACTION)["runs"]["steps"]}
    train, verify = steps["Train, measure, judge"], steps["Verify what was written"]
    outputs = tmp_path / "outputs"
    files = {"GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    # A caller may well have set PYTHONPATH for its own job; the second step sets it to the action's own folder.
    env = {**os.environ, **files, "GITHUB_ACTION_PATH": str(ROOT), "RUNNER_TEMP": str(temp), "PYTHONPATH": "."}
    run = partial(subprocess.run, cwd=workspace, capture_output=True, text=True, check=False)
    done = run(["bash", "-e", "-c", train["run"]], env={**env, "CONFIG": "config.json"})
    assert done.returncode == 0, done.stderr
    told = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
    assert verify["env"]["PYTHONPATH"] == "${{ github.action_path }}/src"
    own = {"PYTHONPATH": f"{ROOT}/src", "DIGEST": told["digest"], "FOLDER": told["artifact-path"]}
    done = run(["bash", "-e", "-c", verify["run"]], env={**env, **own})
    assert done.returncode == 0, done.stderr
    assert told["digest"] in done.stdout


def test_the_model_is_downloaded_by_the_id_that_train_gave() -> None:
    """By id and not by name, outside the checkout; the digest comes by the job's output, and --expect takes it."""
    steps = jobs("inference")["inference"]["steps"]
    assert steps_using("download-artifact", *CHAIN) == [
        {
            "artifact-ids": "${{ needs.train.outputs.artifact-id }}",
            "path": f"${{{{ runner.temp }}}}/{folder}",
            "merge-multiple": True,
        }
        for folder in ("model", "model-to-push")
    ]
    (verifying,) = [step for step in steps if "--expect" in step.get("run", "")]
    assert verifying["env"] == {"DIGEST": "${{ needs.train.outputs.digest }}"}
    assert '--artifact "$RUNNER_TEMP/model" --expect "$DIGEST"' in verifying["run"]


def test_the_verifier_does_not_come_by_the_model_s_road() -> None:
    """The inference job checks out `src/` and the base lock of the same commit, and nothing else."""
    steps = jobs("inference")["inference"]["steps"]
    (checkout,) = [step["with"] for step in steps if "checkout@" in step.get("uses", "")]
    assert checkout["sparse-checkout"].split() == ["/requirements-base.txt", "/src/"]
    assert checkout["sparse-checkout-cone-mode"] is False
    assert "ref" not in checkout


def test_each_workflow_has_its_branch() -> None:
    """Each file runs on push to its documented branches and by hand; the tests run on pull requests too."""
    triggers = {name: load(path)["on"] for name, path in WORKFLOWS.items()}
    assert {name: triggers[name]["push"] for name in CHAIN} == {
        "train": {"branches": ["classification_branch"]},
        "test": {"branches": ["main", "test_branch"]},
        "inference": {"branches": ["inference_branch"]},
    }
    assert {name: set(each) - {"push"} for name, each in triggers.items()} == {
        "train": {"workflow_dispatch", "workflow_call"},
        "test": {"workflow_dispatch", "workflow_call", "pull_request"},
        "inference": {"workflow_dispatch"},
        "benchmarks": {"workflow_dispatch", "schedule"},
        "codeql": {"pull_request", "schedule"},
        "promote": {"workflow_dispatch"},
        "release": {"workflow_dispatch"},
        "scorecard": {"schedule"},
    }
    assert list(triggers["release"]["push"]) == ["tags"]


def test_jobs_have_the_documented_names_and_order() -> None:
    """The ids are test → train → inference and what follows; the first two are other files, called, not copied."""
    chain = jobs("inference")
    assert {name: job.get("needs") for name, job in chain.items()} == {
        "test": None,
        "train": "test",
        "inference": "train",
        "attest": "train",
        "push": ["train", "inference"],
        "attest-image": "push",
    }
    assert chain["test"]["uses"] == "./.github/workflows/test.yml"
    assert chain["train"]["uses"] == "./.github/workflows/train.yml"
    assert list(jobs("train")) == ["train"]
    assert [step["uses"] for step in jobs("train")["train"]["steps"]][1:] == ["./"]


def test_one_job_stands_for_all_tests() -> None:
    """`all-green`, by which a branch is protected, waits for every other job of its file and runs whatever they did."""
    tests = jobs("test")
    green = tests.pop("all-green")
    assert green["needs"] == list(tests)
    assert green["if"] == "always()"


@pytest.mark.parametrize("of", ACTIONS)
@pytest.mark.parametrize("kind", ["input", "output"])
def test_page_names_every_input_and_output_of_each_action(kind: str, of: str) -> None:
    """The tables of docs/ci.md have every input of an action with its default, and every output."""
    page, action = (ROOT / "docs" / "ci.md").read_text(), load(ACTIONS[of])
    (table,) = re.findall(rf"^\| {kind}{of} \|.*\n\|[ |-]+\|\n((?:\|.*\n)+)", page, re.MULTILINE)
    if kind == "input":
        found = dict(re.findall(r"^\| `([\w-]+)` \| (?:`([^`]+)` )?\|", table, re.MULTILINE))
        assert found == {name: told["default"] for name, told in action["inputs"].items()}
    else:
        assert re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE) == list(action["outputs"])


GOLDEN = ROOT / "tests" / "golden" / "v1"
DIGEST = digest((GOLDEN / "manifest.json").read_bytes())
HOSTILE = "a $(touch pwned) `touch pwned`; touch pwned #\"' -o x.csv"
"""What a shell would obey wherever it stood in a line, not in a variable."""


class Consumer:
    """Runs the shell steps of verify-predict in a foreign workspace, as a runner does: inputs in variables alone."""

    def __init__(self, folder: Path) -> None:
        self.workspace, self.temp, self.output = folder / "workspace", folder / "temp", folder / "output"
        python = self.temp / "verify-predict" / "bin" / "python"
        for each in (self.workspace, python.parent):
            each.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
        python.chmod(0o755)
        self.run(["cp", "-r", str(GOLDEN), "artifact"], {})
        (self.workspace / "artifact_pipeline.py").write_text(TAKEN)

    def run(self, command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a command in the workspace."""
        files = {"GITHUB_OUTPUT": str(self.output), "GITHUB_STEP_SUMMARY": str(self.output.with_name("page"))}
        own = {"GITHUB_ACTION_PATH": str(CONSUMER.parent), "RUNNER_TEMP": str(self.temp), "GITHUB_ACTIONS": "true"}
        environment = {**os.environ, **files, **own, **env}
        return subprocess.run(command, cwd=self.workspace, env=environment, capture_output=True, text=True, check=False)

    def use(self, **asked: str) -> tuple[int, str, dict[str, str]]:
        """The status of the first step that fails, or 0; what was said; the outputs."""
        action = load(CONSUMER)
        inputs = {name: told["default"] for name, told in action["inputs"].items()} | {"artifact": "artifact"}
        inputs |= {name.replace("_", "-"): value for name, value in asked.items()}
        self.output.write_text("")
        said = ""
        for step in action["runs"]["steps"]:
            left_out = step.get("name") == "Install the lock" or (step.get("name") == "Predict" and not inputs["data"])
            if "run" in step and not left_out:
                done = self.run(
                    ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], self.values(step, inputs)
                )
                said += done.stdout + done.stderr
                if done.returncode:
                    return done.returncode, said, self.outputs()
        return 0, said, self.outputs()

    def values(self, step: dict[str, Any], inputs: dict[str, str]) -> dict[str, str]:
        """The step's variables, its expressions evaluated: those alone that stand in this file."""

        def evaluated(found: re.Match[str]) -> str:
            expression = found[1].partition(" || ")[0].strip()
            kind, _, name = expression.rpartition(".")
            if kind == "inputs":
                return inputs[name]
            return {
                "github.action_path": str(CONSUMER.parent),
                "steps.verify.outputs.digest": self.outputs().get("digest", ""),
            }[expression]

        return {name: re.sub(r"\$\{\{(.*?)\}\}", evaluated, value) for name, value in step["env"].items()}

    def outputs(self) -> dict[str, str]:
        """The step outputs so far."""
        return dict(line.split("=", 1) for line in self.output.read_text().splitlines())


@pytest.mark.slow
def test_a_consumer_takes_what_it_expects_and_nothing_else(tmp_path: Path) -> None:
    """An artifact of the digest that the policy allows predicts with a receipt; any other ends with status 4."""
    consumer = Consumer(tmp_path)
    (consumer.workspace / "policy.json").write_text('{"format": 1, "minimum": {"accuracy": 0.97}}')
    (consumer.workspace / "strict.json").write_text('{"format": 1, "minimum": {"accuracy": 0.99}}')
    header = ",".join(f"pixel_{row}_{column}" for row in range(8) for column in range(8))
    for name in ("rows.csv", "more rows.csv"):
        (consumer.workspace / name).write_text(f"{header}\n{','.join(['0'] * 64)}\n")
    verified = {"digest": DIGEST, "verdict": "passed"}
    assert consumer.use(digest=DIGEST)[::2] == (0, verified)
    status, said, outputs = consumer.use(
        digest=DIGEST, policy="policy.json", data="rows.csv\n\nmore rows.csv\n", output="p.csv"
    )
    assert (status, outputs) == (0, {**verified, "predictions": "p.csv", "receipt": "p.csv.receipt.json"}), said
    assert len((consumer.workspace / "p.csv").read_text().splitlines()) == 3
    assert json.loads((consumer.workspace / "p.csv.receipt.json").read_text())["artifact"] == DIGEST
    assert consumer.use(digest=DIGEST, policy="strict.json", data="rows.csv")[::2] == (4, {})
    status, said, outputs = consumer.use(digest="sha256:" + "0" * 64, data="rows.csv")
    assert (status, outputs) == (4, {}), said


@pytest.mark.slow
def test_a_consumer_who_trusts_nothing_is_refused(tmp_path: Path) -> None:
    """Without digest, key or policy, without an artifact or with two, with a line break in an output: status 2."""
    consumer = Consumer(tmp_path)
    for asked in (
        {},
        {"digest": DIGEST, "artifact": ""},
        {"digest": DIGEST, "artifact_id": "1"},
        {"digest": DIGEST, "output": "a.csv\npredictions=evil"},
    ):
        status, said, outputs = consumer.use(**asked)
        assert (status, outputs) == (2, {}), said


@pytest.mark.slow
@pytest.mark.parametrize("name", ["artifact", "digest", "public_key", "policy", "signature", "data", "output"])
def test_no_input_becomes_a_command_or_an_option(tmp_path: Path, name: str) -> None:
    """An input that a shell or the command line would obey is a value, whichever input it is."""
    consumer = Consumer(tmp_path)
    asked = {"digest": DIGEST, "data": "nowhere.csv", name: HOSTILE}
    status, said, _ = consumer.use(**asked)
    assert status in {2, 4, 5, 8}, said
    assert not list(consumer.workspace.rglob("pwned"))
    assert not (consumer.workspace / "x.csv").exists()
    option = consumer.use(**{**asked, name: "--accept-failed-gate"})
    assert option[0] in {2, 4, 5, 8}, option
