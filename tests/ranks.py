"""What each rank of a job does for tests/test_scale.py: torchrun ... tests/ranks.py FOLDER; leaves what it found in FOLDER."""
import sys
from pathlib import Path

import torch.distributed as dist

from collab_course.all import *

class Kept(RatingDataLoader):
    "Remembers the batches of `dl` that were used"
    def __init__(self, dl): self.dl, self.bs, self.kept = dl, dl.bs, []
    @property
    def n(self): return self.dl.n
    @property
    def device(self): return self.dl.device
    def __len__(self): return len(self.dl)
    def __iter__(self):
        for x, y in self.dl:
            self.kept.append((x, y))
            yield x, y

def few(n_users=30, n=530): return make_ratings(n_users, 20, n, seed=1)

def cases():
    "By name a function that makes a learner, and epochs; the same in each process and in the one that is compared with them"
    def learner(df, bs=64, opt_func=Adam, use_nn=False, shuffle_train=True, **kwargs):
        dls = CollabDataLoaders.from_df(df, seed=42, bs=bs, shuffle_train=shuffle_train)
        set_seed(42)
        more = dict(use_nn=True, layers=[8], config={'use_bn': False}) if use_nn else dict(n_factors=10)
        return collab_learner(dls, y_range=(0, 5.5), opt_func=opt_func, metrics=[rmse, mae], **more, **kwargs)
    return {
        'MovieLens 100K': lambda: learner(load_ratings()[['user', 'title', 'rating']]),
        'uneven batches': lambda: learner(few(), 30, shuffle_train=False),
        'uneven users': lambda: learner(pd.concat([few(), few(1, 20).assign(user=99)]), 8, shuffle_train=False),
        'a rank without rows': lambda: learner(few(1, 20), 4),
        'a network': lambda: learner(few(), 32, use_nn=True),
        "PyTorch's AdamW": lambda: learner(few(), 32, partial(torch.optim.AdamW, eps=1e-5))}

def train(make, folder, name):
    "Train in parts; keeps batches, losses and what came out"
    learn = make()
    part = DistributedLearner(learn)
    part.dls.train = Kept(part.dls.train)
    part.fit_one_cycle(2, 5e-3, wd=0.1)
    batches = [(torch.stack([part.users[dist.get_rank()][x[:, 0]], x[:, 1]], 1), y) for x, y in part.dls.train.kept]
    own = set(part.tables)
    part.save(folder/f'{name}.zip')
    whole = part.gather()
    again = DistributedLearner(make()).load(folder/f'{name}.zip')
    return {'batches': batches, 'losses': part.recorder.losses, 'final': [*part.final], 'n': part.dls.train.n,
            'shared': {k: v for k, v in part.model.state_dict().items() if k not in own}, 'whole': whole.model.state_dict(),
            'loaded': all(torch.equal(a[1:], b[1:]) for a, b in zip(part.model.state_dict().values(), again.model.state_dict().values())),
            'opt': all(torch.equal(torch.as_tensor(v), torch.as_tensor(again.opt.state_dict()['state'][i][k]))
                       for i, o in part.opt.state_dict()['state'].items() for k, v in o.items())}

def refusals():
    "What cannot be trained in parts, and why"
    dls = CollabDataLoaders.from_df(few(), seed=1)
    res = []
    for make in (lambda: collab_learner(dls, use_nn=True), lambda: collab_learner(dls, loss_func=MSELossFlat(reduction='sum')),
                 lambda: collab_learner(dls, metrics=lambda pred, targ: 0.), lambda: collab_learner(ranking_dls(CollabDataLoaders.from_df(few(n=200), seed=1)), loss_func=bpr_loss),
                 lambda: Learner(dls, nn.Linear(2, 1))):
        try: DistributedLearner(make())
        except ValueError as e: res.append(str(e))
    return res

def parquet(folder):
    "Train on files of its own"
    dls = CollabDataLoaders.from_parquet(folder/'parquet', seed=42, bs=32, pool=300)
    set_seed(42)
    part = DistributedLearner(collab_learner(dls, 5, y_range=(0, 5.5)))
    part.dls.train = Kept(part.dls.train)
    part.fit_one_cycle(2, 1e-2)
    whole = part.gather()
    users = dls.classes['user']
    res = {'users': {users[part.users[dist.get_rank()][i]] for x, _ in part.dls.train.kept for i in x[:, 0].tolist()}, 'valid': dls.valid.x,
           'count': dls.history.count, 'mean': dls.history.mean, 'losses': part.recorder.losses, 'final': part.final[0],
           'whole': float(whole.validate()[0]), 'range': dls.rating_range, 'n': part.dls.train.n,
           'counts': dls.training_counts, 'unknown': whole.model(torch.zeros(1, 2, dtype=torch.int64)).item()}
    try: CollabDataLoaders.from_parquet(folder/'mixed', seed=42)
    except ValueError as e: res['mixed'] = str(e)
    return res

def main(folder):
    dist.init_process_group()
    rank = dist.get_rank()
    res = {name: train(make, folder, name) for name, make in cases().items()}
    learn = DistributedLearner(cases()['MovieLens 100K']())
    res['lr_find'] = learn.lr_find().valley, len(plt.get_fignums())
    res['export'] = learn.export(folder/'exported.zip')
    res['refusals'], res['parquet'] = refusals(), parquet(folder)
    torch.save(res, folder/f'{rank}.pt')
    dist.destroy_process_group()

if __name__ == '__main__': main(Path(sys.argv[1]))
