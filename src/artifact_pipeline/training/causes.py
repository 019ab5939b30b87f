"""What two manifests tell apart of all that the bytes depend on: data, recipe, and each part of the environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from artifact_pipeline.canonical import canonical_json
from artifact_pipeline.errors import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from artifact_pipeline.artifact.environment import Environment
    from artifact_pipeline.artifact.manifest import Manifest

Kind = Literal["data", "recipe", "kernel", "packages", "python", "libc", "system"]


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that the bytes depend on, and that is not here what the manifest says.

    Attributes:
        kind: which sort of thing.
        what: which one of that sort, such as a package.
        recorded: what the manifest says.
        here: what was found in this training.
    """

    kind: Kind
    what: str
    recorded: str
    here: str


def find_causes(told: Manifest, found: Manifest) -> Iterator[Cause]:
    """What differs of all that the bytes depend on, what changes a model most first."""
    yield from _differing("data", _sources(told), _sources(found))
    yield from _differing("recipe", flatten(told.recipe), flatten(found.recipe))
    yield from _contradictions(told)
    own, here = told.environment, found.environment
    yield from _differing(
        "kernel", {"BLAS kernel": ", ".join(kernels(told))}, {"BLAS kernel": ", ".join(kernels(found))}
    )
    yield from _differing("packages", _packages(own), _packages(here))
    yield from _differing("python", _python(own), _python(here))
    yield from _differing("libc", {"C library": own.libc}, {"C library": here.libc})
    yield from _differing(
        "system",
        {"system": own.system, "architecture": own.architecture},
        {"system": here.system, "architecture": here.architecture},
    )


def _differing(kind: Kind, told: Mapping[str, str], found: Mapping[str, str]) -> Iterator[Cause]:
    for what in dict.fromkeys([*told, *found]):
        recorded, here = told.get(what, "none"), found.get(what, "none")
        if recorded != here:
            yield Cause(kind, what, recorded, here)


def _contradictions(told: Manifest) -> Iterator[Cause]:
    """Where the estimator was made with something else than the recipe asks: one of the two was changed later."""
    for key, value in told.recipe.items():
        made = told.model.parameters.get(key, value)
        if _json(made) != _json(value):
            yield Cause("recipe", f"{key}, of the artifact's estimator", _json(made), _json(value))


def _sources(manifest: Manifest) -> dict[str, str]:
    data = manifest.data
    digests = ", ".join(f"{each.digest} ({each.algorithm}, {plural(each.rows, 'row')})" for each in data.sources)
    return {"rows": digests, "target": data.target}


def _packages(environment: Environment) -> dict[str, str]:
    """Packages, and the BLAS libraries that came with them."""
    libraries: dict[str, str] = {}
    for each in environment.blas:
        libraries[each.library] = ", ".join(filter(None, [libraries.get(each.library), each.version]))
    return {**environment.packages, **libraries}


def _python(environment: Environment) -> dict[str, str]:
    return {"Python": f"{environment.python.implementation} {environment.python.version}"}


def kernels(manifest: Manifest) -> tuple[str, ...]:
    """The BLAS kernels that ran, in order."""
    return tuple(sorted({each.kernel for each in manifest.environment.blas}))


def flatten(recipe: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """A recipe's keys, such as `gate.min_f1`, and their values as JSON: 1 is not 1.0, and not true."""
    flat: dict[str, str] = {}
    for key, value in recipe.items():
        flat |= flatten(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": _json(value)}
    return flat


def _json(value: Any) -> str:
    return canonical_json(value).decode().strip()
