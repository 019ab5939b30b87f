"""An artifact as an OCI image: the manifest of CNCF ModelPack, a function of the artifact's bytes alone.

One layer a file, raw, so that the digest of each layer is the one that the artifact's manifest has. What changes from
run to run is no part of it, so that the same artifact has the same OCI digest wherever it is pushed from.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, Struct
from msgspec import json as msgjson

from artifact_pipeline.artifact.parts import MAX_FILE_BYTES, MAX_MANIFEST_BYTES, NAME, Digest
from artifact_pipeline.canonical import digest
from artifact_pipeline.registry.received import rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from artifact_pipeline.artifact.manifest import Manifest, Verified
    from artifact_pipeline.errors import ArtifactRejected

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MODEL_TYPE = "application/vnd.cncf.model.manifest.v1+json"
CONFIG_TYPE = "application/vnd.cncf.model.config.v1+json"
MAX_CONFIG_BYTES = 1 << 20
FILE_PATH = "org.cncf.model.filepath"
TITLE = "org.opencontainers.image.title"
_LAYER_TYPE = "application/vnd.cncf.model.{}.v1.raw"
_ROLES = {"model": "weight", "parameters": "weight", "split": "dataset"}
"""The type of a file in ModelPack, by its role; the others describe the weights."""
_MAX_LAYERS = 65


class BlobRecord(Struct, frozen=True, rename="camel", kw_only=True):
    """The descriptor of a blob, or of another manifest, in an OCI manifest."""

    media_type: Annotated[str, Meta(max_length=256)]
    digest: Digest
    size: Annotated[int, Meta(ge=0, lt=2**53)]
    artifact_type: Annotated[str, Meta(max_length=256)] = ""
    annotations: dict[str, str] = {}


class _Image(Struct, frozen=True, rename="camel", kw_only=True):
    schema_version: Literal[2]
    media_type: str = MANIFEST_TYPE
    artifact_type: str = ""
    config: BlobRecord
    layers: Annotated[tuple[BlobRecord, ...], Meta(min_length=1, max_length=_MAX_LAYERS)]
    subject: BlobRecord | None = None


class _Layers(Struct, frozen=True, rename="camel"):
    diff_ids: tuple[Digest, ...]
    type: Literal["layers"]


class _Config(Struct, frozen=True):
    modelfs: _Layers


@dataclass(frozen=True, slots=True)
class PackedImage:
    """An artifact as a registry takes it.

    Attributes:
        manifest: the bytes of the OCI manifest.
        files: the artifact's files by name, the manifest first.
    """

    manifest: bytes
    config: bytes
    files: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        """The OCI digest."""
        return digest(self.manifest)


@dataclass(frozen=True, slots=True)
class PulledImage:
    """An OCI manifest that describes an artifact, not yet compared with bytes.

    Attributes:
        config: of the model, as ModelPack has it.
        files: each layer, by the name of its file, `manifest.json` among them.
    """

    config: BlobRecord
    files: Mapping[str, BlobRecord]

    def check_files(self, manifest: Manifest) -> None:
        """Check that the layers are the files of an artifact's manifest, by name, digest and size.

        Raises:
            ArtifactRejected: one is missing, unlisted, or another one.
        """
        listed = {record.name: (record.sha256, record.size) for record in manifest.files}
        found = {name: (each.digest, each.size) for name, each in self.files.items() if name != NAME}
        for name in sorted({*listed, *found}):
            if name not in found:
                raise rejected(name, "layer-files", "is no layer")
            if name not in listed:
                raise rejected(name, "layer-files", "is not in the artifact's manifest")
            if listed[name] != found[name]:
                raise rejected(name, "layer-files", "is another file than the artifact's manifest lists")

    def check_config(self, data: bytes) -> None:
        """Check that the config of the model lists these layers.

        Raises:
            ArtifactRejected: it is no such config, or lists others.
        """
        try:
            listed = msgjson.decode(data, type=_Config).modelfs.diff_ids
        except (ValueError, RecursionError) as error:
            raise rejected("the model's config", "config-invalid", str(error)[:200]) from None
        if sorted(listed) != sorted(each.digest for each in self.files.values()):
            raise rejected("the model's config", "config-layers", "lists other layers than the OCI manifest")


def pack(artifact: Verified) -> PackedImage:
    """The image of an artifact whose bytes were verified."""
    manifest = artifact.manifest
    files = {NAME: manifest.canonical(), **{record.name: artifact.members[record.name] for record in manifest.files}}
    roles = {record.name: record.role for record in manifest.files}
    layers = [_layer(name, roles.get(name, ""), data) for name, data in files.items()]
    config = compact(
        {
            "descriptor": {"name": manifest.name, "version": artifact.digest},
            "config": {
                "architecture": manifest.model.estimator.rpartition(".")[2],
                "format": "onnx",
                "precision": "float64",
            },
            "modelfs": {"type": "layers", "diffIds": [each["digest"] for each in layers]},
        }
    )
    image = compact(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": MODEL_TYPE,
            "config": record(CONFIG_TYPE, config),
            "layers": layers,
            "annotations": {
                "artifact-pipeline.digest": artifact.digest,
                "artifact-pipeline.gate": manifest.gate.verdict if manifest.gate is not None else "missing",
            },
        }
    )
    return PackedImage(image, config, files)


def read_image(data: bytes, kind: str) -> PulledImage:
    """Read the OCI manifest of an artifact.

    Raises:
        ArtifactRejected: it is no ModelPack image, or none of an artifact: a name that no file of an artifact has, a
            layer that is packed, or more than an artifact may hold.
    """
    image = _parse(data, kind)
    if image.artifact_type != MODEL_TYPE or image.config.media_type != CONFIG_TYPE:
        raise _no_artifact(f"its artifact type is {image.artifact_type or image.config.media_type!r:.120}")
    if image.config.size > MAX_CONFIG_BYTES:
        raise _no_artifact(f"its config is larger than {MAX_CONFIG_BYTES:,} bytes")
    files: dict[str, BlobRecord] = {}
    for layer in image.layers:
        name = layer.annotations.get(FILE_PATH, "")
        if not layer.media_type.startswith("application/vnd.cncf.model.") or not layer.media_type.endswith(".raw"):
            raise _no_artifact(f"a layer is {layer.media_type!r:.120}, and not a file as it is")
        if name in files:
            raise _no_artifact(f"the file {name!r:.80} stands twice")
        if layer.size > (MAX_MANIFEST_BYTES if name == NAME else MAX_FILE_BYTES):
            raise _no_artifact(f"the file {name!r:.80} is too large: {layer.size:,} bytes")
        files[name] = layer
    if NAME not in files:
        raise _no_artifact(f"it has no {NAME}")
    return PulledImage(image.config, files)


def read_attached(data: bytes, kind: str) -> tuple[str, BlobRecord] | None:
    """The digest of the subject and the one layer of what is attached to an image; None where it is not such a thing.

    Raises:
        ArtifactRejected: it is no OCI manifest.
    """
    image = _parse(data, kind)
    if image.subject is None or len(image.layers) != 1:
        return None
    return image.subject.digest, image.layers[0]


def record(kind: str, data: bytes) -> dict[str, Any]:
    """The descriptor of a blob."""
    return {"mediaType": kind, "digest": digest(data), "size": len(data)}


def compact(value: Any) -> bytes:
    """JSON in one spelling, without white space."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _parse(data: bytes, kind: str) -> _Image:
    if kind != MANIFEST_TYPE:
        raise _no_artifact(f"its media type is {kind!r:.120}")
    try:
        image = msgjson.decode(data, type=_Image)
    except (ValueError, RecursionError) as error:
        raise _no_artifact(str(error)[:200]) from None
    if image.media_type != MANIFEST_TYPE:
        raise _no_artifact(f"its media type is {image.media_type!r:.120}")
    return image


def _no_artifact(message: str) -> ArtifactRejected:
    return rejected("the OCI manifest", "image-not-artifact", message)


def _layer(name: str, role: str, data: bytes) -> dict[str, Any]:
    kind = _LAYER_TYPE.format(_ROLES.get(role, "weight.config"))
    return {**record(kind, data), "annotations": {FILE_PATH: name, TITLE: name}}
