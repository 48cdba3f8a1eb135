"""K-MERL: classify an ECG by any class names, from any leads.

    model = kmerl.load("models")
    answers = model.predict(["a.edf", "b.dcm"], ["atrial fibrillation"], "I,II")

`load` gives a `Model` with `predict` and `embed`; `read` and `from_array` give a `Recording`. Each
is imported when it is first used: `import kmerl` costs nothing.
"""

from importlib import import_module
from typing import Any

_ROOMS = {
    "Model": "kmerl.predict.model",
    "load": "kmerl.predict.loading",
    "RecordError": "kmerl.recordings",
    "Recording": "kmerl.recordings",
    "from_array": "kmerl.recordings",
    "read": "kmerl.recordings",
}
__all__ = ["Model", "RecordError", "Recording", "__version__", "from_array", "load", "read"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("kmerl")
    if name not in _ROOMS:
        raise AttributeError(f"module 'kmerl' has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
