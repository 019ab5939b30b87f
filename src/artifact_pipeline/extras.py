"""The extras of the package: which of them brings a package that is missing."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING

from artifact_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    Parameters = ParamSpec("Parameters")
    Result = TypeVar("Result")

_EXTRAS = {
    "scale": ("what clusters and object stores need", {"dask", "distributed", "obstore", "cryptography"}),
    "sign": ("what signatures need", {"model_signing", "id", "sigstore", "requests", "OpenSSL"}),
    "serve": ("what the server needs", {"granian", "uvloop", "prometheus_client"}),
    "track": ("what trackers and registries need", {"urllib3"}),
    "report": ("what reports need", {"matplotlib", "jinja2", "markupsafe"}),
    "images": ("what pictures need", {"PIL"}),
}
"""The extras beside `train`: what each is for, and what it brings."""


def not_installed(error: ModuleNotFoundError) -> PipelineError:
    """Return the error that names the extra which brings a package that is missing.

    Raises:
        ModuleNotFoundError: the module is one of this package, and so no extra brings it.
    """
    module = error.name or ""
    name = module.partition(".")[0]
    if name == "artifact_pipeline":
        raise error
    extra, words = next(
        ((extra, words) for extra, (words, brought) in _EXTRAS.items() if name in brought),
        ("train", "what training needs"),
    )
    hint = f"pip install 'artifact-pipeline[{extra}]' brings {words} beside the base"
    return PipelineError(f"the package {module} is not installed", hint=hint)


def naming_extras(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let a function raise `not_installed` where a package is missing."""

    @wraps(function)
    def _call(*args: Parameters.args, **keywords: Parameters.kwargs) -> Result:
        try:
            return function(*args, **keywords)
        except ModuleNotFoundError as error:
            raise not_installed(error) from error

    return _call
