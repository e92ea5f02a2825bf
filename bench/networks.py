"""The searches that lessons 8, 9, 10, 13 and 14 quote: `python bench/networks.py > bench/networks.txt`, some twenty minutes on a quiet machine.

Three splits (seeds 42, 0 and 7), each with its own search: a fifth of its training rows is held out, every setting is trained on
the other four fifths and judged by its last epoch, so no validation row has a say. `wd_search.csv`: five epochs at 5e-3, six
weight decays for each model. `chosen_wd.csv`: each model with the best of its six, trained on all training rows of its split and
measured on the validation rows, once. `wide_search.csv`: ten settings drawn at random for the network and as many for `DotProductBias`;
the best of each is then trained on all training rows of its split and measured on the validation rows, once. `first_search.csv`:
how many epochs, from one to five, two dot products without decay want, and which weight decay the one with ten factors. `starts.csv`:
a cycle beside a steady rate from six random starts, trained on all training rows and measured on the validation rows; nothing is chosen."""
import os
from pathlib import Path

os.environ['TQDM_DISABLE'] = '1'

from collab_course.all import *
from collab_course.dataloaders import split_rows

SEEDS, WDS, TRIALS = (42, 0, 7), (0., 0.03, 0.1, 0.2, 0.4, 0.8), 10
FOLDER = Path(__file__).resolve().parent.parent/'collab_course'

def inside(dls, seed):
    "Only the training rows of `dls`, a fifth of them to validate on"
    rest, held = (o.long() for o in split_rows(dls.train.n, 0.2, seed))
    x, y = dls.train.x, dls.train.y
    train = RatingDataLoader(x[rest], y[rest], dls.bs, shuffle=True, drop_last=True)
    return DataLoaders(train, RatingDataLoader(x[held], y[held], dls.valid.bs), dls.classes)

def flat(embs):
    "`CollabNN` without its hidden layer"
    model = CollabNN(*embs)
    model.layers = nn.Linear(embs[0][1] + embs[1][1], 1)
    return model

class WithAge(Module):
    "A network of user, item and the user's age"
    def __init__(self, embs, age):
        self.net = TabularModel(embs, n_cont=1, out_sz=1, layers=[100, 50], y_range=(0, 5.5))
        self.register_buffer('age', age)
    def forward(self, x): return self.net(x, self.age[x[:, 0]])

def ages(dls):
    people = pd.read_csv(untar_data(URLs.ML_100k)/'u.user', sep='|', header=None, usecols=[0, 1], index_col=0)[1]
    age = people.reindex(dls.classes['user'].items).fillna(people.mean())
    return tensor(age.to_numpy(dtype=np.float32))[:, None]

def sizes(dls): return [len(o) for o in dls.classes.values()]

class MeanAdded(Module):
    "`DotProduct` without a range, and the mean of the training ratings added to every prediction"
    def __init__(self, dls): self.dot, self.mean = DotProduct(*sizes(dls), 50), dls.train.y.mean().item()
    def forward(self, x): return self.mean + self.dot(x)

#: model, as lessons 13 and 14 name it: how to make its learner
MODELS = {
    'dot product': lambda dls: Learner(dls, DotProduct(*sizes(dls), 50)),
    'dot product in a range': lambda dls: Learner(dls, DotProduct(*sizes(dls), 50, (0, 5.5))),
    'dot product, mean added': lambda dls: Learner(dls, MeanAdded(dls)),
    'DotProductBias': lambda dls: Learner(dls, DotProductBias(*sizes(dls), 50)),
    'no hidden layer': lambda dls: Learner(dls, flat(get_emb_sz(dls))),
    'CollabNN': lambda dls: Learner(dls, CollabNN(*get_emb_sz(dls))),
    'EmbeddingNN': lambda dls: Learner(dls, EmbeddingNN(get_emb_sz(dls), [100, 50], y_range=(0, 5.5))),
    'EmbeddingNN with age': lambda dls: Learner(dls, WithAge(get_emb_sz(dls), ages(dls))),
}

def last_loss(make, dls, seed, wd, epochs=5, lr=5e-3):
    "The validation loss of the last epoch"
    set_seed(seed)
    learn = make(dls)
    with learn.no_logging(): learn.fit_one_cycle(epochs, lr, wd=wd)
    return learn.recorder.values[-1][1]

def wd_search(splits):
    rows = [(name, seed, wd, last_loss(make, inside(dls, seed), seed, wd))
            for name, make in MODELS.items() for seed, dls in splits.items() for wd in WDS]
    return pd.DataFrame(rows, columns=['model', 'split', 'wd', 'loss'])

def bare(dls): return Learner(dls, DotProductParams(*sizes(dls), 50))

def on_all_rows(chosen, splits):
    "Each model with the weight decay chosen for it, on all training rows; `bare` is `DotProductBias` in other words, and takes its own"
    wd = chosen.set_index(['model', 'split']).wd
    rows = [(name, seed, wd[like, seed], last_loss(make, dls, seed, wd[like, seed]))
            for name, like, make in [(o, o, MODELS[o]) for o in MODELS] + [('bare parameters', 'DotProductBias', bare)]
            for seed, dls in splits.items()]
    return pd.DataFrame(rows, columns=['model', 'split', 'wd', 'loss'])

def draw(name, rng):
    "One setting, drawn at random: how to make the learner, how to train it, and both in words"
    fit = dict(wd=float(rng.choice(WDS)), epochs=int(rng.choice([3, 5, 8])), lr=float(rng.choice([2e-3, 5e-3, 1e-2])))
    if name == 'DotProductBias':
        kwargs = dict(n_factors=int(rng.choice([10, 20, 30, 50, 100, 200])))
        return partial(collab_learner, y_range=(0, 5.5), **kwargs), fit, {**kwargs, **fit}
    layers = [[50], [100], [200], [100, 50], [200, 100]][rng.integers(5)]
    share, drop = float(rng.choice([0.2, 0.5, 1])), dict(ps=float(rng.choice([0, 0.1, 0.3])), embed_p=float(rng.choice([0, 0.1, 0.3])))
    def make(dls):
        embs = [(n, max(1, round(share * width))) for n, width in get_emb_sz(dls)]
        return collab_learner(dls, use_nn=True, emb_szs=embs, layers=layers, config=drop, y_range=(0, 5.5))
    return make, fit, {'layers': layers, 'share of the rule': share, **drop, **fit}

def wide_search(splits):
    rows = []
    for name in ('DotProductBias', 'network'):
        for seed, dls in splits.items():
            rng = np.random.default_rng(seed)
            trials = [draw(name, rng) for _ in range(TRIALS)]
            losses = [last_loss(make, inside(dls, seed), seed, **fit) for make, fit, _ in trials]
            make, fit, words = trials[best := int(np.argmin(losses))]
            said = ', '.join(f'{k} {v}' for k, v in words.items())
            rows.append((name, seed, said, losses[best], float(np.median(losses)), last_loss(make, dls, seed, **fit)))
    return pd.DataFrame(rows, columns=['model', 'split', 'best setting', 'inner loss', 'median inner loss', 'loss'])

def first_search(splits):
    tries = [(name, 50, epochs, 0.) for name in ('dot product in a range', 'DotProductBias') for epochs in range(1, 6)]
    tries += [('DotProductBias', 10, 5, wd) for wd in WDS]
    classes = {'dot product in a range': partial(DotProduct, y_range=(0, 5.5)), 'DotProductBias': DotProductBias}
    def make(name, n_factors): return lambda dls: Learner(dls, classes[name](*sizes(dls), n_factors))
    rows = [(name, n_factors, epochs, wd, seed, last_loss(make(name, n_factors), inside(dls, seed), seed, wd, epochs))
            for name, n_factors, epochs, wd in tries for seed, dls in splits.items()]
    return pd.DataFrame(rows, columns=['model', 'factors', 'epochs', 'wd', 'split', 'loss'])

def from_starts(splits):
    ways = {'cycle up to 5e-3': lambda learn: learn.fit_one_cycle(3, 5e-3), 'always 2e-3': lambda learn: learn.fit(3, 2e-3)}
    rows = []
    for start in range(6):
        for seed, dls in splits.items():
            for way, train in ways.items():
                set_seed(seed + start)
                learn = Learner(dls, DotProduct(*sizes(dls), 50, y_range=(0, 5.5)))
                with learn.no_logging(): train(learn)
                rows.append((start, seed, way, learn.recorder.values[-1][1]))
    return pd.DataFrame(rows, columns=['start', 'split', 'way', 'loss'])

def report_wd(splits):
    decays = wd_search(splits).round(4)
    decays.to_csv(FOLDER/'wd_search.csv', index=False)
    print('loss by weight decay, mean of three splits\n' + decays.pivot_table('loss', 'model', 'wd', sort=False).round(4).to_string())
    chosen = decays.loc[decays.groupby(['model', 'split'], sort=False).loss.idxmin()]
    print('\nchosen weight decay\n' + chosen.pivot_table('wd', 'model', 'split', sort=False).to_string())
    report_chosen(chosen, splits)

def report_chosen(chosen, splits):
    final = on_all_rows(chosen, splits).round(6)
    final.to_csv(FOLDER/'chosen_wd.csv', index=False)
    print('\nloss with it on the validation rows\n' + final.pivot_table('loss', 'model', 'split', sort=False).round(4).to_string())

def report_wide(splits):
    wide = wide_search(splits).round(4)
    wide.to_csv(FOLDER/'wide_search.csv', index=False)
    print(f'\nbest of {TRIALS} settings\n' + wide.to_string(index=False))
    losses = wide.pivot_table('loss', 'split', 'model')
    gap = losses['network'] - losses['DotProductBias']
    print(f'\nthe network is behind by {gap.mean():.4f} on average, standard deviation over the splits {gap.std():.4f}')

def report_first(splits):
    first = first_search(splits).round(4)
    first.to_csv(FOLDER/'first_search.csv', index=False)
    for factors, setting in ((50, 'epochs'), (10, 'wd')):
        found = first[first.factors == factors]
        print(f'\nloss by {setting}, {factors} factors\n' + found.pivot_table('loss', ['model', 'split'], setting, sort=False).to_string())

def report_starts(splits):
    starts = from_starts(splits).round(4)
    starts.to_csv(FOLDER/'starts.csv', index=False)
    print('\nloss by random start\n' + starts.pivot_table('loss', ['way', 'split'], 'start', sort=False).to_string())

def main():
    torch.set_num_threads(1)
    ratings = load_ratings()
    splits = {seed: CollabDataLoaders.from_df(ratings, item_name='title', bs=64, seed=seed) for seed in SEEDS}
    for report in (report_wd, report_wide, report_first, report_starts): report(splits)

if __name__ == '__main__': main()
