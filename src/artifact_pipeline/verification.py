"""Verification: the bytes of a folder become `Verified`, or every problem is named.

The standard library and msgspec alone, unless a signature is asked for. The bytes that are checked are the bytes that
are used afterwards: each file is opened once, by a name found in the folder itself, and read once.
"""

from __future__ import annotations

import errno
import os
import re
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Literal

from artifact_pipeline.artifact.gate import GATE_ALONE, gate_problems
from artifact_pipeline.artifact.manifest import Verified, parse_manifest
from artifact_pipeline.artifact.manifest1 import Manifest1
from artifact_pipeline.artifact.parts import MAX_FILE_BYTES, MAX_MANIFEST_BYTES, NAME
from artifact_pipeline.artifact.pointer import HINT_TRAIN, follow
from artifact_pipeline.artifact.reference import Reference
from artifact_pipeline.canonical import PREFIX, digest
from artifact_pipeline.errors import ArtifactRejected, ConfigError, Problem, plural
from artifact_pipeline.files import read_bounded, read_descriptor, reason_of
from artifact_pipeline.rows.matrix import HELD_OUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.artifact.manifest2 import Manifest2
    from artifact_pipeline.trust.policy import Trust

MAX_ENTRIES = 256
"""A folder with more entries than this is no artifact, and is not walked further."""


def verify(
    path: Path, *, expect: str | None = None, accept_failed_gate: bool = False, trust: Trust | None = None
) -> Verified:
    """Check every byte of an artifact before anything of it is used.

    Args:
        path: a pointer, or an artifact's folder.
        expect: the artifact digest known from elsewhere; another one is refused before it is parsed.
        accept_failed_gate: let a missing or failed gate pass, unless the policy insists on it.
        trust: the required signer and the consumer's policy; both are checked before the model is parsed.

    Raises:
        ArtifactRejected: with every problem found.
        ConfigError: `expect` is no digest.
    """
    check_expected(expect)
    folder, promised = follow(path)
    with _opened(folder) as descriptor:
        names = _names(descriptor)
        data, problems = _read_manifest(names, descriptor)
        found = digest(data)
        problems = problems or [*_identity_problems(promised, found, expect)]
        if problems:
            raise _rejected(path, problems)
        signed = trust.admit(folder, found) if trust is not None else None
        manifest = parse_manifest(data)
        members, problems = _read_members(manifest, names, descriptor)
    insisted = trust is not None and trust.policy.require_gate
    problems += gate_problems(manifest, accept_failed=accept_failed_gate and not insisted)
    if trust is not None:
        problems += trust.judge(manifest, signed)
    if trust is None or not problems:
        problems += _content_problems(manifest, members)
    if problems:
        raise _rejected(path, problems, insisted=insisted)
    fulfilled = Verified.Trusted(
        expected=expect is not None,
        signer=signed.signer if signed is not None else None,
        policy=trust.policy_digest if trust is not None else None,
    )
    return Verified(digest=found, manifest=manifest, members=members, folder=folder, trust=fulfilled)


def check_expected(expect: str | None) -> None:
    """See that what is expected is an artifact digest, or nothing.

    Raises:
        ConfigError: it is something else.
    """
    if expect is not None and not re.fullmatch(r"sha256:[0-9a-f]{64}", expect):
        raise ConfigError(f"--expect: must be sha256: and 64 hexadecimal digits, got {expect!r:.80}")


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Hold the folder open: what is listed and what is read are one folder, whatever is renamed meanwhile."""
    try:
        # No link is followed: what was compared with its name is what is read.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        problem = Problem(str(folder), "artifact-missing", (error.strerror or "cannot be opened").lower())
        raise ArtifactRejected("there is no artifact", problems=[problem], hint=HINT_TRAIN) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _names(folder: int) -> list[str]:
    """Return the first names of an open folder; a folder with a billion entries is not listed whole."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in islice(entries, MAX_ENTRIES + 1))


def _read_manifest(names: Sequence[str], folder: int) -> tuple[bytes, list[Problem]]:
    if len(names) > MAX_ENTRIES:
        return b"", [Problem(".", "too-many-entries", f"the folder holds more than {MAX_ENTRIES} entries")]
    if NAME not in names:
        return b"", [Problem(NAME, "file-missing", "is not in the folder")]
    try:
        return _read(NAME, folder, MAX_MANIFEST_BYTES), []
    except (OSError, ValueError) as error:
        return b"", [_unreadable(NAME, error, too_large="manifest-too-large")]


def _identity_problems(promised: Iterable[str], found: str, expect: str | None) -> Iterator[Problem]:
    if expect is not None and found != expect:
        yield Problem(NAME, "digest-unexpected", f"expected {expect}, found {found}")
    # The store names a folder by its digest, so a folder that was changed in place contradicts its own name.
    for name in sorted(promised):
        if PREFIX + name != found:
            yield Problem(NAME, "store-name", f"stands in the store as {name}, is {found}")


def _read_members(manifest: Manifest, names: Sequence[str], folder: int) -> tuple[dict[str, bytes], list[Problem]]:
    """Read every listed file once; the bytes of a file with a problem are left out."""
    listed = {record.name: record for record in manifest.files}
    members: dict[str, bytes] = {}
    problems = []
    for name in sorted({*listed, *names} - {NAME}):
        if name not in listed:
            problems.append(Problem(f"{name!r:.80}", "file-unlisted", "is in the folder but not in the manifest"))
        elif name not in names:
            problems.append(Problem(name, "file-missing", "is in the manifest but not in the folder"))
        else:
            found = _read_member(listed[name], folder)
            if isinstance(found, Problem):
                problems.append(found)
            else:
                members[name] = found
    return members, problems


def _read_member(record: Manifest1.File, folder: int) -> bytes | Problem:
    try:
        data = _read(record.name, folder, record.size)
    except (OSError, ValueError) as error:
        return _unreadable(record.name, error, too_large="file-size")
    if len(data) != record.size:
        return Problem(record.name, "file-size", f"{len(data):,} bytes, the manifest says {record.size:,}")
    if digest(data) != record.sha256:
        return Problem(record.name, "file-digest", f"found {digest(data)}, the manifest says {record.sha256}")
    return data


def _read(name: str, folder: int, limit: int) -> bytes:
    # No link is followed, and a FIFO put in the file's place must not make the reader wait.
    return read_descriptor(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder), limit)


def _unreadable(name: str, error: OSError | ValueError, *, too_large: str) -> Problem:
    if isinstance(error, ValueError):
        return Problem(name, "file-not-regular" if "regular" in str(error) else too_large, str(error))
    if error.errno == errno.ELOOP:
        return Problem(name, "file-link", "is a symbolic link; an artifact holds only regular files")
    if error.errno in {errno.ENXIO, errno.EISDIR}:  # a socket, a folder
        return Problem(name, "file-not-regular", "not a regular file")
    return Problem(name, "file-unreadable", reason_of(error))


def _content_problems(manifest: Manifest, members: Mapping[str, bytes]) -> Iterator[Problem]:
    """Look inside the files whose bytes are the listed ones."""
    own = _checks_of_format_1(manifest) if isinstance(manifest, Manifest1) else _checks_of_format_2(manifest)
    checks: dict[str, Callable[[bytes], Iterable[Problem]]] = {
        **own,
        "reference": lambda data: Reference.read(data).problems(manifest),
        "split": lambda data: _split_problems(manifest, data),
    }
    for role, check in checks.items():
        name = manifest.file(role).name
        if name in members:
            try:
                yield from check(members[name])
            except ArtifactRejected as error:
                yield from error.problems


def _checks_of_format_1(manifest: Manifest1) -> dict[str, Callable[[bytes], Iterable[Problem]]]:
    from artifact_pipeline.artifact.parameters import parameter_problems
    from artifact_pipeline.artifact.selftest import SelfTest

    return {
        "model": lambda data: _model_problems(manifest, data),
        "parameters": lambda data: parameter_problems(manifest, data),
        "selftest": lambda data: SelfTest.read(data).problems(manifest),
    }


def _checks_of_format_2(manifest: Manifest2) -> dict[str, Callable[[bytes], Iterable[Problem]]]:
    from artifact_pipeline.artifact.selftest2 import GoldenRows
    from artifact_pipeline.model.check import check_written

    def check_model(data: bytes) -> Iterable[Problem]:
        check_written(data, manifest.model, name=manifest.file("model").name)
        return ()

    return {"model": check_model, "selftest": lambda data: GoldenRows.read(data).problems(manifest)}


def _model_problems(manifest: Manifest1, data: bytes) -> Iterator[Problem]:
    from artifact_pipeline.model.linear import walk

    place, said = manifest.file("model").name, manifest.model
    found = walk(data, name=place)
    said_tensors = [("X", said.dtype, said.shape), *((each.name, each.dtype, each.shape) for each in said.outputs)]
    if said_tensors != found.tensors or said.shape != (None, len(said.inputs)):
        yield Problem(place, "model-shape", f"the manifest says {said_tensors}, the model has {found.tensors}")
    if said.classes != found.classes:
        yield Problem(place, "model-classes", "the manifest has other classes than the model")


def _split_problems(manifest: Manifest, data: bytes) -> Iterator[Problem]:
    place, split = manifest.file("split").name, manifest.data.split
    rows = manifest.data.split_rows
    if len(data) != (rows + 7) // 8 or split.held_out + split.training != manifest.data.rows:
        yield Problem(place, "split-rows", f"does not hold one bit for each of {plural(rows, 'row')}")
    elif int.from_bytes(data, "little") >> rows:
        yield Problem(place, "split-rows", f"marks rows beyond the {rows:,} that there are")
    elif int.from_bytes(data, "little").bit_count() != split.held_out:
        counted = plural(split.held_out, "held-out row")
        yield Problem(place, "split-count", f"does not mark the {counted} of the manifest")
    elif (marks := _held_out_file(manifest)) is not None and marks != int.from_bytes(data, "little"):
        yield Problem(place, "split-rows", "does not mark just the rows of the held-out file")


def _held_out_file(manifest: Manifest) -> int | None:
    """Return the bits of `split.bin` as one number, where a file of its own has the held-out rows; else None."""
    first, found = 0, None
    for source in manifest.data.split_sources:
        if source.name == HELD_OUT:
            found = (found or 0) | ((1 << source.rows) - 1) << first
        first += source.rows
    return found


def _rejected(path: Path, problems: Sequence[Problem], *, insisted: bool = False) -> ArtifactRejected:
    if {problem.rule for problem in problems} <= GATE_ALONE:
        option = "the policy asks for a gate that passed" if insisted else "--accept-failed-gate uses it all the same"
        return ArtifactRejected(
            f"{path} is whole, and did not pass its gate", problems=problems, hint=f"train a better one; {option}"
        )
    return ArtifactRejected(
        f"{path} is not what it claims to be: {plural(len(problems), 'problem')}",
        problems=problems,
        hint="do not load it; take it again from where it was published, or train again",
    )


def export_state(manifest: Manifest, export: Path) -> Literal["matches", "differs", "missing"]:
    """Compare a file with the exports that the manifest binds, by its digest alone.

    What is not a readable regular file differs; it is never loaded, here or elsewhere.
    """
    try:
        found = digest(read_bounded(export, MAX_FILE_BYTES))
    except FileNotFoundError:
        return "missing"
    except (OSError, ValueError):
        return "differs"
    return "matches" if found in {each.sha256 for each in manifest.exports} else "differs"
