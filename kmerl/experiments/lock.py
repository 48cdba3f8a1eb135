"""dvc.lock of an experiment: which of the files beside it are that experiment's own.

An experiment runs some stages only. The metrics of the others are files of the commit that it
was queued at, hence of another model; the lock tells them apart.
"""

from collections.abc import Mapping
from typing import Any

from kmerl.experiments.stages import below, flat


class Lock:
    """Stages of a dvc.lock, and what each read and wrote, beside the params.yaml of the same
    revision, which is flat ("mask.min_leads")."""

    def __init__(self, lock: Mapping[str, Any], params: Mapping[str, Any]) -> None:
        self.stages: Mapping[str, Any] = lock.get("stages", {})
        self.params = params
        self.writer = {
            out["path"]: (name, out.get("md5"))
            for name, stage in self.stages.items()
            for out in stage.get("outs", [])
        }
        self.known: dict[str, bool] = {}

    def is_of_this_run(self, path: str) -> bool:
        """Did a stage write the file, with these parameters, from what the stages above it wrote
        with these parameters?"""
        return path in self.writer and self._ran(self.writer[path][0])

    def _ran(self, name: str) -> bool:
        if name not in self.known:
            stage = self.stages[name]
            self.known[name] = all(
                self._holds(values) for values in stage.get("params", {}).values()
            ) and all(self._newest(dep) for dep in stage.get("deps", []))
        return self.known[name]

    def _holds(self, read: Mapping[str, Any]) -> bool:
        """Are the leaves and the sections that a stage read what the parameters are?"""
        here = {k: v for k, v in self.params.items() if any(below(k, key) for key in read)}
        return flat(read) == here

    def _newest(self, dep: Mapping[str, Any]) -> bool:
        """Is what was read what its stage wrote last? What no stage writes is not judged."""
        if dep["path"] not in self.writer:
            return True
        name, written = self.writer[dep["path"]]
        return bool(dep.get("md5") == written) and self._ran(name)
