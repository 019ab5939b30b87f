"""From a manifest's recipe back to a config: the files that it was trained from get their paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.config import of_recipe
from artifact_pipeline.errors import ArtifactRejected, ConfigError, Problem, plural
from artifact_pipeline.rows.matrix import FEEDBACK
from artifact_pipeline.training.champion import check_held_out
from artifact_pipeline.training.dataset import PACKAGED
from artifact_pipeline.training.reading import read_config

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.config import Config


class TrainingFiles(TypedDict, total=False):
    """What `artifact_pipeline.reproduce` takes by name; `ReproductionRequest` describes each."""

    data: str | PathLike[str] | None
    held_out: str | PathLike[str] | None
    feedback: Sequence[str | PathLike[str]]


def recipe_config(
    manifest: Manifest, data: Path | None, held_out: Path | None, *, feedback: tuple[str, ...] = ()
) -> Config:
    """Return the config that a manifest's recipe stands for; keys that it lacks take this version's defaults.

    Raises:
        ArtifactRejected: this version cannot train the recipe.
        ConfigError: a file that is needed is not named, or one is named that is not.
    """
    recipe = dict(manifest.recipe)
    table = recipe.get("dataset")
    if table == PACKAGED:
        message = (
            "the model was trained elsewhere and packaged: its recipe is not known, and it cannot be trained again"
        )
        raise ArtifactRejected(
            "there is nothing to reproduce",
            problems=[Problem(f"{NAME}: recipe", "packaged", message)],
            hint="artifact-pipeline verify checks the bytes, and artifact-pipeline inspect shows what was measured",
        )
    if isinstance(table, dict):
        if data is None:
            raise ConfigError(
                "--data: the artifact was trained from a table, and holds no path to it",
                hint=f"name the table with the column {manifest.data.target!r}: --data FILE",
            )
        recipe["dataset"] = {**table, "path": str(data)}  # over any path that a forged recipe may name
    elif data is not None:
        message = f"--data: the artifact was trained from the built-in {table}, not from a table"
        raise ConfigError(message, hint="leave it away")
    check_held_out(manifest, held_out)
    if held_out is not None:
        recipe["split"] = {**recipe["split"], "path": str(held_out)}
    recipe["feedback"] = _feedback(manifest, feedback)
    try:
        return read_config(of_recipe(recipe))
    except ConfigError as error:
        problems = [Problem(f"{NAME}: recipe", each.rule, each.message) for each in error.problems]
        raise ArtifactRejected(
            "the recipe is none that this version can train",
            problems=problems,
            hint="use the version of artifact-pipeline that the manifest's environment names",
        ) from error


def _feedback(manifest: Manifest, named: tuple[str, ...]) -> list[str]:
    """The files of feedback, over any that a forged recipe may name."""
    learned = [source for source in manifest.data.sources if source.name == FEEDBACK]
    if learned and not named:
        words = ", ".join(f"{plural(each.rows, 'row')} with the digest {each.digest}" for each in learned)
        message = f"--with: the artifact learned from feedback, too ({words}), and holds no path to it"
        raise ConfigError(message, hint="name each of its files: --with FILE")
    if named and not learned:
        raise ConfigError("--with: the artifact has learned from no feedback", hint="leave it away")
    return [*named]
