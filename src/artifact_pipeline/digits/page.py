"""The page on which one draws a digit: its files, what it says of the model, and what it asks.

The page decides nothing: pictures and tables come here as they are, and become rows by the recipes that `predict` has.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from artifact_pipeline.digits.feedback import Feedback, recipe_of
from artifact_pipeline.model.linear import coefficients
from artifact_pipeline.serving.http import Refusal, Response, Route, json_response
from artifact_pipeline.serving.table import read_table

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.figures import HeldOut
    from artifact_pipeline.serving.model import Served
    from artifact_pipeline.serving.settings import Settings

_FILES = {
    "/": ("page.html", b"text/html; charset=utf-8"),
    "/page.css": ("page.css", b"text/css; charset=utf-8"),
    "/page.js": ("page.js", b"text/javascript; charset=utf-8"),
    "/drawing.js": ("drawing.js", b"text/javascript; charset=utf-8"),
}
"""By its path: a file in `static/`, and what it is."""


_HEADERS = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
            b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


def routes(settings: Settings) -> dict[str, Route]:
    """The page's routes by their paths.

    Raises:
        StorageError: the feedback's file cannot be appended to.
    """
    feedback = Feedback(settings.feedback) if settings.feedback is not None else None
    return {
        **{path: _constant(file) for path, file in _page_files().items()},
        "/page/model": Route("page", lambda served, _: describe(served, feedback=feedback is not None)),
        "/page/picture": _posted(read_picture),
        "/page/table": _posted(read_table),
        **({"/page/feedback": _posted(feedback.append)} if feedback is not None else {}),
    }


def _posted(answer: Callable[[Served, bytes], Response]) -> Route:
    """What the page asks by its body."""
    return Route("page", lambda served, request: answer(served, request.body), large=True, method="POST")


def _constant(file: Response) -> Route:
    return Route("page", lambda _served, _request: file)


def _page_files() -> dict[str, Response]:
    """The page's own files by path, read from the package."""
    folder = files("artifact_pipeline.digits") / "static"
    headers = ((b"cache-control", b"no-cache"), *_HEADERS)
    return {
        path: Response(200, (folder / name).read_bytes(), ((b"content-type", kind), *headers))
        for path, (name, kind) in _FILES.items()
    }


def describe(served: Served, *, feedback: bool) -> Response:
    """What the page says of the model.

    Args:
        served: the model.
        feedback: whether labelled drawings are taken.
    """
    manifest = served.verified.manifest
    drawn = recipe_of(served) is not None
    return json_response(
        {
            "name": served.name,
            "digest": served.verified.digest,
            "model": manifest.model.digest,
            "gate": manifest.gate.verdict if manifest.gate else "missing",
            "rules": manifest.gate.rules if manifest.gate else (),
            "labels": served.labels,
            "features": [feature.name for feature in manifest.model.inputs],
            "target": manifest.data.target,
            "draws": drawn,
            "feedback": feedback and drawn,
            "max_rows": served.max_rows,
            "held_out": _measured(manifest.metrics.held_out),
        }
    )


def _measured(held_out: HeldOut) -> dict[str, Any]:
    return {
        "rows": held_out.rows,
        "accuracy": held_out.accuracy,
        "f1": held_out.f1_weighted,
        "confusion": held_out.confusion,
    }


# A picture


def read_picture(served: Served, body: bytes) -> Response:
    """Answer a picture of one digit, and say which of its pixels spoke for the answer and which against it.

    Args:
        served: the model.
        body: a PNG or a JPEG.

    Raises:
        DataRejected: the picture cannot be decoded, or shows no ink.
        Refusal: the model does not take pictures.
    """
    recipe = recipe_of(served)
    if recipe is None:
        raise Refusal(400, "this model takes no pictures")
    pixels = recipe(body, place="picture")
    answers = served.predictor.predict(pixels.reshape(1, -1))
    position = int(answers.positions[0])
    spoke = _coefficients(served.verified.role("model"))[position] * pixels
    answer = {
        "label": served.labels[position],
        "probabilities": answers.values[0].tolist(),
        "pixels": pixels.tolist(),
        "spoke": [round(value, 6) for value in spoke.tolist()],
    }
    return Response(200, msgspec.json.encode(answer), rows=1)


@lru_cache(maxsize=2)  # the model in charge, and the one before it while its last requests end
def _coefficients(model: bytes) -> NDArray[np.float64]:
    import numpy as np

    return np.array(coefficients(model))
