"""`python -m artifact_pipeline` is `artifact-pipeline`."""

import sys

from artifact_pipeline.cli import main

if __name__ == "__main__":
    sys.exit(main())
