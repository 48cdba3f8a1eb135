"""Losses between parts of records: steps in time (TS-TCC) and parts of a patient's records (CLOCS).

All are means over this process's rows that see the rows of every process; averaged over processes,
they are those of the whole batch.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from kmerl.distributed import gather, rank


def step_contrast(
    foretold: Float[Tensor, "local step width"], future: Float[Tensor, "local step width"]
) -> Float[Tensor, ""]:
    """TS-TCC's temporal contrast: which record's step came, of all records' steps at that time?

    The score is the plain product, without temperature; chance is log(N) for N records. The sum
    runs over the futures, as in the paper; the public code's runs over the predictions.

    Args:
        foretold: predictions of later steps; the same steps for all records of all processes.
        future: what came.
    """
    scores = torch.einsum("isw,jsw->sij", foretold, gather(future))
    place = torch.arange(len(foretold), device=foretold.device) + rank() * len(foretold)
    return F.cross_entropy(scores.flatten(0, 1), place.repeat(len(scores)))


def patient_contrast(
    one: Float[Tensor, "local width"],
    two: Float[Tensor, "local width"],
    patient: Int[Tensor, " local"],
    temperature: float,
) -> Float[Tensor, ""]:
    """CLOCS' contrast between two kinds of parts: whose is it, of all patients'?

    All parts of a record's patient are positives: minus the log of their shares, mean over them,
    over records and over both directions. A positive is also in the denominator of the others, as
    in the public code; where every patient has one record, this is that code's loss.
    """
    one, two = F.normalize(one, dim=1), F.normalize(two, dim=1)
    positive = _positives(patient, one)
    from_one = one @ gather(two).T / temperature
    from_two = two @ gather(one).T / temperature
    return (F.cross_entropy(from_one, positive) + F.cross_entropy(from_two, positive)) / 2


def patient_cosine(
    predicted: Float[Tensor, "local width"],
    target: Float[Tensor, "local width"],
    patient: Int[Tensor, " local"],
) -> Float[Tensor, ""]:
    """`kmerl.losses.negative_cosine` to the targets of all records of the same patient: -1 to 1.

    Targets do not learn; a patient's count alike.
    """
    targets = F.normalize(gather(target.detach()), dim=1)
    wanted = _positives(patient, targets) @ targets
    return -(F.normalize(predicted, dim=1) * wanted).sum(dim=1).mean()


def _positives(
    patient: Int[Tensor, " local"], like: Float[Tensor, "_ width"]
) -> Float[Tensor, "local whole"]:
    """Equal shares, of sum 1, of the records of each row's patient."""
    same = (patient[:, None] == gather(patient)).to(like.dtype)
    return same / same.sum(dim=1, keepdim=True)
