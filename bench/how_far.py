"""How far plain factors go on MovieLens 100K: `python bench/how_far.py`, some twenty minutes on an idle machine, or a part of it:
choose, read_u1, sure, cold, folds.

RMSE of one ladder, of Bayesian factors that come to know who rated what, who people are and what a film is, and when a rating was
made. The protocol: settings were chosen on splits of u1's base rows (`choose`); u2 to u5 train on u1's test rows, so nothing was
chosen there. u1's test rows are read by `read_u1`, which prints all settings before each reading. Rungs from 'a day' on use the
time of a test row as well as its user and film.

Readings of u1's test rows so far: three runs of `read_u1`, with the same settings. The first came before rows of zeros among the
features were taken as unknown, which `cold` called for: 0.9020, 0.8842, 0.8816, 0.8781, 0.8699, 0.8713. The second was stopped
after three rungs to make a sweep faster. The third is in how_far.txt, where `folds` has u1 once more. Nothing was chosen by any of
them: the ordered probit stays the last rung, since it was better inside u1's base rows; on u1 it makes no difference."""
import sys, time

from collab_course.all import *

DAY = 86400
SITTINGS = 30 * DAY, DAY, 600, 60, 1
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

def rung(split, settings, seeds):
    "RMSE of each seed's predictions and of their mean, and seconds of a run"
    start, cpu = time.perf_counter(), time.process_time()
    preds = [split.preds(**settings, seed=seed) for seed in seeds]
    each = [split.rmse(o) for o in preds]
    n = len(preds)
    return {'mean': np.mean(each), 'over seeds': np.std(each, ddof=1) if n > 1 else np.nan, 'lowest': min(each), 'highest': max(each),
            'averaged': split.rmse(torch.stack(preds).mean(0)), 'runs': n,
            'seconds': (time.perf_counter() - start) / n, 'of CPU': (time.process_time() - cpu) / n}

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
    print(pd.DataFrame(errors).agg(['mean', 'std']).T.round(4).to_string())

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

def read_u1(ratings):
    "The ladder on u1's test rows, six seeds"
    print('readings of its test rows:')
    split, rows = Split(ratings, np.arange(20_000)), {}
    for i, (name, kwargs) in enumerate(LADDER.items()):
        print(f'{i + 1}. {name}, seeds 0 to 5: {kwargs}', flush=True)
        rows[name] = rung(split, kwargs, range(6))
        print('  ', *(f'{k} {v:.4f}' for k, v in rows[name].items()), flush=True)
    table = pd.DataFrame(rows).T.round({'seconds': 1, 'of CPU': 1}).round(4)
    print(f'\n{table.astype({"runs": int}).to_string()}\n\nbaselines')
    print(pd.Series({o.__name__: split.rmse(o(split.dls)(split.dls.valid.x)) for o in (Biases, ItemKNN)}).round(4).to_string())

def folds(ratings):
    "The ladder on u1 to u5, and on random folds (seed 42): a seed each, mean and spread over five splits"
    for title, seed in (('u1 to u5', None), ('random 5-fold', 42)):
        runs = []
        for i, rows in enumerate(k_folds(ratings, 5, seed=seed)):
            split = Split(ratings, rows)
            runs.append({name: split.rmse(split.preds(**kwargs, seed=i)) for name, kwargs in LADDER.items()})
            print(title, i + 1, *(f'{o:.4f}' for o in runs[-1].values()), flush=True)
        print('\n' + pd.DataFrame(runs).agg(['mean', 'std']).T.round(4).to_string() + '\n', flush=True)

def main():
    parts = {o.__name__: o for o in (choose, read_u1, sure, cold, folds)}
    ratings = load_ratings()
    for name in sys.argv[1:] or parts:
        print(f'## {name}: torch {torch.__version__}, {torch.get_num_threads()} threads\n{parts[name].__doc__}\n', flush=True)
        parts[name](ratings)
        print(flush=True)

if __name__ == '__main__': main()
