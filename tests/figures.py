"""The losses that the course promises, measured: python tests/figures.py"""
from collab_course.all import *

SEEDS = 42, 0, 7

def sizes(dls): return [len(o) for o in dls.classes.values()]

#: run: how to make its learner, epochs, weight decay, the classic lesson's figure (chapter 8 of fastbook at e73906ea, best epoch), plain PyTorch's on the three seeds
RUNS = {
    'DotProduct, y_range=(0, 5.5)': (lambda dls: Learner(dls, DotProduct(*sizes(dls), 50, y_range=(0, 5.5))), 5, None, 0.8702, (0.856, 0.877, 0.855)),
    'DotProductBias, no weight decay': (lambda dls: Learner(dls, DotProductBias(*sizes(dls), 50)), 5, 0., 0.8613, (0.851, 0.865, 0.853)),
    'DotProductBias, wd=0.1': (lambda dls: Learner(dls, DotProductBias(*sizes(dls), 50)), 6, 0.1, 0.8231, (0.821, 0.828, 0.820)),
    'DotProductParams, wd=0.2': (lambda dls: Learner(dls, DotProductParams(*sizes(dls), 50)), 8, 0.2, 0.8236, (0.813, 0.828, 0.820)),
    'collab_learner, wd=0.1': (lambda dls: collab_learner(dls, n_factors=50, y_range=(0, 5.5)), 5, 0.1, 0.8215, (0.810, 0.823, 0.811)),
    'collab_learner, use_nn, wd=0.1': (lambda dls: collab_learner(dls, use_nn=True, layers=[100, 50], y_range=(0, 5.5)), 5, 0.1, 0.8649, (0.840, 0.859, 0.843)),
}

def train(ratings, run, seed):
    "Validation losses of `run`, one an epoch"
    make, epochs, wd, *_ = RUNS[run]
    dls = CollabDataLoaders.from_df(ratings, item_name='title', bs=64, seed=seed)
    set_seed(seed)
    learn = make(dls)
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(epochs, 5e-3, wd=wd)
    return learn.recorder.values.itemgot(1)

def figures(ratings):
    "Best validation loss of each run and seed, beside what the classic lesson printed"
    table = pd.DataFrame({seed: {run: min(train(ratings, run, seed)) for run in RUNS} for seed in SEEDS})
    return table.assign(mean=table.mean(axis=1), classic={run: o[3] for run, o in RUNS.items()})

if __name__ == '__main__': print(figures(load_ratings()).round(4).to_string())
