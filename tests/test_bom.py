"""The bill of materials: valid by CycloneDX's strict schema, a function of the artifact, complete in what it claims."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from msgspec.structs import replace

from artifact_pipeline.cli import main
from artifact_pipeline.reports.bom import bill_of_materials
from artifact_pipeline.reports.documents import document
from artifact_pipeline.verification import verify
from mixedmodels import FOREST, train_mixed
from test_about import ABOUT
from test_card import GOLDEN, GOLDENS, HOSTILE, digits, replace_manifest, with_recipe

if TYPE_CHECKING:
    from pathlib import Path

STRICT = JsonStrictValidator(SchemaVersion.V1_6)


def check(bom: dict[str, Any]) -> dict[str, Any]:
    """The bill, once the schema has nothing against it, and its references are single and lead somewhere."""
    assert STRICT.validate_str(json.dumps(bom)) is None
    model = bom["metadata"]["component"]
    names = [model["bom-ref"], *(each["bom-ref"] for each in bom["components"])]
    assert len(set(names)) == len(names)
    used = {each for part in bom["dependencies"] for each in (part["ref"], *part["dependsOn"])}
    assert used | {each["ref"] for each in model["modelCard"]["modelParameters"]["datasets"]} <= set(names)
    return bom


@pytest.mark.parametrize("artifact", GOLDENS, ids=lambda each: each.name)
def test_bill_of_every_model_is_valid(artifact: Path) -> None:
    """Of each released format and each classifier the bill is valid by the strict schema of CycloneDX 1.6."""
    check(bill_of_materials(verify(artifact, accept_failed_gate=True)))


def test_bill_names_files_packages_and_figures() -> None:
    """It has each file with its hash, each package with its purl, and figures with intervals and by class."""
    verified = digits()
    bom = check(bill_of_materials(verified))
    parts = {each["bom-ref"]: each for each in bom["components"]}
    for record in verified.manifest.files:
        hashes = [{"alg": "SHA-256", "content": record.sha256.removeprefix("sha256:")}]
        assert parts[f"file:{record.name}"]["hashes"] == hashes
    versions = verified.manifest.environment.packages
    assert parts["package:scikit-learn"]["purl"] == f"pkg:pypi/scikit-learn@{versions['scikit-learn']}"
    card = bom["metadata"]["component"]["modelCard"]
    figures = {(each["type"], each["slice"]): each for each in card["quantitativeAnalysis"]["performanceMetrics"]}
    accuracy = figures["accuracy", "held-out rows"]
    assert accuracy["value"] == "0.975"
    assert accuracy["confidenceInterval"] == {"lowerBound": "0.953177", "upperBound": "0.986793"}
    assert {("recall", f"held-out rows, class {label}") for label in range(10)} <= figures.keys()
    assert card["modelParameters"]["approach"] == {"type": "supervised"}
    assert card["modelParameters"]["architectureFamily"] == "LogisticRegression"
    assert card["considerations"] == {}


def test_bill_says_what_about_says() -> None:
    """Description, authors, licence, uses and limits stand in the fields that CycloneDX has for them."""
    model = check(bill_of_materials(with_recipe(digits(), about=ABOUT)))["metadata"]["component"]
    assert model["description"] == ABOUT["description"]
    assert model["authors"] == [{"name": "Ada"}, {"name": "Grace"}]
    assert model["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    considerations = model["modelCard"]["considerations"]
    assert considerations == {"useCases": ["Teaching."], "technicalLimitations": ["Not for cheques."]}
    assert {"name": "artifact-pipeline:contact", "value": "ml@example.org"} in model["properties"]


def test_a_licence_without_a_known_identifier_stands_by_its_name() -> None:
    """The schema takes no identifier that it does not list."""
    model = check(bill_of_materials(with_recipe(digits(), about={"license": "LicenseRef-Ours"})))
    assert model["metadata"]["component"]["licenses"] == [{"license": {"name": "LicenseRef-Ours"}}]


def test_serial_number_follows_from_the_digest_and_nothing_from_a_clock() -> None:
    """Two calls give one bill, of one digest one serial number, of another digest another one; no time is in it."""
    verified = digits()
    bom = bill_of_materials(verified)
    assert bom == bill_of_materials(verify(GOLDEN / "v2" / "digits"))
    assert uuid.UUID(bom["serialNumber"]).version == 5
    assert bom["serialNumber"] != bill_of_materials(verify(GOLDEN / "v1"))["serialNumber"]
    assert "timestamp" not in json.dumps(bom)


def test_bill_of_a_mixed_table(tmp_path: Path) -> None:
    """Inputs are the columns with their kinds, whatever they are called; the text of the file is ASCII."""
    artifact = train_mixed(tmp_path, FOREST)
    assert main(["bom", str(artifact), "-o", str(tmp_path / "bom.json")]) == 0
    text = (tmp_path / "bom.json").read_text()
    assert text.isascii()
    assert text == document("bom", artifact).text
    card = check(json.loads(text))["metadata"]["component"]["modelCard"]
    assert {"format": "city: string"} in card["modelParameters"]["inputs"]
    assert {"format": "age: float64"} in card["modelParameters"]["inputs"]


def test_hostile_names_keep_the_bill_valid() -> None:
    """Whatever packages, labels, columns and libraries are called, the schema takes it, and each purl is one."""
    verified = digits()
    manifest = verified.manifest
    packages = {name: name for name in [*HOSTILE, "a_b", "a-b", "../x?y#z"]}
    blas = tuple(replace(manifest.environment.blas[0], library=name) for name in HOSTILE)
    inputs = tuple(replace(each, name=name) for each, name in zip(manifest.model.inputs, HOSTILE, strict=False))
    bom = check(
        bill_of_materials(
            replace_manifest(
                verified,
                environment=replace(manifest.environment, packages=packages, blas=blas),
                model=replace(manifest.model, inputs=inputs, estimator="<script>"),
            )
        )
    )
    purls = [each["purl"] for each in bom["components"] if "purl" in each]
    assert all(each.isascii() and not set(each) & set(' \n"<>`|?#') for each in purls)
