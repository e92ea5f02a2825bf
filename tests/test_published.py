"""The public split and the published metrics of the library recommenders (1.2), written out anew from its documentation.

Precision, recall and NDCG at k are ours. Its `map_at_k`, which divides by the relevant items or by k where that is less, is our
`map`; its `map`, the one in its table, divides by all relevant items, and test_map below says how the two hang together."""
import numpy as np
import pytest

from collab_course.all import *
from conftest import Fixed

K = 10

@pytest.fixture(scope='module')
def made():
    "Users of few and of many rows, so that some have more than `K` relevant items and some fewer"
    df = make_ratings(60, 80, 2500, seed=8).sample(frac=1, random_state=0)
    return CollabDataLoaders.from_df(df, valid_idx=item_split(df, 0.4))

def top_k(table, dls):
    "What recommenders is handed: user, item and rank of each user's best K, training rows left out"
    seen = set(map(tuple, dls.train.x.tolist()))
    rows = [(u, i, table[u, i].item()) for u in range(1, table.shape[0]) for i in range(1, table.shape[1]) if (u, i) not in seen]
    preds = pd.DataFrame(rows, columns=['user', 'item', 'prediction']).sort_values(['user', 'prediction'], ascending=[True, False])
    preds['rank'] = preds.groupby('user').cumcount() + 1
    return preds[preds['rank'] <= K]

def published(true, preds):
    "Precision, recall, NDCG, MAP and MAP at k as recommenders documents them, for users in both tables"
    users = set(true.user) & set(preds.user)
    hits = preds.merge(true, on=['user', 'item'])
    hits = hits[hits.user.isin(users)].sort_values(['user', 'rank'])
    found, actual = hits.groupby('user').size(), true[true.user.isin(users)].groupby('user').size()
    dcg = (1 / np.log(1 + hits['rank'])).groupby(hits.user).sum().reindex(actual.index, fill_value=0)
    ideal = actual.map(lambda n: (1 / np.log(1 + np.arange(1, min(n, K) + 1))).sum())
    rr = ((hits.groupby('user').cumcount() + 1) / hits['rank']).groupby(hits.user).sum()
    return {'precision': found.sum() / K / len(users), 'recall': (found / actual).sum() / len(users), 'ndcg': (dcg / ideal).mean(),
            'map_at_k': (rr / actual.clip(upper=K)).sum() / len(users), 'map': (rr / actual).sum() / len(users)}

@pytest.fixture(scope='module')
def both(made):
    model = Fixed(*map(len, made.classes.values()))
    true = pd.DataFrame(made.valid.x.tolist(), columns=['user', 'item'])
    return ranking_metrics(model, made, K, at_least=0), published(true, top_k(model.table, made)), model, true

@pytest.mark.parametrize('ours, theirs', [('precision',) * 2, ('recall',) * 2, ('ndcg',) * 2, ('map', 'map_at_k')])
def test_metrics(both, ours, theirs): assert both[0][ours] == pytest.approx(both[1][theirs], abs=1e-9)

def test_map(made, both):
    "MAP over all relevant items is ours, of each user times min(relevant, k) / relevant"
    _, theirs, model, true = both
    relevant = torch.zeros(model.table.shape, dtype=torch.bool).index_put(tuple(made.valid.x.long().t()), tensor(True))
    barred = torch.zeros_like(relevant).index_put(tuple(made.train.x.long().t()), tensor(True)).index_fill(1, tensor(0), True)
    n = relevant.sum(dim=1)
    assert (n > K).any() and (n[1:] < K).any()
    ap = list_metrics(model.table.masked_fill(barred, -torch.inf), relevant, K)['map'] * n.clamp(max=K) / n
    assert ap.nanmean().item() == pytest.approx(theirs['map'], abs=1e-9) and theirs['map'] < theirs['map_at_k']

def test_item_split(ratings):
    "Item by item: the rows in the order of their random numbers, the first `round(0.75 * n)` train"
    np.random.seed(42)
    df = ratings.assign(random=np.random.rand(len(ratings)), row=range(len(ratings)))
    test = [row for _, own in df.sort_values(['movie', 'random']).groupby('movie') for row in own.row[round(0.75 * len(own)):]]
    assert item_split(ratings, item_name='movie').tolist() == sorted(test)
    assert len(test) == 24_934
