"""The parts of a repository: blobs and manifests, each named by its digest and checked by it.

What comes is hashed while it streams, and never taken for more than its descriptor says. What goes is sent in pieces;
after a cut it asks the registry where it stands, since a piece that is sent twice may be written twice.
"""

from __future__ import annotations

import re
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin

from artifact_pipeline.canonical import PREFIX, digest
from artifact_pipeline.errors import ArtifactRejected, StorageError, plural
from artifact_pipeline.registry.received import Received, rejected
from artifact_pipeline.registry.repeating import TRIES, pause
from artifact_pipeline.registry.request import Connecting
from artifact_pipeline.registry.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

    from urllib3 import BaseHTTPResponse

    from artifact_pipeline.registry.reference import ImageReference

    Count = Callable[[int], None]

CHUNK = 16 << 20
"""Bytes of a blob that are sent by one request."""
MAX_MANIFEST_BYTES = 4 << 20
"""Of an OCI manifest or index, as the distribution spec has it."""
_PIECE = 1 << 20
_NO_DELETION = (
    "who runs it can allow that (of docker-registry: REGISTRY_STORAGE_DELETE_ENABLED=true); "
    "other registries have a page, an API or rules of their own for it"
)
_DEFAULT = Connecting()
_OCTETS = "application/octet-stream"
_RANGE = re.compile(r"(?:bytes[= ])?0-([0-9]{1,18})")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/(?:[0-9]{1,18}|\*)")


def _ignore(_more: int) -> None:
    """Report no progress."""


class Repository:
    """One repository of a registry.

    Raises:
        StorageError: of each method: the registry is out of reach, or refuses; it has another manifest than it was
            sent, or lets none be deleted.
    """

    def __init__(
        self, reference: ImageReference, connecting: Connecting = _DEFAULT, *, push: bool = False, delete: bool = False
    ) -> None:
        """Connect with a repository; arguments and errors as of `Wire`."""
        self.wire = Wire(reference, connecting, push=push, delete=delete)

    def read_small(self, wanted: str, size: int, *, name: str) -> bytes:
        """The bytes of a small blob; arguments and errors as of `read_blob`."""
        data = BytesIO()
        self.read_blob(wanted, size, data, name=name)
        return data.getvalue()

    def read_blob(self, wanted: str, size: int, sink: BinaryIO, *, name: str, progress: Count = _ignore) -> None:
        """Write a blob into an empty file; after a cut go on where that was.

        Args:
            wanted: its digest.
            size: of it in bytes.
            sink: the file; after an error it holds nothing that can be used.
            name: its name in messages.
            progress: called with the number of bytes that have come.

        Raises:
            ArtifactRejected: the registry sent other bytes, more, or fewer (`blob-digest`, `blob-long`,
                `blob-short`), or has no such blob (`blob-missing`).
        """
        from urllib3.exceptions import HTTPError

        state = Received(name, size, sink)
        for attempt in range(TRIES):
            response = self._open_blob(wanted, state)
            try:
                for piece in response.stream(_PIECE):
                    state.take(piece)
                    progress(len(piece))
                break
            except HTTPError as error:
                self.wire.try_again(attempt, error)
            except ArtifactRejected:
                response.close()
                raise
        state.finish(wanted)

    def _open_blob(self, wanted: str, state: Received) -> BaseHTTPResponse:
        """Ask for a blob from where it was cut; a registry that sends it from its beginning is as good."""
        begun = state.at > 0
        headers = {"Range": f"bytes={state.at}-"} if begun else {}
        response = self.wire.ask("GET", f"blobs/{wanted}", headers=headers)
        if begun and response.status == 206:
            came = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if came is not None and int(came[1]) == state.at:
                return response
        if begun:
            if response.status != 200:
                response.close()
                response = self.wire.ask("GET", f"blobs/{wanted}")
            state.restart()
        if response.status == 404:
            response.drain_conn()
            raise rejected(state.name, "blob-missing", f"the registry has no blob {wanted}")
        if response.status != 200:
            raise self.wire.refused(f"{state.name} ({wanted})", response)
        return response

    def read_manifest(self, target: str, kinds: Sequence[str]) -> tuple[bytes, str] | None:
        """The bytes and the media type of a manifest or an index; None where there is none.

        Args:
            target: a digest, which the bytes are compared with, or a tag.
            kinds: the media types that are understood.

        Raises:
            ArtifactRejected: the registry sent another manifest than that digest names.
        """
        answered = self.wire.read(f"manifests/{target}", MAX_MANIFEST_BYTES, accept=kinds)
        if answered.status == 404:
            return None
        if answered.status != 200:
            raise self.wire.refused_whole(f"the manifest {target}", answered)
        if target.startswith(PREFIX) and digest(answered.data) != target:
            raise rejected("the OCI manifest", "blob-digest", f"found {digest(answered.data)}, asked for {target}")
        return answered.data, answered.media_type

    def digest_of(self, tag: str, kinds: Sequence[str]) -> str | None:
        """The digest to which a tag leads, which a registry says without sending the manifest; None without it."""
        response = self.wire.ask("HEAD", f"manifests/{tag}", headers={"Accept": ", ".join(kinds)})
        response.drain_conn()
        if response.status == 404:
            return None
        if response.status != 200:
            raise self.wire.refused(f"a look at the tag {tag}", response)
        found = response.headers.get("Docker-Content-Digest", "")
        if re.fullmatch(r"sha256:[0-9a-f]{64}", found):
            return found
        read = self.read_manifest(tag, kinds)  # the header is optional
        return None if read is None else digest(read[0])

    def write_manifest(self, target: str, data: bytes, kind: str) -> bool:
        """Put a manifest under its digest or a tag; return whether the registry lists what refers to its subject."""
        response = self.wire.ask("PUT", f"manifests/{target}", body=data, headers={"Content-Type": kind})
        if response.status != 201:
            raise self.wire.refused(f"the manifest {target}", response)
        response.drain_conn()
        said = response.headers.get("Docker-Content-Digest")
        if said is not None and said != digest(data):
            raise StorageError(f"{self.wire.reference.registry} has changed the manifest {target} into {said}")
        return "OCI-Subject" in response.headers

    def delete_manifest(self, wanted: str) -> None:
        """Delete a manifest by its digest, and with it all tags that lead to it; one that is gone is as good."""
        response = self.wire.ask("DELETE", f"manifests/{wanted}")
        if response.status == 405:
            response.drain_conn()
            raise StorageError(f"{self.wire.reference.registry} lets no manifest be deleted", hint=_NO_DELETION)
        if response.status not in {200, 202, 204, 404}:
            raise self.wire.refused(f"to delete the manifest {wanted}", response)
        response.drain_conn()

    def has_blob(self, wanted: str) -> bool:
        """Whether the repository has a blob."""
        response = self.wire.ask("HEAD", f"blobs/{wanted}")
        response.drain_conn()
        if response.status not in {200, 404}:
            raise self.wire.refused(f"a look for the blob {wanted}", response)
        return response.status == 200

    def write_blob(self, data: bytes, *, progress: Count = _ignore) -> bool:
        """Put a blob into the repository, if it is not there yet, and return whether it was sent."""
        wanted, sent = digest(data), False
        for _ in range(TRIES):
            if self.has_blob(wanted):  # also where an answer was lost, and not the blob
                return sent
            sent = True
            if _Upload(self.wire, data, wanted, progress).run():
                return True
        raise StorageError(
            f"{self.wire.reference.registry} did not take a blob of {plural(len(data), 'byte')} in {TRIES} tries",
            hint="nothing is named yet; the same command goes on where the registry takes it",
        )


class _Upload:
    """One upload of one blob."""

    def __init__(self, wire: Wire, data: bytes, wanted: str, progress: Count) -> None:
        self._wire, self._data, self._wanted, self._progress = wire, memoryview(data), wanted, progress
        self._at = 0
        self._place = ""

    def run(self) -> bool:
        """Send the blob; False where it has to be looked for, and begun from its beginning."""
        started = self._wire.try_once("POST", "blobs/uploads/", headers={"Content-Length": "0"})
        if started is None:
            pause(0)
            return False
        if started.status != 202:
            raise self._wire.refused("an upload", started)
        started.drain_conn()
        self._move(started, self._wire.base)
        cuts = 0
        while True:
            status = self._send()
            if status in {201, 400, 404}:
                return status == 201
            if status != 202:
                cuts += 1
                if cuts > TRIES or not self._ask():
                    return False

    def _send(self) -> int | None:
        """Send the next piece and return the status; None where the answer was lost.

        201 ends the upload, 202 asks for another piece, 416 says that the piece does not begin where the upload stands.
        After 400 or 404 the blob has another digest, or the upload is gone.
        """
        last = len(self._data) - self._at <= CHUNK
        piece = self._data[self._at : self._at + CHUNK]
        headers = {"Content-Type": _OCTETS, "Content-Length": str(len(piece))}
        url = self._place
        if last:
            url += ("&" if "?" in url else "?") + urlencode({"digest": self._wanted})
        else:
            headers["Content-Range"] = f"{self._at}-{self._at + len(piece) - 1}"
        response = self._wire.try_once("PUT" if last else "PATCH", url, body=piece, headers=headers)
        if response is None:
            return None
        if response.status not in {201 if last else 202, 400, 404, 416}:
            raise self._wire.refused("a piece of an upload", response)
        response.drain_conn()
        if response.status < 300:
            self._progress(len(piece))
            self._at += len(piece)
            if not last:
                self._move(response, url)
        return response.status

    def _ask(self) -> bool:
        """Ask where the upload stands; False where it is gone."""
        response = self._wire.ask("GET", self._place)
        response.drain_conn()
        stands = _RANGE.fullmatch(response.headers.get("Range", "0-0"))
        if response.status != 204 or stands is None:
            return False
        # `0-0` is one byte or none: registries say it of an upload that has only begun.
        at = int(stands[1]) + 1 if stands[1] != "0" else 0
        if at > len(self._data):
            return False
        self._at = at
        self._move(response, self._place)
        return True

    def _move(self, response: BaseHTTPResponse, base: str) -> None:
        """Take the place from which the upload goes on; `Wire` checks it when it is used."""
        with suppress(ValueError):  # no address at all: the next request says so
            self._place = urljoin(base, response.headers.get("Location", self._place))
