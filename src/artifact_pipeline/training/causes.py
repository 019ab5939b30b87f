"""The grades of a reproduction, the causes of a lower one, and the environment in which the bytes come back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from artifact_pipeline.canonical import canonical_json, dotted
from artifact_pipeline.errors import ArtifactRejected, Problem, plural
from artifact_pipeline.runtime import CACHE_KIB, CACHE_VARIABLE, KERNEL_VARIABLE, KERNELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from artifact_pipeline.artifact.environment import Environment
    from artifact_pipeline.artifact.manifest import Manifest

Grade = Literal["bytes", "model", "parameters", "predictions", "metrics", "diverged"]
GRADES: tuple[Grade, ...] = get_args(Grade)
"""The best first; docs/proof.md explains each."""
KernelChoice = Literal["artifact", "user", "process", "default"]
"""Who chose the BLAS kernel, as `runtime.choose_kernel` returns it."""
Kind = Literal["format", "data", "recipe", "kernel", "packages", "python", "libc", "system"]
KINDS: Mapping[Kind, str] = {  # first those that change a model most
    "format": "the format of the artifact",
    "data": "the data",
    "recipe": "the recipe",
    "kernel": "the BLAS kernel",
    "packages": "the versions of packages",
    "python": "the version of Python",
    "libc": "the C library",
    "system": "the system or its architecture",
}


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that the bytes depend on, and that differs here from what the manifest records."""

    kind: Kind
    what: str
    recorded: str
    here: str


def find_causes(recorded: Manifest, here: Manifest) -> Iterator[Cause]:
    """Yield all differences that can change the bytes; first those that change a model most."""
    old, new = _dependencies(recorded), _dependencies(here)
    if recorded.format != here.format:  # each format records packages of its own
        old["packages"] = {name: number for name, number in old["packages"].items() if name in new["packages"]}
    for kind in KINDS:
        for what in dict.fromkeys([*old[kind], *new[kind]]):
            was, found = old[kind].get(what, "none"), new[kind].get(what, "none")
            if was != found:
                yield Cause(kind, what, was, found)
        if kind == "recipe":
            yield from _contradictions(recorded)


def _dependencies(manifest: Manifest) -> dict[Kind, dict[str, str]]:
    """Return all that the bytes depend on, as a manifest records it."""
    environment = manifest.environment
    return {
        "format": {"format": str(manifest.format)},
        "data": _rows(manifest),
        "recipe": recipe_of(manifest),
        "kernel": {"BLAS kernel": ", ".join(environment.kernels)},
        "packages": _packages(environment),
        "python": {"Python": f"{environment.python.implementation} {environment.python.version}"},
        "libc": {"C library": environment.libc},
        "system": {"system": environment.system, "architecture": environment.architecture},
    }


def _contradictions(manifest: Manifest) -> Iterator[Cause]:
    """Where the estimator has another parameter than the recipe: one of the two was changed later."""
    for key, value in manifest.recipe.items():
        made = manifest.model.parameters.get(key, value)
        if _json(made) != _json(value):
            yield Cause("recipe", f"{key}, of the artifact's estimator", _json(made), _json(value))


def _rows(manifest: Manifest) -> dict[str, str]:
    data = manifest.data
    digests = ", ".join(f"{each.digest} ({each.algorithm}, {plural(each.rows, 'row')})" for each in data.sources)
    return {"rows": digests, "target": data.target}


def _packages(environment: Environment) -> dict[str, str]:
    """Packages, and the BLAS libraries that came with them."""
    libraries: dict[str, str] = {}
    for each in environment.blas:
        libraries[each.library] = ", ".join(filter(None, [libraries.get(each.library), each.version]))
    return {**environment.packages, **libraries}


def recipe_of(manifest: Manifest) -> dict[str, str]:
    """Return the keys of the recipe, such as `gate.min_f1`, with their values as JSON: 1 differs from 1.0 and true."""
    return {key: _json(value) for key, value in dotted(manifest.recipe).items()}


def _json(value: Any) -> str:
    return canonical_json(value).decode().strip()


# --- the environment again


@dataclass(frozen=True, slots=True)
class Requirements:
    """The environment in which the bytes of an artifact come back.

    Attributes:
        packages: requirements as pip reads them, such as `numpy==2.4.0`.
        version: the version of this package; None where the manifest does not record it.
        variables: what to set before Python starts.
    """

    packages: tuple[str, ...]
    version: str | None
    variables: Mapping[str, str]

    @classmethod
    def of(cls, manifest: Manifest) -> Requirements:
        """Return what a manifest records of its environment, as requirements.

        Raises:
            ArtifactRejected: pip would read a name or a version as something else, such as an option or a second line:
                a manifest may come from anybody.
        """
        environment = manifest.environment
        bad = [
            Problem("manifest.json", "requirement", f"{name!r:.80} is no package with a version")
            for name, number in environment.packages.items()
            if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name)
            or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+!_-]*", number)
        ]
        if bad:
            hint = "artifact-pipeline inspect shows the environment; install by hand what you trust"
            raise ArtifactRejected("the environment cannot be written as requirements", problems=bad, hint=hint)
        packages = {name: number for name, number in environment.packages.items() if name != "artifact-pipeline"}
        found = {each.kernel for each in environment.blas if each.library == "openblas"}
        # The variables that each verb sets by itself where the kernel is `Haswell`.
        known = len(found) == 1 and found <= set(KERNELS)
        variables = {KERNEL_VARIABLE: found.pop(), CACHE_VARIABLE: CACHE_KIB} if known else {}
        return cls(
            tuple(f"{name}=={number}" for name, number in packages.items()),
            environment.packages.get("artifact-pipeline"),
            variables,
        )
