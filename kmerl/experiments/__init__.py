"""The paper's tables and figures as named experiments of DVC."""
