"""Run the notebooks of `examples/` and write their outputs into them.

`python scripts/notebooks.py [FOLDER]` runs each one from its first cell in an empty folder, and writes it again with
what it printed, by default where it stands; `make notebooks` calls it. A test runs them in the same way and compares.
No time, path or version of a kernel is kept: a notebook that gives the same outputs is the same file.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "examples"
_KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def executed(file: Path) -> Any:
    """Run a notebook in an empty folder, with the commands of this environment, and return it with its outputs.

    Raises:
        CellExecutionError: a cell has raised.
    """
    notebook = nbformat.read(file, as_version=4)  # type: ignore[no-untyped-call]
    scripts = str(Path(sys.executable).parent)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as own:
        # As in an activated environment, on a terminal without colours; the kernel keeps no history, and opens no port.
        path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "NO_COLOR": "1", "IPYTHONDIR": own, "JUPYTER_RUNTIME_DIR": own}
        kernel = AsyncKernelManager(transport="ipc", ip=f"{own}/kernel", connection_file=f"{own}/kernel.json")
        client = NotebookClient(notebook, km=kernel, timeout=300, resources={"metadata": {"path": folder}})
        client.execute(env=env)
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"{file.stem}-{number}", {}
        if cell.cell_type == "code":
            cell.outputs = _in_order(cell.outputs)
    notebook.metadata = _KERNEL
    return notebook


def _in_order(outputs: list[Any]) -> list[Any]:
    """Return what a cell gave, each stream in one piece: in how many it came, and between which others, is chance."""
    streams: dict[str, Any] = {}
    others = []
    for output in outputs:
        if output.output_type != "stream":
            others.append(output)
        elif output.name in streams:
            streams[output.name].text += output.text
        else:
            streams[output.name] = output
    return [*(streams[name] for name in sorted(streams, reverse=True)), *others]


def text(notebook: Any) -> str:
    """Return a notebook as its file has it."""
    return str(nbformat.writes(notebook, version=nbformat.NO_CONVERT)) + "\n"  # type: ignore[no-untyped-call]


def main(arguments: list[str]) -> None:
    """Run the notebooks, and write them again."""
    folder = Path(arguments[0]) if arguments else FOLDER
    for file in sorted(FOLDER.glob("*.ipynb")):
        (folder / file.name).write_text(text(executed(file)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
