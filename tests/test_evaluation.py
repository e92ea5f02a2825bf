"""Splits, metrics and baselines against independent computations, and what each refuses."""
import math

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from collab_course.all import *
from conftest import Fixed

@pytest.fixture(scope='module')
def small():
    df = make_ratings(30, 40, 700, seed=3).assign(timestamp=np.random.default_rng(0).integers(0, 200, 700))
    return df, CollabDataLoaders.from_df(df, valid_idx=user_split(df, 0.3))

def brute_force(table, dls, k, at_least=4):
    "Every metric by loops over Python lists"
    pairs = lambda dl: [(u, i, y) for (u, i), y in zip(dl.x.tolist(), dl.y.flatten().tolist())]
    res = []
    for user in range(1, table.shape[0]):
        seen = {i for u, i, _ in pairs(dls.train) if u == user}
        liked = {i for u, i, y in pairs(dls.valid) if u == user and y >= at_least} - seen
        if not liked: continue
        ranked = sorted(set(range(1, table.shape[1])) - seen, key=lambda i: -table[user, i])[:k]
        hits = [i in liked for i in ranked]
        ap = sum(sum(hits[:j + 1]) / (j + 1) for j in range(k) if hits[j]) / min(k, len(liked))
        dcg, ideal = (sum(1 / math.log2(j + 2) for j in js) for js in ([j for j in range(k) if hits[j]], range(min(k, len(liked)))))
        res.append((sum(hits) / k, sum(hits) / len(liked), any(hits), ap, dcg / ideal))
    return np.mean(res, axis=0)

@pytest.mark.parametrize('k', [1, 5, 10])
def test_ranking_metrics_against_brute_force(small, k):
    model, dls = Fixed(31, 41), small[1]
    np.testing.assert_allclose(list(ranking_metrics(model, dls, k).values()), brute_force(model.table, dls, k), atol=1e-9, rtol=0)

def test_a_mean_over_users_is_the_mean_of_their_figures(small):
    model, dls = Fixed(31, 41), small[1]
    own = user_metrics(model, dls)
    assert own.index.name == 'user' and {*own.index} == {u for u, y in zip(dls.valid.x[:, 0].tolist(), dls.valid.y.flatten().tolist()) if y >= 4}
    assert own.mean().to_dict() == ranking_metrics(model, dls)

def test_bootstrap():
    vals = np.random.default_rng(3).exponential(size=500)
    low, high = bootstrap(vals, n=4000)
    assert low < vals.mean() < high and high - low == pytest.approx(2 * 1.96 * vals.std() / 500**0.5, rel=0.05)
    assert bootstrap(vals) == bootstrap(vals) != bootstrap(vals, seed=1)
    narrow = bootstrap(vals, level=0.5)
    assert low < narrow[0] < narrow[1] < high

def test_bootstrap_counts_the_rows_of_the_users_drawn():
    "Against a table of rows from which each draw is put together, and against the standard error of a ratio"
    rng = np.random.default_rng(4)
    n_rows, hard = rng.integers(1, 200, 60), rng.gamma(4, 0.25, 60) # rows of each user, and how hard the user is
    rows = [hard[user] * rng.exponential(size=n) for user, n in enumerate(n_rows)] # squared errors
    sums = np.array([o.sum() for o in rows])
    def error(o): return (o[:, 0].sum() / o[:, 1].sum())**0.5
    low, high = bootstrap(np.stack([sums, n_rows], axis=1), n=2000, seed=5, statistic=error)
    again = np.random.default_rng(5)
    drawn = [np.concatenate([rows[user] for user in again.integers(60, size=60)]).mean()**0.5 for _ in range(2000)]
    assert (low, high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=1e-12)
    rmse = (sums.sum() / n_rows.sum())**0.5
    se = np.sqrt(((sums - rmse**2 * n_rows)**2).sum()) / n_rows.sum() / (2 * rmse) # by the delta method
    assert high - low == pytest.approx(2 * 1.96 * se, rel=0.1)
    kept = bootstrap(sums / n_rows.mean(), n=2000, seed=5)
    assert kept[1]**0.5 - kept[0]**0.5 > 1.2 * (high - low)

def test_bootstrap_of_a_difference_between_groups():
    "Each draw has other numbers of women and men; users with NaN are left out"
    rng = np.random.default_rng(6)
    vals, woman = rng.normal(3, 1, 300), rng.random(300) < 0.3
    vals[woman] += 0.5
    def gap(o): return o[o[:, 1] == 1, 0].mean() - o[o[:, 1] == 0, 0].mean()
    table = np.stack([vals, woman], axis=1)
    low, high = bootstrap(table, n=4000, statistic=gap)
    se = (vals[woman].var() / woman.sum() + vals[~woman].var() / (~woman).sum())**0.5
    assert low < gap(table) < high and high - low == pytest.approx(2 * 1.96 * se, rel=0.07)
    assert bootstrap(np.concatenate([table, [[np.nan, 1], [2, np.nan]]]), n=4000, statistic=gap) == (low, high)

@pytest.mark.parametrize('k', [1, 3, 10, 25])
def test_ndcg_against_scikit_learn(k):
    g = torch.Generator().manual_seed(k)
    scores, relevant = torch.rand(50, 30, generator=g, dtype=torch.float64), torch.rand(50, 30, generator=g) < 0.2
    relevant[:, 0] = True
    ours = list_metrics(scores, relevant, k)['ndcg']
    theirs = [ndcg_score([r], [s], k=k) for r, s in zip(relevant.double().numpy(), scores.numpy())]
    np.testing.assert_allclose(ours, theirs, atol=1e-9, rtol=0)

def test_a_user_to_whom_nothing_is_relevant_has_no_figures():
    scores, relevant = torch.rand(3, 8), torch.zeros(3, 8, dtype=torch.bool)
    relevant[1, 2] = relevant[2] = True
    for name, vals in list_metrics(scores, relevant, 4).items(): assert vals.isnan().tolist() == [True, False, False], name

def test_ranking_leaves_out_what_was_seen(small):
    df, dls = small
    class Cheat(nn.Module):
        "Puts every training item first"
        def forward(self, x):
            pairs = set(map(tuple, dls.train.x.tolist()))
            return tensor([float(tuple(p) in pairs) * 100 for p in x.tolist()]) + x[:, 1] * 1e-3
    class Plain(nn.Module):
        def forward(self, x): return x[:, 1] * 1e-3
    assert ranking_metrics(Cheat(), dls) == ranking_metrics(Plain(), dls)

def test_score_all_by_product_and_by_pairs(small):
    dls = small[1]
    learn, users = collab_learner(dls, 4, y_range=(0, 5.5)), tensor([3, 1, 30])
    class Hidden(nn.Module):
        def __init__(self, m): super().__init__(); self.m = m
        def forward(self, x): return self.m(x)
    torch.testing.assert_close(score_all(learn, users, 41), score_all(Hidden(learn.model), users, 41))
    pair = [learn, collab_learner(dls, 4)]
    torch.testing.assert_close(score_all(Ensemble(pair), users, 41), score_all(Hidden(Ensemble(pair)), users, 41))

def test_nan_is_no_ranking(small):
    class Broken(nn.Module):
        def forward(self, x): return torch.full((len(x),), float('nan'))
    with pytest.raises(FloatingPointError, match='scores are no number'): ranking_metrics(Broken(), small[1])

def test_splits_part_the_rows(small):
    df, _ = small
    odd = df.sample(frac=1, random_state=0) # positions must not follow the labels of the index
    for rows in (random_split(odd), user_split(odd), time_split(odd), last_split(odd)):
        assert len(set(rows.tolist())) == len(rows) and 0 <= min(rows) and max(rows) < len(odd)
        dls = CollabDataLoaders.from_df(odd, valid_idx=rows)
        assert dls.decode(dls.valid.x).item.tolist() == odd.item.iloc[rows].tolist()
    assert sorted(np.concatenate(k_folds(odd, 7)).tolist()) == list(range(len(odd)))
    assert (random_split(odd, seed=1) == random_split(odd, seed=1)).all() and set(random_split(odd, seed=1)) != set(random_split(odd, seed=2))
    late = odd.iloc[time_split(odd, 0.3)]
    assert len(late) == 210 and late.timestamp.min() >= odd.drop(index=late.index).timestamp.max()
    per_user = odd.user.iloc[user_split(odd, 0.3)].value_counts().reindex(odd.user.unique(), fill_value=0)
    assert (per_user == (odd.user.value_counts() * 0.3).astype(int).reindex(per_user.index)).all()

def test_last_split_keeps_something_of_every_user():
    df = pd.DataFrame({'user': [1, 2, 2, 3, 3, 3], 'timestamp': [5, 9, 1, 2, 2, 1]})
    assert last_split(df).tolist() == [1, 4]
    assert last_split(df, 2).tolist() == [3, 4]

def test_u1_to_u5(ratings):
    for i, rows in enumerate(k_folds(ratings, 5, seed=None)): assert rows.tolist() == list(range(20_000 * i, 20_000 * (i + 1)))

@pytest.mark.parametrize('call, message', [
    (lambda df: random_split(df, 0), 'pct=0 is outside'), (lambda df: user_split(df, 1.), 'pct=1.0 is outside'), (lambda df: time_split(df, 20), 'pct=20 is outside'),
    (lambda df: k_folds(df, 1), 'k=1: 700 rows'), (lambda df: k_folds(df, 701), 'k=701'), (lambda df: last_split(df, 0), 'n=0'),
    (lambda df: ranking_metrics(GlobalMean, CollabDataLoaders.from_df(df, seed=1), at_least=6), 'at_least'),
])
def test_refusals(small, call, message):
    with pytest.raises(ValueError, match=message): call(small[0])

@pytest.mark.parametrize('rows, message', [
    ([], 'shape'), ([[0, 1]], 'shape'), ([0.5, 1], 'float64.*positions'), ([True] * 700, 'bool.*flatnonzero'), ([0, 700], '1 of 2 positions.*first is 700'),
    ([-1], 'first is -1'), ([3, 3, 4], 'more than once, the first is 3'), (range(700), 'all 700 rows'),
])
def test_bad_valid_idx(small, rows, message):
    with pytest.raises(ValueError, match=f'valid_idx.*{message}'): CollabDataLoaders.from_df(small[0], valid_idx=rows)

def test_valid_idx_takes_any_list_of_positions(small):
    df, _ = small
    first = CollabDataLoaders.from_df(df, valid_idx=[5, 2])
    for rows in (np.array([5, 2]), tensor([5, 2]), pd.Index([5, 2]), (5, 2)): assert (CollabDataLoaders.from_df(df, valid_idx=rows).valid.x == first.valid.x).all()
    assert first.valid.y.flatten().tolist() == df.rating.iloc[[5, 2]].tolist() and first.train.n == 698

def test_biases_solve_their_equations(small):
    dls = small[1]
    m, (users, items), y = Biases(dls, n_rounds=200), dls.train.x.long().t(), dls.train.y.flatten()
    for idx, mine, other, reg in ((users, m.user, m.item[items], 15), (items, m.item, m.user[users], 10)):
        for i in range(1, 5):
            rows = idx == i
            assert mine[i].item() == pytest.approx(((y - m.mean - other)[rows].sum() / (reg + rows.sum())).item(), abs=1e-4)

def test_item_knn_against_loops(small):
    dls = small[1]
    base, x, y = Biases(dls), dls.train.x.long(), dls.train.y.flatten()
    off = torch.zeros(31, 41).index_put((x[:, 0], x[:, 1]), y - base(x)).double()
    def alike(i, j): return max(0., (off[:, i] @ off[:, j] / (off[:, i].norm() * off[:, j].norm()).clamp(min=1e-12)).item()) if i != j else 0.
    knn = ItemKNN(dls, k=5)
    for user, item in dls.valid.x[:10].tolist():
        near = sorted(((alike(item, j), j) for j in range(41)), reverse=True)[:5]
        voices = [(w, off[user, j].item()) for w, j in near if off[user, j] != 0]
        right = base(tensor([[user, item]])).item() + sum(w * o for w, o in voices) / (sum(w for w, _ in voices) + 0.5)
        assert knn(tensor([[user, item]])).item() == pytest.approx(right, abs=1e-4)

def test_figures_of_the_baselines(ratings):
    "Surprise's baseline has 0.944 on random 5-fold"
    res = cross_validate(ratings, {'biases': Biases, 'item kNN': ItemKNN}, dict(enumerate(k_folds(ratings, 5, seed=42))), item_name='movie')
    means = compare(res).rmse
    assert means['biases'] == pytest.approx(0.944, abs=0.002) and means['item kNN'] < 0.925

def test_cross_validate(small):
    df, _ = small
    make = lambda dls: collab_learner(dls, 3, y_range=(0, 5.5))
    args = df, {'mean': GlobalMean, 'factors': make, 'two': averaged(make, 2)}, {'a': random_split(df), 'b': time_split(df)}
    res = cross_validate(*args, seeds=(0, 1), metrics=(rating_metrics, ranking_metrics))
    assert len(res) == 12 and list(res.columns[:3]) == ['model', 'split', 'seed'] and res.notna().all().all()
    pd.testing.assert_frame_equal(res, cross_validate(*args, seeds=(0, 1), metrics=(rating_metrics, ranking_metrics)))
    by_seed = res[res.split == 'a'].pivot(index='model', columns='seed', values='rmse')
    assert by_seed.loc['mean'].nunique() == 1 and by_seed.loc['factors'].nunique() == 2
    assert len(plot_comparison(res, 'ndcg', {'somebody': 0.2}).get_yticks()) == 3

def test_popularity_counts_training_ratings(dls):
    pop, names = Popularity(dls), dls.classes['title']
    counts = pd.Series(dls.train.x[:, 1].tolist()).value_counts()
    assert pop.n[0] == 0 and pop.n.sum() == 80_000 and int(pop.n[counts.index[0]]) == counts.iloc[0]
    assert pop(torch.tensor([[1, counts.index[0]], [2, 0]])).tolist() == [counts.iloc[0], 0] and len(pop.n) == len(names)
