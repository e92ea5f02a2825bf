"""Models for lists against independent computations, newcomers against members, and what each refuses."""
import numpy as np
import pytest

from collab_course.all import *

MAKE = {'LikesKNN': lambda dls: LikesKNN(dls, k=8), 'EASE': lambda dls: EASE(dls, reg=5), 'IALS': lambda dls: IALS(dls, n_factors=6, reg=0.05)}

@pytest.fixture(scope='module')
def small():
    "Users 1 to 30 and items 1 to 41, of which user 30 and item 41 are in the test rows alone"
    df = make_ratings(29, 40, 600, seed=4)
    extra = pd.DataFrame({'user': [df.user.max() + 1, df.user.min()], 'item': [df.item.min(), df.item.max() + 1], 'rating': 4.})
    df = pd.concat([df, extra.astype(df.dtypes)], ignore_index=True)
    return CollabDataLoaders.from_df(df, valid_idx=[*range(90), len(df) - 2, len(df) - 1])

def table(dls, at_least=None):
    X = np.zeros([len(c) for c in dls.classes.values()])
    for (u, i), y in zip(dls.train.x.tolist(), dls.train.y.flatten().tolist()):
        if at_least is None or y >= at_least: X[u, i] = 1
    return X

def everyone(dls): return torch.arange(len(dls.classes[dls.user_name]))

@pytest.mark.parametrize('at_least', [None, 4])
def test_ease_against_numpy(small, at_least):
    X = table(small, at_least)
    P = np.linalg.inv(X.T @ X + 5 * np.eye(X.shape[1]))
    B = P / -np.diag(P)
    np.fill_diagonal(B, 0)
    model, some = EASE(small, reg=5, at_least=at_least), X.any(axis=1)
    np.testing.assert_allclose(model.weight, B, atol=1e-5)
    np.testing.assert_allclose(model.score_all(everyone(small))[some], (X @ B)[some], atol=1e-4)

def test_each_column_of_ease_is_a_ridge_regression_on_the_other_items(small):
    X, weight = table(small), EASE(small, reg=5).weight.numpy()
    for i in (3, 17, 40):
        Z = np.delete(X, i, axis=1)
        w = np.linalg.solve(Z.T @ Z + 5 * np.eye(Z.shape[1]), Z.T @ X[:, i])
        np.testing.assert_allclose(np.delete(weight[:, i], i), w, atol=1e-5)

def test_knn_against_loops(small):
    X, model, k = table(small), LikesKNN(small, k=8), 8
    for i in range(1, X.shape[1]):
        cos = [X[:, i] @ X[:, j] / max(1, X[:, i].sum() * X[:, j].sum())**0.5 if j != i else 0 for j in range(X.shape[1])]
        kept = [c if c >= sorted(cos)[-k] - 1e-6 else 0 for c in cos]
        np.testing.assert_allclose(model.weight[:, i], kept, atol=1e-5)

@pytest.mark.parametrize('nu', [1, 0.5])
def test_ials_against_loops(small, nu):
    X, k, reg, alpha0 = table(small), 6, 0.05, 0.7
    set_seed(3)
    model = IALS(small, n_factors=k, reg=reg, alpha0=alpha0, nu=nu, n_epochs=3)
    set_seed(3)
    V = torch.randn(X.shape[1], k).double().numpy() * 0.1 / k**0.5
    V[X.sum(axis=0) == 0] = 0
    def solve(X, V):
        n, res = X.sum(axis=1), np.zeros((len(X), k))
        for u in range(len(X)):
            ridge = reg * (n[u] + alpha0 * (len(V) - 1))**nu
            res[u] = np.linalg.solve(V.T @ np.diag(X[u]) @ V + alpha0 * V.T @ V + ridge * np.eye(k), X[u] @ V)
        return res
    for _ in range(3): V = solve(X.T, solve(X, V))
    np.testing.assert_allclose(model.i_weight, V, atol=1e-4)
    some = X.any(axis=1)
    np.testing.assert_allclose(model.u_weight[some], solve(X, V)[some], atol=1e-4)

def test_ials_in_batches_is_the_same_as_one_by_one(small):
    set_seed(0)
    model, likes = IALS(small, n_factors=6, reg=0.05), Likes.from_dls(small)
    one_by_one = torch.stack([model.user_factors(likes[u]) for u in everyone(small)])
    torch.testing.assert_close(model.u_weight, one_by_one, atol=1e-5, rtol=0)

@pytest.mark.parametrize('name', MAKE)
class TestEach:
    def test_ways_to_a_score_agree(self, small, name):
        set_seed(0)
        model, users = MAKE[name](small), everyone(small)
        scores, n_items = model.score_all(users), len(small.classes[small.item_name])
        torch.testing.assert_close(model(torch.cartesian_prod(users, torch.arange(n_items))).view_as(scores), scores)
        torch.testing.assert_close(model.score_all(tensor([7, 2, 7])), scores[[7, 2, 7]])
        assert model(small.valid.x.long()[:0]).shape == (0,) and scores.isfinite().all()

    def test_a_newcomer_is_scored_like_a_member(self, small, name):
        set_seed(0)
        model, likes = MAKE[name](small), Likes.from_dls(small)
        for user in (1, 8, 20):
            member = model.score_all(tensor([user]))[0]
            torch.testing.assert_close(model.fold_in(likes[user]), member, atol=1e-5, rtol=0)
            torch.testing.assert_close(model.fold_in(likes[user].flip(0).repeat(2)), member, atol=1e-5, rtol=0) # order and repeats do not count
            parts = model.reasons(likes[user], 5)
            assert parts.shape == likes[user].shape
            torch.testing.assert_close(parts.sum(), member[5], atol=1e-5, rtol=0)

    def test_who_likes_nothing_gets_the_average(self, small, name):
        set_seed(0)
        model = MAKE[name](small)
        scores, some = model.score_all(everyone(small)), table(small).any(axis=1)
        assert not some[[0, 30]].any()
        for row in (scores[0], scores[30], model.fold_in(torch.zeros(0, dtype=torch.long))):
            torch.testing.assert_close(row, scores[some].mean(dim=0), atol=1e-5, rtol=0)

    def test_what_nobody_likes_scores_nothing(self, small, name):
        set_seed(0)
        scores = MAKE[name](small).score_all(everyone(small))
        assert (scores[:, [0, 41]] == 0).all()

    def test_similar_leaves_out_the_item_itself_and_na(self, small, name):
        set_seed(0)
        alike = MAKE[name](small).similar(4)
        assert alike.shape == (42,) and (alike[[0, 4]] == -torch.inf).all() and alike.isfinite().sum() == 40

    def test_repeated_rows_count_once(self, name):
        df = make_ratings(20, 15, 150, seed=1)
        once, twice = (CollabDataLoaders.from_df(pd.concat([df] + more, ignore_index=True), valid_idx=range(20)) for more in ([], [df[60:90]]))
        scores = []
        for dls in (once, twice):
            set_seed(0)
            scores.append(MAKE[name](dls).score_all(everyone(dls)))
        torch.testing.assert_close(*scores)

    def test_state_comes_back(self, small, name, tmp_path):
        set_seed(0)
        first, second = MAKE[name](small), MAKE[name](small)
        torch.save(first.state_dict(), tmp_path/'model.pth')
        second.load_state_dict(torch.load(tmp_path/'model.pth', weights_only=True))
        assert torch.equal(first.score_all(everyone(small)), second.score_all(everyone(small)))

    def test_the_same_on_one_core_and_two(self, small, name):
        before, scores = torch.get_num_threads(), []
        for n in (1, 2):
            torch.set_num_threads(n)
            set_seed(0)
            scores.append(MAKE[name](small).score_all(everyone(small)))
        torch.set_num_threads(before)
        torch.testing.assert_close(*scores, atol=1e-5, rtol=0)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
    def test_the_same_on_a_gpu(self, small, name):
        df = small.decode(torch.cat([dl.x for dl in small]), torch.cat([dl.y for dl in small]))
        scores = []
        for device in ('cpu', 'cuda'):
            dls = CollabDataLoaders.from_df(df, valid_idx=range(small.train.n, len(df)), device=device)
            set_seed(0)
            model = MAKE[name](dls)
            assert model.score_all(everyone(dls).to(device)).device.type == model.fold_in(tensor([1, 2], device=device)).device.type == device
            scores.append(model(dls.valid.x.long()).cpu())
        torch.testing.assert_close(*scores, atol=1e-4, rtol=0)

    def test_nothing_liked(self, small, name):
        with pytest.raises(ValueError, match='no rating is 6 or more.*lower at_least'): {'LikesKNN': LikesKNN, 'EASE': EASE, 'IALS': IALS}[name](small, at_least=6)

    def test_it_finds_planted_tastes(self, name):
        users, items = np.meshgrid(range(200), range(120), indexing='ij')
        liked = np.random.default_rng(0).random(users.shape) < np.where(users % 4 == items % 4, 0.4, 0.05)
        df = pd.DataFrame({'user': users[liked], 'item': items[liked], 'rating': 1})
        dls = CollabDataLoaders.from_df(df, valid_idx=user_split(df, 0.25), implicit=True)
        set_seed(0)
        model = {'LikesKNN': LikesKNN, 'EASE': lambda d: EASE(d, reg=50), 'IALS': lambda d: IALS(d, 16, reg=0.02)}[name](dls)
        assert ranking_metrics(model, dls, at_least=0)['ndcg'] > 2 * ranking_metrics(Popularity(dls), dls, at_least=0)['ndcg']

    def test_recommend_takes_it(self, small, name):
        set_seed(0)
        learn = Learner(small, MAKE[name](small))
        user = small.classes[small.user_name][3]
        listed = recommend(learn, user, n=5, min_ratings=0)
        codes = small.classes[small.item_name].encode(listed[small.item_name]).long()
        np.testing.assert_allclose(listed.prediction, learn.model.score_all(tensor([3]))[0, codes], atol=1e-5)

    def test_a_file_gives_the_same_answers(self, small, name, tmp_path):
        set_seed(0)
        learn, user = Learner(small, MAKE[name](small)), small.classes[small.user_name][3]
        loaded = load_learner(learn.export(tmp_path/'it.zip'))
        assert type(loaded.model) is type(learn.model) and loaded.model.args() == learn.model.args()
        assert torch.equal(loaded.model.score_all(everyone(small)), learn.model.score_all(everyone(small)))
        again = load_learner(loaded.export(tmp_path/'again.zip'))
        assert (tmp_path/'again.zip').read_bytes() == (tmp_path/'it.zip').read_bytes()
        for user in (user, [3, 8]): pd.testing.assert_frame_equal(recommend(again, user, min_ratings=0), recommend(learn, user, min_ratings=0))
        pd.testing.assert_frame_equal(similar_items(again, 5, min_ratings=0), similar_items(learn, 5, min_ratings=0))
        bare = load_learner(learn.export(tmp_path/'bare.zip', rows=False))
        assert torch.equal(bare.model.score_all(everyone(small)), learn.model.score_all(everyone(small)))
        learn.save(tmp_path/'weights.zip')
        set_seed(1)
        other = Learner(small, MAKE[name](small)).load(tmp_path/'weights.zip')
        assert torch.equal(other.model.score_all(everyone(small)), learn.model.score_all(everyone(small)))

    def test_by_name(self, name):
        df = make_ratings(20, 15, 150, seed=1).astype({'user': str, 'item': str})
        df = pd.concat([df, pd.DataFrame({'user': ['new'], 'item': ['unseen'], 'rating': 4.})], ignore_index=True)
        dls = CollabDataLoaders.from_df(df, valid_idx=[5, len(df) - 1]) # somebody, and something, in the test rows alone
        set_seed(0)
        learn = Learner(dls, MAKE[name](dls))
        likes = ['3', '7', '11']
        mine = recommend(learn, likes, n=20, min_ratings=0)
        assert len(mine) == 13 and not {*mine['item']} & {*likes} and mine.prediction.is_monotonic_decreasing
        for item, score in zip(mine['item'], mine.prediction): # reasons add up
            assert explain(learn, likes, item).share.sum() == pytest.approx(score, abs=1e-5)
        assert {*explain(learn, likes, '1')['item']} == {*likes}
        seen = recommend(learn, likes, n=20, min_ratings=0, exclude_seen=False)
        assert len(seen) == 16 and {*likes} < {*seen['item']}
        with pytest.warns(UserWarning, match="1 of 4 entries of user are left out.*'33', close to it: \\['3'"):
            pd.testing.assert_frame_equal(recommend(learn, likes + ['33'], n=20, min_ratings=0), mine)
        nobody = [recommend(learn, o, n=20, min_ratings=0, exclude_seen=False) for o in ([], 'new')] # the average user's list
        pd.testing.assert_frame_equal(*nobody)
        assert (nobody[0].because == '').all() and not explain(learn, 'new', '3').shape[0]
        every = recommend_all(learn, n=20, min_ratings=0, users=['new', '4'], items=['1', '2', 'unseen'], exclude=['2'])
        assert {*every['item']} <= {'1', 'unseen'} and every.prediction.notna().all()
        for table in (mine, seen, *nobody): assert table[['prediction', 'because', 'ratings']].notna().all().all()
        for wrong in ({'3': 5}, pd.DataFrame({'item': likes, 'rating': 5.})):
            with pytest.raises(TypeError, match='learned from likes, not from stars'): recommend(learn, wrong)
        with pytest.raises(ValueError, match="no user 'nwe'. Close to it: \\['new'\\].*pass a list of items"): recommend(learn, 'nwe')
        with pytest.raises(ValueError, match="no item 'x'"): similar_items(learn, 'x', min_ratings=0)
        assert similar_items(learn, '3', min_ratings=0).iloc[:, 1].notna().all()

def test_counts_from_short_lists_and_long():
    rated = torch.rand(300, 200, generator=torch.Generator().manual_seed(0)) < torch.linspace(0, 0.3, 300)[:, None]
    rated[:, 0] = False
    likes = Likes.from_pairs(*rated.nonzero().t(), 300, 200)
    assert (likes.n > 200 / 16).any() and ((likes.n > 0) & (likes.n < 200 / 16)).any() and (likes.n == 0).any()
    expected = rated.float().t() @ rated.float()
    assert torch.equal(both_liked(likes, 1), expected) and torch.equal(both_liked(likes, 1, also=[likes, likes]), 3 * expected)

@pytest.mark.parametrize('make', [EASE, LikesKNN])
def test_quadratic_models_say_what_they_would_take(small, make):
    with pytest.raises(ValueError, match=r'42 items.*0\.0 GB, and max_gb=1e-06.*IALS'): make(small, max_gb=1e-6)
    wide = Likes.from_pairs(tensor([1]), tensor([1]), 2, 60_001)
    with pytest.raises(ValueError, match=r'60,001 items.*28\.8 GB, and max_gb=4'): both_liked(wide, 4)

def test_refusals(small):
    with pytest.raises(ValueError, match='reg=0'): EASE(small, reg=0)
    with pytest.raises(ValueError, match='reg=-1'): IALS(small, reg=-1)
    with pytest.raises(ValueError, match='n_factors'): IALS(small, 0)
    with pytest.raises(ValueError, match='k'): LikesKNN(small, k=0)

def test_ensemble_of_lists(small):
    set_seed(0)
    models = [EASE(small, reg=5), IALS(small, n_factors=6, reg=0.05)]
    scores = score_all(Ensemble(models), everyone(small), 42)
    torch.testing.assert_close(scores, (models[0].score_all(everyone(small)) + models[1].score_all(everyone(small))) / 2)
