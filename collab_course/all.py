"""What a lesson needs, in one import: `from collab_course.all import *`."""
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from fastcore.basics import *
from fastcore.foundation import *
from fastcore.meta import *
from fastcore.test import *
from fastcore.xtras import *
from torch import Tensor, nn, tensor

from .notebook import *
from .download import *
from .data import *
from .spreadsheet import *
from .crosstab import *
from .vocabulary import *
from .batches import *
from .dataloaders import *
from .layers import *
from .models import *
from .optimiser import *
from .callbacks import *
from .learner import *
from .gpu import *
from .interpretation import *
from .collab import *
from .recommendation import *
from .splits import *
from .baselines import *
from .bpmf import *
from .evaluation import *
from .ranking import *
from .implicit import *
from .qualities import *
from .persistence import *
from .distributed import *
from .serving import *
from .exercises import *
