"""The config: JSON text to frozen types, with the place of everything that is wrong.

* `sections`    what the types are made of, and those of the sections `dataset` and `gate`
* `models`      the section `model`; `estimators` the classifiers that it may name
* `about`       the section `about`
* `preparing`   the sections `split` and `preprocess`
* `searching`   the section `search`; `space` the spaces in it, and what is drawn from them
* `schema`      the config's type, and the short forms of its sections
* `recipes`     what is made from a config: plain values, and the recipe
* `file_schema` the JSON Schema of a config's file
* `jsontext`    JSON text to a value that knows the place of each key and value
* `problems`    what is wrong with a config, and its place
* `refusals`    what the types refuse, in our own words
* `loading`     file and options to `Config`
"""

from __future__ import annotations

from artifact_pipeline.config.file_schema import json_schema, schema_text
from artifact_pipeline.config.loading import from_mapping, load_config, with_model
from artifact_pipeline.config.recipes import of_recipe, plain, recipe
from artifact_pipeline.config.schema import Config
from artifact_pipeline.config.searching import Search
from artifact_pipeline.config.sections import Gate, Table

__all__ = [
    "Config",
    "Gate",
    "Search",
    "Table",
    "from_mapping",
    "json_schema",
    "load_config",
    "of_recipe",
    "plain",
    "recipe",
    "schema_text",
    "with_model",
]
