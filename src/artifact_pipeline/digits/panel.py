"""The panel of the digits: one draws a digit, and sees the model's answer."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec

from artifact_pipeline.digits.feedback import Feedback, recipe_of
from artifact_pipeline.rows.features import Features
from artifact_pipeline.serving.http import Refusal, Response, Route
from artifact_pipeline.serving.page.panel import Panel
from artifact_pipeline.serving.page.row import what_spoke

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifact_pipeline.serving.model import Served
    from artifact_pipeline.serving.settings import Settings


def panel(settings: Settings) -> Panel:
    """Return the panel.

    Raises:
        StorageError: the feedback's file cannot be appended to.
    """
    feedback = Feedback(settings.feedback) if settings.feedback is not None else None
    return Panel(
        name="digits",
        folder=files("artifact_pipeline.digits") / "static",
        title="Draw a digit",
        subtitle="The model reads along while you draw, and shows what it goes by.",
        drop="Drop a picture of a digit, or a CSV",
        accept="image/png,image/jpeg,.csv,text/csv",
        fits=lambda served: recipe_of(served) is not None and served.predictor.kind == "probabilities",
        about=lambda _: {"feedback": feedback is not None},
        routes={
            "/page/picture": _posted(read_picture),
            **({"/page/feedback": _posted(feedback.append)} if feedback is not None else {}),
        },
    )


def _posted(answer: Callable[[Served, bytes], Response]) -> Route:
    """Return the route of a POST whose body is the question."""
    return Route("page", lambda served, request: answer(served, request.body), large=True, method="POST")


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
    by, spoke = what_spoke(served, Features.of_numbers(pixels.reshape(1, -1)), position)
    answer = {
        "label": served.labels[position],
        "probabilities": answers.values[0].tolist(),
        "pixels": pixels.tolist(),
        "by": by,
        "spoke": [round(value, 6) for value in spoke.tolist()],
    }
    return Response(200, msgspec.json.encode(answer), rows=1)
