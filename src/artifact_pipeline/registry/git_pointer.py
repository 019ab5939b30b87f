"""A pointer in a git repository: a ref that is moved by a push with `--force-with-lease`.

The ref leads to a commit with the statement, and its signature where it has one; the commit before is the promotion
before. The remote accepts one of several pushes, the one that names the commit to which the ref leads. git runs with
the settings of the user, whose logins it needs, but without hooks, questions, and transports that start programs. Its
new objects go into a folder of ours: work tree, index, refs and objects of the user's repository stay as they are.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from artifact_pipeline.errors import ConfigError, PipelineError, StorageError
from artifact_pipeline.files import reason_of
from artifact_pipeline.registry.addresses import is_permitted
from artifact_pipeline.registry.pointers import MAX_ENTRIES, MAX_STATEMENT_BYTES, RecordedPromotion, no_history
from artifact_pipeline.registry.repeating import TRIES, pause

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.registry.addresses import Plain

_TIMEOUT = 120.0
"""Seconds that git may take for one command."""
_STATEMENT, _SIGNATURE = "promotion.json", "promotion.json.sig"
_REMOTE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_HELPER = re.compile(r"[A-Za-z0-9+.-]*::")
"""The beginning of a URL that names a program as its transport."""
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ELSEWHERE = {
    *("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"),
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_QUARANTINE_PATH"),
}
"""Variables by which git would look for a repository in another place."""
_SETTINGS = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "gc.auto=0", "push.gpgSign=false")
_HINT_REMOTE = "name a remote (git:origin), a URL (git:https://…, git:ssh://…), or a path with a slash (git:./repo)"


@contextmanager
def opened_ref(remote: str, ref: str, *, plain_http: bool = False) -> Iterator[_GitPointer]:
    """A pointer that is a ref, usable while the block lasts.

    Args:
        remote: a remote's name in the repository around the working folder; a URL; or a path with a slash.
        ref: its full name.
        plain_http: let git speak HTTP without TLS, wherever the remote is; with this machine that is done anyway.

    Raises:
        ConfigError: there is no such remote, or its URL is of a kind that is not allowed.
        PipelineError: git is not installed.
    """
    git = shutil.which("git", path=_absolute_path())
    if git is None:
        raise PipelineError("git is not installed", hint="install git, or name a pointer in an object store: s3://…")
    with tempfile.TemporaryDirectory(prefix="artifact-pipeline-") as name:
        runner, url = _GitRunner(git, Path(name)), remote
        if _REMOTE.fullmatch(remote):
            url = runner.url_of(remote)
        else:
            runner.begin()
        url = _checked(url, plain_http=plain_http)
        runner.allow("file:https:ssh:http" if url.startswith("http:") else "file:https:ssh")
        yield _GitPointer(runner, url, ref)


class _GitPointer:
    """The ref of a repository that is elsewhere."""

    def __init__(self, git: _GitRunner, url: str, ref: str) -> None:
        self._git, self._url, self._ref = git, url, ref
        self.place = f"{ref} of {_without_login(url)}"
        self._fetched_commits: set[str] = set()

    def read(self, most: int = MAX_ENTRIES) -> list[RecordedPromotion]:
        """As `PromotionPointer.read`."""
        tip = self._fetched()
        if tip is None:
            return []
        listed = self._git.run("rev-list", "--first-parent", f"--max-count={most}", tip)
        commits = listed.stdout.decode("ascii").split()
        if commits[:1] != [tip]:
            raise no_history(self.place, "leads to no commit")
        found = self._blobs([f"{commit}:{name}" for commit in commits for name in (_STATEMENT, _SIGNATURE)])
        recorded = []
        for commit in commits:
            statement = found[f"{commit}:{_STATEMENT}"]
            if statement is None:
                raise no_history(self.place, f"the commit {commit} has no {_STATEMENT}")
            recorded.append(RecordedPromotion(statement, found[f"{commit}:{_SIGNATURE}"], commit))
        return recorded

    def append(self, statement: bytes, signature: bytes | None, *, after: str | None) -> bool:
        """As `PromotionPointer.append`."""
        commit = self._commit(statement, signature, after)
        done = self._push(commit, after)
        for attempt in range(TRIES):
            if not done.returncode:
                return True
            stands = self._fetched()
            if stands is not None and stands != after:
                # Whether our commit is, or comes before, the one that the ref leads to.
                return not self._git.run("merge-base", "--is-ancestor", commit, stands).returncode
            if b"lock" not in done.stderr:  # else the ref is held by one that has not moved it yet
                break
            pause(attempt)
            done = self._push(commit, after)
        raise self._refused("cannot be moved", done)

    def _push(self, commit: str, after: str | None) -> subprocess.CompletedProcess[bytes]:
        return self._git.run(
            *("push", "--quiet", "--no-verify", "--no-follow-tags", "--no-recurse-submodules", "--no-signed"),
            *(f"--force-with-lease={self._ref}:{after or ''}", "--", self._url, f"{commit}:{self._ref}"),
        )

    def _fetched(self) -> str | None:
        """The commit that the ref leads to, with all before it; None where there is no such ref."""
        done = self._git.run("ls-remote", "--refs", "--", self._url, self._ref)
        if done.returncode:
            raise self._refused("cannot be read", done)
        lines = (line.partition("\t") for line in done.stdout.decode("ascii", "replace").splitlines())
        tip = next((found for found, _, name in lines if name == self._ref), None)
        if tip is None or not _HASH.fullmatch(tip):
            return None
        if tip in self._fetched_commits:
            return tip
        done = self._git.run(
            *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-prune"),
            *("--no-recurse-submodules", "--", self._url, self._ref),
        )
        if done.returncode:
            raise self._refused("cannot be read", done)
        self._fetched_commits.add(tip)
        return tip

    def _blobs(self, names: list[str]) -> dict[str, bytes | None]:
        """Small files by `COMMIT:NAME`; None for each that is not there."""
        asked = "".join(f"{name}\n" for name in names).encode("ascii")
        sizes = self._output("cat-file", "--batch-check=%(objecttype) %(objectsize)", stdin=asked).splitlines()
        there: list[str] = []
        for name, line in zip(names, sizes, strict=True):
            kind, _, size = line.partition(b" ")
            if kind == b"blob":
                if int(size) > MAX_STATEMENT_BYTES:
                    raise no_history(self.place, f"{name} is larger than {MAX_STATEMENT_BYTES:,} bytes")
                there.append(name)
        asked = "".join(f"{name}\n" for name in there).encode("ascii")
        data = self._output("cat-file", "--batch=%(objectsize)", stdin=asked)
        found: dict[str, bytes | None] = dict.fromkeys(names)
        at = 0
        for name in there:
            begin = data.index(b"\n", at) + 1
            end = begin + int(data[at : begin - 1])
            found[name], at = data[begin:end], end + 1
        return found

    def _commit(self, statement: bytes, signature: bytes | None, after: str | None) -> str:
        tree = ""
        for name, data in ((_STATEMENT, statement), (_SIGNATURE, signature)):
            if data is not None:
                tree += f"100644 blob {self._created('hash-object', '-w', '--stdin', stdin=data)}\t{name}\n"
        parent = ("-p", after) if after is not None else ()
        return self._created(
            *("commit-tree", "--no-gpg-sign", "-m", f"Move {self._ref}", *parent),
            self._created("mktree", stdin=tree.encode("ascii")),
        )

    def _output(self, *arguments: str, stdin: bytes = b"") -> bytes:
        done = self._git.run(*arguments, stdin=stdin)
        if done.returncode:
            raise self._refused("cannot be used", done)
        return done.stdout

    def _created(self, *arguments: str, stdin: bytes = b"") -> str:
        return self._output(*arguments, stdin=stdin).decode("ascii").strip()

    def _refused(self, what: str, done: subprocess.CompletedProcess[bytes]) -> StorageError:
        words = _error_text(done.stderr).replace(self._url, _without_login(self._url))
        hint = "see that git can reach it, and that you may push there: in a workflow, permissions: contents: write"
        return StorageError(f"{self.place} {what}: {words}", hint=hint)


class _GitRunner:
    """The user's git, with a folder of ours for its objects."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program, self._folder = program, folder
        self._objects = folder / "objects"
        (self._objects / "info").mkdir(parents=True)
        own = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
        who = {"NAME": "artifact-pipeline", "EMAIL": "artifact-pipeline@localhost"}
        self._environment = {
            **own,
            **{f"GIT_{role}_{name}": value for role in ("AUTHOR", "COMMITTER") for name, value in who.items()},
            "PATH": _absolute_path(),
            "GIT_ALLOC_LIMIT": "256m",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
            "SSH_ASKPASS_REQUIRE": "never",
        }

    def allow(self, transports: str) -> None:
        """Let git use no other transports than these, wherever a remote leads."""
        self._environment["GIT_ALLOW_PROTOCOL"] = transports

    def begin(self) -> None:
        """Make a repository of ours, with nothing in it."""
        (self._folder / "refs").mkdir()
        (self._folder / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
        (self._folder / "config").write_text("[core]\n\tbare = true\n", encoding="ascii")
        self._environment |= {"GIT_DIR": str(self._folder), "GIT_OBJECT_DIRECTORY": str(self._objects)}

    def url_of(self, remote: str) -> str:
        """Use the settings of the repository around the working folder, and return where it pushes to."""
        where = Path.cwd()
        done = self.run("rev-parse", "--path-format=absolute", "--git-dir", "--git-path", "objects", where=where)
        lines = done.stdout.decode("utf-8", "surrogateescape").splitlines()
        if not done.returncode:
            done = self.run("remote", "get-url", "--push", "--", remote, where=where)
        if done.returncode:
            raise ConfigError(f"--pointer git:{remote}: {_error_text(done.stderr)}", hint=_HINT_REMOTE)
        alternates = self._objects / "info" / "alternates"
        alternates.write_text(f"{lines[1]}\n", encoding="utf-8", errors="surrogateescape")
        self._environment |= {"GIT_DIR": lines[0], "GIT_OBJECT_DIRECTORY": str(self._objects)}
        return done.stdout.decode("utf-8", "surrogateescape").splitlines()[0]

    def run(self, *arguments: str, stdin: bytes = b"", where: Path | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end; one that cannot be started, or does not end, is one that fails."""
        command = [self._program, *(part for each in _SETTINGS for part in ("-c", each)), *arguments]
        try:
            return subprocess.run(  # noqa: S603 - literal commands; what comes from outside stands behind `--`
                command,
                cwd=where or self._folder,
                env=self._environment,
                input=stdin,
                capture_output=True,
                check=False,
                timeout=_TIMEOUT,
                start_new_session=True,  # no terminal on which ssh could ask
            )
        except subprocess.TimeoutExpired:
            reason = f"git takes longer than {_TIMEOUT:.0f} seconds"
        except OSError as error:
            reason = reason_of(error)
        return subprocess.CompletedProcess(command, 1, b"", reason.encode())


def _absolute_path() -> str:
    """PATH without its relative parts, by which a program of the working folder would be found."""
    return os.pathsep.join(each for each in os.get_exec_path() if Path(each).is_absolute())


def _checked(url: str, *, plain_http: bool) -> str:
    """A URL of a kind that is allowed; a path is made an absolute one."""
    scheme, is_url, _ = url.partition("://")
    plain: Plain = "anywhere" if plain_http else "here"
    allowed = scheme in {"https", "ssh", "file"} or is_permitted(_without_login(url), plain=plain)
    if not url or url.startswith("-") or not url.isprintable() or _HELPER.match(url) or (is_url and not allowed):
        raise ConfigError(f"--pointer: {_without_login(url)!r:.200} is no remote that is allowed", hint=_HINT_REMOTE)
    if is_url or ":" in url.partition("/")[0]:  # or `host:path`, as ssh has it
        return url
    return os.path.abspath(url)  # noqa: PTH100 - a link stays a link


def _without_login(url: str) -> str:
    """A URL without the login that may stand in it."""
    return re.sub(r"://[^/@]*@", "://", url)


def _error_text(errors: bytes) -> str:
    """What git says of an error, in one line and without a login."""
    lines = [line for line in errors.decode("utf-8", "replace").splitlines() if line and not line.startswith("hint:")]
    return _without_login("; ".join(lines))[:400] or "git does not say why"
