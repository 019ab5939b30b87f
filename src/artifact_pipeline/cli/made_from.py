"""Whether a model was made from the config on disk: after a failed gate, the model in charge is an older one.

As far as recipe and provenance tell, and without pydantic: a prediction starts without it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifact_pipeline.canonical import PREFIX, digest, dotted
from artifact_pipeline.files import shown

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.cli.output import Output

CONFIG = Path("config", "config.json")
"""Where a training finds its config, beside the pointer that it writes."""
MAX_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class _Other:
    """A config that the model was not made from.

    Attributes:
        config: where it is.
        changed: by key, what the config says and what the model was made with.
    """

    config: Path
    changed: dict[str, tuple[Any, Any]]

    def plain(self) -> dict[str, Any]:
        """The same as `--json` prints it."""
        changed = {key: {"config": there, "model": made} for key, (there, made) in self.changed.items()}
        return {"file": shown(self.config), "changed": changed}


def other_config(artifact: Path, verified: Verified) -> _Other | None:
    """Return the config beside a pointer where the model was not made from it; None where that is not known.

    A key that the config does not have may have its default in the model, or not: it is not compared.
    """
    from artifact_pipeline.artifact import provenance
    from artifact_pipeline.files import read_bounded

    config = artifact.parent / CONFIG
    try:
        data = read_bounded(config, MAX_BYTES)
        values = json.loads(data)
    except (OSError, ValueError, RecursionError):
        return None
    statement = provenance.Statement.read(verified.folder)
    made_from = statement.dependencies if statement else ()
    if not isinstance(values, dict) or digest(data).removeprefix(PREFIX) in {
        each.digest.get("sha256") for each in made_from if each.name == "config"
    }:
        return None
    there, made = dotted(values), dotted(verified.manifest.recipe)
    changed = {key: (value, made[key]) for key, value in there.items() if key in made and made[key] != value}
    return _Other(config, changed) if changed else None


def say_other(output: Output, other: _Other) -> None:
    """Say in one line that the config is another one, and how to train from it."""
    words = (f"{key} is {json.dumps(there)}, not {json.dumps(made)}" for key, (there, made) in other.changed.items())
    output.talk(
        f"note: this model was not made from {shown(other.config)} as it is now: {'; '.join(words)}; "
        f"{output.typed('artifact-pipeline train')} trains from it"
    )
