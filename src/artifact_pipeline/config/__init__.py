"""The config: JSON text to frozen types, with the place of everything that is wrong.

* `schema`    the types with their bounds and words; the recipe and the JSON Schema made from them
* `gate`      the types of its section `gate`
* `fields`    what the fields are made of
* `jsontext`  JSON text to a value that knows the place of each key and value
* `problems`  what the types refuse, in our own words and at its place
* `labels`    what is said of single classes, for the labels that the rows have
* `loading`   file and options to `Config`
"""

from __future__ import annotations

from artifact_pipeline.config.gate import Gate
from artifact_pipeline.config.loading import from_mapping, load_config
from artifact_pipeline.config.schema import Config, Table, json_schema, recipe, schema_text

__all__ = ["Config", "Gate", "Table", "from_mapping", "json_schema", "load_config", "recipe", "schema_text"]
