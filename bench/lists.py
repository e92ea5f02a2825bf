"""Lists from likes, on three splits and beside other libraries: `python bench/lists.py > bench/lists.txt`.

public   That of the library recommenders ("Algorithm comparison" in its README): MovieLens 100K, 75 % of each movie's rows train,
         seed 42. Every held-out row is a hit.
course   That of lesson 18: a quarter of each user's rows is held out, and those with 4 stars or more are hits.
latest   The latest fifth of all rows, of users with earlier rows. Every held-out row is a hit.

Training rows are not listed, all movies are ranked, k = 10. Settings are chosen on two splits of the same kind *inside* the
training rows, and written to collab_course/lists_search.csv, where the lesson finds them; each reading of test rows is announced,
contender and settings first. `from` and `to` are the 95 % interval of the mean over users, by bootstrap. Seconds are of training,
from the loaded rows to a model that can score: medians of `--rounds`. CPU seconds, of all threads together, say what a machine that
is busy with other work takes from the others.

    python bench/lists.py [--rounds 5] [--threads 2] [--without-peers]
    python bench/lists.py --chosen      the same, but what lists_search.csv holds is not searched again
    python bench/lists.py --large       one epoch of IALS on made-up likes of MovieLens 20M's size: seconds and memory
    python bench/lists.py --serving     the best of 1,000,000 items: milliseconds a user
"""
import argparse, itertools, json, os, platform, subprocess, sys, time
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
ROOT, WORK = HERE.parent, HERE.parent/'.bench'
SEARCH = ROOT/'collab_course'/'lists_search.csv'
PEERS = {'implicit': ['implicit==0.7.2'], 'cornac': ['cornac==3.0.1']}
THREADS = 2

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
    np.save(job['scores'], scores(model))
    print(json.dumps(seconds))

if __name__ == '__main__' and '--peer' in sys.argv[1:2]:
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
    return model, seconds

def bpr(dls, n_factors, n_epochs, wd, at_least=None):
    learn = collab_learner(ranking_dls(dls, at_least, bs=1024), n_factors, loss_func=bpr_loss)
    with learn.no_logging(), learn.no_bar(): learn.fit_one_cycle(n_epochs, 1e-2, wd=wd)
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
    'collab_learner': (stars, grid(n_factors=[30, 50], y_range=[(0, 5.5)], n_epoch=[5], lr_max=[5e-3], wd=[0.06, 0.08, 0.1, 0.12])),
    'popularity': (Popularity, [{}]),
    'LikesKNN': (LikesKNN, grid(k=[40, 80, 160, 320, 640])),
    'BPR': (bpr, grid(n_factors=[64], n_epochs=[80], wd=[0.3, 0.5, 0.8])),
    'EASE': (EASE, grid(reg=[100, 200, 300, 400, 500, 600, 800, 1200])),
    'IALS': (IALS, grid(n_factors=[64], reg=[0.01, 0.014, 0.02, 0.03], alpha0=[0.1, 0.2, 0.3, 0.5, 0.7], n_epochs=[8])),
    'EASE and IALS with dates': (with_dates, grid(gaps=[[60, 600]], ease_reg=[600, 700], n_ials=[3], reg=[0.014], alpha0=[0.5], n_epochs=[8])),
}
THEIRS = {
    'implicit ALS': ('implicit', 'ALS', grid(factors=[64], regularization=[30, 60, 120, 240], alpha=[4, 8, 16, 32], iterations=[15])),
    'implicit BPR': ('implicit', 'BPR', grid(factors=[64], learning_rate=[0.001, 0.003, 0.01], regularization=[0.001, 0.01, 0.1], iterations=[25, 50, 100, 200])),
    'Cornac BPR': ('cornac', 'BPR', [dict(k=200, max_iter=200, learning_rate=0.01, lambda_reg=0.001)]), # as in the public table
    'Cornac EASE': ('cornac', 'EASE', grid(lamb=[300, 500, 800], posB=[False])),
}
#: on the public split alone: what is there for the sake of its RMSE, and what asks for dates
PUBLIC_ONLY = 'collab_learner', 'EASE and IALS with dates'

# A split gives a table and the rows of it to test on; `inner` 0 for the test rows, 1 and 2 for the same inside the training rows

def public(ratings, inner): return ratings, item_split(ratings, 0.25, seed=inner or 42, item_name='movie')
def course(ratings, inner): return ratings, user_split(ratings, 0.25, seed=inner)
def latest(ratings, inner):
    "For `inner` 2 the latest fifth is left out before"
    if inner == 2: ratings = ratings.drop(index=ratings.index[time_split(ratings)])
    late = ratings.index.isin(ratings.index[time_split(ratings)])
    kept = ~late | ratings.user.isin(ratings.user[~late]) # newcomers are another question
    return ratings[kept].reset_index(drop=True), np.flatnonzero(late[kept])

#: split -> how it is made, the lowest rating that is a hit
SPLITS = {'public': (public, 0), 'course': (course, 4), 'latest': (latest, 0)}

def load(ratings, rows):
    dls = CollabDataLoaders.from_df(ratings, item_name='movie', valid_idx=rows)
    dls.rows = ratings.drop(index=ratings.index[rows]) # the training rows, with their dates
    return dls

def shown(kw): return ', '.join(f'{k}={v}' for k, v in kw.items()) or 'no settings'

class Contest:
    "The contenders on one split: chooses their settings, and reads the test rows, saying so before"
    def __init__(self, ratings, split, rounds, tried):
        make, self.at_least = SPLITS[split]
        table, rows = make(ratings, 0)
        rest = table.drop(index=table.index[rows]).reset_index(drop=True)
        self.split, self.rounds, self.tried, self.rows = split, rounds, tried, {}
        self.dls, *self.inner = (load(*o) for o in ((table, rows), make(rest, 1), make(rest, 2)))
        print(f'\n## {split}: {self.dls.train.n:,} training and {self.dls.valid.n:,} test rows of {self.dls.valid.x[:, 0].unique().numel()} users', flush=True)
    def measure(self, name, model, dls):
        if name == 'collab_learner': return rating_metrics(model, dls)['rmse']
        return ranking_metrics(model, dls, at_least=self.at_least)['ndcg']
    def choose(self, name, make, settings):
        "The settings with the highest mean NDCG on the inner splits; of a model for stars, with the lowest mean RMSE"
        if len(settings) == 1: return settings[0]
        if self.at_least: settings = [kw | {'at_least': o} for kw in settings for o in (None, self.at_least)]
        def mine(): return [o for o in self.tried if (o['split'], o['model']) == (self.split, name)]
        for kw in settings if not mine() else ():
            found = []
            for dls in self.inner:
                set_seed(0)
                found.append(round(self.measure(name, make(dls, **kw), dls), 4))
            self.tried.append({'split': self.split, 'model': name, 'settings': json.dumps(kw), 'inner 1': found[0], 'inner 2': found[1]})
        for o in mine(): print(f'  {name}, {shown(json.loads(o["settings"]))}: {o["inner 1"]:.4f} {o["inner 2"]:.4f}', flush=True)
        best = (min if name == 'collab_learner' else max)(mine(), key=lambda o: o['inner 1'] + o['inner 2'])
        return json.loads(best['settings'])
    def read(self, name, kw, model, seconds):
        print(f'reading {len(self.rows) + 1} of these test rows: {name}, {shown(kw)}', flush=True)
        users = user_metrics(model, self.dls, at_least=self.at_least)
        low, high = bootstrap(users.ndcg)
        wall, cpu = (median(o) for o in zip(*seconds))
        stars = rating_metrics(model, self.dls) if name == 'collab_learner' else {}
        self.rows[name] = users.mean().to_dict() | {'from': low, 'to': high, 'seconds': wall, 'CPU seconds': cpu} | stars
        print('  ' + ', '.join(f'{k} {v:.4f}' for k, v in self.rows[name].items()), flush=True)
    def run(self, ours, theirs):
        print('On the two inner splits, NDCG@10 (of collab_learner RMSE)', flush=True)
        chosen = {name: self.choose(name, make, settings) for name, (make, settings) in ours.items()}
        chosen |= {name: self.choose(name, lambda dls, **kw: run_peer(dls, library, kind, **kw)[0], settings)
                   for name, (library, kind, settings) in theirs.items()}
        print(flush=True)
        for name, (make, _) in ours.items(): self.read(name, chosen[name], *timed(lambda: make(self.dls, **chosen[name]), self.rounds))
        if {'EASE', 'IALS'} <= ours.keys():
            both = {o: chosen[o] for o in ('EASE', 'IALS')}
            self.read('EASE and IALS averaged', both, *timed(lambda: Ensemble([ours[o][0](self.dls, **kw) for o, kw in both.items()]), self.rounds))
        for name, (library, kind, _) in theirs.items(): self.read(name, chosen[name], *run_peer(self.dls, library, kind, self.rounds, **chosen[name]))
        print('\n' + pd.DataFrame(self.rows).T.to_string(float_format='{:.4f}'.format, na_rep=''), flush=True)

def main(rounds, tried):
    torch.set_num_threads(THREADS)
    ratings = load_ratings()
    print(f'{platform.system()}, {os.cpu_count()} cores, {THREADS} threads, Python {platform.python_version()}, torch {torch.__version__}; medians of {rounds}', flush=True)
    for split in SPLITS:
        ours = {k: v for k, v in OURS.items() if split == 'public' or k not in PUBLIC_ONLY}
        Contest(ratings, split, rounds, tried).run(ours, THEIRS if split == 'public' else {})

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

def serving(n_items=1_000_000, n_factors=64):
    "Milliseconds a user to find the best ten of many items exactly, alone and together"
    torch.set_num_threads(THREADS)
    set_seed(0)
    items, users = torch.randn(n_items, n_factors), torch.randn(64, n_factors)
    for n in (1, 16, 64):
        wall, cpu = (1000 * median(o) / n for o in zip(*timed(lambda: best_items(users[:n], items), 9)[1]))
        print(f'{n_items:,} items, {n_factors} factors, {THREADS} threads, {n} users at once: {wall:.1f} ms a user ({cpu:.1f} of CPU)')

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', type=int, default=THREADS)
    parser.add_argument('--without-peers', action='store_true')
    parser.add_argument('--chosen', action='store_true', help='do not search again what lists_search.csv holds')
    parser.add_argument('--large', action='store_true')
    parser.add_argument('--serving', action='store_true')
    args = parser.parse_args()
    THREADS = args.threads
    if args.without_peers: THEIRS = {}
    if args.large: large()
    elif args.serving: serving()
    else:
        tried = pd.read_csv(SEARCH).to_dict('records') if args.chosen else []
        main(args.rounds, tried)
        pd.DataFrame(tried).to_csv(SEARCH, index=False)
