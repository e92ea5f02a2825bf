import os

os.environ['MPLBACKEND'] = 'agg'
os.environ['TQDM_DISABLE'] = '1'

import pytest

import collab_course.all
from collab_course.all import CollabDataLoaders, load_ratings, plt

for name, o in vars(collab_course.all).items(): # fastcore's test_eq and the like are no tests themselves
    if name.startswith('test'): o.__test__ = False

def pytest_configure(config): config.addinivalue_line('markers', 'slow: takes over two seconds, or starts other processes')

@pytest.fixture(scope='session')
def ratings(): return load_ratings()

@pytest.fixture(scope='session')
def dls(ratings): return CollabDataLoaders.from_df(ratings, item_name='title', bs=64, seed=42)

@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close('all')
