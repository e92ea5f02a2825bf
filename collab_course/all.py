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

from .checks import *
from .download import *
from .planted import *
from .data import *
from .spreadsheet import *
from .crosstab import *
from .in_place import *
from .dataloaders import *
from .lookup import *
from .layers import *
from .seeds import *
from .optimiser import *
from .progress import *
from .learner_base import *
from .learner import *
from .schedule import *
from .dot_product import *
from .bias import *
from .parameters import *
from .arguments import *
from .labels import *
from .interpretation import *
from .neural_net import *
from .backprop import *
from .collab import *
from .taste import *
from .new_users import *
from .recommendation import *
from .splits import *
from .baselines import *
from .bpmf import *
from .scoring import *
from .comparison import *
from .evaluation import *
from .ranking import *
from .files import *
from .rebuild import *
from .persistence import *
from .exercises import *
