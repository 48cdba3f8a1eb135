"""Shapes in signatures are checked while the tests run."""

from jaxtyping import install_import_hook

CHECKED = [
    "kmerl.distributed",
    "kmerl.losses",
    "kmerl.methods",
    "kmerl.models",
    "kmerl.predictor",
    "kmerl.text",
    "kmerl.evaluation.encode",
]
install_import_hook(CHECKED, "beartype.beartype")
