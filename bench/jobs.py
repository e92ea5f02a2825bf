"""What `run.py` measures, one job a process: python jobs.py JOB SPLIT THREADS; prints one line of JSON.

Each job imports what it needs only, since it runs in the environment of one library. SPLIT is an .npz file with the arrays
`train` and `valid` of MovieLens 100K: user, item (numbers for titles) and rating, a row per rating."""
import json, sys, time
from pathlib import Path

EPOCHS = 1, 2, 3, 5 # every library trains from scratch for so many epochs, one fit after the other

def rmse_of(preds, ratings): return float(((preds - ratings)**2).mean()**0.5)

def fits(make, epochs=EPOCHS):
    "For each number of epochs: seconds of training with its validation, and the RMSE on the validation rows"
    res = []
    for n in (1, *epochs): # the first one warms up
        fit = make(n)
        start = time.perf_counter()
        rmse = fit()
        res.append({'epochs': n, 'seconds': time.perf_counter() - start, 'rmse': rmse})
    return res[1:]

def course(data, threads, kind):
    import pandas as pd, torch
    torch.set_num_threads(threads)
    from collab_course.all import CollabDataLoaders, DotProductBias, Learner, collab_learner, set_seed
    ratings = pd.DataFrame(data['all'], columns=['user', 'item', 'rating'])
    valid = range(len(data['train']), len(ratings))
    dls = CollabDataLoaders.from_df(ratings, valid_idx=valid, bs=64)
    models = {'collab_learner': lambda: collab_learner(dls, n_factors=50, y_range=(0, 5.5)),
              'any module': lambda: Learner(dls, DotProductBias(*(len(o) for o in dls.classes.values()), 50)),
              'network': lambda: collab_learner(dls, use_nn=True, layers=[100, 50], y_range=(0, 5.5))}
    def make(n):
        set_seed(42)
        learn = models[kind]()
        def fit():
            with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(n, 5e-3, wd=0.1)
            return learn.recorder.values[-1][1]**0.5
        return fit
    return fits(make, EPOCHS if kind == 'collab_learner' else (1,))

def fastai(data, threads, kind):
    import warnings
    warnings.simplefilter('ignore')
    import pandas as pd, torch
    torch.set_num_threads(threads)
    from fastai.collab import Categorify, TabularCollab, TransformBlock, collab_learner
    from fastai.torch_core import set_seed
    ratings = pd.DataFrame(data['all'], columns=['user', 'item', 'rating']).astype({'user': int, 'item': int})
    n = len(data['train'])
    to = TabularCollab(ratings, [Categorify], ['user', 'item'], y_names=['rating'], y_block=TransformBlock(),
                       splits=(list(range(n)), list(range(n, len(ratings)))))
    dls = to.dataloaders(bs=64, num_workers=0)
    def make(n):
        set_seed(42)
        learn = collab_learner(dls, use_nn=True, layers=[100, 50], y_range=(0, 5.5)) if kind == 'network' else collab_learner(dls, n_factors=50, y_range=(0, 5.5))
        def fit():
            with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(n, 5e-3, wd=0.1)
            return learn.recorder.values[-1][1]**0.5
        return fit
    return fits(make, EPOCHS if kind == 'collab_learner' else (1,))

def pytorch(data, threads):
    "What one writes with PyTorch alone: its DataLoader, its Embedding, its AdamW and its OneCycleLR"
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset
    torch.set_num_threads(threads)
    sets = {k: TensorDataset(torch.tensor(data[k][:, :2]).long(), torch.tensor(data[k][:, 2]).float()) for k in ('train', 'valid')}
    n_users, n_items = (int(o) + 1 for o in data['all'][:, :2].max(0))
    class DotBias(nn.Module):
        def __init__(self):
            super().__init__()
            self.u, self.i, self.ub, self.ib = nn.Embedding(n_users, 50), nn.Embedding(n_items, 50), nn.Embedding(n_users, 1), nn.Embedding(n_items, 1)
            for o in (self.u, self.i, self.ub, self.ib): nn.init.trunc_normal_(o.weight, std=0.01, a=-0.02, b=0.02)
        def forward(self, x):
            u, i = x[:, 0], x[:, 1]
            return 5.5 * torch.sigmoid((self.u(u) * self.i(i)).sum(1) + self.ub(u)[:, 0] + self.ib(i)[:, 0])
    def make(n):
        torch.manual_seed(42)
        model, loader, valid = DotBias(), DataLoader(sets['train'], 64, shuffle=True, drop_last=True), DataLoader(sets['valid'], 128)
        opt = torch.optim.AdamW(model.parameters(), lr=5e-3, betas=(0.9, 0.99), eps=1e-5, weight_decay=0.1)
        sched = torch.optim.lr_scheduler.OneCycleLR(opt, 5e-3, total_steps=n * len(loader))
        def fit():
            for _ in range(n):
                model.train()
                for x, y in loader:
                    loss = nn.functional.mse_loss(model(x), y)
                    opt.zero_grad()
                    loss.backward()
                    opt.step()
                    sched.step()
                model.eval()
                with torch.no_grad(): preds = torch.cat([model(x) for x, _ in valid])
            return rmse_of(preds.numpy(), data['valid'][:, 2])
        return fit
    return fits(make)

def surprise(data, kind):
    import numpy as np, pandas as pd
    from surprise import SVD, Dataset, Reader, SVDpp
    df = pd.DataFrame(data['train'], columns=['user', 'item', 'rating'])
    train = Dataset.load_from_df(df, Reader(rating_scale=(1, 5))).build_full_trainset()
    test = [(u, i, r) for u, i, r in data['valid'].tolist()]
    def make(n):
        algo = {'SVD': SVD, 'SVD++': SVDpp}[kind](n_epochs=n, random_state=42)
        def fit():
            algo.fit(train)
            return algo
        return fit
    res = []
    for n in (5, 10, 20): # 20 is its default
        fit = make(n)
        start = time.perf_counter()
        algo = fit()
        seconds = time.perf_counter() - start
        res.append({'epochs': n, 'seconds': seconds, 'rmse': rmse_of(np.array([o.est for o in algo.test(test)]), data['valid'][:, 2])})
    return res

def now(key):
    "MB of this process: VmRSS, or its peak, VmHWM. (getrusage counts in what the parent held when it forked.)"
    return next(int(o.split()[1]) / 1024 for o in Path('/proc/self/status').read_text().splitlines() if o.startswith(key))

def imports(names):
    "Seconds to import `names`, which nothing has imported yet"
    start = time.perf_counter()
    for name in names: __import__(name)
    return time.perf_counter() - start

def sizes(names):
    "Bytes of the distributions `names` and of all that they need, each by its name"
    import re
    from importlib.metadata import PackageNotFoundError, distribution
    from pip._vendor.packaging.requirements import Requirement
    found, todo = {}, [(o, ()) for o in names]
    while todo:
        name, extras = todo.pop()
        name = re.sub(r'[-_.]+', '-', name).lower()
        try: dist = distribution(name)
        except PackageNotFoundError: continue
        if name in found and not extras: continue
        found[name] = sum(o.size or 0 for o in dist.files or [])
        for req in map(Requirement, dist.requires or []):
            if req.marker is None or any(req.marker.evaluate({'extra': e}) for e in ('', *extras)): todo.append((req.name, tuple(req.extras)))
    return found

def large(n, bs, threads):
    "Seconds and MB of each part of the road for `n` made-up ratings, from the table to lists of ten"
    import torch
    torch.set_num_threads(threads)
    from collab_course.all import CollabDataLoaders, collab_learner, make_ratings, recommend, set_seed
    def timed(part, f):
        start = time.perf_counter()
        res = f()
        seconds[part] = time.perf_counter() - start
        return res
    seconds, (n_users, n_items) = {}, (138_493, 26_744) if n > 1_000_000 else (6_040, 3_706) if n > 100_000 else (943, 1_682)
    df = timed('make', lambda: make_ratings(n_users, n_items, n))
    frame, before = df.memory_usage(index=False).sum() / 2**20, now('VmRSS')
    Path('/proc/self/clear_refs').write_text('5') # the peak from here on
    dls = timed('from_df', lambda: CollabDataLoaders.from_df(df, bs=bs, seed=42))
    res = {'n': n, 'bs': bs, 'frame_mb': frame, 'from_df_peak_mb': now('VmHWM') - before}
    res['bytes_a_rating'] = sum(o.nelement() * o.element_size() for dl in dls for o in (dl.x, dl.y)) / n
    df = None
    set_seed(42)
    learn = collab_learner(dls, n_factors=50, y_range=(0.5, 5.5))
    with learn.no_bar(), learn.no_logging(): timed('fit', lambda: learn.fit_one_cycle(1, 5e-3, wd=0.01))
    valid = timed('validate', learn.validate)
    timed('recommend', lambda: recommend(learn, dls.classes['user'][1]))
    return res | {'seconds': seconds, 'ratings_a_second': len(dls.train) * dls.bs / (seconds['fit'] - seconds['validate']),
                  'rmse': valid[0]**0.5, 'peak_mb': now('VmHWM')}

def main(job, split, threads):
    threads, (library, _, kind) = int(threads), job.partition(' ')
    if library == 'import': out = imports(kind.split(','))
    elif library == 'sizes': out = sizes(kind.split(','))
    elif library == 'large': out = large(*(int(o) for o in kind.split(',')), threads)
    else:
        import numpy as np
        data = dict(np.load(split))
        data['all'] = np.concatenate([data['train'], data['valid']])
        out = {'course': lambda: course(data, threads, kind), 'fastai': lambda: fastai(data, threads, kind),
               'pytorch': lambda: pytorch(data, threads), 'surprise': lambda: surprise(data, kind)}[library]()
    print(json.dumps({'out': out, 'peak_mb': now('VmHWM')}))

if __name__ == '__main__': main(*sys.argv[1:])
