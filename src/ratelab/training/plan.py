"""How long and how a model is trained: the ``training`` section of a recipe."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ratelab.training.precision import Precision

Count = Annotated[int, Field(ge=1, le=10**9)]


class EarlyStopping(BaseModel):
    """Stop when the validation -ELBO has not improved for ``patience`` epochs, and keep the best epoch's weights."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    patience: Count = 50


class Plan(BaseModel):
    """Length and batches of a training.

    ``epochs``: rows of the log, between which a training can be stopped; each is ``passes`` passes over the training split.
    ``batch_size``: examples per step; the last, smaller batch is never dropped. ``validate_every``: epochs between looks at the
    validation split (the last epoch always looks). ``early_stopping``: null to train to the end. ``precision``: ``float32``, or
    ``bf16`` for networks in bfloat16, up to twice as fast where they fill a core that multiplies it (AVX512-BF16, AMX); it changes
    results a little, so it is part of a run's identity. Evaluation is float32 always.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    epochs: Count = 100
    passes: Count = 1
    batch_size: Count = 100
    validate_every: Count = 1
    early_stopping: EarlyStopping | None = None
    precision: Precision = "float32"
