"""Pointers of promotions: compared and swapped, in a git repository and in an object store; who comes second loses."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from artifact_pipeline.canonical import digest
from artifact_pipeline.errors import ArtifactRejected, ConfigError, PipelineError, StorageError
from artifact_pipeline.registry import git_pointer, repeating
from artifact_pipeline.registry.promotions import opened_pointer
from artifact_pipeline.registry.reference import ImageReference
from artifact_pipeline.storage import objects
from buckets import another_bucket, s3_server
from registries import Lost, Request, Response, forward, relay
from tools import require_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from artifact_pipeline.registry.pointers import PromotionPointer

REPOSITORY = ImageReference("localhost", 5000, "owner/digits")
RACERS = 8


def git(folder: Path, *arguments: str) -> str:
    """What git prints, with an author of its own."""
    settings = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    command = [require_tool("git"), *settings, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with an empty home folder, and none of this machine's settings of git."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A bare repository, as a forge has it."""
    folder = tmp_path / "bare.git"
    git(tmp_path, "init", "-q", "--bare", str(folder))
    return folder


@pytest.fixture
def clone(bare: Path, tmp_path: Path) -> Path:
    """A clone of it with a commit, a file that is staged, and one that has changed."""
    folder = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(bare), str(folder))
    for name in ("a", "b"):
        (folder / name).write_text("1\n")
    git(folder, "add", "a")
    git(folder, "commit", "-q", "-m", "one")
    git(folder, "push", "-q", "origin", "HEAD:main")
    git(folder, "add", "b")
    (folder / "a").write_text("2\n")
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def bucket(server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty bucket, and an environment that leads to it."""
    return another_bucket(server, digest(request.node.nodeid.encode())[-12:], monkeypatch)


S3 = pytest.param("s3", marks=pytest.mark.needs("moto"))


@pytest.fixture
def pointer_text(request: pytest.FixtureRequest) -> str:
    """What `--pointer` says for each kind of pointer."""
    if request.param == "git":
        return f"git:{request.getfixturevalue('bare')}"
    return f"{request.getfixturevalue('bucket')}/promotions"


def opened(text: str, **named: Any) -> Any:
    return opened_pointer(text, REPOSITORY, "champion", **named)


KINDS = pytest.mark.parametrize("pointer_text", ["git", S3], indirect=True)


@KINDS
def test_an_entry_comes_after_the_one_that_it_names(pointer_text: str) -> None:
    """An entry is added only after the newest one; what was added is read again, the newest first."""
    with opened(pointer_text) as pointer:
        assert pointer.read() == []
        assert pointer.append(b"one", None, after=None)
        assert not pointer.append(b"other", b"signed", after=None)
        (first,) = pointer.read()
        assert (first.statement, first.signature) == (b"one", None)
        assert pointer.append(b"two", b"signed", after=first.version)
        assert not pointer.append(b"three", None, after=first.version)
    with opened(pointer_text) as again:
        found = again.read()
        assert [(each.statement, each.signature) for each in found] == [(b"two", b"signed"), (b"one", None)]
        assert again.read(1) == found[:1]


@KINDS
def test_each_role_and_each_name_has_a_history_of_its_own(pointer_text: str) -> None:
    """Roles and names do not meet."""
    with opened(pointer_text) as pointer:
        assert pointer.append(b"one", None, after=None)
    for role, name in (("champion", "other"), ("shadow", None)):
        with opened_pointer(pointer_text, REPOSITORY, role, name=name) as other:
            assert other.read() == []


@pytest.mark.slow
@KINDS
def test_of_racing_promoters_exactly_one_wins(pointer_text: str) -> None:
    """In each of 100 rounds 8 promoters swap at once from the same entry: one wins, and the history has just those."""
    wins: list[bytes] = []
    with ExitStack() as stack, ThreadPoolExecutor(RACERS) as pool:
        racers: list[PromotionPointer] = [stack.enter_context(opened(pointer_text)) for _ in range(RACERS)]
        after = None
        for turn in range(100):
            barrier = threading.Barrier(RACERS)

            def race(racer: int, turn: int = turn, barrier: Any = barrier, after: Any = after) -> bool:
                barrier.wait()
                return racers[racer].append(f"{turn} {racer}".encode(), None, after=after)

            won = [racer for racer, first in enumerate(pool.map(race, range(RACERS))) if first]
            assert len(won) == 1, turn
            wins.append(f"{turn} {won[0]}".encode())
            after = racers[0].read(1)[0].version
        assert [each.statement for each in racers[0].read()] == wins[::-1]


# --- git


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_users_repository_stays_as_it_is(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remote is found by its name; work tree, index, refs, objects and hooks are left alone, in an empty HOME."""
    for name in ("pre-push", "reference-transaction", "post-checkout", "fsmonitor"):
        hook = clone / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
        hook.chmod(0o755)
    git(clone, "config", "remote.origin.fetch", "+refs/*:refs/all/*")
    git(clone, "config", "core.fsmonitor", str(clone / ".git" / "hooks" / "fsmonitor"))
    before = snapshot(clone)
    (clone / "below").mkdir()
    monkeypatch.chdir(clone / "below")
    for after in (None, "first"):
        with opened("git:origin") as pointer:
            stands = pointer.read()[0].version if after else None
            assert pointer.append(f"after {after}".encode(), None, after=stands)
            assert pointer.read()[0].statement == f"after {after}".encode()
    assert snapshot(clone) == before
    assert not (tmp_path / "ran").exists()
    assert list((tmp_path / "home").iterdir()) == []


def test_a_linked_work_tree_and_a_shallow_clone_are_as_good(
    clone: Path, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a work tree of `git worktree`, and from a shallow clone as CI makes it, the remote is found and moved."""
    git(clone, "worktree", "add", "-q", str(tmp_path / "linked"))
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{bare}", str(tmp_path / "shallow"))
    version = None
    for name in ("linked", "shallow"):
        monkeypatch.chdir(tmp_path / name)
        with opened("git:origin") as pointer:
            pointer.read()
            assert pointer.append(name.encode(), None, after=version)
            version = pointer.read(1)[0].version


def test_what_git_remembers_of_other_places_is_not_followed(
    bare: Path, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables by which a hook is told its repository do not lead this one elsewhere."""
    monkeypatch.chdir(clone)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY", "GIT_INDEX_FILE", "GIT_NAMESPACE"):
        monkeypatch.setenv(name, "/nowhere")
    with opened("git:origin") as pointer:
        assert pointer.append(b"one", None, after=None)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY", "GIT_INDEX_FILE", "GIT_NAMESPACE"):
        monkeypatch.delenv(name)
    assert git(bare, "cat-file", "blob", "refs/champion/digits:promotion.json") == "one"


@pytest.mark.parametrize(
    "remote",
    [
        "ext::sh -c 'touch ran'",
        "fd::17",
        "--upload-pack=touch ran",
        "-oProxyCommand=touch ran",
        "git://localhost/x",
        "ftp://localhost/x",
        "http://example.org/x",
        "",
        "./a\nb",
        "./a\x1b[2J",
    ],
)
def test_a_remote_that_starts_a_program_is_refused(
    remote: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is an option, a transport that starts a program, or not encrypted is refused, and nothing is started."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught, opened(f"git:{remote}") as pointer:
        pointer.read()
    assert "\n" not in caught.value.message
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("how", ["url", "pushurl", "insteadOf"])
def test_a_remote_of_a_config_is_checked_too(how: str, clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository's own config cannot lead to a transport that starts a program."""
    monkeypatch.chdir(clone)
    git(clone, "config", "protocol.ext.allow", "always")
    hostile = f"ext::touch {clone}/ran"
    name, value = {
        "url": ("remote.origin.url", hostile),
        "pushurl": ("remote.origin.pushurl", hostile),
        "insteadOf": (f"url.{hostile}.insteadOf", "https://example.org/"),
    }[how]
    if how == "insteadOf":
        git(clone, "config", "remote.origin.url", "https://example.org/x")
    git(clone, "config", name, value)
    with pytest.raises(PipelineError), opened("git:origin") as pointer:
        pointer.read()
    assert not (clone / "ran").exists()


@pytest.mark.parametrize("role", ["heads", "tags", "remotes", "pull", "..", "a/b", "A", "", "-x", "a.lock", "x" * 41])
def test_a_role_is_no_branch_and_no_path(role: str) -> None:
    """A role that git or a forge uses otherwise, or that would lead elsewhere, is refused before anything is asked."""
    with pytest.raises(ConfigError, match="is no role"), opened_pointer("git:./x", REPOSITORY, role):
        pass


@pytest.mark.parametrize("name", ["..", "a/b", "A", "", "-x", "a.lock", "x" * 129])
def test_a_name_is_no_path(name: str) -> None:
    """A name that would lead elsewhere is refused before anything is asked."""
    with pytest.raises(ConfigError, match="is no name"), opened("git:./x", name=name):
        pass


@pytest.mark.parametrize("text", ["origin", "s3://bucket/*", "file:///x", "https://example.org", ""])
def test_another_kind_of_pointer_is_refused(text: str) -> None:
    """A pointer is in git or in an object store."""
    with pytest.raises(ConfigError, match="--pointer"), opened(text):
        pass


def test_a_remote_that_is_not_there_is_named(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a repository, without that remote, or where there is none, the error says so in git's words."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="not a git repository"), opened("git:origin"):
        pass
    monkeypatch.chdir(clone)
    with pytest.raises(ConfigError, match="No such remote 'nowhere'"), opened("git:nowhere"):
        pass
    with (
        pytest.raises(StorageError, match="does not appear to be a git repository"),
        opened("git:./nowhere") as pointer,
    ):
        pointer.read()


def test_git_has_to_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git the error says so, and a git of the working folder is not taken."""
    (tmp_path / "git").write_text("#!/bin/sh\ntouch ran\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ".")
    with pytest.raises(PipelineError, match="git is not installed"), opened("git:./x"):
        pass
    assert not (tmp_path / "ran").exists()


def test_a_login_in_a_url_is_not_printed(tmp_path: Path) -> None:
    """A password in a URL stands in no message."""
    with (
        pytest.raises(StorageError) as caught,
        opened("git:http://me:secret@127.0.0.1:9/x") as pointer,
    ):
        pointer.read()
    assert "127.0.0.1:9" in str(caught.value)
    assert "secret" not in str(caught.value)


def hook(bare: Path, name: str, script: str) -> None:
    place = bare / "hooks" / name
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(0o755)


def test_a_push_that_is_refused_is_no_lost_race(bare: Path) -> None:
    """Where the remote refuses for a reason of its own, that is what is said, and nothing stands there."""
    hook(bare, "pre-receive", "echo you may not; exit 1")
    with opened(f"git:{bare}") as pointer:
        with pytest.raises(StorageError, match="you may not"):
            pointer.append(b"one", None, after=None)
        assert pointer.read() == []


def test_a_ref_that_was_deleted_is_no_lost_race(bare: Path) -> None:
    """Where the ref is gone meanwhile no one has won: that is what is said, and none is made in its place."""
    with opened(f"git:{bare}") as pointer:
        assert pointer.append(b"one", None, after=None)
        after = pointer.read()[0].version
        git(bare, "update-ref", "-d", "refs/champion/digits")
        with pytest.raises(StorageError, match="cannot be moved"):
            pointer.append(b"two", None, after=after)
        assert pointer.read() == []


@pytest.mark.parametrize("later", [False, True])
def test_a_push_whose_answer_is_lost_has_won(bare: Path, *, later: bool) -> None:
    """A push that ends without an answer is looked for in the history, where others may have come after it."""
    hook(bare, "post-receive", "kill -9 $PPID")
    with opened(f"git:{bare}") as pointer:
        if later:
            own = pointer._fetched  # type: ignore[attr-defined]

            def meanwhile() -> str | None:
                shutil.rmtree(bare / "hooks")
                stands = git(bare, "rev-parse", "refs/champion/digits")
                tree = git(bare, "rev-parse", "refs/champion/digits^{tree}")
                next_one = git(bare, "commit-tree", "-m", "later", "-p", stands, tree)
                git(bare, "update-ref", "refs/champion/digits", next_one)
                pointer._fetched = own  # type: ignore[attr-defined]
                found: str | None = own()
                return found

            pointer._fetched = meanwhile  # type: ignore[attr-defined]
        assert pointer.append(b"one", None, after=None)
    assert len(git(bare, "rev-list", "refs/champion/digits").splitlines()) == 1 + later


def test_a_ref_that_is_held_is_waited_for(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ref that another one holds, and has not moved, is neither lost nor refused: it is tried again."""
    lock = bare / "refs" / "champion" / "digits.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    waited: list[int] = []

    def free(attempt: int) -> None:
        waited.append(attempt)
        lock.unlink()

    monkeypatch.setattr(git_pointer, "pause", free)
    with opened(f"git:{bare}") as pointer:
        assert pointer.append(b"one", None, after=None)
    assert waited == [0]


@pytest.mark.parametrize(
    "made",
    [
        lambda clone: git(clone, "rev-parse", "HEAD"),
        lambda clone: git(clone, "hash-object", "-w", "a"),
        lambda clone: git(clone, "rev-parse", "HEAD^{tree}"),
    ],
)
def test_a_ref_to_something_else_is_refused(made: Callable[[Path], str], clone: Path, bare: Path) -> None:
    """A ref that leads to no promotion is no history, and is not written over."""
    (clone / "a").write_text("3\n")
    git(clone, "push", "-q", "origin", f"{made(clone)}:refs/champion/digits")
    with opened(f"git:{bare}") as pointer:
        with pytest.raises(ArtifactRejected) as caught:
            pointer.read()
        assert caught.value.rules == {"pointer-invalid"}
        assert not pointer.append(b"one", None, after=None)


def test_a_statement_that_is_too_large_is_refused(bare: Path, clone: Path) -> None:
    """A statement of a megabyte is refused by its size."""
    (clone / "promotion.json").write_bytes(b" " * (1 << 20))
    git(clone, "add", "promotion.json")
    git(clone, "commit", "-q", "-m", "large")
    git(clone, "push", "-q", "origin", "HEAD:refs/champion/digits")
    with pytest.raises(ArtifactRejected, match="larger than"), opened(f"git:{bare}") as pointer:
        pointer.read()


def test_an_endless_git_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that does not end is ended, and named."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(git_pointer, "_TIMEOUT", 0.1)
    with pytest.raises(StorageError, match="git takes longer than"), opened("git:./x") as pointer:
        pointer.read()


# --- an object store


@pytest.mark.needs("moto")
@pytest.mark.parametrize("answer", ["lost", "later"])
def test_an_entry_whose_answer_is_lost_has_won(
    answer: str, server: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that was done and not answered is found again when it is repeated, whatever was added after it."""
    lost: list[str] = []
    place = f"{bucket}/promotions/champion/digits"

    def lose_first(request: Request) -> Response:
        response = forward(server.removeprefix("http://"), request)
        if request.method == "PUT" and request.path.endswith("0000000001.json") and not lost:
            lost.append(request.path)
            if answer == "later":
                assert objects.write_if(f"{place}/0000000002.json", b"two", None)
            raise Lost
        return response

    with relay(lose_first) as between, opened(f"{bucket}/promotions") as pointer:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{between.address}")
        assert pointer.append(b"one", None, after=None)
        assert [each.statement for each in pointer.read()] == [b"two", b"one"][answer == "lost" :]
    assert lost


@pytest.mark.needs("moto")
def test_a_log_with_a_gap_is_refused(bucket: str) -> None:
    """A log of which an entry was deleted is no history."""
    with opened(f"{bucket}/promotions") as pointer:
        for number in range(3):
            assert pointer.append(f"{number}".encode(), None, after=f"{number}" if number else None)
        objects.remove(f"{bucket}/promotions/champion/digits/0000000002.json")
        with pytest.raises(ArtifactRejected) as caught:
            pointer.read()
    assert caught.value.rules == {"pointer-invalid"}


@pytest.mark.needs("moto")
def test_a_store_that_does_not_answer_is_named(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket that is not there ends with the status of a storage that refuses."""
    monkeypatch.setattr(repeating, "FIRST_PAUSE", 0.0)
    with opened("s3://nowhere-at-all/promotions") as pointer:
        with pytest.raises(StorageError):
            pointer.append(b"one", None, after=None)
        with pytest.raises(StorageError):
            pointer.append(b"one", None, after="1")
