"""What every test shares: one torch thread, since the workers of the suite share few cores."""

import torch

torch.set_num_threads(1)
