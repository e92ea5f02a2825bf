"""Pairs are what they claim to be, and the loss is the paper's."""
import math

import pytest

from collab_course.all import *

def pairs_of(x): return set(map(tuple, x.tolist()))

@pytest.fixture(scope='module')
def rated():
    df = make_ratings(40, 60, 900, seed=2)
    return CollabDataLoaders.from_df(df, valid_idx=user_split(df, 0.25))

@pytest.mark.parametrize('at_least', [None, 4])
@pytest.mark.parametrize('even', [True, False])
def test_pairs(rated, at_least, even):
    set_seed(0)
    dls = ranking_dls(rated, at_least, bs=32, even=even)
    liked = rated.train.x if at_least is None else rated.train.x[rated.train.y.flatten() >= at_least]
    batches = list(dls.train)
    assert len(batches) == len(dls.train) == len(liked) // 32
    for x, y in batches:
        assert x.shape == (64, 2) and x.dtype == torch.int64 and y.flatten().tolist() == [1] * 32 + [0] * 32
        assert (x[:32, 0] == x[32:, 0]).all() and x[:, 1].min() > 0
        assert pairs_of(x[:32]) <= pairs_of(liked) and not pairs_of(x[32:]) & pairs_of(rated.train.x)
    if not even: assert len(pairs_of(torch.cat([x[:32] for x, _ in batches]))) == 32 * len(batches) # each liked pair once an epoch
    assert any((a[0] != b[0]).any() for a, b in zip(batches, dls.train))

def test_users_are_drawn_evenly_and_their_pairs_too():
    pairs = tensor([[1, i] for i in range(1, 41)] + [[2, 1], [2, 2]] + [[3, i] for i in range(1, 9)])
    set_seed(0)
    dl = PairDataLoader(pairs, pairs, n_items=99, bs=50, shuffle=True)
    x = torch.cat([x[:50] for _ in range(1_200) for x, _ in dl])
    assert len(pairs_of(x)) == 50
    assert (torch.bincount(x[:, 0])[1:] - 20_000).abs().max() < 500
    for user, n in ((1, 40), (2, 2), (3, 8)): # 4.5 standard deviations
        assert (torch.bincount(x[x[:, 0] == user][:, 1])[1:] - 20_000 / n).abs().max() < 4.5 * (20_000 / n)**0.5

def test_training_is_not_told_what_is_held_out(rated):
    set_seed(0)
    drawn = set().union(*(pairs_of(x[y.flatten() == 0]) for _ in range(5) for x, y in ranking_dls(rated).train))
    assert drawn & pairs_of(rated.valid.x)

def test_validation_pairs_stay(rated):
    valid = ranking_dls(rated).valid
    x = torch.cat([x for x, _ in valid])
    assert (x == torch.cat([x for x, _ in valid])).all() and len(x) == 2 * rated.valid.n
    assert not pairs_of(x[torch.cat([y for _, y in valid]).flatten() == 0]) & pairs_of(torch.cat([rated.train.x, rated.valid.x]))

def test_others_are_drawn_evenly():
    pairs = torch.cat([torch.ones(9000, 1), torch.ones(9000, 1)], dim=1).int()
    set_seed(0)
    n = torch.bincount(PairDataLoader(pairs, pairs[:1], n_items=11).draw())
    assert n[:2].tolist() == [0, 0] and (n[2:] - 1000).abs().max() < 150

def test_loss_and_metric():
    liked, other = torch.randn(7, 1, dtype=torch.float64), torch.randn(7, 1, dtype=torch.float64)
    pred, targ = torch.cat([liked, other]), torch.cat([torch.ones(7, 1), torch.zeros(7, 1)])
    assert bpr_loss(pred, targ).item() == pytest.approx((1 + (other - liked).exp()).log().mean().item(), abs=1e-12)
    assert bpr_loss(pred + 9, targ).item() == pytest.approx(bpr_loss(pred, targ).item())
    assert pairs_right(pred, targ).item() == pytest.approx((liked > other).double().mean().item())
    two = torch.cat([pred[:7], pred[7:], pred[:7], pred[7:]]) # as `get_preds` lays two batches end to end
    assert bpr_loss(two, torch.cat([targ, targ])).item() == pytest.approx(bpr_loss(pred, targ).item())

def test_refusals(rated):
    with pytest.raises(ValueError, match='at_least'): ranking_dls(rated, at_least=6)
    everything = tensor([[1, 1], [1, 2]])
    with pytest.raises(ValueError, match='1 users have rated all 2 items'): PairDataLoader(everything, everything, n_items=3)

def test_learns_to_rank(rated):
    set_seed(0)
    learn = collab_learner(ranking_dls(rated, bs=32), 8, loss_func=bpr_loss, metrics=pairs_right)
    before = learn.validate()
    with learn.no_logging(): learn.fit_one_cycle(10, 1e-2, wd=0.1)
    assert before[0] == pytest.approx(math.log(2), abs=0.01) and learn.recorder.values[-1][0] < before[0] - 0.05

def test_recommending_leaves_out_what_was_rated(rated):
    dls = ranking_dls(rated, 4, bs=32)
    learn = collab_learner(dls, 4, loss_func=bpr_loss)
    top = recommend(learn, 7, n=100, min_ratings=0)
    row, x = dls.classes['user'].o2i[7], torch.cat([dl.x for dl in rated])
    seen = set(dls.classes['item'][x[x[:, 0] == row, 1]])
    assert seen and set(top.item) == set(dls.classes['item'][1:]) - seen
    item = dls.classes['item'].encode(top.item).long()
    scores = score_all(learn, tensor([row]), len(dls.classes['item']))[0, item]
    np.testing.assert_allclose(top.prediction, scores, atol=1e-5)
    assert (scores.diff() <= 1e-6).all()
    np.testing.assert_array_equal(top.ratings, rated.history.count[item])
    np.testing.assert_allclose(top['mean'], rated.history.mean[item])
    assert (top.because == '').all() # shares in stars are what a ranker cannot give
    assert rated.history.ratings.isfinite().all()
    everybody = recommend_all(learn, n=100, min_ratings=0)
    test_eq(everybody.item[everybody.user == 7].tolist(), top.item.tolist())

def test_exported_without_rows(rated, tmp_path):
    learn = collab_learner(ranking_dls(rated, 4, bs=32), 4, loss_func=bpr_loss)
    back = load_learner(learn.export(tmp_path/'it.zip', rows=False), loss_func=bpr_loss)
    mine, theirs = (recommend(o, 7, exclude_seen=False) for o in (learn, back))
    pd.testing.assert_frame_equal(mine, theirs)

def test_better_lists_than_the_rating_model(ratings):
    dls = CollabDataLoaders.from_df(ratings, item_name='movie', valid_idx=user_split(ratings, 0.25, seed=3))
    set_seed(0)
    stars, ranker = collab_learner(dls, 30, y_range=(0, 5.5)), collab_learner(ranking_dls(dls, 4, bs=256), 50, loss_func=bpr_loss)
    with stars.no_logging(), ranker.no_logging():
        stars.fit_one_cycle(5, 5e-3, wd=0.08)
        ranker.fit_one_cycle(20, 1e-2, wd=0.1)
    assert ranking_metrics(ranker, dls)['ndcg'] > 2.2 * ranking_metrics(stars, dls)['ndcg']

def test_likes_are_not_compared_with_their_mean(rated, recwarn):
    "A training on pairs, whose targets are all 1, may end anywhere without a word on always saying 1"
    learn = collab_learner(ranking_dls(rated, bs=32), 8, loss_func=bpr_loss)
    learn.fit(2, 0.3, wd=0)
    assert learn.final[0] > 0.7 and not [o for o in recwarn if 'Always saying' in str(o.message)]
