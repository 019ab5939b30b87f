"""The commit around a folder: right for every ordinary clone, and nothing that the folder brings along is run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from artifact_pipeline.training import checkout
from artifact_pipeline.training.checkout import Checkout
from tools import as_root, require_tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AUTHOR = ("user.name=A", "user.email=a@example.org", "protocol.file.allow=always", "init.defaultBranch=main")


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git, where a test runs it, has none of this machine's settings."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    settings = [part for each in AUTHOR for part in ("-c", each)]
    command = [require_tool("git"), *settings, *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=check, stdin=subprocess.DEVNULL, timeout=60
    )
    return done.stdout.strip()


def commit_all(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", "all")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository with two commits and a folder in it."""
    folder = tmp_path / "origin"
    (folder / "config").mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "config" / "config.json").write_text("{}\n")
    commit_all(folder)
    (folder / "rows.txt").write_text("1\n2\n")
    commit_all(folder)
    return folder


def head(folder: Path) -> str:
    return git(folder, "rev-parse", "HEAD")


# --- ordinary clones


def cloned(*options: str) -> Callable[[Path, Path], Path]:
    def _clone(origin: Path, to: Path) -> Path:
        git(origin.parent, "clone", "-q", *options, f"file://{origin}", str(to))
        return to

    return _clone


def borrowed(origin: Path, to: Path) -> Path:
    git(origin.parent, "clone", "-q", "--shared", str(origin), str(to))
    return to


def worktree(origin: Path, to: Path) -> Path:
    git(origin, "worktree", "add", "-q", "-b", "other", str(to))
    return to


def worktree_of_bare(origin: Path, to: Path) -> Path:
    bare = cloned("--bare")(origin, to.with_name("bare"))
    git(bare, "worktree", "add", "-q", str(to), "main")
    return to


def packed(origin: Path, to: Path) -> Path:
    cloned()(origin, to)
    git(to, "pack-refs", "--all")
    git(to, "gc", "-q")
    assert not list((to / ".git" / "refs" / "heads").iterdir())
    return to


def detached(origin: Path, to: Path) -> Path:
    cloned()(origin, to)
    git(to, "checkout", "-q", "--detach", "HEAD~1")
    (to / "rows.txt").write_text("3\n")  # not tracked there
    return to


def submodule(origin: Path, to: Path) -> Path:
    outer = to.with_name("outer")
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "submodule", "--quiet", "add", f"file://{origin}", "inner")
    return outer / "inner"


def of_sha256(origin: Path, to: Path) -> Path:
    git(origin.parent, "init", "-q", "--object-format=sha256", str(to))
    shutil.copytree(origin / "config", to / "config")
    commit_all(to)
    return to


def crlf(origin: Path, to: Path) -> Path:
    cloned("--config", "core.autocrlf=true")(origin, to)
    assert b"\r\n" in (to / "config" / "config.json").read_bytes()
    return to


def sparse(origin: Path, to: Path) -> Path:
    cloned("--sparse")(origin, to)
    git(to, "sparse-checkout", "set", "--cone", "--sparse-index", "config")
    return to


def branch_with_slashes(origin: Path, to: Path) -> Path:
    cloned()(origin, to)
    git(to, "checkout", "-q", "-b", "feature/a.b-c_d/e")
    return to


CLONES: dict[str, Callable[[Path, Path], Path]] = {
    "plain": cloned(),
    "shallow": cloned("--depth", "1"),
    "without blobs": cloned("--filter=blob:none"),
    "with the objects of another": borrowed,
    "sparse": sparse,
    "worktree": worktree,
    "worktree of a bare repository": worktree_of_bare,
    "packed": packed,
    "detached": detached,
    "submodule": submodule,
    "SHA-256": of_sha256,
    "CRLF": crlf,
    "branch with slashes": branch_with_slashes,
}


@pytest.mark.parametrize("make", CLONES.values(), ids=CLONES)
def test_an_ordinary_clone_gives_its_commit(origin: Path, tmp_path: Path, make: Callable[[Path, Path], Path]) -> None:
    """Whatever kind of clone it is, the commit is the one of git, touched or not it is clean, else it is dirty."""
    clone = make(origin, tmp_path / "clone")
    config = clone / "config" / "config.json"
    assert Checkout.around(config.parent) == Checkout(head(clone), dirty=False)
    os.utime(config, ns=(1, 1))
    assert Checkout.around(clone) == Checkout(head(clone), dirty=False)
    config.write_text("[]\n")
    assert Checkout.around(clone) == Checkout(head(clone), dirty=True)


CHANGES: dict[str, tuple[bool, Callable[[Path], object]]] = {
    "changed, of the same size": (True, lambda clone: (clone / "rows.txt").write_text("1\n3\n")),
    "staged": (True, lambda clone: ((clone / "rows.txt").write_text("3\n"), git(clone, "add", "rows.txt"))),
    "added and staged": (True, lambda clone: ((clone / "new").write_text("3\n"), git(clone, "add", "new"))),
    "removed": (True, lambda clone: (clone / "rows.txt").unlink()),
    "executable": (True, lambda clone: (clone / "rows.txt").chmod(0o755)),
    "a link": (True, lambda clone: ((clone / "rows.txt").unlink(), (clone / "rows.txt").symlink_to("config"))),
    "untracked": (False, lambda clone: (clone / "new").write_text("3\n")),
    "written again": (False, lambda clone: (clone / "rows.txt").write_text("1\n2\n")),
}


@pytest.mark.parametrize(("dirty", "change"), CHANGES.values(), ids=CHANGES)
def test_dirty_is_what_git_says(origin: Path, *, dirty: bool, change: Callable[[Path], object]) -> None:
    """Each change of a tracked file makes the clone dirty, as `git status` sees it; others do not."""
    change(origin)
    assert bool(git(origin, "status", "--porcelain", "--untracked-files=no")) == dirty
    assert Checkout.around(origin) == Checkout(head(origin), dirty=dirty)


def test_no_repository_and_no_commit_are_nothing(tmp_path: Path) -> None:
    """Where there is no repository, or one without a commit, nothing is said."""
    assert Checkout.around(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert Checkout.around(tmp_path) is None
    shutil.rmtree(tmp_path / ".git")
    (tmp_path / ".git").mkdir()  # as some container tools leave one
    assert Checkout.around(tmp_path) is None


def test_the_owner_plays_no_part(origin: Path) -> None:
    """A checkout of another owner, which git itself refuses as dubious, gives its commit, clean or dirty."""
    expected = head(origin)
    (origin / "rows.txt").write_text("3\n")
    chown = [*as_root(), require_tool("chown"), "--recursive"]
    subprocess.run([*chown, "12345:12345", origin], check=True)
    try:
        done = subprocess.run(["git", "status"], cwd=origin, capture_output=True, text=True, check=False)
        assert "dubious ownership" in done.stderr
        assert Checkout.around(origin) == Checkout(expected, dirty=True)
    finally:
        subprocess.run([*chown, f"{os.geteuid()}:{os.getegid()}", origin], check=True)


def test_without_git_the_commit_is_known(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where git is not installed the commit is known, and whether files differ is not."""
    expected = head(origin)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Checkout.around(origin) == Checkout(expected, reason="git is not installed")


def test_an_endless_git_is_ended(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that does not end is ended, and what it would have said is unknown."""
    expected = head(origin)
    executable(tmp_path / "git", "exec sleep 600")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(checkout, "TIMEOUT", 0.1)
    assert Checkout.around(origin) == Checkout(expected, reason="git took longer than 0 seconds")


# --- what the folder brings along


def executable(place: Path, script: str) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(0o755)
    return place


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that is there once something has run."""
    return tmp_path / "ran"


@pytest.fixture
def program(tmp_path: Path, mark: Path) -> Path:
    """A program that leaves the mark, whatever it is started as."""
    return executable(tmp_path / "program", f"echo \"$0 $*\" >> '{mark}'")


def by_config(**settings: str) -> Callable[[Path, Path], object]:
    """Settings of the repository's own config, and attributes by which they are used; `{}` is the program."""

    def _set(clone: Path, program: Path) -> None:
        for name, value in settings.items():
            git(clone, "config", name.replace("_", "."), value.format(program))
        (clone / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
        os.utime(clone / "rows.txt", ns=(1, 1))

    return _set


def by_include(clone: Path, program: Path) -> None:
    (clone / ".git" / "more").write_text(f'[filter "evil"]\nclean = {program}\n')
    by_config(include_path="more")(clone, program)


def by_hooks(clone: Path, program: Path) -> None:
    names = ("post-checkout", "post-index-change", "pre-commit", "fsmonitor-watchman", "reference-transaction")
    for name in names:
        shutil.copy(program, clone / ".git" / "hooks" / name)


def by_submodule(clone: Path, program: Path) -> None:
    git(clone, "submodule", "--quiet", "add", f"file://{clone.with_name('origin')}", "inner")
    commit_all(clone)
    git(clone / "inner", "config", "filter.evil.clean", str(program))
    (clone / "inner" / ".gitattributes").write_text("* filter=evil\n")
    os.utime(clone / "inner" / "rows.txt", ns=(1, 1))


def by_fetch(clone: Path, program: Path) -> None:
    """The tree is missing, and the remote that promises it is reached by ssh."""
    tree = git(clone, "rev-parse", "HEAD^{tree}")
    for pack in (clone / ".git" / "objects" / "pack").glob("*.pack"):
        data = pack.read_bytes()
        for place in pack.parent.glob(f"{pack.stem}*"):
            place.unlink()
        subprocess.run(["git", "unpack-objects", "-q"], cwd=clone, input=data, check=True)
    (clone / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    for name, value in {
        "core.repositoryformatversion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": "ssh://host.invalid/x",
        "core.sshCommand": str(program),
    }.items():
        git(clone, "config", name, value)


def by_monitor(clone: Path, program: Path) -> None:
    git(clone, "config", "core.fsmonitor", str(program))
    git(clone, "update-index", "--fsmonitor")


def by_program_in_the_folder(clone: Path, program: Path) -> None:
    shutil.copy(program, clone / "git")


RUN_BY_GIT: dict[str, Callable[[Path, Path], object]] = {
    "clean filter": by_config(filter_evil_clean="{}"),
    "process filter": by_config(filter_evil_process="{}", filter_evil_required="true"),
    "monitor": by_monitor,
    "include": by_include,
    "submodule": by_submodule,
    "ssh": by_fetch,
}
"""What `git status` runs, so that the mark is known to come."""
NOT_RUN: dict[str, Callable[[Path, Path], object]] = {
    "smudge filter": by_config(filter_evil_smudge="{}"),
    "textconv": by_config(diff_evil_textconv="{}"),
    "external diff": by_config(diff_external="{}", diff_evil_command="{}"),
    "merge driver": by_config(merge_evil_driver="{}"),
    "pager": by_config(core_pager="{}", pager_status="{}"),
    "credential": by_config(credential_helper="!{}"),
    "alias": by_config(**{"alias_status": "!{}", "alias_ls-files": "!{}", "alias_check-attr": "!{}"}),
    "editor, askpass, gpg": by_config(core_editor="{}", core_askPass="{}", gpg_program="{}"),
    "hooks": by_hooks,
    "hooks elsewhere": by_config(core_hooksPath="."),
    "a git in the folder": by_program_in_the_folder,
}


@pytest.mark.parametrize("bring", [*RUN_BY_GIT.values(), *NOT_RUN.values()], ids=[*RUN_BY_GIT, *NOT_RUN])
def test_nothing_of_the_repository_is_run(
    origin: Path, program: Path, mark: Path, bring: Callable[[Path, Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever program a repository's own files name, for whatever use, it is not run; the commit is known."""
    clone = cloned()(origin, origin.with_name("clone"))
    bring(clone, program)
    mark.unlink(missing_ok=True)
    monkeypatch.chdir(clone)
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.pathsep}{os.environ['PATH']}")
    expected = (clone / ".git" / "refs" / "heads" / "main").read_text().strip()
    found = Checkout.around(clone)
    assert not mark.exists(), mark.read_text()
    assert found is not None
    assert found.commit == expected


@pytest.mark.parametrize("bring", RUN_BY_GIT.values(), ids=RUN_BY_GIT)
def test_git_itself_would_run_it(
    origin: Path, program: Path, mark: Path, bring: Callable[[Path, Path], object]
) -> None:
    """What the test above brings along is no dummy: `git status` runs it."""
    clone = cloned()(origin, origin.with_name("clone"))
    bring(clone, program)
    mark.unlink(missing_ok=True)
    git(clone, "status", check=False)
    assert mark.exists()


def test_files_that_belong_to_a_filter_may_be_unknown(origin: Path) -> None:
    """A file that the index knows as untouched is clean; of another one only its filter could tell, and is not run."""
    executable(origin / "upper", "tr a-z A-Z")
    git(origin, "config", "filter.upper.clean", "./upper")
    git(origin, "config", "filter.upper.smudge", "cat")
    (origin / ".gitattributes").write_text("*.big filter=upper\n")
    (origin / "a.big").write_text("text\n")
    os.utime(origin / "a.big", ns=(10**9, 10**9))  # long before the index is written
    commit = commit_all(origin)
    assert Checkout.around(origin) == Checkout(commit, dirty=False)
    os.utime(origin / "a.big", ns=(2 * 10**9, 10**9 * 2))
    reason = "changed files belong to a filter, which is not run"
    assert Checkout.around(origin) == Checkout(commit, reason=reason)
    (origin / "rows.txt").write_text("3\n")  # belongs to none
    assert Checkout.around(origin) == Checkout(commit, dirty=True)


def test_a_clone_with_submodules_is_not_called_clean(origin: Path) -> None:
    """What is changed in a submodule is not looked for, so that a clone with one is dirty or unknown, never clean."""
    clone = cloned()(origin, origin.with_name("clone"))
    git(clone, "submodule", "--quiet", "add", f"file://{origin}", "inner")
    commit = commit_all(clone)
    assert Checkout.around(clone) == Checkout(commit, reason="it has submodules, which are not looked into")
    (clone / "rows.txt").write_text("3\n")
    assert Checkout.around(clone) == Checkout(commit, dirty=True)


# --- what leads elsewhere, and what is damaged


def instead(name: str, text: str) -> Callable[[Path, Path], object]:
    return lambda clone, _: (clone / ".git" / name).write_text(text)


def without_its_git(make: Callable[[Path, Path], object]) -> Callable[[Path, Path], object]:
    def _make(clone: Path, victim: Path) -> None:
        shutil.rmtree(clone / ".git")
        make(clone / ".git", victim)

    return _make


def a_pipe(name: str) -> Callable[[Path, Path], object]:
    def _make(clone: Path, _: Path) -> None:
        (clone / ".git" / name).unlink(missing_ok=True)
        os.mkfifo(clone / ".git" / name)

    return _make


def linked_head(clone: Path, victim: Path) -> None:
    (clone / ".git" / "HEAD").unlink()
    (clone / ".git" / "HEAD").symlink_to(victim / ".git" / "refs" / "heads" / "main")


def linked_ref(clone: Path, victim: Path) -> None:
    (clone / ".git" / "refs" / "heads" / "main").unlink()
    (clone / ".git" / "refs" / "heads" / "main").symlink_to(victim / ".git" / "refs" / "heads" / "main")


def claimed_worktree(clone: Path, victim: Path) -> None:
    """A `.git` file that leads to the folder of a true worktree, which is somebody else's."""
    git(victim, "worktree", "add", "-q", "-b", "other", str(victim.with_name("theirs")))
    shutil.rmtree(clone / ".git")
    (clone / ".git").write_text(f"gitdir: {victim}/.git/worktrees/theirs\n")


def own_worktree(clone: Path, victim: Path) -> None:
    """A folder that looks as that of a worktree does, with the repository itself elsewhere."""
    shutil.rmtree(clone / ".git")
    own = clone / "worktrees" / "x"
    own.mkdir(parents=True)
    for name, text in {
        "HEAD": "ref: refs/heads/main",
        "gitdir": f"{clone}/.git",
        "commondir": f"{victim}/.git",
    }.items():
        (own / name).write_text(f"{text}\n")
    (clone / ".git").write_text("gitdir: worktrees/x\n")


def inner_folder(clone: Path, victim: Path) -> None:
    """A folder within somebody's repository, that says that it is this repository."""
    shutil.rmtree(clone / ".git")
    shutil.move(clone, victim / "clone")
    (victim / "clone" / ".git").write_text("gitdir: ../.git\n")
    clone.symlink_to(victim / "clone")


NOT_BACK = "its .git file leads to a place that does not lead back, which is not followed"
LEADS_OUT = "a file of its .git leads elsewhere, and is not followed"
NO_FORM = "its HEAD is of no known form"
NO_FILE = "a file of its .git is not a regular file"
UNKNOWN: dict[str, tuple[str, Callable[[Path, Path], object]]] = {
    ".git file": (NOT_BACK, without_its_git(lambda at, victim: at.write_text(f"gitdir: {victim}/.git\n"))),
    ".git file, the outer one": (NOT_BACK, inner_folder),
    ".git file, a worktree's": (NOT_BACK, claimed_worktree),
    ".git file, a worktree's own": (NOT_BACK, own_worktree),
    ".git file, no path": (NOT_BACK, without_its_git(lambda at, _: at.write_text("anything"))),
    ".git file, zero": ("embedded null byte", without_its_git(lambda at, _: at.write_bytes(b"gitdir: a\0b"))),
    ".git file, large": (
        "a file of its .git is larger than 65,536 bytes",
        without_its_git(lambda at, _: at.write_bytes(b"a" * 10**6)),
    ),
    ".git link": (
        "its .git is a link, which is not followed",
        without_its_git(lambda at, victim: at.symlink_to(victim / ".git")),
    ),
    "commondir": ("its .git folder leads elsewhere, which is not followed", instead("commondir", "../../origin/.git")),
    "HEAD link": (LEADS_OUT, linked_head),
    "ref link": (LEADS_OUT, linked_ref),
    "HEAD with a path": (NO_FORM, instead("HEAD", "ref: refs/heads/../../../../origin/.git/refs/heads/main\n")),
    "HEAD with an absolute path": (NO_FORM, instead("HEAD", "ref: /etc/passwd\n")),
    "HEAD of text": (NO_FORM, instead("HEAD", "::error title=x::y\n")),
    "HEAD to itself": ("its HEAD leads from ref to ref", instead("refs/heads/main", "ref: refs/heads/main\n")),
    "ref of text": (NO_FORM, instead("refs/heads/main", "g" * 40)),
    "packed-refs pipe": (
        "never",
        lambda clone, _: (a_pipe("packed-refs")(clone, _), (clone / ".git" / "refs" / "heads" / "main").unlink()),
    ),
    "bare": (
        "its repository is bare, so that nothing is checked out",
        lambda clone, _: git(clone, "config", "core.bare", "true"),
    ),
    "worktree elsewhere": (
        "its repository says that another folder is checked out",
        lambda clone, victim: git(clone, "config", "core.worktree", str(victim)),
    ),
    "reftable": (
        "its refs are kept as a reftable, which is not read",
        lambda clone, _: (
            instead("HEAD", "ref: refs/heads/.invalid\n")(clone, _),
            (clone / ".git" / "reftable").mkdir(),
        ),
    ),
}


@pytest.mark.parametrize(("reason", "make"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_leads_elsewhere_is_unknown(origin: Path, reason: str, make: Callable[[Path, Path], object]) -> None:
    """A `.git` that leads out of the folder without leading back, or of no known form, gives no commit but a reason."""
    clone = cloned()(origin, origin.with_name("clone"))
    make(clone, origin)
    assert Checkout.around(clone / "config") == (None if reason == "never" else Checkout(reason=reason))


DAMAGED: dict[str, Callable[[Path], object]] = {
    "index, a pipe": lambda clone: a_pipe("index")(clone, clone),
    "index of text": lambda clone: (clone / ".git" / "index").write_text("text"),
    "no objects": lambda clone: shutil.rmtree(clone / ".git" / "objects"),
    "a commit that is not there": lambda clone: (clone / ".git" / "refs" / "heads" / "main").write_text("a" * 40),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_clone_is_neither_clean_nor_dirty(origin: Path, damage: Callable[[Path], object]) -> None:
    """Where git cannot compare, the commit that HEAD names is told, and whether files differ is unknown."""
    clone = cloned()(origin, origin.with_name("clone"))
    damage(clone)
    found = Checkout.around(clone)
    assert found is not None
    assert found.commit == (clone / ".git" / "refs" / "heads" / "main").read_text().strip()
    assert found.dirty is None
    assert found.reason in {
        "git cannot compare its files with the commit",
        "its index is no regular file, or too large",
    }


ASK = """
import sys
from pathlib import Path

from artifact_pipeline.training.checkout import Checkout

print(Checkout.around(Path(sys.argv[1])))
"""


def test_what_may_not_be_read_is_unknown(origin: Path) -> None:
    """A `.git` that this user may not read is said to be that, and stops nothing."""
    (origin / ".git" / "HEAD").chmod(0)
    less = "-dac_override,-dac_read_search"  # root may read everything, but for this
    prefix = [require_tool("setpriv"), "--bounding-set", less, "--inh-caps", less] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*prefix, sys.executable, "-c", ASK, origin], capture_output=True, text=True, check=False, cwd=origin
    )
    reason = "its .git cannot be read: permission denied"
    assert (done.stdout, done.stderr) == (f"{Checkout(reason=reason)}\n", "")
