"""`artifact-pipeline reproduce`: does the artifact come back, here, from what its manifest says?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.comparison import plain, say_comparison
from artifact_pipeline.cli.options import artifact_argument, verb, with_artifact
from artifact_pipeline.errors import ArtifactRejected, NotReproduced, Problem
from artifact_pipeline.files import shown
from artifact_pipeline.reports.tables import clean
from artifact_pipeline.runtime import CACHE_KIB, CACHE_VARIABLE, KERNEL_VARIABLE, KERNELS

if TYPE_CHECKING:
    from artifact_pipeline.artifact.environment import Environment
    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.training.reproduction import Grade, Reproduction

LEVELS = ("bytes", "model", "parameters", "predictions", "metrics")
"""What can be asked for; a test compares it with the grades, which NumPy would have to be loaded for."""
KINDS = {
    "data": "the data",
    "recipe": "the recipe",
    "kernel": "the BLAS kernel",
    "packages": "the versions of packages",
    "python": "the version of Python",
    "libc": "the C library",
    "system": "the system or its architecture",
}
_DECIDED = {
    "artifact": "as the manifest records",
    "user": f"as {KERNEL_VARIABLE} says",
    "process": "as NumPy had been loaded before",
    "default": "the usual one here",
}
"""Who can have chosen the kernel."""


@verb("Train an artifact again from its manifest, and grade what comes back.", 4, 5, 6)
@artifact_argument
@click.option(
    "--at-least",
    type=click.Choice(LEVELS),
    default="bytes",
    show_default=True,
    help="The grade that counts as success; anything below ends with status 6.",
)
@click.option(
    "--data",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The table (CSV, Parquet or JSON Lines) that it was trained from, which a manifest does not tell; not for the "
    "digits.",
)
@click.option(
    "--champion",
    metavar="ARTIFACT",
    type=click.Path(path_type=Path),
    help="The model that it was compared with: the comparison is made again beside the training.",
)
@click.option(
    "--expect",
    metavar="DIGEST",
    help="The artifact digest known from elsewhere, sha256:…; any other is refused unread.",
)
@click.option(
    "--print-environment",
    is_flag=True,
    help="Print the exact requirements with which the bytes come back, for pip install -r, and do not train.",
)
@click.pass_obj
def reproduce(
    output: Output,
    /,
    artifact: Path,
    *,
    at_least: Grade,
    data: Path | None,
    expect: str | None,
    **asked: Any,  # `champion` and `print_environment`
) -> None:
    """Train ARTIFACT again in this environment, from its manifest alone, and say how much of it comes back.

    The grades, the best first: bytes (the same artifact digest), model (the same model digest), parameters (the
    fitted numbers within 1e-9, and every label), predictions (the same label for every row), metrics (the same figures
    to four decimals), diverged (none of these).

    Below the first, what differs of packages, Python, C library, system, BLAS kernel, data and recipe is named.
    Nothing is written. The BLAS kernel that the manifest records is used where OPENBLAS_CORETYPE is not set.
    """
    if asked["print_environment"]:
        from artifact_pipeline.verification import verify

        _print_environment(output, verify(artifact, expect=expect, accept_failed_gate=True).manifest)
        return
    from artifact_pipeline.training.reproduction import reproduce_artifact

    with output.progress() as progress:
        found = reproduce_artifact(artifact, data=data, champion=asked["champion"], expect=expect, progress=progress)
    output.say(f"reproduced: {shown(artifact)}, grade {found.grade}")
    _say(output, found)
    error = None if found.reaches(at_least) else _not_reproduced(found, at_least)
    output.result(_result(found, at_least=at_least, error=error))
    if error is not None:
        output.as_json = False  # the one object is printed, with the error in it
        raise error
    output.next(with_artifact("artifact-pipeline inspect", artifact))


def _say(output: Output, found: Reproduction) -> None:
    output.say(f"artifact digest: {found.of.digest} recorded")
    output.say(f"                 {found.artifact} here")
    output.say(f"model digest:    {found.of.manifest.model.digest} recorded")
    output.say(f"                 {found.model} here")
    output.say(f"kernel: {', '.join(found.kernels) or 'none'}, {_DECIDED[found.chosen_by]}")
    output.say()
    output.table(["compared", "found"], _compared(found))
    output.say()
    if found.causes:
        output.table(
            ["differs", "which", "recorded", "here"],
            [[cause.kind, cause.what, cause.recorded, cause.here] for cause in found.causes],
        )
        output.say()
    for line in found.carried:
        output.say(f"carried over: {line}")
    if found.comparison is not None:
        say_comparison(output, found.comparison)
        told = "none is recorded" if found.recorded is None else _as_recorded(found)
        output.say(f"recorded comparison: {told}")
    if found.grade != "bytes":
        output.say(f"cause: {_verdict(found)}")


def _as_recorded(found: Reproduction) -> str:
    return "the same" if found.comparison == found.recorded else "another one"


def _compared(found: Reproduction) -> list[list[str]]:
    differences = found.differences
    figures = [f"{name} {old} is {new}" for name, (old, new) in differences.metrics.items()]
    apart = differences.parameters
    cells = {
        "files": ", ".join(differences.files) or "all the same",
        "manifest": ", ".join(differences.manifest) or "all the same",
        "parameters": "cannot be compared" if apart is None else f"{apart:.1e} apart at most, relative",
        "labels": "cannot be compared"
        if differences.labels is None
        else f"{differences.labels:,} of {differences.rows:,} differ",
        "probabilities": "cannot be compared"
        if differences.probabilities is None
        else f"{differences.probabilities:.1e} apart at most",
        "metrics": "; ".join(figures) or "the same to four decimals",
    }
    return [[name, cell] for name, cell in cells.items()]


def _verdict(found: Reproduction) -> str:
    """What the causes come to, in a sentence."""
    if found.sole is not None:
        (first, *more) = found.causes
        which = "" if more else f" ({first.what}: {first.recorded} recorded, {first.here} here)"
        same = ", and the model is the same" if found.grade == "model" else ""
        return f"{KINDS[found.sole]}{which}; nothing else that the manifest records differs{same}"
    if found.causes:
        kinds = list(dict.fromkeys(KINDS[cause.kind] for cause in found.causes))
        return f"one or more of {', '.join(kinds)}; mend one at a time to tell which"
    return "nothing that the manifest records differs: the artifact does not come from this recipe and these rows alone"


def _not_reproduced(found: Reproduction, level: Grade) -> NotReproduced:
    problems = [
        Problem(cause.kind, f"differs-{cause.kind}", f"{cause.what}: {cause.recorded} recorded, {cause.here} here")
        for cause in found.causes
    ] or [Problem("artifact", "differs-unrecorded", _verdict(found))]
    hint = "reproduce --print-environment prints the requirements with which the bytes come back"
    if found.sole == "data":
        hint = "name the rows that the artifact was trained from by --data"
    elif found.sole == "kernel" and found.chosen_by == "user":
        hint = f"unset {KERNEL_VARIABLE}, and the kernel that the manifest records is used where it can be"
    elif found.sole == "recipe" or not found.causes:
        hint = "do not trust what the manifest says of how the model came about"
    message = f"not reproduced: the grade is {found.grade}, asked for was {level}"
    return NotReproduced(message, problems=problems, hint=hint)


def _result(found: Reproduction, *, at_least: Grade, error: NotReproduced | None) -> dict[str, Any]:
    differences = found.differences
    failed = None
    if error is not None:
        problems = [{"place": each.place, "rule": each.rule, "message": each.message} for each in error.problems]
        failed = {
            "message": error.message,
            "problems": problems,
            "hint": error.hint,
            "status": error.exit_status,
        }
    return {
        "grade": found.grade,
        "at_least": at_least,
        "artifact": {"recorded": found.of.digest, "here": found.artifact},
        "model": {"recorded": found.of.manifest.model.digest, "here": found.model},
        "kernel": {"ran": list(found.kernels), "chosen_by": found.chosen_by},
        "differences": {
            "files": list(differences.files),
            "manifest": list(differences.manifest),
            "parameters": differences.parameters,
            "rows": differences.rows,
            "labels": differences.labels,
            "probabilities": differences.probabilities,
            "metrics": {name: {"recorded": old, "here": new} for name, (old, new) in differences.metrics.items()},
        },
        "causes": [
            {"kind": cause.kind, "what": cause.what, "recorded": cause.recorded, "here": cause.here}
            for cause in found.causes
        ],
        "sole_cause": found.sole,
        "carried_over": list(found.carried),
        "comparison": {
            "here": plain(found.comparison) if found.comparison is not None else None,
            "recorded": plain(found.recorded) if found.recorded is not None else None,
        },
        "error": failed,
    }


def _print_environment(output: Output, manifest: Manifest) -> None:
    environment = manifest.environment
    packages = dict(environment.packages)
    ours = packages.pop("artifact-pipeline", None)
    _check_requirements({**packages, "artifact-pipeline": ours or "0"})
    variables = _variables(environment)
    requirements = [f"{name}=={number}" for name, number in packages.items()]
    if output.as_json:
        output.result(
            {
                "requirements": requirements,
                "artifact-pipeline": ours,
                "variables": variables,
                "python": environment.python.plain(),
                "system": environment.system,
                "architecture": environment.architecture,
                "libc": environment.libc,
            }
        )
        return
    python = f"{environment.python.implementation} {environment.python.version}"
    comments = [
        f"Python: {python}",
        f"system: {environment.system} {environment.architecture}, {environment.libc or 'an unknown C library'}",
        *(f"BLAS: {each.library} {each.version}, kernel {each.kernel}" for each in environment.blas),
        *(f"variable: {name}={value}" for name, value in variables.items()),
        f"artifact-pipeline: {ours or 'unknown'}, with its extra [train]",
    ]
    lines = [*(f"# {clean(each)}" for each in comments), *requirements]
    output.print("".join(f"{line}\n" for line in lines))


def _variables(environment: Environment) -> dict[str, str]:
    """What to set before Python starts; with `Haswell` each verb does so by itself."""
    kernels = {each.kernel for each in environment.blas if each.library == "openblas"}
    if len(kernels) != 1 or not kernels <= set(KERNELS):
        return {}
    return {KERNEL_VARIABLE: kernels.pop(), CACHE_VARIABLE: CACHE_KIB}


def _check_requirements(packages: dict[str, str]) -> None:
    """Refuse a name or version that pip would read as something else, such as an option or a second line.

    Raises:
        ArtifactRejected: there is one; a manifest may be anybody's.
    """
    bad = [
        name
        for name, number in packages.items()
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name)
        or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+!_-]*", number)
    ]
    if bad:
        problems = [
            Problem("manifest.json", "requirement", f"{name!r:.80} is no package with a version") for name in bad
        ]
        raise ArtifactRejected("the environment cannot be written as requirements", problems=problems)
