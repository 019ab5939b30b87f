"""The bill of materials of a model: CycloneDX 1.6 in JSON, with the model card that its schema has for models.

A function of the artifact and of this version alone: no clock, and a serial number that follows from the digest. What
is not known is left out, and the list of packages says itself that it is not complete.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from artifact_pipeline import __version__
from artifact_pipeline.artifact.about import AboutRecord
from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import plural
from artifact_pipeline.reports.statements import held_out_figures, recipe_of, text_of, verdict_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from artifact_pipeline.artifact.environment import Environment
    from artifact_pipeline.artifact.manifest import Manifest, Verified

    Part = dict[str, Any]

SPECIFICATION = "1.6"
"""The first version that is an international standard (ECMA-424), which today's readers know."""
_MODEL = "model"
_OURS = "artifact-pipeline"

_LICENCES = (
    "0BSD AFL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-2.0 Artistic-2.0 BlueOak-1.0.0 BSD-2-Clause BSD-3-Clause "
    "BSD-3-Clause-Clear BSL-1.0 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0 CC-BY-4.0 CC-BY-NC-2.0 CC-BY-NC-3.0 CC-BY-NC-4.0 "
    "CC-BY-NC-ND-4.0 CC-BY-NC-SA-4.0 CC-BY-ND-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 CDLA-Permissive-1.0 "
    "CDLA-Permissive-2.0 CDLA-Sharing-1.0 ECL-2.0 EPL-1.0 EPL-2.0 EUPL-1.1 EUPL-1.2 GFDL-1.3-or-later GPL-2.0-only "
    "GPL-2.0-or-later GPL-3.0-only GPL-3.0-or-later ISC LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only "
    "LGPL-3.0-or-later LPPL-1.3c MIT MPL-2.0 MS-PL NCSA ODbL-1.0 ODC-By-1.0 OFL-1.1 OSL-3.0 PDDL-1.0 PostgreSQL "
    "Unlicense WTFPL Zlib"
)
_SPDX = {each.lower(): each for each in _LICENCES.split()}
"""The common SPDX identifiers as SPDX spells them, by their lower case."""


def bill_of_materials(verified: Verified) -> dict[str, Any]:
    """Return the bill of materials of a verified artifact, ready for JSON.

    Raises:
        ArtifactRejected: what the artifact says about its model cannot be read.
    """
    manifest = verified.manifest
    files, rows = list(_files(verified)), list(_data(manifest))
    packages = list(_packages(manifest.environment))
    depends = [each["bom-ref"] for each in (*files, *rows, *packages)]
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPECIFICATION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'urn:{_OURS}:{verified.digest}')}",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": _OURS, "version": __version__}]},
            "component": _model(verified),
        },
        "components": [*files, *rows, *packages],
        "dependencies": [{"ref": _MODEL, "dependsOn": depends}],
        # The packages are those that compute, read or write the bytes, and not all that was installed.
        "compositions": [{"aggregate": "incomplete", "dependencies": [_MODEL]}],
    }


def _model(verified: Verified) -> Part:
    manifest = verified.manifest
    about = AboutRecord.of(manifest)
    properties = {
        "artifact-digest": verified.digest,
        "model-digest": manifest.model.digest,
        "gate": verdict_of(manifest),
        "estimator": manifest.model.estimator,
        **{f"recipe.{key}": text_of(value) for key, value in recipe_of(manifest).items()},
    }
    found: Part = {
        "type": "machine-learning-model",
        "bom-ref": _MODEL,
        "name": manifest.name,
        "version": verified.digest,
        "hashes": [_hash(verified.digest)],
        "modelCard": _card(manifest, about),
    }
    if about.description is not None:
        found["description"] = about.description
    if about.authors:
        found["authors"] = [{"name": each} for each in about.authors]
    if about.license is not None:
        known = _SPDX.get(about.license.lower())
        found["licenses"] = [{"license": {"id": known} if known is not None else {"name": about.license}}]
    if about.contact is not None:
        properties["contact"] = about.contact
    return {**found, "properties": _properties(properties)}


def _card(manifest: Manifest, about: AboutRecord) -> Part:
    """The model card: how it was made, what was measured, what it is for."""
    model = manifest.model
    considerations = {
        "useCases": [about.intended_use] if about.intended_use else [],
        "technicalLimitations": [about.limits] if about.limits else [],
        "performanceTradeoffs": [
            f"{each.label!r} is never predicted, and is the label of {plural(each.rows, 'held-out row')}"
            for each in manifest.metrics.held_out.never_predicted
        ],
    }
    kinds = {"number": "float64", "boolean": "float64, 0 or 1", "category": "string"}
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": "classification",
            "architectureFamily": model.estimator.rpartition(".")[2],
            "modelArchitecture": f"{model.estimator}, as ONNX",
            "datasets": [{"ref": f"data:{index}"} for index in range(len(manifest.data.sources))],
            "inputs": [{"format": f"{each.name}: {kinds[each.kind]}"} for each in model.columns],
            "outputs": [{"format": f"{each.name}: {each.dtype}"} for each in model.outputs],
        },
        "quantitativeAnalysis": {"performanceMetrics": list(_figures(manifest))},
        "considerations": {key: texts for key, texts in considerations.items() if texts},
    }


def _figures(manifest: Manifest) -> Iterator[Part]:
    """Each figure of the held-out rows: of all, then of each class."""
    for each in (*held_out_figures(manifest), *held_out_figures(manifest, by_class=True)):
        found: Part = {"type": each.name, "value": repr(each.value), "slice": "held-out rows"}
        if each.label is not None:
            found["slice"] = f"held-out rows, class {each.label!r}"
        if each.low is not None and each.high is not None:
            found["confidenceInterval"] = {"lowerBound": repr(each.low), "upperBound": repr(each.high)}
        yield found


def _files(verified: Verified) -> Iterator[Part]:
    digests = {NAME: verified.digest, **{each.name: each.sha256 for each in verified.manifest.files}}
    for name, digest in sorted(digests.items()):
        media = "application/json" if name.endswith(".json") else "application/octet-stream"
        found = {"type": "file", "bom-ref": f"file:{name}", "name": name, "hashes": [_hash(digest)]}
        yield {**found, "mime-type": media}


def _data(manifest: Manifest) -> Iterator[Part]:
    for index, each in enumerate(manifest.data.sources):
        about = {
            "digest": each.digest,
            "algorithm": each.algorithm,
            "rows": str(each.rows),
            "target": manifest.data.target,
        }
        contents = {"properties": _properties(about)}
        yield {
            "type": "data",
            "bom-ref": f"data:{index}",
            "name": each.name,
            "data": [{"type": "dataset", "name": each.name, "contents": contents}],
        }


def _packages(environment: Environment) -> Iterator[Part]:
    """The packages, the interpreter, the BLAS libraries and the system that the bytes depend on."""
    for name, version in sorted(environment.packages.items()):
        purl = f"pkg:pypi/{quote(re.sub('[-_.]+', '-', name).lower(), safe='')}@{quote(version, safe='')}"
        yield {"type": "library", "bom-ref": f"package:{name}", "name": name, "version": version, "purl": purl}
    python = environment.python
    yield {"type": "platform", "bom-ref": "python", "name": python.implementation, "version": python.version}
    for index, each in enumerate(environment.blas):
        kernel = _properties({"kernel": each.kernel})
        found = {"type": "library", "bom-ref": f"blas:{index}", "name": each.library, "version": each.version}
        yield {**found, "properties": kernel}
    about = _properties({"architecture": environment.architecture, "libc": environment.libc})
    yield {"type": "operating-system", "bom-ref": "system", "name": environment.system, "properties": about}


def _hash(digest: str) -> Part:
    return {"alg": "SHA-256", "content": digest.removeprefix(PREFIX)}


def _properties(values: Mapping[str, str]) -> list[Part]:
    return [{"name": f"{_OURS}:{name}", "value": value} for name, value in values.items()]
