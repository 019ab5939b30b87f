"""A process that does nothing but publish: what a training does last, without NumPy and without the training.

    python tests/publisher.py POINTER TIMES FOLDER...

Each folder holds an artifact's files and its export, `model_train.pkl`; they are published in turn, TIMES over.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from artifact_pipeline.artifact.store import Store
from artifact_pipeline.errors import INTERRUPTED, PipelineError

EXPORT = "model_train.pkl"
STATEMENT = b"{}"
"""What stands beside the artifact; the store does not read what it writes there."""


def main(pointer: Path, times: int, folders: list[Path]) -> int:
    """Publish, and return the exit status that `python src/train.py` would have."""
    artifacts = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    try:
        for _ in range(times):
            for files in artifacts:
                members = {name: data for name, data in files.items() if name not in {EXPORT, "manifest.json"}}
                export = (pointer.with_name(EXPORT), files[EXPORT])
                manifest = files["manifest.json"]
                Store(pointer).publish(manifest, members, in_charge=True, export=export, statement=STATEMENT)
    except PipelineError as error:
        sys.stderr.write(f"error: {error}\nhint: {error.hint}\n")
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), [Path(each) for each in sys.argv[3:]]))
