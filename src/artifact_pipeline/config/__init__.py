"""The config: JSON text to frozen types, with the place of everything that is wrong.

* `sections`  what the types are made of, and those of the sections `dataset` and `gate`
* `schema`    the config's type; the recipe and the JSON Schema made from it
* `jsontext`  JSON text to a value that knows the place of each key and value
* `problems`  what the types refuse, in our own words and at its place
* `loading`   file and options to `Config`
"""

from __future__ import annotations

from artifact_pipeline.config.loading import from_mapping, load_config
from artifact_pipeline.config.schema import Config, json_schema, recipe, schema_text
from artifact_pipeline.config.sections import Gate, Table

__all__ = ["Config", "Gate", "Table", "from_mapping", "json_schema", "load_config", "recipe", "schema_text"]
