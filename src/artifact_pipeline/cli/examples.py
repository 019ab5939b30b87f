"""The examples that stand at the end of each verb's help, and in its part of the manual page."""

from __future__ import annotations

from itertools import groupby

_COMMANDS = """
artifact-pipeline init patients.csv
artifact-pipeline init patients.csv --target diagnosis -o config/patients.json
artifact-pipeline init --dataset iris
artifact-pipeline train -S max_iter=500 -S gate.min_f1=0.9 --seeds 20
artifact-pipeline train --config rows.json -S search=quick --jobs 4 --minutes 30
artifact-pipeline train --with drawn.jsonl --champion /srv/models/artifact --summary page.md
artifact-pipeline verify artifact --expect "$DIGEST" --policy trust.json
artifact-pipeline verify oci://ghcr.io/owner/digits:v1 --policy trust.json
artifact-pipeline verify predictions.parquet --receipt --input new.csv
artifact-pipeline sign artifact --private-key key.pem
artifact-pipeline sign artifact --sigstore --expect "$DIGEST"
artifact-pipeline predict new.csv -o predictions.parquet
artifact-pipeline predict 'rows/*.parquet' -o predictions/ --on-error quarantine --resume
artifact-pipeline predict - --from csv -o - --to jsonl
artifact-pipeline serve artifact --port 9000
artifact-pipeline serve artifact --expect "$DIGEST" --workers 2
artifact-pipeline serve oci://ghcr.io/owner/digits:champion --follow --policy trust.json
artifact-pipeline health --port 9000
artifact-pipeline health --uds /run/digits.sock --within 1
artifact-pipeline evaluate predictions.parquet labels.csv --key patient
artifact-pipeline evaluate predictions.csv labels.csv --label diagnosis --min-f1 0.9
artifact-pipeline inspect artifact
artifact-pipeline inspect artifact --format markdown
artifact-pipeline search show artifact
artifact-pipeline search show artifact -o search.svg
artifact-pipeline report artifact
artifact-pipeline report artifact --data patients.csv -o report.html
artifact-pipeline report artifact /srv/models/artifact --format markdown
artifact-pipeline compare artifact /srv/models/artifact
artifact-pipeline compare artifact /srv/models/artifact --data patients.csv --margin 0.01
artifact-pipeline compare candidate v2 v1 --format markdown
artifact-pipeline reproduce artifact
artifact-pipeline reproduce artifact --data patients.csv --at-least metrics
artifact-pipeline reproduce artifact --print-environment
artifact-pipeline card artifact
artifact-pipeline card artifact -o MODEL_CARD.md
artifact-pipeline bom artifact -o bom.json
artifact-pipeline bom artifact --expect "$DIGEST" -o bom.json
artifact-pipeline export mlflow artifact --tracking-uri https://mlflow.example
artifact-pipeline export mlflow artifact --experiment digits --alias champion --json
artifact-pipeline export json artifact -o facts.json
artifact-pipeline runs
artifact-pipeline runs --artifact /srv/models/artifact --json
artifact-pipeline runs --registry oci://ghcr.io/owner/digits
artifact-pipeline rollback
artifact-pipeline rollback 14026d933fe6 --policy trust.json
artifact-pipeline push artifact oci://ghcr.io/owner/digits:v1
artifact-pipeline push artifact oci://localhost:5000/digits:v1 --expect "$DIGEST"
artifact-pipeline push artifact s3://bucket/models/digits
artifact-pipeline pull oci://ghcr.io/owner/digits:v1 --policy trust.json
artifact-pipeline pull oci://localhost:5000/digits:v1 -o digits
artifact-pipeline pull s3://bucket/models/digits
artifact-pipeline gc --keep 3
artifact-pipeline gc --registry oci://ghcr.io/owner/digits --match 'sha-*' --role champion --yes
artifact-pipeline promote oci://ghcr.io/owner/digits:v2 champion --policy trust.json
artifact-pipeline promote oci://localhost:5000/wards:v2 champion --data patients.csv --dry-run
artifact-pipeline promote oci://ghcr.io/owner/digits:v2 champion --pointer s3://bucket/promotions
artifact-pipeline demote oci://ghcr.io/owner/digits champion
artifact-pipeline demote oci://ghcr.io/owner/digits champion --to 14026d933fe6 --policy trust.json
artifact-pipeline history oci://ghcr.io/owner/digits champion
artifact-pipeline history oci://ghcr.io/owner/digits champion --public-key key.pub --json
artifact-pipeline schema
artifact-pipeline schema > config.schema.json
artifact-pipeline completion install
artifact-pipeline completion install zsh --print
artifact-pipeline man | man -l -
artifact-pipeline man > ~/.local/share/man/man1/artifact-pipeline.1
"""

EXAMPLES = {
    verb: tuple(commands)
    for verb, commands in groupby(_COMMANDS.strip().splitlines(), key=lambda command: command.split()[1])
}
"""Two or three commands by verb; a test parses each of them."""
