"""The full comparisons that lessons 17 and 18 and the README quote: `python bench/evaluation.py`, ten minutes.

Ratings: random 5-fold and u1 to u5, six seeds each. The recipe of `train` was chosen on other splits (torch's permutation with
seed 123, of u1's training rows, then of all). Lists: a quarter of every user's ratings held out, three times; the recipe of
`rank` was chosen on a fourth such split (seed 42)."""
import pandas as pd

from collab_course.all import *

SEEDS = range(6)

def train(dls):
    learn = collab_learner(dls, n_factors=30, y_range=(0, 5.5))
    with learn.no_logging(), learn.no_bar(): learn.fit_one_cycle(5, 5e-3, wd=0.08)
    return learn

def six(dls):
    runs = []
    for seed in SEEDS:
        set_seed(seed)
        runs.append(train(dls))
    return Ensemble(runs)

def rank(dls):
    learn = collab_learner(ranking_dls(dls, at_least=4, bs=256), 100, loss_func=bpr_loss)
    with learn.no_logging(), learn.no_bar(): learn.fit_one_cycle(80, 5e-3, wd=0.2)
    return learn

def ndcg(model, dls): return {f'NDCG@10, hit from {o}': ranking_metrics(model, dls, at_least=o)['ndcg'] for o in (4, 1)}

def lists(ratings):
    "Mean NDCG of each model over three splits, and how many times that of the rating model"
    models = {'collab_learner': train, 'popularity': Popularity, 'BPR': rank, 'BPR, six averaged': averaged(rank, 6)}
    splits = {f'split {s}': user_split(ratings, 0.25, seed=s) for s in range(3)}
    results = cross_validate(ratings, models, splits, metrics=ndcg, item_name='movie')
    names = [o for o in results if o.startswith('NDCG')]
    print('\nlists, of every split\n' + results.pivot_table(names, 'model', 'split').round(4).to_string())
    means = results.groupby('model')[names].mean().loc[list(models)]
    return means.round(4).join((means / means.loc['collab_learner']).round(2).add_suffix(', times'))

def each_run(model, dls): return {f'seed {i}': rating_metrics(m, dls)['rmse'] for i, m in zip(SEEDS, model.models)}

def main():
    ratings = load_ratings()
    splits = {f'random {i + 1}': rows for i, rows in enumerate(k_folds(ratings, 5, seed=42))}
    splits |= {f'u{i + 1}': rows for i, rows in enumerate(k_folds(ratings, 5, seed=None))}
    baselines = {'global mean': GlobalMean, 'biases': Biases, 'item kNN': ItemKNN, 'popularity': Popularity}
    measures = (rating_metrics, ranking_metrics)
    base = cross_validate(ratings, baselines, splits, metrics=measures, item_name='movie')
    both = cross_validate(ratings, {'six averaged': six}, splits, metrics=(*measures, each_run), item_name='movie')
    runs = both[['split', *(f'seed {i}' for i in SEEDS)]].melt('split', var_name='seed', value_name='rmse')
    runs = runs.assign(model='collab_learner', seed=runs.seed.str[5:].astype(int))
    results = pd.concat([base, runs, both])[['model', 'split', 'seed', 'rmse', 'mae', 'ndcg']]
    results.loc[results.model == 'popularity', ['rmse', 'mae']] = float('nan')
    for name, part in (('random 5-fold (seed 42)', results[results.split.str.startswith('random')]),
                       ('u1', results[results.split == 'u1']), ('u1 to u5', results[results.split.str.startswith('u')])):
        print(f'\n{name}\n{compare(part).round(4).to_string()}')
        print(part.groupby('model').ndcg.mean().round(4).rename('NDCG@10').dropna().to_frame().T.to_string())
    print('\nRMSE of every run\n' + results.pivot_table('rmse', ['model', 'seed'], 'split').round(4).to_string())
    print('\nlists\n' + lists(ratings).to_string())

if __name__ == '__main__': main()
