"""An artifact at a local path, or in a registry or an object store, from where it is pulled and not kept.

All that is used of a verified artifact is in memory. So a pull needs a private temporary folder only until then: there
is no cache to operate, and a process that is killed later leaves nothing behind.
"""

from __future__ import annotations

import atexit
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from artifact_pipeline import verification
from artifact_pipeline.errors import ArtifactRejected, ConfigError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.registry.reference import ImageReference, StoreReference
    from artifact_pipeline.registry.request import RegistryRequest
    from artifact_pipeline.trust.policy import Trust


def verify(
    place: Path | str, *, expect: str | None = None, accept_failed_gate: bool = False, trust: Trust | None = None
) -> Verified:
    """Check every byte of an artifact, wherever it is, before anything of it is used.

    Args:
        place: a pointer or an artifact's folder; or, as a text, where it is in a registry or an object store.
        expect: as `verification.verify` takes it.
        accept_failed_gate: likewise.
        trust: likewise; it is checked before a byte of the artifact is parsed.

    Raises:
        ArtifactRejected: there is none, or it is not what it claims to be, or not trusted.
        ConfigError: `expect` is no digest, or the place names no artifact.
        StorageError: the place is out of reach, or there is no room for temporary files.
    """
    if isinstance(place, Path):
        return verification.verify(place, expect=expect, accept_failed_gate=accept_failed_gate, trust=trust)
    verification.check_expected(expect)
    from artifact_pipeline.registry.request import RegistryRequest

    return taken(RegistryRequest(place, expect=expect, accept_failed_gate=accept_failed_gate, trust=trust))


def taken(request: RegistryRequest) -> Verified:
    """Pull an artifact, and keep it in memory alone; what is raised is as of `verify`."""
    from artifact_pipeline.artifact.provenance import SUFFIX
    from artifact_pipeline.registry.pull import pull

    with _temporary(request.reference) as folder:
        done = pull(request, folder, as_folder=True)
        provenance = folder.with_name(folder.name + SUFFIX).read_bytes() if SUFFIX in done.beside else None
        return replace(done.verified, reference=str(done.reference), provenance=provenance)


@contextmanager
def _temporary(place: str) -> Iterator[Path]:
    """The path of a folder that is not there yet, in a private one that is gone afterwards; no error names it."""
    import tempfile

    try:
        folder = tempfile.TemporaryDirectory(prefix="artifact-pipeline-pull-", ignore_cleanup_errors=True)
    except OSError as error:
        words = (error.strerror or "no folder takes it").lower()
        raise StorageError(
            f"a pulled artifact has no folder until it is verified: {words}", hint="TMPDIR=FOLDER names one"
        ) from error
    own = folder.name
    _copies().add(own)
    try:
        with folder:
            yield Path(own, "artifact")
    except StorageError as error:
        if own in error.message:
            error.message = error.message.replace(f"{own}/artifact", f"the temporary copy of {place}")
            error.hint = "TMPDIR=FOLDER names a folder with room"
        raise
    finally:
        if not Path(own).exists():  # a signal may interrupt the removal, too
            _copies().discard(own)


def remove_copies() -> None:
    """Remove the temporary folders of pulls that the end of this process interrupts; `os._exit` does not call it."""
    import shutil

    for own in list(_copies()):
        shutil.rmtree(own, ignore_errors=True)


@cache
def _copies() -> set[str]:
    """The temporary folders in use; the end of the process removes them."""
    atexit.register(remove_copies)
    return set()


def watch(place: str) -> Callable[[], str | None]:
    """Return a function that reads where a tag, or the pointer of a store, leads now: a reference by digest, or None.

    Raises:
        ConfigError: the place names neither, or a digest, which never leads elsewhere.
    """
    from artifact_pipeline.registry.reference import ImageReference, parse_reference

    reference = parse_reference(place)
    if reference.digest is not None:
        raise ConfigError(
            f"{place} names a digest, which never leads elsewhere",
            hint="name the tag or the pointer alone, or leave --follow out",
        )
    return _watch_tag(reference) if isinstance(reference, ImageReference) else partial(_read_pointer, reference)


def _watch_tag(reference: ImageReference) -> Callable[[], str | None]:
    from artifact_pipeline.registry.image import MANIFEST_TYPE
    from artifact_pipeline.registry.repository import Repository

    tag, repository = reference.target, Repository(reference)

    def look() -> str | None:
        found = repository.digest_of(tag, (MANIFEST_TYPE,))
        return None if found is None else str(reference.at(found))

    return look


def _read_pointer(reference: StoreReference) -> str | None:
    from artifact_pipeline.registry.object_source import ObjectSource
    from artifact_pipeline.registry.request import RegistryRequest

    try:
        return str(ObjectSource.find(reference, RegistryRequest(str(reference))).reference)
    except ArtifactRejected:
        return None
