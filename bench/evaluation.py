"""The full comparison that lesson 15 quotes: random 5-fold and u1 to u5, six seeds each: `python bench/evaluation.py`, two minutes.

Recipe of `train`: chosen on other splits (torch's permutation with seed 123, of u1's training rows, then of all)."""
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

if __name__ == '__main__': main()
