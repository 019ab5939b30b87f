"""The commit around a folder, and whether its files differ from it, without running anything of the folder.

In a folder that came from elsewhere `git status` runs what the folder's own `.git/config` names: a filter, a monitor,
an ssh command. So the commit is read here, from small text files. Only git can say whether files differ; it gets a
repository folder of ours, with our config, and of theirs only the index and the objects.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from artifact_pipeline.files import read_bounded, reason_of

MAX_BYTES = 1 << 16
"""Bytes of a file that holds one line."""
_MAX_SETTINGS = 1 << 20
_MAX_SETTING = 1000
"""Characters of a line of settings; no setting that counts here has a longer one."""
_MAX_REFS = 64 << 20
_MAX_INDEX = 1 << 30
TIMEOUT = 10.0
"""Seconds that git may take for one command."""
_MAX_ALLOCATION = "1g"
"""What git may allocate at once: an object itself states how large it is once unpacked."""
_MAX_LINKS = 5
"""How many refs may lead to a ref, one after the other."""

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PART = r"[^\s./~^:?*\[\\\x00-\x1f][^\s/~^:?*\[\\\x00-\x1f]*"
_REF = re.compile(rf"ref: (refs(?:/{_PART})+)")
_SECTION = re.compile(r'\s*\[\s*([A-Za-z0-9.-]+)\s*("[^"]*")?\s*\](.*)')
_SETTING = re.compile(r'\s*([A-Za-z][A-Za-z0-9-]*)\s*(?:=\s*"?([^"#;]*?)"?\s*)?(?:[#;].*)?')
_PLAIN = {"filemode", "symlinks", "autocrlf", "eol", "trustctime", "checkstat", "ignorecase", "precomposeunicode"}
"""Settings that say how files are compared, and that do not name a program or a file."""
_STATUS = ("--porcelain=v2", "--untracked-files=no", "--ignore-submodules=all", "--no-renames")
_SUBMODULE = b"160000 "
"""How `ls-files --stage` begins the line of a submodule."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """What is known of the commit that is checked out around a folder.

    Attributes:
        commit: its hexadecimal name; None where that is unknown.
        dirty: whether tracked files differ from it; None where that is unknown.
        reason: why something is unknown, a sentence without paths and without a full stop; None where all is known.
    """

    commit: str | None = None
    dirty: bool | None = None
    reason: str | None = None

    @classmethod
    def around(cls, folder: Path) -> Checkout | None:
        """Return the commit that is checked out around a folder; None where there is no repository, or no commit yet.

        Files are read, and nothing of the repository is run, whichever user owns it.
        """
        commit = None
        try:
            repository = _find_repository(folder.resolve())
            if repository is None:
                return None
            core = _core_settings(repository)
            _check_place(repository, core)
            commit = _head_commit(repository)
            return None if commit is None else cls(commit, _is_dirty(repository, commit, core))
        except ValueError as error:
            return cls(commit, reason=str(error))
        except RuntimeError:  # of `resolve`
            return cls(commit, reason="its .git leads in a circle")
        except subprocess.TimeoutExpired:
            return cls(commit, reason=f"git took longer than {TIMEOUT:.0f} seconds")
        except OSError as error:
            what = "its .git cannot be read" if commit is None else "its files cannot be compared"
            return cls(commit, reason=f"{what}: {reason_of(error)}")


@dataclass(frozen=True, slots=True)
class _Repository:
    """Where a repository's parts stand.

    Attributes:
        work: the folder that is checked out.
        own: the folder with its HEAD and its index.
        common: the folder with refs, objects and config, which several working folders may share.
    """

    work: Path
    own: Path
    common: Path


# --- where it is


def _find_repository(folder: Path) -> _Repository | None:
    for work in (folder, *folder.parents):
        place = work / ".git"
        if place.is_symlink():
            raise ValueError("its .git is a link, which is not followed")
        if place.is_file():
            return _linked_repository(work, place)
        if (place / "HEAD").is_file():
            if (place / "commondir").exists():
                raise ValueError("its .git folder leads elsewhere, which is not followed")
            return _Repository(work, place, place)
    return None


def _linked_repository(work: Path, place: Path) -> _Repository:
    """The repository of a `.git` file, if it leads to a folder that leads back, or to one around this folder.

    Anybody can write such a file, and let it lead to a repository that has nothing to do with this folder.
    """
    own = (work / _text(work, ".git").removeprefix("gitdir: ")).resolve()
    if (own / "commondir").is_file():  # `git worktree add` made it
        common = (own / _text(own, "commondir")).resolve()
        back = (own / _text(own, "gitdir")).resolve()
        if back == place and own.parent == common / "worktrees":
            return _Repository(work, own, common)
    elif any(own.is_relative_to(each / ".git" / "modules") for each in work.parents):  # a submodule's, in the outer one
        return _Repository(work, own, own)
    raise ValueError("its .git file leads to a place that does not lead back, which is not followed")


def _check_place(repository: _Repository, core: dict[str, str]) -> None:
    if (repository.common / "reftable").exists():
        raise ValueError("its refs are kept as a reftable, which is not read")
    if repository.own != repository.common:
        return  # the config says nothing about one of several working folders
    if core.get("bare", "false").lower() not in {"false", "no", "off", "0", ""}:
        raise ValueError("its repository is bare, so that nothing is checked out")
    elsewhere = core.get("worktree")
    if elsewhere is not None and (repository.own / elsewhere).resolve() != repository.work:
        raise ValueError("its repository says that another folder is checked out")


def _core_settings(repository: _Repository) -> dict[str, str]:
    """The settings of `[core]`; what the config includes is not read."""
    section, found = "", dict[str, str]()
    lines = _text(repository.common, "config", optional=True, limit=_MAX_SETTINGS).splitlines()
    for line in (each for each in lines if len(each) <= _MAX_SETTING):
        rest = line
        if head := _SECTION.fullmatch(line):
            section, rest = head[1].lower() + (head[2] or ""), head[3]
        if section == "core" and (setting := _SETTING.fullmatch(rest)):
            found[setting[1].lower()] = "true" if setting[2] is None else setting[2]
    return found


# --- which commit


def _text(root: Path, name: str, *, optional: bool = False, limit: int = MAX_BYTES) -> str:
    """A file's text without the line break at its end; empty where there is no file and it is optional.

    Raises:
        OSError: it cannot be read.
        ValueError: it leads out of `root`, is too large, or is no regular file.
    """
    place = root / name
    if optional and not place.is_file():
        return ""
    if not place.resolve().is_relative_to(root.resolve()):
        raise ValueError("a file of its .git leads elsewhere, and is not followed")
    try:
        return read_bounded(place, limit).decode("utf-8", "surrogateescape").rstrip("\n")
    except ValueError as error:
        raise ValueError(f"a file of its .git is {error}") from None


def _head_commit(repository: _Repository) -> str | None:
    """The commit that HEAD names; None where its branch has none yet."""
    text = _text(repository.own, "HEAD")
    for _ in range(_MAX_LINKS):
        if _HASH.fullmatch(text):
            return text
        ref = _REF.fullmatch(text)
        if ref is None:
            raise ValueError("its HEAD is of no known form")
        text = _text(repository.common, ref[1], optional=True) or _packed_ref(repository, ref[1])
        if not text:
            return None
    raise ValueError("its HEAD leads from ref to ref")


def _packed_ref(repository: _Repository, ref: str) -> str:
    lines = _text(repository.common, "packed-refs", optional=True, limit=_MAX_REFS).splitlines()
    return next((line.removesuffix(f" {ref}") for line in lines if line.endswith(f" {ref}")), "")


# --- whether files differ


def _is_dirty(repository: _Repository, commit: str, core: dict[str, str]) -> bool:
    """Whether a tracked file differs from the commit.

    Raises:
        ValueError, OSError, subprocess.TimeoutExpired: that cannot be known.
    """
    index = repository.own / "index"
    if index.exists() and not (stat.S_ISREG(index.stat().st_mode) and index.stat().st_size <= _MAX_INDEX):
        raise ValueError("its index is no regular file, or too large")
    with tempfile.TemporaryDirectory(prefix="artifact-pipeline-") as folder:
        git = _Git(repository, Path(folder), commit, core)
        changed = []
        for entry in git.run("status", *_STATUS):
            kind, state, *_, path = entry.split(b" ", 8)
            if kind != b"1" or state != b".M":  # staged, deleted or in conflict: no filter would make it the same
                return True
            changed.append(path)
        if changed:
            attributes = git.run("check-attr", "--stdin", "filter", given=b"\0".join(changed) + b"\0")
            if {b"unspecified", b"unset"} & {*attributes[2::3]}:
                return True
            raise ValueError("changed files belong to a filter, which is not run")
        for entry in git.run("ls-files", "--stage"):
            head, _, path = entry.partition(b"\t")
            if head.startswith(_SUBMODULE) and (repository.work / os.fsdecode(path) / ".git").exists():
                raise ValueError("it has submodules, which are not looked into")
    return False


class _Git:
    """The user's git, in a repository folder of ours, which holds no config, hook or remote of the checkout."""

    def __init__(self, repository: _Repository, folder: Path, commit: str, core: dict[str, str]) -> None:
        # Never from a relative path: that would be a program of the working folder.
        self._path = os.pathsep.join(each for each in os.get_exec_path() if Path(each).is_absolute())
        program = shutil.which("git", path=self._path)
        if program is None:
            raise ValueError("git is not installed")
        self._program, self._folder = program, folder
        for name in ("refs", "objects", "info"):
            (folder / name).mkdir()
        (folder / "HEAD").write_text(f"{commit}\n")
        (folder / "config").write_text(_config(commit, core))
        attributes = _text(repository.common, "info/attributes", optional=True, limit=_MAX_SETTINGS)
        (folder / "info" / "attributes").write_text(attributes + "\n", errors="surrogateescape")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            "PATH": self._path,
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "GIT_ALLOC_LIMIT": _MAX_ALLOCATION,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_DIR": str(folder),
            "GIT_INDEX_FILE": str(repository.own / "index"),
            "GIT_OBJECT_DIRECTORY": str(repository.common / "objects"),
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_WORK_TREE": str(repository.work),
        }

    def run(self, *arguments: str, given: bytes = b"") -> list[bytes]:
        """Return what a command prints, split at its zero bytes.

        Raises:
            ValueError: it fails.
            subprocess.TimeoutExpired: it does not end.
        """
        done = subprocess.run(  # noqa: S603 - literal commands, and git is whichever the user has
            [self._program, *arguments[:1], "-z", *arguments[1:]],
            cwd=self._folder,
            env=self._environment,
            input=given,
            capture_output=True,
            check=False,
            timeout=TIMEOUT,
        )
        if done.returncode:
            raise ValueError("git cannot compare its files with the commit")
        return done.stdout.split(b"\0")[:-1]


def _config(commit: str, core: dict[str, str]) -> str:
    lines = ["[core]", f"repositoryformatversion = {int(len(commit) == 64)}", "bare = false"]
    lines += [
        f"{name} = {value}" for name, value in core.items() if name in _PLAIN and re.fullmatch("[a-zA-Z]+", value)
    ]
    lines += ["[extensions]", "objectformat = sha256"] if len(commit) == 64 else []
    return "\n".join([*lines, ""])
