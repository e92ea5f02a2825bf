"""Lists from likes on the public table's split, beside other libraries: `python bench/lists.py > bench/lists.txt`.

The split is that of the library recommenders ("Algorithm comparison" in its README): MovieLens 100K, 75 % of each movie's rows
train, seed 42. Every held-out row is a hit, training rows are not listed, all movies are ranked, k = 10. Settings are chosen on
two splits of the same kind *inside* the training rows, seeds 1 and 2; each reading of the test rows is announced, contender and
settings first. Seconds are of training, from the loaded rows to a model that can score: medians of `--rounds`, and of fewer where
they take long. CPU seconds, of all threads together, say what a machine that is busy with other work takes from the others.

    python bench/lists.py [--rounds 5] [--threads 2] [--without-peers] [--only NAME ...]
    python bench/lists.py --large       one epoch of IALS on made-up likes of MovieLens 20M's size: seconds and memory
"""
import argparse, itertools, json, os, platform, subprocess, sys, time
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
ROOT, WORK = HERE.parent, HERE.parent/'.bench'
PEERS = {'implicit': ['implicit==0.7.2'], 'cornac': ['cornac==3.0.1']}
THREADS = 2
ENOUGH = 20 # seconds of training, after which no further round is begun

# In the environment of a peer: no import of ours from here on to `peer`

def implicit_model(kind, n_users, n_items, x, kw):
    "Scores of all pairs from implicit's model `kind`, and a function that trains it"
    import numpy as np, scipy.sparse as sp
    from implicit.als import AlternatingLeastSquares
    from implicit.bpr import BayesianPersonalizedRanking
    def train():
        likes = sp.csr_matrix((np.ones(len(x), dtype='float32'), x.T), shape=(n_users, n_items))
        model = {'ALS': AlternatingLeastSquares, 'BPR': BayesianPersonalizedRanking}[kind](**kw, random_state=42, num_threads=THREADS)
        model.fit(likes, show_progress=False)
        return model
    return train, lambda model: model.user_factors @ model.item_factors.T

def cornac_model(kind, n_users, n_items, x, kw):
    "The same from Cornac's"
    import numpy as np, cornac
    def train():
        data = cornac.data.Dataset.from_uir([(u, i, 1.) for u, i in x.tolist()], seed=42)
        model = getattr(cornac.models, kind)(**kw, verbose=False, seed=42)
        if hasattr(model, 'num_threads'): model.num_threads = THREADS
        return model.fit(data), data
    def scores(fitted):
        (model, data), res = fitted, np.full((n_users, n_items), -1e9, dtype='float32')
        items = np.array(list(data.iid_map))
        for u, row in data.uid_map.items(): res[u, items] = model.score(row)[:len(items)]
        return res
    return train, scores

def peer(job):
    "Train what `job` asks for and write its scores; prints the seconds of each round"
    import numpy as np
    global THREADS
    THREADS = job['threads']
    data = np.load(job['data'])
    make = {'implicit': implicit_model, 'cornac': cornac_model}[job['library']]
    train, scores = make(job['kind'], *data['size'].tolist(), data['x'], job['kw'])
    seconds = []
    for _ in range(job['rounds']):
        start = time.perf_counter(), time.process_time()
        model = train()
        seconds.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        if sum(o for o, _ in seconds) > ENOUGH: break
    np.save(job['scores'], scores(model))
    print(json.dumps(seconds))

if __name__ == '__main__' and sys.argv[1] == '--peer':
    peer(json.loads(sys.argv[2]))
    sys.exit()

import torch
from collab_course.all import *

class Table(Module):
    "Scores that were worked out elsewhere"
    def __init__(self, scores): self.scores = scores
    def forward(self, x): return self.scores[x[:, 0], x[:, 1]]
    def score_all(self, users, n_items=None): return self.scores[users]

def run_peer(dls, library, kind, rounds=1, **kw):
    "The model that a peer trains from `dls`, and seconds and CPU seconds of each round"
    python = WORK/library/'bin'/'python'
    if not (WORK/library/'made').exists():
        subprocess.run([sys.executable, '-m', 'venv', WORK/library], check=True)
        subprocess.run([python, '-m', 'pip', 'install', '-q', '--progress-bar', 'off', *PEERS[library]], check=True)
        (WORK/library/'made').touch()
    job = dict(library=library, kind=kind, rounds=rounds, threads=THREADS, kw=kw, data=str(WORK/'lists.npz'), scores=str(WORK/'lists.npy'))
    np.savez(job['data'], x=dls.train.x.numpy(), size=[*map(len, dls.classes.values())])
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'} | {'OPENBLAS_NUM_THREADS': '1' if library == 'implicit' else str(THREADS)}
    done = subprocess.run([python, __file__, '--peer', json.dumps(job)], capture_output=True, text=True, env=env)
    if done.returncode: sys.exit(f'{library} {kind}: {done.stderr[-2000:]}')
    return Table(torch.from_numpy(np.load(job['scores']))), json.loads(done.stdout.splitlines()[-1])

def timed(make, rounds):
    "What `make` returns, and seconds and CPU seconds of each round"
    seconds = []
    for _ in range(rounds):
        set_seed(0)
        start = time.perf_counter(), time.process_time()
        model = make()
        seconds.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        if sum(o for o, _ in seconds) > ENOUGH: break
    return model, seconds

def bpr(dls, n_factors, n_epochs, wd):
    learn = collab_learner(ranking_dls(dls, bs=256), n_factors, loss_func=bpr_loss)
    with learn.no_logging(), learn.no_bar(): learn.fit_one_cycle(n_epochs, 5e-3, wd=wd)
    return learn

def sittings(dls, gap):
    "What each user liked in one sitting: until a pause of more than `gap` seconds between two training ratings"
    rows = dls.rows.sort_values(['user', 'timestamp'], kind='stable')
    new = (rows.user.diff() != 0) | (rows.timestamp.diff() > gap)
    return Likes.from_pairs(torch.from_numpy(new.cumsum().to_numpy() - 1), dls.classes['movie'].encode(rows.movie), int(new.sum()), len(dls.classes['movie']))

def not_yet(dls):
    "True where a movie's first training rating by anybody is later than the user's last: it may not have been there to rate"
    last, first = (getattr(dls.rows.groupby(o).timestamp, f)().reindex(dls.classes[o].items) for o, f in (('user', 'max'), ('movie', 'min')))
    return torch.from_numpy(first.to_numpy() > last.to_numpy()[:, None])

def with_dates(dls, gaps, ease_reg, n_ials, **ials):
    "EASE that learned from sittings too, averaged with IALS; movies that were not there yet come last"
    models = [EASE(dls, reg=ease_reg, also=[sittings(dls, o) for o in gaps]), Ensemble([IALS(dls, **ials) for _ in range(n_ials)])]
    users, n_items = torch.arange(len(dls.classes['user'])), len(dls.classes['movie'])
    return Table(score_all(Ensemble(models), users, n_items) - 9 * not_yet(dls).float())

def stars(dls, n_factors, y_range, n_epoch, lr_max, wd):
    learn = collab_learner(dls, n_factors=n_factors, y_range=y_range)
    with learn.no_logging(), learn.no_bar(): learn.fit_one_cycle(n_epoch, lr_max, wd=wd)
    return learn

def grid(**lists): return [dict(zip(lists, o)) for o in itertools.product(*lists.values())]

#: contender -> how it is made from `dls`, and the settings to choose from
OURS = {
    'collab_learner': (stars, [dict(n_factors=30, y_range=(0, 5.5), n_epoch=5, lr_max=5e-3, wd=0.08)]), # as in lesson 18
    'popularity': (Popularity, [{}]),
    'LikesKNN': (LikesKNN, grid(k=[40, 80, 160, 320, 640])),
    'BPR': (bpr, [dict(n_factors=100, n_epochs=80, wd=0.2)]), # as in lesson 18
    'EASE': (EASE, grid(reg=[300, 400, 500, 600, 800])),
    'IALS': (IALS, grid(n_factors=[64], reg=[0.01, 0.014, 0.02], alpha0=[0.3, 0.5, 0.7], n_epochs=[8])),
    'EASE and IALS with dates': (with_dates, grid(gaps=[[60, 600]], ease_reg=[600, 700], n_ials=[3], reg=[0.014], alpha0=[0.5], n_epochs=[8])),
}
THEIRS = {
    'implicit ALS': ('implicit', 'ALS', grid(factors=[64], regularization=[30, 60, 120], alpha=[4, 8, 16], iterations=[15])),
    'implicit BPR': ('implicit', 'BPR', grid(factors=[100], learning_rate=[0.01], regularization=[0.01, 0.05, 0.1], iterations=[30, 100])),
    'Cornac BPR': ('cornac', 'BPR', [dict(k=200, max_iter=200, learning_rate=0.01, lambda_reg=0.001)]), # as in the public table
    'Cornac EASE': ('cornac', 'EASE', grid(lamb=[300, 500, 800], posB=[False])),
}

def load(ratings, rows):
    dls = CollabDataLoaders.from_df(ratings, item_name='movie', valid_idx=rows)
    dls.rows = ratings.drop(index=ratings.index[rows]) # the training rows, with their dates
    return dls
def measure(model, dls): return ranking_metrics(model, dls, k=10, at_least=0)
def shown(kw): return ', '.join(f'{k}={v}' for k, v in kw.items()) or 'no settings'

def choose(name, make, settings, inner):
    "The settings with the highest mean NDCG on the `inner` splits"
    if len(settings) == 1: return settings[0]
    found = []
    for kw in settings:
        set_seed(0)
        ndcgs = [measure(make(dls, **kw), dls)['ndcg'] for dls in inner]
        found.append(sum(ndcgs) / len(ndcgs))
        print(f'  {name}, {shown(kw)}: {" ".join(f"{o:.4f}" for o in ndcgs)}', flush=True)
    return settings[found.index(max(found))]

class Readings:
    "Reads the test rows, and says so before"
    def __init__(self, dls): self.dls, self.rows = dls, {}
    def __call__(self, name, kw, model, seconds, stars=False):
        print(f'reading {len(self.rows) + 1} of the test rows: {name}, {shown(kw)}', flush=True)
        self.rows[name] = (rating_metrics(model, self.dls) if stars else {}) | measure(model, self.dls) | {'seconds': median(o for o, _ in seconds), 'CPU seconds': median(o for _, o in seconds), 'rounds': len(seconds)}
        print('  ' + ', '.join(f'{k} {v:.4f}' for k, v in self.rows[name].items()), flush=True)

def main(rounds, peers):
    torch.set_num_threads(THREADS)
    ratings = load_ratings()
    test = item_split(ratings, 0.25, seed=42, item_name='movie')
    rest = ratings.drop(index=ratings.index[test]).reset_index(drop=True)
    dls, inner = load(ratings, test), [load(rest, item_split(rest, 0.25, seed=s, item_name='movie')) for s in (1, 2)]
    read, chosen = Readings(dls), {}
    print(f'{platform.system()}, {os.cpu_count()} cores, {THREADS} threads, Python {platform.python_version()}, torch {torch.__version__}; '
          f'{dls.train.n:,} training and {dls.valid.n:,} test rows\n\nNDCG@10 on the two inner splits', flush=True)
    for name, (make, settings) in OURS.items(): chosen[name] = choose(name, make, settings, inner)
    for name, (library, kind, settings) in THEIRS.items() if peers else ():
        chosen[name] = choose(name, lambda dls, **kw: run_peer(dls, library, kind, **kw)[0], settings, inner)
    print(flush=True)
    models = {}
    for name, (make, _) in OURS.items():
        models[name], seconds = timed(lambda: make(dls, **chosen[name]), rounds)
        read(name, chosen[name], models[name], seconds, stars=name == 'collab_learner')
    if {'EASE', 'IALS'} <= set(models):
        both, seconds = timed(lambda: Ensemble([OURS[o][0](dls, **chosen[o]) for o in ('EASE', 'IALS')]), rounds)
        read('EASE and IALS averaged', {o: chosen[o] for o in ('EASE', 'IALS')}, both, seconds)
    for name, (library, kind, _) in THEIRS.items() if peers else ():
        model, seconds = run_peer(dls, library, kind, rounds, **chosen[name])
        read(name, chosen[name], model, seconds)
    print('\n' + pd.DataFrame(read.rows).T.to_string(float_format='{:.4f}'.format, na_rep=''))

def large(n_users=138_493, n_items=26_744, n=20_000_000, n_factors=64):
    "Seconds of IALS and its peak memory on made-up likes: busy users and popular items, but no tastes"
    torch.set_num_threads(THREADS)
    set_seed(0)
    def draw(n_rows, power, n):
        ends = (torch.arange(1, n_rows + 1).double() + 20).pow(-power).cumsum(0)
        return torch.searchsorted(ends, torch.rand(n, dtype=torch.float64) * ends[-1]).clamp(max=n_rows - 1) + 1
    key = torch.cat([draw(n_users, 0.5, n // 4) * (n_items + 1) + draw(n_items, 0.8, n // 4) for _ in range(6)]).unique()
    key = key[torch.randperm(len(key))[:n]]
    x = torch.stack([key // (n_items + 1), key % (n_items + 1)], dim=1).int()
    del key
    loaders = [RatingDataLoader(o, torch.ones(1, 1).expand(len(o), 1), bs=4096) for o in (x, x[:1])]
    dls = DataLoaders(*loaders, {'user': CategoryMap(range(n_users)), 'item': CategoryMap(range(n_items))})
    memory = lambda key: next(int(o.split()[1]) / 2**20 for o in Path('/proc/self/status').read_text().splitlines() if o.startswith(key))
    before = memory('VmRSS')
    Path('/proc/self/clear_refs').write_text('5') # the peak from here on
    (wall, cpu), = timed(lambda: IALS(dls, n_factors, n_epochs=1), 1)[1]
    print(f'{len(x):,} made-up likes, {n_users:,} users x {n_items:,} items, {n_factors} factors, {THREADS} threads: IALS with n_epochs=1, '
          f'which sorts the likes and solves for users, items and users, {wall:.1f} s ({cpu:.1f} CPU seconds); '
          f'peak memory {memory("VmHWM"):.2f} GiB, {before:.2f} of it before')

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', type=int, default=THREADS)
    parser.add_argument('--without-peers', action='store_true')
    parser.add_argument('--only', nargs='+', metavar='NAME', help='contenders to choose and read')
    parser.add_argument('--large', action='store_true')
    args = parser.parse_args()
    THREADS = args.threads
    if args.only: OURS, THEIRS = ({k: o[k] for k in o if k in args.only} for o in (OURS, THEIRS))
    large() if args.large else main(args.rounds, not args.without_peers)
