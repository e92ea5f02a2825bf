import os

os.environ['MPLBACKEND'] = 'agg'
os.environ['TQDM_DISABLE'] = '1'

import pytest

import collab_course.all
from browser import browser
from collab_course.all import CollabDataLoaders, load_ratings, nn, plt, torch

for name, o in vars(collab_course.all).items(): # fastcore's test_eq and the like are no tests themselves
    if name.startswith('test'): o.__test__ = False

def pytest_configure(config):
    config.addinivalue_line('markers', 'slow: takes over two seconds, or starts other processes')
    config.addinivalue_line('filterwarnings', 'ignore:the validation loss is:UserWarning') # most tests train for a few steps only

@pytest.fixture(scope='session')
def ratings(): return load_ratings()

@pytest.fixture(scope='session')
def dls(ratings): return CollabDataLoaders.from_df(ratings, item_name='title', bs=64, seed=42)

@pytest.fixture(scope='module')
def chrome():
    with browser() as b: yield b

@pytest.fixture(autouse=True)
def weights_whatever_the_order():
    "Tests come in another order each time; the weights that they start from do not"
    torch.manual_seed(0)

@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close('all')

class Fixed(nn.Module):
    "Scores planted in a table, without ties"
    def __init__(self, n_users, n_items):
        super().__init__()
        self.table = torch.randperm(n_users * n_items, generator=torch.Generator().manual_seed(1)).view(n_users, n_items).double()
    def forward(self, x): return self.table[x[:, 0], x[:, 1]]
