"""The consumer's policy: whose artifacts are accepted, and which ones; everything else is refused.

A policy is a JSON file of the consumer. docs/trust.md describes its keys, and what they protect against. It is applied
before the manifest is parsed, and at the latest before the model is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - msgspec reads it
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from artifact_pipeline.artifact import pointer
from artifact_pipeline.artifact.parts import NAME, Digest, Frozen, ModelName, Share, Text
from artifact_pipeline.artifact.pointer import SIGNATURE
from artifact_pipeline.artifact.provenance import SUFFIX as PROVENANCE
from artifact_pipeline.canonical import digest
from artifact_pipeline.errors import ConfigError, Problem
from artifact_pipeline.files import read_bounded, reason_of
from artifact_pipeline.trust.beside import creation, read_beside
from artifact_pipeline.trust.keys import Key, read_key_file
from artifact_pipeline.trust.signing import WHOLE, Signed, Signers, rejected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from artifact_pipeline.artifact.figures import HeldOut
    from artifact_pipeline.artifact.manifest import Manifest

_MAX_POLICY_BYTES = 1 << 20
_INLINE = "-----BEGIN "


class Policy(Frozen, frozen=True):
    """Whom and what a consumer trusts, format 1.

    Attributes:
        keys: public keys, each in PEM, or a path that starts at the policy's folder.
        identities: who signs by Sigstore.
        sigstore: the path of the client trust config of a Sigstore of one's own.
        require_gate: whether `--accept-failed-gate` is not enough.
        minimum: the consumer's own minimum figures, since a publisher can write a gate of zero.
        not_before: the earliest creation, as signed provenance says it.
        revoked: artifact digests and model digests that are refused.
        names: the names that are allowed; None allows every name.
    """

    class Minimum(Frozen, frozen=True):
        """The held-out figures that a consumer wants at least; `_low` is about the lower end of the 95 % interval.

        `recall` is a number for every class, or one for each of some labels.
        """

        accuracy: Share = 0.0
        accuracy_low: Share = 0.0
        f1_weighted: Share = 0.0
        f1_weighted_low: Share = 0.0
        f1_macro: Share = 0.0
        recall: Share | dict[Text, Share] = 0.0

    format: Literal[1]
    keys: Annotated[tuple[str, ...], Meta(max_length=64)] = ()
    identities: Annotated[tuple[Signers.Identity, ...], Meta(max_length=64)] = ()
    sigstore: str | None = None
    require_gate: bool = True
    minimum: Minimum = Minimum()
    not_before: Annotated[datetime, Meta(tz=True)] | None = None
    revoked: tuple[Digest, ...] = ()
    names: Annotated[tuple[ModelName, ...], Meta(min_length=1)] | None = None

    @classmethod
    def read(cls, data: bytes, place: str) -> Policy:
        """Parse a policy's bytes; what is not understood is refused, since it may have been meant to forbid something.

        Raises:
            ConfigError: no JSON, a key that is unknown or stands twice, or a value that breaks its type.
        """

        def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for key, value in pairs:
                if key in found:
                    raise _refused(place, "policy-duplicate-key", f"the key {key!r:.80} stands twice")
                found[key] = value
            return found

        def number(word: str) -> float:
            raise _refused(place, "policy-syntax", f"{word} is no number of JSON")

        try:
            value = json.loads(data.decode("utf-8", "strict"), object_pairs_hook=unique, parse_constant=number)
        except (ValueError, RecursionError) as error:
            message = str(error) if isinstance(error, json.JSONDecodeError) else "not JSON in UTF-8"
            raise _refused(place, "policy-syntax", message) from None
        try:
            return msgspec.convert(value, cls)
        except ValueError as error:
            message = str(error)[:200]
            rule = "policy-unknown-key" if "unknown field" in message else "policy-value"
            raise _refused(place, rule, message) from None


@dataclass(frozen=True, slots=True)
class Trust:
    """What a consumer asks of an artifact, beyond that it is whole.

    Attributes:
        signers: whose signature counts; empty where a digest is expected instead.
        policy_digest: the digest of the policy's file, or None where a key was named alone.
        signature: where the signature is; None is beside the artifact's folder.
    """

    signers: Signers
    policy: Policy
    policy_digest: str | None = None
    signature: Path | None = None

    @classmethod
    def load(
        cls,
        *,
        policy: Path | None = None,
        public_key: Path | None = None,
        signature: Path | None = None,
        expected: bool = False,
    ) -> Trust | None:
        """Return what is asked of an artifact; None where neither a policy nor a key is named.

        The three files are the policy, the one key whose signature counts, and the signature, if that is not beside the
        artifact. `expected` says that the artifact digest is known from elsewhere, too.

        Raises:
            ConfigError: the policy or a key cannot be used, or the options contradict each other.
        """
        if policy is None and public_key is None:
            if signature is not None:
                raise ConfigError("--signature: whose is it to be? name a --public-key or a --policy")
            return None
        keys = (Key.parse(read_key_file(public_key), str(public_key)),) if public_key is not None else ()
        if policy is None:
            return cls(Signers(keys), Policy(format=1, require_gate=False), signature=signature)
        try:
            data = read_bounded(policy, _MAX_POLICY_BYTES)
        except (OSError, ValueError) as error:
            raise _refused(str(policy), "policy-unreadable", reason_of(error)) from None
        parsed = Policy.read(data, str(policy))
        if keys and (parsed.keys or parsed.identities):
            raise _refused(str(policy), "policy-signers", "names signers itself; leave --public-key away")
        signers = Signers(keys) if keys else _signers(parsed, policy)
        empty = not signers.keys and not signers.identities
        if empty and (not expected or parsed.not_before is not None or signature is not None):
            message = "names no signer; it needs keys or identities, or beside it --public-key"
            raise _refused(str(policy), "policy-no-signer", message + (" or --expect" if not expected else ""))
        return cls(signers, parsed, digest(data), signature)

    def admit(self, folder: Path, artifact: str) -> Signed | None:
        """Check an artifact's digest, signature and age, before a byte of the artifact is parsed.

        Returns:
            What a trusted signer signed; None where no signature is asked for.

        Raises:
            ArtifactRejected: no trusted signer signed it, or it is revoked, or older than allowed.
        """
        if artifact in self.policy.revoked:
            raise rejected(NAME, "revoked", f"the policy has revoked {artifact}")
        if not self.signers.keys and not self.signers.identities:
            return None
        place = self.signature or pointer.beside(folder)
        signed = self.signers.check(read_beside(place, "signature"), place=place.name)
        if signed.files.get(NAME) != artifact:
            raise rejected(place.name, "signature-artifact", f"is the signature of another artifact than {artifact}")
        if self.policy.not_before is not None:
            self._check_age(folder, artifact, self.policy.not_before)
        return signed

    def _check_age(self, folder: Path, artifact: str, not_before: datetime) -> None:
        """Refuse an artifact that was made too long ago; a time without a signature does not count."""
        place = pointer.beside(folder, PROVENANCE)
        data = read_beside(place, "provenance")
        signature = place.with_name(place.name + SIGNATURE)
        signed = self.signers.check(read_beside(signature, "provenance-signature"), place=signature.name)
        if signed.files != {WHOLE: digest(data)}:
            raise rejected(signature.name, "provenance-signature", "is the signature of another provenance")
        created = creation(data, artifact, place.name)
        if created < not_before:
            message = f"made at {created.isoformat()}; the policy takes none before {not_before.isoformat()}"
            raise rejected(place.name, "too-old", message)

    def judge(self, manifest: Manifest, signed: Signed | None) -> Iterator[Problem]:
        """Yield what the policy does not allow in a manifest; called before the model is parsed."""
        if signed is not None:
            yield from _file_problems(manifest, signed)
        if manifest.model.digest in self.policy.revoked:
            yield Problem(NAME, "revoked", f"the policy has revoked the model {manifest.model.digest}")
        if self.policy.names is not None and manifest.name not in self.policy.names:
            yield Problem(NAME, "name-not-allowed", f"the policy does not allow the name {manifest.name}")
        figures, minimum = manifest.metrics.held_out, self.policy.minimum
        yield from _too_low("accuracy", figures.accuracy, minimum.accuracy, minimum.accuracy_low)
        yield from _too_low("f1_weighted", figures.f1_weighted, minimum.f1_weighted, minimum.f1_weighted_low)
        yield from _below("f1_macro", figures.f1_macro, minimum.f1_macro)
        yield from _recall_problems(figures, minimum.recall)


def _file_problems(manifest: Manifest, signed: Signed) -> Iterator[Problem]:
    """Compare what was signed with what was read: the manifest's records are those of the bytes in memory."""
    read = {record.name: record.sha256 for record in manifest.files}
    others = {name: value for name, value in signed.files.items() if name != NAME}
    for name in sorted(read.keys() | others.keys()):
        if read.get(name) != others.get(name):
            words = "was signed, and is not in the artifact" if name not in read else "is not what was signed"
            yield Problem(f"{name!r:.80}", "signature-files", words)


def _recall_problems(figures: HeldOut, minimum: float | dict[str, float]) -> Iterator[Problem]:
    recalls = {str(each.label): each for each in figures.classes}
    asked = minimum if isinstance(minimum, dict) else dict.fromkeys(recalls, minimum)
    for label, least in asked.items():
        if label in recalls:
            yield from _below(f"recall of {recalls[label].label!r}", recalls[label].recall, least)
        else:
            message = f"the policy asks for the recall of {label!r:.80}, a class that the model has not"
            yield Problem(NAME, "figures-too-low", message)


def _below(name: str, value: float, least: float) -> Iterator[Problem]:
    if value < least:
        yield Problem(NAME, "figures-too-low", f"{name} is {value}, the policy asks for {least}")


def _too_low(name: str, figure: HeldOut.Estimate, value: float, low: float) -> Iterator[Problem]:
    yield from _below(name, figure.value, value)
    # The lower end is what the publisher says; it never counts for more than the figure itself.
    if min(figure.low, figure.value) < low:
        yield Problem(NAME, "figures-too-low", f"{name} may be as low as {figure.low}, the policy asks for {low}")


def _signers(policy: Policy, path: Path) -> Signers:
    keys = tuple(_key(each, path) for each in policy.keys)
    root = read_key_file(path.parent / policy.sigstore) if policy.sigstore is not None else None
    return Signers(keys, policy.identities, root)


def _key(key: str, policy: Path) -> Key:
    """A key of a policy: PEM, or a path that starts at the policy's folder."""
    if key.startswith(_INLINE):
        return Key.parse(key.encode(errors="replace"), str(policy))
    place = policy.parent / key
    return Key.parse(read_key_file(place), str(place))


def _refused(place: str, rule: str, message: str) -> ConfigError:
    hint = "docs/trust.md describes a policy; nothing is trusted by one that cannot be understood"
    return ConfigError("the policy cannot be used", problems=[Problem(place, rule, message)], hint=hint)
