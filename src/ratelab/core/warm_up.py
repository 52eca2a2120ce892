"""How much of its full price a layer's rate costs while the training is young: KL annealing (Bowman et al. 2016).

The numbers are tensors of the objective, so that models which differ in them share a stack.
"""

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.errors import UserError

Epochs = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def risen(annealing: Tensor, epoch: Any, epochs: float, cycles: int = 1) -> Tensor:
    """The share of the price that is paid at ``epoch``: from 0 to 1 over ``annealing`` epochs, one number or one per layer, and 1 after.

    With ``cycles`` it rises anew at the start of each of that many equal parts of the ``epochs`` (Fu et al. 2019, eq. 6-7). An
    ``annealing`` of 0 has risen from the start.

    >>> risen(torch.tensor([0.0, 10.0, 50.0]), 5.0, 200)
    tensor([1.0000, 0.5000, 0.1000])
    >>> risen(torch.tensor(25.0), 60.0, 200, cycles=4)
    tensor(0.4000)
    """
    since = epoch if cycles == 1 else epoch % (epochs / cycles)
    return torch.where(annealing > since, since / annealing, 1.0)


def check_cycles(annealing: Tensor, cycles: int, epochs: float) -> None:
    """:class:`UserError` where the price of no layer rises in a cycle, or a cycle is over before it has."""
    longest = float(annealing.max())
    if cycles > 1 and not 0 < longest <= epochs / cycles:
        raise UserError(
            f"objective.cycles: {cycles} cycles in {epochs:g} epochs need 0 < annealing <= {epochs / cycles:g}; got {longest:g}"
        )
