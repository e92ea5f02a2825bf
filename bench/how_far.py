"""How far plain factors go on MovieLens 100K: `python bench/how_far.py`, some twenty-five minutes on two idle cores, or a part of it:
choose, u1, sure, cold, folds. What it prints is kept in how_far.txt; `u1` and `folds` also put their rows into
collab_course/how_far.csv, which lesson 22 reads; its seconds are those of CPU.

RMSE of one ladder, of Bayesian factors that come to know who rated what, who people are and what a film is, and when a rating was
made. The protocol: settings were chosen on splits of u1's base rows (`choose`); u2 to u5 train on u1's test rows, so nothing was
chosen there. u1's test rows are read by `u1`, which prints all settings before each reading. Rungs from 'a day' on use the time of
a test row as well as its user and film.

Readings of u1's test rows so far: some ten by a prototype, before any of these settings was chosen; then five runs of `u1`,
with the same settings but for the last. The first came before rows of zeros among the features were taken as unknown, which
`cold` called for: 0.9020, 0.8842, 0.8816, 0.8781, 0.8699, 0.8713. The second was stopped after three rungs to make a sweep
faster. The third and the fourth gave the same figures; `folds`, run with one seed and then with six, has u1 among its splits.
The fifth has the weight decay that lesson 17 chose inside u1's base rows, 0.12, for the factors by gradient, in place of an
older 0.08. Nothing was chosen by any of them: the ordered probit stays the last rung, since it was better inside u1's base
rows; on u1 it makes no difference."""
import sys, time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from collab_course.all import *

DAY = 86400
SITTINGS = 30 * DAY, DAY, 600, 60, 1
CSV = Path(__file__).parents[1]/'collab_course'/'how_far.csv'
PLAIN = {'n_factors': 10, 'user_noise': True}
LADDER = {
    'factors': PLAIN | {'n_sweeps': 400},
    'who rated what': PLAIN | {'n_sweeps': 200, 'features': 'rated'},
    'who they are, what it is': PLAIN | {'n_sweeps': 200, 'features': 'all'},
    'a day': PLAIN | {'n_sweeps': 200, 'features': 'all', 'spans': (DAY,)},
    'sittings': PLAIN | {'n_sweeps': 150, 'features': 'all', 'spans': SITTINGS},
    'stars are classes': PLAIN | {'n_sweeps': 150, 'features': 'all', 'spans': SITTINGS, 'ordinal': True},
}

def tables():
    "What MovieLens says of users and of films, ids in the index"
    path = untar_data()
    users = pd.read_csv(path/'u.user', sep='|', names=['user', 'age', 'gender', 'occupation', 'zip'], index_col='user')
    users['age'] = pd.cut(users.age, [0, 17, 24, 29, 34, 39, 44, 49, 55, 100])
    films = pd.read_csv(path/'u.item', sep='|', encoding='latin-1', header=None, index_col=0)
    genres = films.iloc[:, 4:].set_axis([f'genre {i}' for i in range(films.shape[1] - 4)], axis=1)
    years = [0, 1939, 1949, 1959, 1969, 1979, 1984, 1989, 1992, 1993, 1994, 1995, 1996, 1997, 2000]
    films = genres.assign(year=pd.cut(films[2].str[-4:].astype(float), years))
    return users[['age', 'gender', 'occupation']], films

USERS, FILMS = tables()

class Split:
    "Loaders of `ratings` that test on `rows`, and features"
    def __init__(self, ratings, rows):
        self.dls = CollabDataLoaders.from_df(ratings, item_name='movie', valid_idx=rows, time_name='timestamp')
        self.y = self.dls.valid.y.flatten()
        about = [one_hot_features(t, t.columns, c) for t, c in zip((USERS, FILMS), self.dls.classes.values())]
        rated = rated_features(self.dls)
        self.features = {'rated': rated, 'all': [*zip(rated, about)], 'about': about, 'cold': ((rated[0], about[0]), about[1])}
    def make(self, features=None, spans=(), **kwargs):
        users, items = self.features[features] if features else (None, None)
        return BPMF(self.dls, user_features=users, item_features=items, spans=spans, **kwargs)
    def preds(self, **kwargs):
        return self.make(**kwargs)(self.dls.valid.x, self.dls.valid.times)
    def rmse(self, preds): return rmse(preds, self.y).item()

def simple(dls):
    "A learner by the recipe that lesson 17 chose inside u1's base rows"
    learn = collab_learner(dls, n_factors=30, y_range=(0, 5.5))
    with learn.no_logging(), learn.no_bar(): learn.fit_one_cycle(5, 5e-3, wd=0.12)
    return learn.model

BEFORE = {'biases': Biases, 'factors by gradient': simple, 'six of them averaged': averaged(simple)}

def rung(split, make, seeds):
    "RMSE of each seed's predictions and the seconds of CPU it took; and the RMSE of their mean"
    rows, preds = [], []
    for seed in seeds:
        set_seed(seed)
        start = time.process_time()
        preds.append(make(split, seed))
        rows.append({'seed': seed, 'rmse': split.rmse(preds[-1]), 'seconds': time.process_time() - start})
    return rows, split.rmse(torch.stack(preds).mean(0))

def from_ladder(kwargs, split, seed): return split.preds(**kwargs, seed=seed)

def from_before(make, split, seed): return make(split.dls)(split.dls.valid.x).flatten().detach()

def keep(part, rows):
    "Put the `rows` of a part into the file that the package ships, in place of the part's last ones"
    table = pd.DataFrame(rows).assign(part=part)[['part', 'model', 'split', 'seed', 'rmse', 'seconds']]
    if CSV.exists():
        old = pd.read_csv(CSV)
        table = pd.concat([old[old.part != part], table])
    table.round({'rmse': 5, 'seconds': 2}).to_csv(CSV, index=False)

def inner_rows(base, seed):
    "Rows to test on inside u1's base rows, as u1 takes them from all: some 40% of the ratings of half of the users"
    rand = np.random.default_rng(seed)
    users = rand.permutation(base.user.unique())[:459]
    share = dict(zip(users, rand.normal(0.39, 0.14, len(users)).clip(0.01, 0.8)))
    return np.flatnonzero(rand.random(len(base)) < base.user.map(share).fillna(0))

def choose(ratings):
    "What the settings were chosen by: two splits inside u1's base rows, one seed, fewer sweeps. No row of u1's test is in it"
    base = ratings.iloc[20_000:].reset_index(drop=True)
    tried = {name: kwargs | {'n_sweeps': 300 if name == 'factors' else 100} for name, kwargs in LADDER.items()}
    for name in ('who rated what', 'sittings'): tried[f'{name}; one noise for all'] = tried[name] | {'user_noise': False}
    for k in (7, 14): tried[f'sittings; k={k}'] = tried['sittings'] | {'n_factors': k}
    for spans in ((DAY, 1), (DAY, 60, 1), (60 * DAY, DAY, 3600, 600, 60, 1)):
        tried[f'sittings of {spans}'] = tried['sittings'] | {'spans': spans}
    splits = [Split(base, inner_rows(base, seed)) for seed in (1, 2)]
    for name, kwargs in tried.items():
        each = [split.rmse(split.preds(**kwargs, seed=0)) for split in splits]
        print(f'{name:50}', *(f'{o:.4f}' for o in [*each, np.mean(each)]), flush=True)

def cold(ratings):
    "Films without any training rating: a tenth of all, five times; RMSE on all their ratings"
    films, rand, errors = ratings.movie.unique(), np.random.default_rng(0), []
    genres = FILMS.filter(like='genre').astype(float)
    for held in np.array_split(rand.permutation(films), 10)[:5]:
        split = Split(ratings, np.flatnonzero(ratings.movie.isin(held)))
        base, x, classes = Biases(split.dls), split.dls.valid.x.long(), split.dls.classes['movie']
        known = [o for o in films if o not in set(held)]
        bias = pd.Series(base.item[classes.encode(known).long()].numpy(), known)
        by_genre = genres.loc[known].mul(bias, axis=0).sum() / genres.loc[known].sum().clip(lower=1)
        its = genres.loc[ratings.movie[ratings.movie.isin(held)]]
        of_genre = tensor((its @ by_genre / its.sum(axis=1).clip(lower=1)).to_numpy()).float()
        plain = base.mean + base.user[x[:, 0]]
        errors.append({'user biases': split.rmse(plain), 'and mean of their genres\' biases': split.rmse(plain + of_genre),
                       'factors from genres and year': split.rmse(split.preds(n_sweeps=150, features='about')),
                       'and what each user rated': split.rmse(split.preds(n_sweeps=150, features='cold')),
                       'and who rated each film': split.rmse(split.preds(n_sweeps=150, features='all'))})
        print(*(f'{o:.4f}' for o in errors[-1].values()), flush=True)
    errors = pd.DataFrame(errors)
    print('\n' + errors.agg(['mean', 'std']).T.round(4).to_string())
    gain = errors['and mean of their genres\' biases'] - errors['factors from genres and year']
    print(f'gain over their genres\' biases: {gain.mean():.4f}, standard error {gain.std() / len(gain)**0.5:.4f}, '
          f'above 0 in {(gain > 0).sum()} of {len(gain)}')

def sure(ratings):
    "Rows held out of u1's base: how many lie in intervals that should hold 90%, and RMSE by how sure the model is"
    base, rows = ratings.iloc[20_000:].reset_index(drop=True), {}
    split = Split(base, inner_rows(base, 3))
    for name in ('who they are, what it is', 'sittings', 'stars are classes'):
        model = split.make(**LADDER[name])
        valid = split.dls.valid
        mean, std = model(valid.x, valid.times), model.std(valid.x, valid.times, noise=True)
        off = (mean - split.y).abs()
        quarter = pd.qcut(std.numpy(), 4, labels=['most sure', '2nd', '3rd', 'least sure'])
        rows[name] = {'in 90% interval': (off < 1.645 * std).float().mean().item()} | (pd.Series(off.numpy()**2).groupby(quarter, observed=True).mean()**0.5).to_dict()
    print(pd.DataFrame(rows).T.round(3).to_string())

def u1(ratings):
    "The ladder on u1's test rows, six seeds"
    print('readings of its test rows:')
    split, rows, means = Split(ratings, np.arange(20_000)), [], {}
    ladder = {name: (partial(from_before, make), '') for name, make in BEFORE.items()}
    ladder |= {name: (partial(from_ladder, kwargs), kwargs) for name, kwargs in LADDER.items()}
    for i, (name, (make, kwargs)) in enumerate(ladder.items()):
        seeds = range(1 if name == 'biases' else 6) # which have no chance in them
        print(f'{i + 1}. {name}, {len(seeds)} seeds {kwargs}', flush=True)
        runs, means[name] = rung(split, make, seeds)
        rows += [{'model': name, 'split': 1} | o for o in runs]
        print('  ', *(f"{o['rmse']:.4f}" for o in runs), flush=True)
    runs = pd.DataFrame(rows)
    keep('u1', [*rows, {'model': 'sittings, six averaged', 'split': 1, 'seed': 0, 'rmse': means['sittings'],
                        'seconds': runs.seconds[runs.model == 'sittings'].sum()}])
    by = runs.groupby('model', sort=False)
    table = by.rmse.agg(['mean', 'std', 'min', 'max']).assign(averaged=pd.Series(means)).round(4)
    print('\n' + table.join(by.seconds.mean().round(1)).rename(columns={'seconds': 'seconds of CPU'}).to_string())

def ladder_on(job):
    "The rows of one split, with all seeds"
    (title, number, rows), seeds = job
    torch.set_num_threads(1)
    split, res = Split(load_ratings(), rows), []
    for name, kwargs in LADDER.items():
        res += [{'model': name, 'split': number} | o for o in rung(split, partial(from_ladder, kwargs), seeds)[0]]
    return title, number, res

def folds(ratings, seeds=6):
    "The ladder on u1 to u5, and on random folds (seed 42): six seeds each, two processes"
    titles = {'u1 to u5': None, 'random 5-fold': 42}
    jobs = [((title, i + 1, rows), range(seeds)) for title, seed in titles.items() for i, rows in enumerate(k_folds(ratings, 5, seed=seed))]
    runs = {title: [] for title in titles}
    with ProcessPoolExecutor(2, mp_context=get_context('spawn')) as pool:
        for title, number, rows in pool.map(ladder_on, jobs):
            runs[title] += rows
            each = pd.DataFrame(rows).groupby('model', sort=False).rmse.mean()
            print(title, number, *(f'{o:.4f}' for o in each), flush=True)
    for title, rows in runs.items():
        keep(title, rows)
        by = pd.DataFrame(rows).groupby(['model', 'split'], sort=False).rmse
        table = by.mean().groupby('model', sort=False).agg(['mean', 'std']).set_axis(['mean', 'over splits'], axis=1)
        table['over seeds'] = by.std().groupby('model', sort=False).mean()
        print(f'\n{title}\n{table.round(4).to_string()}\n', flush=True)

def main():
    parts = {o.__name__: o for o in (choose, u1, sure, cold, folds)}
    ratings = load_ratings()
    for name in sys.argv[1:] or parts:
        print(f'## {name}: torch {torch.__version__}, {torch.get_num_threads()} threads\n{parts[name].__doc__}\n', flush=True)
        parts[name](ratings)
        print(flush=True)

if __name__ == '__main__': main()
