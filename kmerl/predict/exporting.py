"""A folder that the Hugging Face Hub takes and `kmerl.load` reads: weights, config, vectors of the
names that are known, and the model's card."""

import json
from pathlib import Path

from safetensors.torch import save_file

from kmerl import files
from kmerl.corpora.entries import own_tasks
from kmerl.methods import Method, Query
from kmerl.predict import card, hub
from kmerl.predict.vocabulary import Vocabulary
from kmerl.tasks.classes import TASKS, official
from kmerl.tasks.of_run import tasks_of_run
from kmerl.training import model as model_files
from kmerl.training.model import ModelConfig


def export(
    folder: Path,
    config: ModelConfig,
    network: Method,
    vocabulary: Vocabulary,
    *,
    run: Path | str = ".",
    licence: str = "other",
) -> None:
    """Write `folder`: model.safetensors, config.json, names.safetensors and README.md.

    `hf upload ORGANISATION/NAME FOLDER` pushes it. With the names of all tasks' classes in it,
    one's own too, and those of its entities, it answers them without a text encoder.

    Args:
        run: folder of the run that made the model: its parameters say which data it saw, its
            metrics what was measured.
        licence: of the weights, as the Hub spells it; what the data's licences allow is yours to
            decide.

    Raises:
        FileNotFoundError: the run has no metrics or parameters.
    """
    text = card.card(config, Path(run), licence)
    model_files.save(folder, config, network)
    if isinstance(network, Query):
        own = [
            task
            for task in tasks_of_run(own_tasks(Path(run) / "params.yaml"))
            if task.name not in TASKS
        ]
        named = [one.name for task in [*map(official, TASKS), *own] for one in task.classes]
        names = sorted({*named, *config.entities})
        vectors = vocabulary.vectors(names).cpu().contiguous()
        with files.atomic(folder / hub.NAMES) as partial:
            save_file({"vectors": vectors}, partial, metadata={"names": json.dumps(names)})
    files.write_text(folder / hub.CARD, text)
