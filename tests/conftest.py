"""What all tests share: one torch thread each (they run side by side), and where the real data lies."""

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of official data files; tests that ask for it are skipped where there is none."""
    folder = os.environ.get("RATELAB_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("RATELAB_DATA is not set")
    return Path(folder)
