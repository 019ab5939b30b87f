"""The files of deploy/: valid by the schemas of Kubernetes and KServe, and about options and paths that `serve` has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from artifact_pipeline.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS = json.loads((ROOT / "tests" / "schemas" / "kubernetes.json").read_text())
KINDS = {
    "Deployment": "io.k8s.api.apps.v1.Deployment",
    "Service": "io.k8s.api.core.v1.Service",
    "ServingRuntime": "io.kserve.ServingRuntime",
    "InferenceService": "io.kserve.InferenceService",
}
PREFIX = "ARTIFACT_PIPELINE_SERVE_"


def documents() -> dict[str, Any]:
    """Each document of deploy/, by its kind."""
    files = sorted((ROOT / "deploy").glob("*.yaml"))
    found = [each for file in files for each in YAML(typ="safe", pure=True).load_all(file.read_text())]
    return {each["kind"]: json.loads(json.dumps(each)) for each in found}


DOCUMENTS = documents()
POD = DOCUMENTS["Deployment"]["spec"]["template"]["spec"]
CONTAINERS = [POD["containers"][0], DOCUMENTS["ServingRuntime"]["spec"]["containers"][0]]


VALIDATORS = {kind: Draft202012Validator({**SCHEMAS, "$ref": f"#/$defs/{name}"}) for kind, name in KINDS.items()}


def problems(kind: str, document: Any) -> list[str]:
    return [f"{each.json_path}: {each.message}" for each in VALIDATORS[kind].iter_errors(document)]


@pytest.mark.parametrize("kind", KINDS)
def test_each_document_is_valid(kind: str) -> None:
    """Each document has what its schema asks for, and no key that the schema does not know."""
    assert problems(kind, DOCUMENTS[kind]) == []


def paths(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of each object in a document, but for those whose keys are anybody's."""
    if isinstance(value, dict) and place[-1:] not in {
        ("labels",),
        ("matchLabels",),
        ("selector",),
        ("requests",),
        ("limits",),
    }:
        yield place
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(inner, (*place, key))


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_refuses_a_key_that_is_misspelled_anywhere(kind: str) -> None:
    """A key that does not exist is found in whichever object it stands: the trimmed schemas are loose nowhere."""
    for place in paths(DOCUMENTS[kind]):
        document = json.loads(json.dumps(DOCUMENTS[kind]))
        inner = document
        for key in place:
            inner = inner[key]
        inner["mispelled"] = "x"
        assert problems(kind, document), place


@pytest.mark.parametrize("container", CONTAINERS, ids=["kubernetes", "kserve"])
def test_a_pod_may_do_as_little_as_the_restricted_standard_asks(container: dict[str, Any]) -> None:
    """No root, no way to become it, no capability, the system's seccomp profile, no file that can be written."""
    context = {**(POD["securityContext"] if container is CONTAINERS[0] else {}), **container["securityContext"]}
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] == 65532
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert re.search(r"@sha256:[0-9a-f]{64}$", container["image"])


@pytest.mark.parametrize("container", CONTAINERS, ids=["kubernetes", "kserve"])
def test_each_probe_asks_a_path_that_the_server_has(container: dict[str, Any]) -> None:
    """Readiness and start ask whether it is ready, liveness only whether it lives: draining is no reason to kill it."""
    known = (ROOT / "docs" / "serving.md").read_text()
    asked = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert asked == {
        "startupProbe": "/v2/health/ready",
        "readinessProbe": "/v2/health/ready",
        "livenessProbe": "/v2/health/live",
    }
    assert all(f"`GET {path}`" in known for path in asked.values())


def test_each_variable_is_an_option_of_serve() -> None:
    """Each variable names an option, with a value that it takes; the pod outlives drain and grace."""
    serve = app.commands["serve"]
    model = DOCUMENTS["InferenceService"]["spec"]["predictor"]["model"]
    options = {option.name: option for option in serve.params if isinstance(option, click.Option)}
    for variables in (CONTAINERS[0]["env"], CONTAINERS[1]["env"] + model["env"]):
        values = {}
        for each in variables:
            name = each["name"].removeprefix(PREFIX).lower()
            values[name] = options[name].type.convert(each["value"], options[name], None)
        grace = values.get("grace", options["grace"].default)
        assert values["drain"] + grace < POD["terminationGracePeriodSeconds"]
    assert (
        POD["terminationGracePeriodSeconds"]
        == (DOCUMENTS["InferenceService"]["spec"]["predictor"]["terminationGracePeriodSeconds"])
    )


def test_the_service_finds_the_pods() -> None:
    """The labels of the Service are those of the pods, and its port is a port that they have."""
    service, labels = DOCUMENTS["Service"]["spec"], DOCUMENTS["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()
    assert DOCUMENTS["Deployment"]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert service["ports"][0]["targetPort"] in {port["name"] for port in CONTAINERS[0]["ports"]}


def test_what_kserve_serves_is_expected_by_its_digest() -> None:
    """The digest that the server expects is the one in whose folder of a store the files lie."""
    model = DOCUMENTS["InferenceService"]["spec"]["predictor"]["model"]
    (expected,) = [each["value"] for each in model["env"] if each["name"] == f"{PREFIX}EXPECT"]
    assert model["storageUri"].endswith(f"/artifacts/{expected.removeprefix('sha256:')}")
    runtime = DOCUMENTS["ServingRuntime"]
    assert model["runtime"] == runtime["metadata"]["name"]
    formats = runtime["spec"]["supportedModelFormats"]
    assert model["modelFormat"] in [{"name": each["name"], "version": each["version"]} for each in formats]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
