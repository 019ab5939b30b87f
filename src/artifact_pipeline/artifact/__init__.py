"""The artifact: a folder that proves itself.

* `parts`        what all its types have in common
* `manifest`     its types, the one parser, and an artifact that was verified
* `figures`      the figures, from a confusion matrix; `gate` whether the verdict follows from them
* `selftest`     golden rows and answers; `reference` the training data's distribution
* `parameters`   the fitted numbers, read without NumPy
* `store`        staged, renamed, pointed at; `pointer` leads to the folder
* `provenance`   the statement beside an artifact
* `environment`  what the bytes depend on
"""
