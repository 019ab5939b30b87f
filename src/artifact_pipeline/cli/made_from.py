"""Whether a model was made from the config on disk: after a failed gate, the model in charge is an older one.

It is found from recipe and provenance alone, without pydantic, so that a prediction starts without it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifact_pipeline.canonical import PREFIX, digest, dotted
from artifact_pipeline.files import read_bounded, shown

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.cli.output import Output

_CONFIG = Path("config", "config.json")
"""Where a training finds its config, beside the pointer that it writes."""
_MAX_BYTES = 65_536


def say_other_config(output: Output, artifact: Path | str, verified: Verified) -> dict[str, Any] | None:
    """Say in one line where the config beside a pointer is not the one that the model was made from.

    Returns:
        The same as `--json` prints it; None where the model was made from that config, or where that is not known.
    """
    if isinstance(artifact, str):
        return None
    config = artifact.parent / _CONFIG
    changed = _changed(config, verified)
    if not changed:
        return None
    words = (f"{key} is {json.dumps(there)}, not {json.dumps(made)}" for key, (there, made) in changed.items())
    output.talk(
        f"note: this model was not made from {shown(config)} as it is now: {'; '.join(words)}; "
        f"{output.typed('artifact-pipeline train')} trains from it"
    )
    return {
        "file": shown(config),
        "changed": {key: {"config": there, "model": made} for key, (there, made) in changed.items()},
    }


def _changed(config: Path, verified: Verified) -> dict[str, tuple[Any, Any]]:
    """By key, what the config says and what the model was made with.

    A key that the config does not have may have its default in the model, or not: it is not compared.
    """
    from artifact_pipeline.artifact import provenance

    try:
        data = read_bounded(config, _MAX_BYTES)
        values = json.loads(data)
    except (OSError, ValueError, RecursionError):
        return {}
    statement = provenance.Statement.of(verified)
    made_from = statement.dependencies if statement else ()
    same = digest(data).removeprefix(PREFIX) in {
        each.digest.get("sha256") for each in made_from if each.name == "config"
    }
    if same or not isinstance(values, dict):
        return {}
    there, made = dotted(values), dotted(verified.manifest.recipe)
    return {key: (value, made[key]) for key, value in there.items() if key in made and made[key] != value}
