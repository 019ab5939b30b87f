"""`artifact-pipeline sign`: a signature beside an artifact."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.options import artifact_argument, digest_options, file_option, group, verb
from artifact_pipeline.errors import ConfigError, plural
from artifact_pipeline.files import shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.training.signing import Signer

_PASSWORD = "ARTIFACT_PIPELINE_KEY_PASSWORD"  # noqa: S105 - the name of the variable


signer_options = group(
    file_option("--private-key", words=f"A key on P-256, P-384 or P-521 in PEM; ${_PASSWORD} unlocks it."),
    click.option(
        "--sigstore", is_flag=True, help="Sign without a key: by the identity token of the CI, or $SIGSTORE_ID_TOKEN."
    ),
    file_option("--sigstore-config", words="The client trust config of a Sigstore of your own."),
)
"""Who signs; `signer_from` reads it."""


def signer_from(by: Mapping[str, Any]) -> Signer:
    """Return the signer that `signer_options` name."""
    from artifact_pipeline.training.signing import Signer

    named = {name: by[name] for name in ("private_key", "sigstore", "sigstore_config")}
    return Signer(**named, password=os.environb.get(_PASSWORD.encode()) or None, environment=os.environ)


@verb("Sign an artifact, beside it.", 4, 8)
@artifact_argument
@digest_options
@signer_options
@file_option(
    "--signature", words="Where the signature goes; by default beside the artifact's folder, with .sig at its end."
)
@click.pass_obj
def sign(
    output: Output,
    /,
    artifact: Path | str,
    *,
    expect: str | None,
    accept_failed_gate: bool,
    signature: Path | None,
    **by: Any,
) -> None:
    """Sign ARTIFACT (a pointer, or an artifact's folder) with a private key, or by Sigstore.

    It is verified first, and what is signed are the digests of the very bytes that were verified. The signature stands
    beside the artifact, never in it; `python -m model_signing verify` reads it, too. If its provenance stands there, it
    is signed as well, which gives the artifact a time that others can rely on. Needs the extra [sign].
    """
    if isinstance(artifact, str):
        raise ConfigError(f"{artifact}: a signature is made beside an artifact's folder", hint="sign it, then push it")
    done = signer_from(by).sign(artifact, signature=signature, expect=expect, accept_failed_gate=accept_failed_gate)
    output.say(f"signed: {shown(artifact)}, {plural(done.files, 'file')}, by {done.signer}")
    output.say(f"artifact digest: {done.digest}")
    names = [shown(each) for each in done.signatures]
    for name in names:
        output.say(f"signature: {name}")
    if len(names) == 1:
        output.log("note: no provenance stands beside it, so that a policy with not_before refuses it")
    output.result({"artifact": done.digest, "signer": done.signer, "signatures": names})
