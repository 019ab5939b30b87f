"""`artifact-pipeline promote`, `demote` and `history`: who is in a role such as champion."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.comparison import comparison_options, plain, say_comparison
from artifact_pipeline.cli.history import check_digest_prefix
from artifact_pipeline.cli.options import expect_option, group, policy_options, short_digest, verb
from artifact_pipeline.cli.registry import (
    POINTER,
    connection_options,
    pointer_options,
    registry_request,
    with_connection,
)
from artifact_pipeline.cli.signing import signer_from, signer_options
from artifact_pipeline.errors import ArtifactRejected, GateFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.registry import history as histories
    from artifact_pipeline.registry import roles


_changing_options = group(
    signer_options,
    pointer_options,
    connection_options,
    click.option("--dry-run", is_flag=True, help="Decide, say what would be done, and change nothing."),
)


@contextmanager
def _promotion_request(
    output: Output, reference: str, role: str, options: Mapping[str, Any], *, changing: bool = True
) -> Iterator[roles.PromotionRequest]:
    from artifact_pipeline.registry import roles

    signs = changing and any(options[name] for name in ("private_key", "sigstore", "sigstore_config"))
    given = {"expect": None, "accept_failed_gate": False, **options}
    with registry_request(output, "pulling", reference, given) as registry:
        yield roles.PromotionRequest(
            registry,
            role,
            pointer=options["pointer"],
            name=options["name"],
            sealing=signer_from(options).seal() if signs else None,
            dry_run=changing and options["dry_run"],
        )


@verb("Put an artifact of a registry in a role, if it is no worse than who is there.", 3, 4, 5, 8)
@click.argument("candidate", metavar="oci://HOST/NAME[:TAG][@DIGEST]")
@click.argument("role")
@comparison_options
@click.option(
    "--on-inconclusive",
    type=click.Choice(["fail", "pass"]),
    default="fail",
    show_default=True,
    help="What becomes of a candidate of whom the comparison is not certain.",
)
@expect_option
@policy_options
@_changing_options
@click.pass_obj
def promote(output: Output, /, candidate: str, role: str, **options: Any) -> None:
    """Put an artifact of a registry in ROLE, such as champion.

    It is pulled and verified, its gate must have passed, and --policy or --public-key say whether you trust it. Then it
    is compared with the artifact that is in the role, on the rows that both held out, as compare does. What decides is
    the pointer: it is moved only if it still is where it was; who comes second gets status 3. The tag ROLE
    follows. The statement of who, when, and by which verdict stands at the pointer and is attached to the image.
    Needs the extra [registry].
    """
    from artifact_pipeline.training import promotion

    terms = {name: options[name] for name in ("data", "held_out", "margin", "on_inconclusive")}
    with _promotion_request(output, candidate, role, options) as request:
        try:
            done = promotion.promote(request, promotion.ChampionTerms(**terms))
        except GateFailed as error:
            if error.result is not None:
                say_comparison(output, error.result)
                output.beside_error = {"comparison": plain(error.result)}
            raise
    _say_outcome(output, done, request, options)


@verb("Put an earlier artifact back in a role.", 3, 4, 8)
@click.argument("repository", metavar="oci://HOST/NAME")
@click.argument("role")
@click.option(
    "--to",
    metavar="DIGEST",
    callback=check_digest_prefix,
    help="The digest, OCI's or the artifact's, of one that was in the role; its first digits are enough.",
)
@policy_options
@_changing_options
@click.pass_obj
def demote(output: Output, /, repository: str, role: str, *, to: str | None, **options: Any) -> None:
    """Put back in ROLE who was there before, or the one that --to names, as a new entry of the history.

    It is pulled and verified, with --policy or --public-key by what you trust, and not compared. Needs the extra
    [registry].
    """
    from artifact_pipeline.registry import history as histories

    with _promotion_request(output, repository, role, options) as request:
        done = histories.demote(request, to=to)
    _say_outcome(output, done, request, options)


@verb("List who was in a role, the latest first.", 4, 8)
@click.argument("repository", metavar="oci://HOST/NAME")
@click.argument("role")
@click.option(
    "--last",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    metavar="N",
    help="How many promotions, the latest ones.",
)
@policy_options
@pointer_options
@connection_options
@click.pass_obj
def history(output: Output, /, repository: str, role: str, *, last: int, **options: Any) -> None:
    """List who was in ROLE: when, from whom to whom, by which verdict, by whom; and whether the tag agrees.

    Each statement names the one before, which is checked. With --public-key or --policy each must be signed by who is
    trusted there; without them signatures are listed and not checked. Needs the extra [registry].
    """
    from artifact_pipeline.registry import history as histories

    with _promotion_request(output, repository, role, options, changing=False) as request:
        try:
            found = histories.history(request, most=last)
        except ArtifactRejected as error:
            if error.result is not None:
                output.beside_error = _say_history(output, error.result, role)
            raise
    output.result(_say_history(output, found, role))


def _say_outcome(
    output: Output, done: roles.PromotionOutcome, request: roles.PromotionRequest, options: Mapping[str, Any]
) -> None:
    """Print which artifact is in the role now, by which comparison, and which pointer decides it."""
    from msgspec import to_builtins

    statement, role = done.said, request.role
    source = statement.source if statement is not None else None
    comparison = statement.comparison if statement is not None else None
    changed = statement is not None and not request.dry_run
    verdict = "is" if statement is None or changed else "would be"
    output.say(f"{done.reference} {verdict} the {role}{' already' if statement is None else ''}")
    if statement is not None:
        output.say(f"before: {source.image if source is not None else 'none'}")
        if comparison is not None:
            say_comparison(output, comparison)
        output.say(f"statement: {f'signed by {done.signer}' if done.signer else 'without a signature'}")
    output.say(f"pointer: {done.pointer}")
    if done.mirrored:
        output.say(f"tag: {role}{' follows again' if statement is None else ''}")
    output.next(_history_command(done, request, options))
    output.result(
        {
            "digest": done.reference.digest,
            "reference": str(done.reference),
            "role": role,
            "pointer": done.pointer,
            "changed": changed,
            "dry_run": request.dry_run,
            "artifact": statement.to.artifact if statement is not None else None,
            "from": to_builtins(source),
            "comparison": plain(comparison) if comparison is not None else None,
            "signer": done.signer,
            "mirrored": done.mirrored,
        }
    )


def _history_command(done: roles.PromotionOutcome, request: roles.PromotionRequest, options: Mapping[str, Any]) -> str:
    repository = str(done.reference).partition("@")[0]
    words = ["artifact-pipeline history", repository, request.role]
    if request.pointer != POINTER:
        words += ["--pointer", shlex.quote(request.pointer)]
    if request.name is not None:
        words += ["--name", shlex.quote(request.name)]
    return with_connection(" ".join(words), options)


def _say_history(output: Output, found: histories.PromotionHistory, role: str) -> dict[str, Any]:
    """Print which artifacts were in the role, and return what `--json` prints of it."""
    from msgspec import to_builtins

    checked = bool(found.signers)
    listed = [
        {
            "statement": each.digest,
            "action": each.said.action,
            "on": each.said.on,
            "from": to_builtins(each.said.source),
            "to": to_builtins(each.said.to),
            "comparison": plain(each.said.comparison) if each.said.comparison is not None else None,
            "by": each.said.by,
            "run": each.said.run or None,
            "signed": each.signature is not None,
            "signer": signer,
        }
        for each, signer in zip_longest(found.entries, found.signers)
    ]
    output.say(f"pointer: {found.pointer}")
    if listed:
        head = ["when", "what", "from", "to", "comparison", "by", "signed"]
        output.table(head, [_row(each, checked=checked) for each in listed])
    else:
        output.say(f"there was no {role} yet")
    if not found.is_mirrored:
        leads = f"leads to {found.mirror}" if found.mirror is not None else "is not there"
        output.log(f"note: the tag {role} {leads}, which is not what the pointer says; promote again moves it")
    return {"pointer": found.pointer, "promotions": listed, "tag": found.mirror, "mirrored": found.is_mirrored}


def _row(entry: Mapping[str, Any], *, checked: bool) -> list[str]:
    short = [short_digest(each["image"]) if each else "" for each in (entry["from"], entry["to"])]
    unchecked = "yes, not checked" if entry["signed"] else "no"
    signed = (entry["signer"] or "by no trusted signer") if checked else unchecked
    by = entry["by"].rpartition("://")[2].removeprefix("urn:artifact-pipeline:builder:")
    verdict = entry["comparison"]["outcome"] if entry["comparison"] else ""
    return [entry["on"], entry["action"], *short, verdict, by, signed]
