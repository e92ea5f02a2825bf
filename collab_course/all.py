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

from .data import *
from .crosstab import *
from .dataloaders import *
from .lookup import *
from .layers import *
from .learner import *
from .dot_product import *
from .bias import *
from .parameters import *
from .interpretation import *
from .neural_net import *
from .backprop import *
from .collab import *
from .recommendation import *
from .evaluation import *
from .ranking import *
from .persistence import *
from .exercises import *
