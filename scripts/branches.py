"""Keep the branches main → classification_branch → test_branch → inference_branch on one line of history.

`create` makes them in a clone, each from the one before it. `promote` fast-forwards each of them on the remote from
the one before it, once the workflow of that one is green for exactly the commit that it holds. None is ever merged
back, nothing is ever forced, and a refusal changes no ref anywhere.

A branch *has gone its own way* if it and another one each have commits that the other lacks.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import combinations, pairwise

WORKFLOWS = {"main": "test.yml", "classification_branch": "train.yml", "test_branch": "test.yml"}
"""The workflow that must be green on a branch before the next branch may follow it."""
CHAIN = (*WORKFLOWS, "inference_branch")

DONE, REFUSED, WAITING, INTERRUPTED = 0, 1, 3, 130
STATUSES = """exit statuses:
  0    done, or nothing to do
  1    refused, or git failed; no branch has moved
  2    an option is wrong
  3    a branch waits for a green workflow; those whose turn it was have moved
  130  interrupted by Ctrl-C
"""


class Refused(Exception):
    """Something stands in the way, and no branch has been moved."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class NoAnswer(Exception):
    """`gh` cannot say how a workflow ended."""


@dataclass(frozen=True, slots=True)
class Step:
    """A branch of the remote that may follow the one before it.

    Attributes:
        source: the branch before it.
        target: the branch that would move.
        commit: where `source` is, and `target` would be.
    """

    source: str
    target: str
    commit: str

    @property
    def workflow(self) -> str:
        """The workflow that must be green on `source` at `commit`."""
        return WORKFLOWS[self.source]


def create(remote: str) -> int:
    """Create the branches that are missing in this clone: from the remote's, or else from the one before."""
    refuse_unready(remote)
    here, known = tips_here("refs/heads/"), tips_here(f"refs/remotes/{remote}/")
    chain: dict[str, str] = {}
    lines: list[str] = []
    for before, name in zip((None, *CHAIN), CHAIN, strict=False):
        if name in here:
            chain[name], done = here[name], "is there, left alone"
        elif name in known:
            chain[name], done = known[name], f"created from {remote}/{name}"
        elif before:
            chain[name], done = chain[before], f"created from {before}"
        else:
            raise Refused("there is no main here to start from", hint=f"git fetch {remote} main:main")
        lines.append(f"{name}: {done}, at {chain[name][:9]}")
    refuse_detached(chain["main"])
    refuse_own_ways(chain)
    missing = [f"create refs/heads/{name} {commit}\n" for name, commit in chain.items() if name not in here]
    git("update-ref", "--stdin", text="".join(missing))  # one transaction: all of them or none
    print(*lines, sep="\n")
    return DONE


def promote(remote: str, *, yes: bool, dry_run: bool) -> int:
    """Fast-forward each branch of the remote from the one before it, where the workflow of that one is green."""
    refuse_unready(remote)
    there, here = tips_there(remote), tips_here("refs/heads/")
    refuse_own_ways({f"{remote}/{name}": commit for name, commit in there.items()} | here)
    steps = [
        Step(source, target, there[source])
        for source, target in pairwise(CHAIN)
        if source in there and not (target in there and contains(there[target], there[source]))
    ]
    if not steps:
        print(f"nothing to promote: each branch of {remote} contains the one before it")
        return DONE
    repository = github_repository(remote)
    green = [step for step in steps if is_green(step, repository, yes=yes)]
    if green and not dry_run:
        # Without force the remote takes only fast-forwards, whatever was pushed meanwhile; atomic: all of them or none.
        refspecs = [f"{step.commit}:refs/heads/{step.target}" for step in green]
        git("push", "--quiet", "--atomic", "--no-follow-tags", remote, *refspecs)
    for step in green:
        done = "would be fast-forwarded" if dry_run else "fast-forwarded"
        follow = "" if dry_run or step.target not in here else follow_here(step, here[step.target])
        print(f"{step.target}: {done} to {step.commit[:9]}{follow}")
    return DONE if green == steps else WAITING


def is_green(step: Step, repository: str | None, *, yes: bool) -> bool:
    """Say what is known of the step's workflow; a person's yes counts only where `gh` has no answer."""
    what = f"{step.workflow} on {step.source} at {step.commit[:9]}"
    try:
        run = newest_run(step, repository)
    except NoAnswer as reason:
        page = f"https://{repository}/actions/workflows/{step.workflow}?query=branch%3A{step.source}"
        look = f"look at {page if repository else 'the Actions page'}; if it is green for this commit, add --yes"
        print(f"{what}: green by --yes, {reason}" if yes else f"{what}: not known, {reason}; {look}")
        return yes
    if run is None:
        print(f"{what}: has not run yet")
        return False
    ended = run["conclusion"] or run["status"]  # the conclusion is empty while it runs
    print(f"{what}: {ended}, {run['url']}")
    return ended == "success"


def newest_run(step: Step, repository: str | None) -> dict[str, str] | None:
    """Ask GitHub's command line for the newest run of the step's workflow on exactly its branch and commit.

    Raises:
        NoAnswer: `gh` is not there, or fails.
    """
    fields = "conclusion,createdAt,event,headBranch,headSha,status,url"
    command = ["gh", "run", "list", "--workflow", step.workflow, "--branch", step.source, "--commit", step.commit]
    # Without --repo, gh picks a repository among all remotes, such as the one that this one was forked from.
    command += ["--json", fields, *(["--repo", repository] if repository else [])]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise NoAnswer("gh is not installed") from None
    if answer.returncode:
        raise NoAnswer(f"gh says: {' '.join(answer.stderr.split())}")
    # A run for a pull request is no run of this branch: it tests a merge, perhaps of a fork's branch of the same name.
    runs: list[dict[str, str]] = [
        run
        for run in json.loads(answer.stdout)
        if run["event"] in {"push", "workflow_dispatch"}
        and (run["headBranch"], run["headSha"]) == (step.source, step.commit)
    ]
    return max(runs, key=lambda run: run["createdAt"], default=None)


def follow_here(step: Step, tip: str) -> str:
    """Move the local branch along if it is behind; say what became of it."""
    if contains(tip, step.commit):
        return ""
    try:
        # git refuses a branch that some working tree is on; moving it would make that tree look dirty.
        git("branch", "--force", step.target, step.commit)
    except Refused as error:
        return f"; the local branch is left where it is ({error}), `git merge --ff-only {step.commit[:9]}` moves it"
    return ", and the local branch with it"


def refuse_unready(remote: str) -> None:
    """Refuse a dirty tree, a clone whose history is cut off, and a remote that is not there.

    Raises:
        Refused: it is one of them, or no working tree of git at all.
    """
    if git("status", "--porcelain", "--untracked-files=normal"):
        raise Refused("the working tree is dirty", hint="commit, or `git stash --include-untracked`")
    if git("rev-parse", "--is-shallow-repository") == "true":
        raise Refused("this clone is shallow, it cannot show which commit contains which", hint="git fetch --unshallow")
    if remote not in git("remote").splitlines():
        raise Refused(f"there is no remote {remote}", hint="--remote NAME takes one that `git remote` lists")


def refuse_detached(main: str) -> None:
    """Refuse a HEAD that is on no branch and not at main's commit.

    Raises:
        Refused: it is so; what was committed there would be in none of the branches.
    """
    if not succeeds("symbolic-ref", "--quiet", "HEAD") and git("rev-parse", "HEAD") != main:
        raise Refused("HEAD is detached, and not at main", hint="git switch main")


def refuse_own_ways(tips: dict[str, str]) -> None:
    """Refuse commits that are not on one line of history.

    Raises:
        Refused: a branch has gone its own way.
    """
    for (one, first), (other, second) in combinations(tips.items(), 2):
        if not contains(second, first) and not contains(first, second):
            raise Refused(
                f"{other} has gone its own way: it and {one} each have commits that the other lacks",
                hint=f"`git log --oneline --left-right {first[:9]}...{second[:9]}` shows them",
            )


def tips_here(prefix: str) -> dict[str, str]:
    """The commit of each branch of the chain in this clone, under `prefix`, as far as it is there."""
    refs = [prefix + name for name in CHAIN]
    return parse_tips(git("for-each-ref", "--format=%(objectname)\t%(refname)", *refs), prefix)


def tips_there(remote: str) -> dict[str, str]:
    """The commit of each branch of the chain on the remote; the objects are fetched, and no ref is moved by it.

    Raises:
        Refused: the remote does not answer, or has no main.
    """
    prefix = "refs/heads/"
    found = parse_tips(git("ls-remote", "--heads", remote, *(prefix + name for name in CHAIN)), prefix)
    if "main" not in found:
        raise Refused(f"{remote} has no main", hint=f"git push {remote} main")
    # An empty refmap leaves the remote-tracking branches alone, so that a refusal changes not even these.
    unseen = ("--quiet", "--refmap=", "--no-write-fetch-head", "--no-tags", "--no-prune", "--recurse-submodules=no")
    git("fetch", *unseen, remote, *(prefix + name for name in found))
    return found


def parse_tips(listing: str, prefix: str) -> dict[str, str]:
    """Read lines of commit, tab, ref: the chain's branches in their order."""
    commits = {ref: commit for commit, ref in (line.split("\t") for line in listing.splitlines())}
    return {name: commits[prefix + name] for name in CHAIN if prefix + name in commits}


def github_repository(remote: str) -> str | None:
    """The remote's `host/owner/name`, without the credentials that an address may hold; None for a folder."""
    address = r"(?:(?:https?|ssh|git)://(?:[^@/]+@)?|[^@/:]+@)([^:/]+)(?::\d+)?[:/]([^/]+/[^/]+?)(?:\.git)?/?"
    found = re.fullmatch(address, git("remote", "get-url", "--", remote))
    return f"{found[1]}/{found[2]}" if found else None


def contains(commit: str, other: str) -> bool:
    """Whether `other` is `commit` or one of its ancestors."""
    return commit == other or succeeds("merge-base", "--is-ancestor", other, commit)


def git(*arguments: str, text: str | None = None) -> str:
    """Run git, with `text` as its input; what it prints, without the last newline.

    Raises:
        Refused: git failed; the message is its own.
    """
    result = run_git(*arguments, text=text)
    if result.returncode:
        raise Refused(f"git {arguments[0]}: {result.stderr.strip()}")
    return result.stdout.removesuffix("\n")


def succeeds(*arguments: str) -> bool:
    """Run git for a yes or a no.

    Raises:
        Refused: git says neither of them.
    """
    result = run_git(*arguments)
    if result.returncode not in {0, 1}:
        raise Refused(f"git {arguments[0]}: {result.stderr.strip()}")
    return result.returncode == 0


def run_git(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run git in the working folder.

    Raises:
        Refused: git is not installed.
    """
    try:
        return subprocess.run(["git", *arguments], input=text or "", capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise Refused("git is not installed") from error


def parse_arguments() -> argparse.Namespace:
    """Read the command line; argparse ends the process with status 2 if it is wrong."""
    parser = argparse.ArgumentParser(
        description=f"Keep the branches {' -> '.join(CHAIN)}: each built on the one before, none merged back.",
        epilog=STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--remote", default="origin", help="the remote that runs the workflows (default: %(default)s)")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("create", parents=[common], help="create the branches that are missing in this clone")
    promotion = verbs.add_parser(
        "promote",
        parents=[common],
        help="fast-forward each branch on the remote from the one before it, once its workflow is green",
        description="The workflows are asked by GitHub's command line, gh. "
        + "; ".join(f"{target} waits for {WORKFLOWS[source]} on {source}" for source, target in pairwise(CHAIN))
        + ".",
    )
    promotion.add_argument("--yes", action="store_true", help="where gh has no answer: I have looked, they are green")
    promotion.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    return parser.parse_args()


def main() -> int:
    """Run one verb; the exit status."""
    arguments = parse_arguments()
    try:
        if arguments.verb == "create":
            return create(arguments.remote)
        return promote(arguments.remote, yes=arguments.yes, dry_run=arguments.dry_run)
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
