"""The artifact: a folder that proves itself.

* `manifest`     its types, and the one parser
* `gate`         whether the verdict follows from the figures
* `selftest`     golden rows and answers; `reference` the training data's distribution
* `parameters`   the fitted numbers, read without NumPy
* `store`        staged, renamed, pointed at; `pointer` leads to the folder
* `verified`     the bytes that were checked
* `provenance`   the statement beside an artifact
* `environment`  what the bytes depend on
"""
