"""scripts/branches.py on real repositories: a bare remote, clones of it, and worktrees.

GitHub cannot run here. Its command line `gh` is stood in for by a real program on PATH which answers from a list of
runs as `gh run list` does, but leaves it to the script to see the branch and commit of a run (the harder case); ssh is
stood in for by one that starts git's own server. git itself is the installed one throughout.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools import slow

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "branches.py"
CHAIN = ("main", "classification_branch", "test_branch", "inference_branch")
DONE, REFUSED, WAITING = 0, 1, 3

GH = """#!{python}
import argparse, json, pathlib, subprocess, sys
here = pathlib.Path(__file__).parent
parser = argparse.ArgumentParser()
parser.add_argument("words", nargs=2)
for option in ("workflow", "branch", "commit", "json", "repo"):
    parser.add_argument("--" + option)
asked = parser.parse_args()
with (here / "gh.log").open("a") as log:
    log.write(json.dumps(vars(asked)) + "\\n")
if (here / "meanwhile").exists():
    subprocess.run(json.loads((here / "meanwhile").read_text()), check=True, capture_output=True)
answers = here / "runs.json"
if not answers.exists():
    sys.exit("To get started with GitHub CLI, please run:  gh auth login")
runs = [run for run in json.loads(answers.read_text()) if run["workflow"] == asked.workflow]
print(json.dumps([{{field: run[field] for field in asked.json.split(",")}} for run in runs]))
"""
SSH = """#!/bin/sh
for command; do :; done
path=${{command#*\\'}} path=${{path#/}} path=${{path%\\'}}
cd '{remotes}' && exec "${{command%% *}}" "$path"
"""


@dataclass(frozen=True)
class World:
    """A bare remote, a clone of it with the script's own PATH, and a colleague's clone."""

    folder: Path
    remote: Path
    clone: Path
    colleague: Path
    programs: Path

    @property
    def env(self) -> dict[str, str]:
        """Nothing of the user's: no configuration, no identity, no program but git."""
        person = {f"GIT_{who}_{what}": "a@b.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        return {
            **person,
            "PATH": str(self.programs),
            "HOME": str(self.folder),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_SSH_COMMAND": str(self.folder / "ssh"),
            "GIT_SSH_VARIANT": "ssh",
        }

    def git(self, *arguments: str | Path, at: Path | None = None) -> str:
        """Run git, by default in the clone."""
        command = ["git", *map(str, arguments)]
        place = at or self.clone
        done = subprocess.run(command, cwd=place, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, name: str, *, at: Path | None = None) -> str:
        """Commit a new file on the branch that is checked out."""
        ((at or self.clone) / name).write_text(name)
        self.git("add", name, at=at)
        self.git("commit", "--quiet", "-m", name, at=at)
        return self.git("rev-parse", "HEAD", at=at)

    def publish(self, **tips: str) -> None:
        """Put branches of the remote at commits of the clone, without asking anyone."""
        self.git("push", "--quiet", "--force", "origin", *(f"{tip}:refs/heads/{name}" for name, tip in tips.items()))

    def run(self, *arguments: str, at: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run the script, by default in the clone."""
        command = [sys.executable, SCRIPT, *arguments]
        return subprocess.run(command, cwd=at or self.clone, env=self.env, capture_output=True, text=True, check=False)

    def tips(self, at: Path | None = None) -> dict[str, str]:
        """Branch → commit, by default in the clone."""
        lines = self.git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads", at=at).splitlines()
        return dict(line.split() for line in lines)

    def state(self) -> list[str]:
        """Every ref and HEAD of clone, colleague and remote, and what stands in the clone's tree."""
        places = [place for place in (self.clone, self.colleague, self.remote) if place.exists()]
        refs = [self.git("for-each-ref", at=place) + _head(place) for place in places]
        return [*refs, self.git("status", "--porcelain")]

    def github(self, *runs: dict[str, str]) -> None:
        """Install `gh`, with these runs on GitHub; a run's missing fields are those of a green push."""
        usual = {"conclusion": "success", "createdAt": "2026-11-01T10:00:00Z", "event": "push", "status": "completed"}
        self.program("gh", GH.format(python=sys.executable))
        whole = [{**usual, "url": f"https://github.invalid/run/{i}", **run} for i, run in enumerate(runs)]
        (self.programs / "runs.json").write_text(json.dumps(whole))

    def program(self, name: str, text: str) -> None:
        """Put a program on the script's PATH."""
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)

    def asked(self) -> list[dict[str, str]]:
        """What `gh` was asked."""
        return [json.loads(line) for line in (self.programs / "gh.log").read_text().splitlines()]


def _head(place: Path) -> str:
    head = place / ("HEAD" if place.suffix == ".git" else ".git/HEAD")
    return head.read_text()


def run_of(workflow: str, branch: str, commit: str, **fields: str) -> dict[str, str]:
    """A run on GitHub; green, unless the fields say otherwise."""
    return {"workflow": workflow, "headBranch": branch, "headSha": commit, **fields}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A remote whose main has one commit, and a clone of it on main."""
    places = ("owner/project.git", "clone", "colleague", "bin")
    world = World(tmp_path, *(tmp_path / place for place in places))
    world.programs.mkdir()
    git = shutil.which("git")
    assert git is not None
    (world.programs / "git").symlink_to(git)
    (tmp_path / "ssh").write_text(SSH.format(remotes=tmp_path))
    (tmp_path / "ssh").chmod(0o755)
    world.git("init", "--quiet", "--bare", "-b", "main", world.remote, at=tmp_path)
    world.git("init", "--quiet", "-b", "main", world.clone, at=tmp_path)
    world.git("remote", "add", "origin", world.remote)
    world.commit("first")
    world.git("push", "--quiet", "origin", "main")
    return world


@pytest.fixture
def pipeline(world: World) -> dict[str, str]:
    """Three commits on their way: the newest on main, the middle one on classification_branch, the oldest elsewhere."""
    oldest = world.git("rev-parse", "HEAD")
    middle, newest = world.commit("second"), world.commit("third")
    world.publish(main=newest, classification_branch=middle, test_branch=oldest, inference_branch=oldest)
    world.git("fetch", "--quiet", "origin")
    return {"oldest": oldest, "middle": middle, "newest": newest}


class TestCreate:
    def test_each_missing_branch_starts_at_the_one_before(self, world: World) -> None:
        """In a clone with main alone, the three others are created at main, and each is told with its origin."""
        main = world.git("rev-parse", "main")
        done = world.run("create")
        assert (done.returncode, done.stderr) == (DONE, "")
        assert world.tips() == dict.fromkeys(CHAIN, main)
        told = ["is there, left alone", *(f"created from {name}" for name in CHAIN[:-1])]
        assert done.stdout.splitlines() == [
            f"{name}: {what}, at {main[:9]}" for name, what in zip(CHAIN, told, strict=True)
        ]

    def test_a_branch_with_commits_of_its_own_is_left_alone_and_built_upon(self, world: World) -> None:
        """A branch that contains the one before it stays, and the missing one after it starts there."""
        main = world.git("rev-parse", "main")
        world.git("switch", "--quiet", "--create", "classification_branch")
        own = world.commit("own")
        assert world.run("create").returncode == DONE
        assert world.tips() == {**dict.fromkeys(CHAIN, own), "main": main}

    @pytest.mark.usefixtures("pipeline")
    def test_a_branch_of_the_remote_is_taken_from_there(self, world: World) -> None:
        """In a clone of a remote that has the branches, a missing one starts where the remote's is, behind main."""
        done = world.run("create")
        assert done.returncode == DONE
        assert world.tips() == world.tips(world.remote)
        assert "classification_branch: created from origin/classification_branch" in done.stdout

    def test_twice_is_once(self, world: World) -> None:
        """A second call finds everything there and changes nothing."""
        world.run("create")
        before = world.state()
        done = world.run("create")
        assert (done.returncode, done.stdout.count("is there, left alone")) == (DONE, 4)
        assert world.state() == before

    def test_a_detached_head_at_main_is_no_hindrance(self, world: World) -> None:
        """A checkout of main's commit, as CI makes it, can create the branches."""
        world.git("switch", "--quiet", "--detach")
        assert world.run("create").returncode == DONE
        assert set(world.tips()) == set(CHAIN)


def dirty_change(world: World) -> None:
    (world.clone / "first").write_text("changed")


def dirty_new_file(world: World) -> None:
    (world.clone / "new").write_text("forgotten")


def shallow(world: World) -> None:
    world.commit("second")
    world.git("push", "--quiet", "origin", "main")
    shutil.rmtree(world.clone)
    world.git("clone", "--quiet", "--depth=1", f"file://{world.remote}", world.clone, at=world.folder)


def no_such_remote(world: World) -> None:
    world.git("remote", "rename", "origin", "elsewhere")


def own_way_here(world: World) -> None:
    world.git("switch", "--quiet", "--create", "test_branch")
    world.commit("astray")
    world.git("switch", "--quiet", "main")
    world.commit("second")


def own_way_two_branches_on(world: World) -> None:
    """Each branch is related to its neighbour, and inference_branch is not to main."""
    own_way_here(world)
    world.git("branch", "-m", "test_branch", "inference_branch")
    world.git("branch", "classification_branch", "HEAD^")
    world.git("branch", "test_branch", "HEAD^")


def head_elsewhere(world: World) -> None:
    world.git("switch", "--quiet", "--detach")
    world.commit("on no branch")


def no_main_here(world: World) -> None:
    world.git("branch", "-m", "main", "trunk")
    world.git("update-ref", "-d", "refs/remotes/origin/main")


HINDRANCES = [
    (dirty_change, "the working tree is dirty"),
    (dirty_new_file, "the working tree is dirty"),
    (shallow, "this clone is shallow"),
    (no_such_remote, "there is no remote origin"),
    (own_way_here, "test_branch has gone its own way"),
    (own_way_two_branches_on, "inference_branch has gone its own way"),
]


@pytest.mark.parametrize(
    ("hindrance", "words"),
    [*HINDRANCES, (head_elsewhere, "HEAD is detached, and not at main"), (no_main_here, "there is no main")],
)
def test_create_refuses_and_changes_nothing(world: World, hindrance: Callable[[World], None], words: str) -> None:
    """Each hindrance is named with a hint, ends with status 1, and leaves every ref where it was."""
    hindrance(world)
    before = world.state()
    done = world.run("create")
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert done.stderr.startswith(f"error: {words}")
    assert "\nhint: " in done.stderr
    assert world.state() == before


class TestPromote:
    def test_a_green_commit_moves_one_branch_on(self, world: World) -> None:
        """A new commit reaches a branch only when the workflow of the one before is green, one branch after another."""
        world.run("create")
        commit = world.commit("second")
        world.git("push", "--quiet", "origin", "main")
        runs = []
        for source, target in pairwise(CHAIN):
            workflow = "train.yml" if source == "classification_branch" else "test.yml"
            runs.append(run_of(workflow, source, commit))
            world.github(*runs)
            assert world.run("promote").returncode in {DONE, WAITING}
            moved = CHAIN[: CHAIN.index(target) + 1]
            assert {name for name, tip in world.tips(world.remote).items() if tip == commit} == set(moved)
            assert {name for name, tip in world.tips().items() if tip == commit} == set(moved)
        assert world.run("promote").stdout == "nothing to promote: each branch of origin contains the one before it\n"

    def test_as_many_as_are_green_move_at_once(self, world: World, pipeline: dict[str, str]) -> None:
        """Two commits on their way each move one branch on, to exactly the commit whose workflow was green."""
        world.github(
            run_of("test.yml", "main", pipeline["newest"]),
            run_of("train.yml", "classification_branch", pipeline["middle"]),
        )
        done = world.run("promote")
        assert (done.returncode, done.stderr) == (DONE, "")
        assert world.tips(world.remote) == {
            "main": pipeline["newest"],
            "classification_branch": pipeline["newest"],
            "test_branch": pipeline["middle"],
            "inference_branch": pipeline["oldest"],
        }
        assert done.stdout.splitlines() == [
            f"test.yml on main at {pipeline['newest'][:9]}: success, https://github.invalid/run/0",
            f"train.yml on classification_branch at {pipeline['middle'][:9]}: success, https://github.invalid/run/1",
            f"classification_branch: fast-forwarded to {pipeline['newest'][:9]}",
            f"test_branch: fast-forwarded to {pipeline['middle'][:9]}",
        ]

    def test_a_red_branch_does_not_hold_up_a_green_one(self, world: World, pipeline: dict[str, str]) -> None:
        """The green step is taken, the red one waits, and the status says that one waits."""
        world.github(
            run_of("test.yml", "main", pipeline["newest"], conclusion="failure"),
            run_of("train.yml", "classification_branch", pipeline["middle"]),
        )
        assert world.run("promote").returncode == WAITING
        tips = world.tips(world.remote)
        assert (tips["classification_branch"], tips["test_branch"]) == (pipeline["middle"], pipeline["middle"])

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"conclusion": "failure"}, "failure"),
            slow({"conclusion": "cancelled"}, "cancelled"),
            ({"conclusion": "", "status": "in_progress"}, "in_progress"),
            ({"event": "pull_request"}, "has not run yet"),
            slow({"headBranch": "test_branch"}, "has not run yet"),
            slow({"workflow": "train.yml"}, "has not run yet"),
            ({"headSha": "0" * 40}, "has not run yet"),
        ],
    )
    def test_only_a_green_run_of_this_commit_counts(self, world: World, fields: dict[str, str], words: str) -> None:
        """Red, running, a pull request's, or another branch's, workflow's or commit's: it waits, whoever says yes."""
        world.github(run_of("test.yml", "main", world.git("rev-parse", "main")) | fields)
        before = world.state()
        done = world.run("promote", "--yes")
        assert (done.returncode, done.stderr) == (WAITING, "")
        assert words in done.stdout
        assert world.state() == before

    @pytest.mark.parametrize(("newest", "status"), [("success", DONE), ("failure", WAITING)])
    def test_the_newest_run_decides(self, world: World, newest: str, status: int) -> None:
        """Of two runs of one commit the later one counts, in whatever order they are listed."""
        main = world.git("rev-parse", "main")
        other = "failure" if newest == "success" else "success"
        world.github(
            run_of("test.yml", "main", main, conclusion=other),
            run_of("test.yml", "main", main, conclusion=newest, createdAt="2026-11-02T09:00:00Z"),
            run_of("test.yml", "main", main, conclusion=other),
        )
        assert world.run("promote").returncode == status

    def test_dry_run_changes_nothing(self, world: World, pipeline: dict[str, str]) -> None:
        """A dry run says which branch would move where, and no ref has moved."""
        world.github(
            run_of("test.yml", "main", pipeline["newest"]),
            run_of("train.yml", "classification_branch", pipeline["middle"]),
        )
        before = world.state()
        done = world.run("promote", "--dry-run")
        assert done.returncode == DONE
        assert f"test_branch: would be fast-forwarded to {pipeline['middle'][:9]}" in done.stdout
        assert world.state() == before

    def test_only_the_asked_remote_moves(self, world: World) -> None:
        """With --remote, that one is read and pushed to, and origin stays."""
        second = world.folder / "second.git"
        world.git("clone", "--quiet", "--bare", world.remote, second, at=world.folder)
        world.git("remote", "add", "second", second)
        before = world.tips(world.remote)
        assert world.run("promote", "--remote", "second", "--yes").returncode == DONE
        assert set(world.tips(second)) == {"main", "classification_branch"}
        assert world.tips(world.remote) == before

    def test_tags_stay_at_home(self, world: World) -> None:
        """A promotion pushes branches and nothing else, whatever the user's push.followTags says."""
        world.git("config", "push.followTags", "true")
        world.git("tag", "--annotate", "--message", "mine", "v1")
        assert world.run("promote", "--yes").returncode == DONE
        assert world.git("tag", "--list", at=world.remote) == ""


class TestWithoutGh:
    @pytest.mark.usefixtures("pipeline")
    def test_it_says_how_to_look(self, world: World) -> None:
        """Without gh the page of each workflow is named, without the address's credentials, and nothing moves."""
        world.git("remote", "set-url", "origin", "ssh://somebody:secret@git.invalid:22/owner/project.git")
        before = world.state()
        done = world.run("promote")
        assert (done.returncode, done.stderr) == (WAITING, "")
        pages = re.findall(r"look at (\S+);", done.stdout)
        base = "https://git.invalid/owner/project/actions/workflows"
        assert pages == [
            f"{base}/test.yml?query=branch%3Amain",
            f"{base}/train.yml?query=branch%3Aclassification_branch",
        ]
        assert done.stdout.count("gh is not installed") == 2
        assert "secret" not in done.stdout
        assert world.state() == before

    def test_a_persons_yes_is_taken(self, world: World, pipeline: dict[str, str]) -> None:
        """With --yes each waiting branch moves by one, and the line says by whose word."""
        done = world.run("promote", "--yes")
        assert done.returncode == DONE
        assert world.tips(world.remote)["test_branch"] == pipeline["middle"]
        assert done.stdout.count("green by --yes, gh is not installed") == 2

    def test_a_gh_that_fails_is_no_answer(self, world: World) -> None:
        """Logged out, gh's own words are passed on, nothing moves, and a person's yes is taken as without gh."""
        world.github()
        (world.programs / "runs.json").unlink()
        before = world.state()
        done = world.run("promote")
        assert done.returncode == WAITING
        assert "not known, gh says: To get started with GitHub CLI, please run: gh auth login" in done.stdout
        assert world.state() == before
        assert world.run("promote", "--yes").returncode == DONE


@pytest.mark.parametrize(
    "address", ["git@git.invalid:owner/project.git", "ssh://git@git.invalid/owner/project", "a folder"]
)
def test_gh_is_asked_about_the_remotes_own_repository(world: World, address: str) -> None:
    """A fork's clone knows two repositories; gh is told which one is pushed to, in the form that it takes."""
    main = world.git("rev-parse", "main")
    if address != "a folder":
        world.git("remote", "set-url", "origin", address)
    world.github(run_of("test.yml", "main", main))
    assert world.run("promote").returncode == DONE
    (asked,) = world.asked()
    assert asked["repo"] == (None if address == "a folder" else "git.invalid/owner/project")
    assert (asked["words"], asked["workflow"], asked["branch"], asked["commit"]) == (
        ["run", "list"],
        "test.yml",
        "main",
        main,
    )


def test_each_workflow_that_is_asked_about_runs_on_its_branch(world: World) -> None:
    """The workflow file that must be green on a branch is one that a push to this branch starts."""
    oldest = world.git("rev-parse", "HEAD")
    commits = [world.commit(name) for name in ("second", "third", "fourth")]
    world.publish(**dict(zip(CHAIN, [*reversed(commits), oldest], strict=True)))
    world.github()
    assert world.run("promote").returncode == WAITING
    asked = {one["branch"]: one["workflow"] for one in world.asked()}
    assert set(asked) == set(CHAIN[:-1])
    for branch, workflow in asked.items():
        text = (ROOT / ".github" / "workflows" / workflow).read_text(encoding="utf-8")
        pushed = re.search(r"^  push:\n    branches: \[(.*)\]$", text, re.MULTILINE)
        assert pushed is not None
        assert branch in pushed[1].split(", ")


def own_way_there(world: World) -> None:
    """A colleague has committed on the remote's classification_branch, this clone has not seen it."""
    world.git("clone", "--quiet", world.remote, world.colleague, at=world.folder)
    world.git("switch", "--quiet", "--create", "classification_branch", at=world.colleague)
    world.commit("astray", at=world.colleague)
    world.git("push", "--quiet", "origin", "classification_branch", at=world.colleague)
    world.commit("second")
    world.git("push", "--quiet", "origin", "main")


def no_main_there(world: World) -> None:
    world.git("update-ref", "-d", "refs/heads/main", at=world.remote)


@pytest.mark.parametrize(
    ("hindrance", "words"),
    [
        *(hindrance if hindrance[0] in {dirty_change, own_way_here} else slow(*hindrance) for hindrance in HINDRANCES),
        (own_way_there, "origin/classification_branch has gone its own way"),
        (no_main_there, "origin has no"),
    ],
)
def test_promote_refuses_and_changes_nothing(world: World, hindrance: Callable[[World], None], words: str) -> None:
    """Each hindrance is named with a hint, ends with status 1, and leaves every ref where it was, whoever says yes."""
    hindrance(world)
    before = world.state()
    done = world.run("promote", "--yes")
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert done.stderr.startswith(f"error: {words}")
    assert "\nhint: " in done.stderr
    assert world.state() == before


class TestPush:
    @pytest.mark.usefixtures("pipeline")
    def test_a_remote_that_refuses_one_branch_gets_none(self, world: World) -> None:
        """A protected branch fails the whole push: the other one stays too, here and there; git's words are told."""
        world.run("create")
        hook = world.remote / "hooks" / "update"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/test_branch ] || { echo protected >&2; exit 1; }\n')
        hook.chmod(0o755)
        before = world.state()
        done = world.run("promote", "--yes")
        assert done.returncode == REFUSED
        assert "error: git push: " in done.stderr
        assert "protected" in done.stderr
        assert "fast-forwarded" not in done.stdout
        assert world.state() == before

    def test_a_branch_that_moves_while_gh_is_asked_is_not_overwritten(self, world: World) -> None:
        """A colleague's push between the fetch and the push wins, and local branches stay as they were."""
        world.run("create")
        world.git("push", "--quiet", "origin", "classification_branch")
        world.git("clone", "--quiet", world.remote, world.colleague, at=world.folder)
        world.git("switch", "--quiet", "classification_branch", at=world.colleague)
        theirs = world.commit("theirs", at=world.colleague)
        main = world.commit("second")
        world.git("push", "--quiet", "origin", "main")
        world.github(run_of("test.yml", "main", main))
        push = ["git", "-C", str(world.colleague), "push", "--quiet", "origin", "classification_branch"]
        (world.programs / "meanwhile").write_text(json.dumps(push))
        before = world.tips()
        done = world.run("promote")
        assert done.returncode == REFUSED
        assert "rejected" in done.stderr
        assert world.tips(world.remote)["classification_branch"] == theirs
        assert world.tips() == before

    def test_an_absent_remote_is_refused_in_gits_words(self, world: World) -> None:
        """A remote that does not answer ends with status 1, and nothing has changed."""
        before = world.state()
        world.remote.rename(world.folder / "away")
        done = world.run("promote", "--yes")
        (world.folder / "away").rename(world.remote)
        assert done.returncode == REFUSED
        assert done.stderr.startswith("error: git ls-remote: ")
        assert world.state() == before


class TestLocalBranches:
    def test_a_branch_in_another_worktree_is_left_where_it_is(self, world: World) -> None:
        """Its tree stays clean and its commit the same, the remote moves, and the line names the place and the mend."""
        world.run("create")
        old = world.git("rev-parse", "main")
        tree = world.folder / "elsewhere"
        world.git("worktree", "add", "--quiet", tree, "classification_branch")
        new = world.commit("second")
        world.git("push", "--quiet", "origin", "main")
        done = world.run("promote", "--yes")
        assert done.returncode == DONE
        assert world.tips(world.remote)["classification_branch"] == new
        assert world.tips()["classification_branch"] == old
        assert world.git("status", "--porcelain", at=tree) == ""
        assert str(tree) in done.stdout
        assert f"git merge --ff-only {new[:9]}" in done.stdout

    def test_the_branch_one_stands_on_is_left_where_it_is(self, world: World, pipeline: dict[str, str]) -> None:
        """A promotion never changes a working tree."""
        world.git("switch", "--quiet", "classification_branch")
        before = world.tips(), (world.clone / "second").exists(), (world.clone / "third").exists()
        assert world.run("promote", "--yes").returncode == DONE
        assert world.tips(world.remote)["classification_branch"] == pipeline["newest"]
        assert (world.tips(), (world.clone / "second").exists(), (world.clone / "third").exists()) == before

    def test_a_branch_that_is_further_on_is_left_alone(self, world: World) -> None:
        """A local branch with commits that nobody else has keeps them."""
        world.git("switch", "--quiet", "--create", "classification_branch")
        own = world.commit("own")
        world.git("switch", "--quiet", "main")
        assert world.run("promote", "--yes").returncode == DONE
        assert world.tips()["classification_branch"] == own
        assert world.tips(world.remote)["classification_branch"] == world.tips()["main"]

    def test_a_single_branch_clone_is_enough(self, world: World, pipeline: dict[str, str]) -> None:
        """A clone that follows main alone still reads all branches of the remote, and pushes fast-forwards of them."""
        shutil.rmtree(world.clone)
        world.git("clone", "--quiet", "--single-branch", world.remote, world.clone, at=world.folder)
        assert world.run("promote", "--yes").returncode == DONE
        assert world.tips(world.remote)["test_branch"] == pipeline["middle"]


def test_outside_a_repository_git_says_so(world: World) -> None:
    """In a folder that no repository holds, the verbs end with status 1 and git's sentence."""
    done = world.run("create", at=world.folder)
    assert done.returncode == REFUSED
    assert "not a git repository" in done.stderr


@pytest.mark.parametrize("verb", ["branches", "promote"])
def test_make_calls_the_script(verb: str) -> None:
    """`make branches` and `make promote` run the script with what ARGS holds."""
    make = shutil.which("make")
    assert make is not None
    done = subprocess.run(
        [make, "--no-print-directory", "-n", verb, "ARGS=--remote there"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    word = {"branches": "create", "promote": "promote"}[verb]
    assert done.stdout.strip().endswith(f"scripts/branches.py {word} --remote there")
