"""Qualities of lists against loops."""
import itertools, math

import pytest

from collab_course.all import *

@pytest.fixture(scope='module')
def lists():
    df = make_ratings(30, 25, 300, seed=6)
    dls = CollabDataLoaders.from_df(df, valid_idx=range(60))
    return dls, LikesKNN(dls)

def brute_force(dls, model, k):
    n_users, n_items = map(len, dls.classes.values())
    own = {u: {i for v, i in dls.train.x.tolist() if v == u} for u in range(1, n_users)}
    own = {u: o for u, o in own.items() if o}
    n = [sum(i in o for o in own.values()) for i in range(n_items)]
    scores = model.score_all(torch.arange(n_users))
    tops = {u: sorted(set(range(1, n_items)) - o, key=lambda i: -scores[u, i].item())[:k] for u, o in own.items()}
    listed = [i for o in tops.values() for i in o]
    times = [listed.count(i) for i in range(1, n_items)]
    X = torch.zeros(n_items, n_users).double()
    for u, o in own.items():
        for i in o: X[i, u] = 1
    cos = lambda i, j: (X[i] @ X[j] / (X[i].norm() * X[j].norm()).clamp(min=1e-9)).item()
    mean = lambda vals: sum(vals) / len(vals)
    return {'coverage': len(set(listed)) / (n_items - 1),
            'gini': sum(abs(a - b) for a in times for b in times) / (2 * (n_items - 1) * sum(times)),
            'novelty': mean([math.log2(len(own) / max(1, n[i])) for i in listed]),
            'popularity_lift': mean([n[i] for i in listed]) / mean([mean([n[i] for i in o]) for o in own.values()]) - 1,
            'diversity': 1 - mean([mean([cos(i, j) for i, j in itertools.combinations(o, 2)]) for o in tops.values()])}

@pytest.mark.parametrize('k', [2, 5])
def test_against_loops(lists, k):
    dls, model = lists
    ours, theirs = list_qualities(model, dls, k), brute_force(dls, model, k)
    assert ours.keys() == theirs.keys()
    for name in ours: assert ours[name] == pytest.approx(theirs[name], abs=1e-6), name

def test_the_same_list_for_all_and_a_different_one_for_each():
    same, each = tensor([[1, 2]]).repeat(50, 1), torch.arange(1, 101).view(50, 2)
    assert coverage(same, 100) == 0.02 and coverage(each, 100) == 1
    assert gini(same, 100) == pytest.approx(0.98) and gini(each, 100) == pytest.approx(0)
    assert diversity(same, torch.ones(101, 3)) == pytest.approx(0) and diversity(same, torch.eye(101)) == pytest.approx(1)

def test_ranking_metrics_has_them_by_name(lists):
    dls, model = lists
    alone, beside = ranking_metrics(model, dls, 3), ranking_metrics(model, dls, 3, qualities=True)
    assert beside == alone | list_qualities(model, dls, 3)

def test_who_has_too_few_items_left_has_no_list():
    df = pd.DataFrame([(u, i, 5.) for u in (1, 2) for i in range(1, 9) if u == 1 or i < 4], columns=['user', 'item', 'rating'])
    dls = CollabDataLoaders.from_df(pd.concat([df, df[-1:].assign(item=9)], ignore_index=True), valid_idx=[len(df)])
    assert list_qualities(Popularity(dls), dls, 5)['coverage'] == pytest.approx(5 / 9) # the list of user 2: user 1 has nothing left but item 9
    with pytest.raises(ValueError, match='k=9: no user has so many items left'): list_qualities(Popularity(dls), dls, 9)
    with pytest.raises(ValueError, match='k=1'): list_qualities(Popularity(dls), dls, 1)
