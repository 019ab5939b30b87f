"""Give every malicious pickle of the tests to `load_model`, and those that should fire to `joblib.load` as well.

Each has a canary: a file that its code creates. Prints one JSON object with what was refused and what fired.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Read all of them by both readers, in a folder that is removed afterwards."""
    sys.path += [str(ROOT / "src"), str(ROOT / "tests")]
    samples = importlib.import_module("pickles")

    import joblib

    from artifact_pipeline.documented import load_model
    from artifact_pipeline.errors import ArtifactRejected

    refused = 0
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joblib warns about the old files that some samples imitate
        ours, bare = Path(name, "ours"), Path(name, "bare")
        for folder in (ours, bare):
            folder.mkdir()
        for index, (sample, build) in enumerate(samples.MALICIOUS.items()):
            file = Path(name, f"{index}.pkl")
            file.write_bytes(build(ours / str(index)))
            try:
                load_model(file)
            except ArtifactRejected:
                refused += 1
            if sample in samples.FIRES:
                file.write_bytes(build(bare / str(index)))
                with contextlib.suppress(Exception):  # whatever comes after its code has run
                    joblib.load(file)
        fired = {folder.name: len(list(folder.iterdir())) for folder in (ours, bare)}
    result = {"given": len(samples.MALICIOUS), "refused": refused, "can_fire": len(samples.FIRES), "fired": fired}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
