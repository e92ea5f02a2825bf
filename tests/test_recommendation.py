"""Recommendations: who gets which list, what a list never holds, and newcomers by ridge regression."""
import warnings

import pytest

from collab_course.all import *

@pytest.fixture(scope='module')
def planted():
    "A learner whose weights are the planted factors, and the planted stars of all users (rows) and items (columns)"
    p = planted_factors(40, 60, seed=1)
    dls = CollabDataLoaders.from_df(make_ratings(40, 60, 1_500, seed=1), seed=1)
    assert [len(c) for c in dls.classes.values()] == [41, 61]
    learn = collab_learner(dls, n_factors=5)
    m = learn.model
    with torch.no_grad():
        for layer, rows in ((m.u_weight, p.user_factors), (m.i_weight, p.item_factors), (m.u_bias, 3.5 + p.user_bias[:, None]), (m.i_bias, p.item_bias[:, None])):
            layer.weight[1:] = tensor(rows).float()
            layer.weight[0] = 100. # so that a #na# that slips in comes first
    return learn, 3.5 + p.user_bias[:, None] + p.item_bias + p.user_factors @ p.item_factors.T

@pytest.fixture(scope='module')
def learn(dls):
    set_seed(42)
    learn = collab_learner(dls, y_range=(0, 5.5))
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(3, 5e-3, wd=0.1)
    return learn

@pytest.fixture(scope='module')
def network(planted): return collab_learner(planted[0].dls, use_nn=True, y_range=(0, 5.5))

def rated(dls, user):
    "The user's ratings as a table, from the rows of the loaders"
    df = pd.concat([dls.decode(dl.x, dl.y) for dl in dls])
    return df[df[dls.user_name] == user].drop(columns=dls.user_name)

def numpy_ridge(learn, items, stars, noise):
    "A newcomer's row by the textbook: prior precision, identity slopes"
    users, others = (o.double().numpy() for o in FactorTables(learn.model).sides())
    mean, precision = users[1:].mean(0), np.linalg.inv(np.cov(users[1:].T, ddof=0))
    q = np.c_[others[items, :-1], np.ones(len(items))]
    return mean + np.linalg.solve(q.T @ q / noise**2 + precision, q.T @ (stars - q @ mean - others[items, -1]) / noise**2)

@pytest.mark.parametrize('user', [1, 17, 40])
def test_the_list_comes_from_the_users_own_row(planted, user):
    learn, stars = planted
    seen = rated(learn.dls, user).item
    right = pd.Series(stars[user - 1], range(1, 61)).drop(seen).nlargest(8)
    got = recommend(learn, user, n=8)
    assert got.item.tolist() == right.index.tolist()
    assert got.prediction.tolist() == pytest.approx(right.tolist(), abs=1e-4)
    assert list(got.index) == list(range(1, 9)) and got.index.name == 'rank'

def test_parts_of_a_known_prediction(planted):
    learn, stars = planted
    row, average = recommend(learn, 17, n=1).iloc[0], stars.mean(axis=0) # without a range, the average user's predictions are the users' mean
    assert row['average'] == pytest.approx(average[row['item'] - 1], abs=1e-4)
    assert row['match'] == pytest.approx(stars[16, row['item'] - 1] - average[row['item'] - 1], abs=1e-4)
    ratings = pd.concat([learn.dls.decode(dl.x, dl.y) for dl in learn.dls]).groupby('item').rating
    assert (row['mean'], row['ratings']) == pytest.approx((ratings.mean()[row['item']], ratings.size()[row['item']]))

def test_everybody_at_once_agrees_with_one_by_one(planted, learn, network):
    for o, n in ((planted[0], 60), (learn, 10), (network, 5)):
        lists = recommend_all(o, n=n, bs=7 if o is not learn else 100)
        users = list(o.dls.classes['user'])[1:]
        assert sorted(lists.user.unique()) == users
        item = o.dls.item_name
        for user in users[::60] + users[-1:]:
            one, of_all = recommend(o, user, n=n), lists[lists.user == user]
            assert of_all['rank'].tolist() == one.index.tolist()
            assert of_all.prediction.tolist() == pytest.approx(one.prediction.tolist(), abs=1e-5)
            assert of_all[item].tolist() == one[item].tolist()

def test_no_list_holds_what_was_seen_or_a_duplicate_or_na(planted, learn, network):
    for o in (planted[0], learn, network):
        item = o.dls.item_name
        lists = recommend_all(o, n=20)
        seen = pd.concat([o.dls.decode(dl.x) for dl in o.dls])
        assert not lists.duplicated(['user', item]).any()
        assert lists.merge(seen, on=['user', item]).empty
        assert not (lists[item] == '#na#').any()
        assert (o.dls.history.count[o.dls.classes[item].encode(lists[item])] >= 5).all()
        assert lists.groupby('user')[item].apply(tuple).nunique() > 1

def test_seen_and_rare_items_on_request(planted):
    learn, stars = planted
    everything = recommend(learn, 3, n=1_000, exclude_seen=False, min_ratings=0)
    assert everything.item.tolist() == (np.argsort(-stars[2]) + 1).tolist()
    assert len(recommend_all(learn, n=1_000, exclude_seen=False, min_ratings=0)) == 40 * 60
    assert len(recommend_all(learn, n=1_000)) == 40 * 60 - 1_500
    with pytest.raises(ValueError, match='min_ratings=99 leaves no item: the most rated of 60 has'): recommend(learn, 3, min_ratings=99)

def test_two_users_get_different_lists(learn):
    assert recommend(learn, 196).title.tolist() != recommend(learn, 22).title.tolist()
    assert recommend(learn, {'Alien (1979)': 5}).title.tolist() != recommend(learn, {'Alien (1979)': 1}).title.tolist()

def test_history(dls):
    df = pd.concat([dls.decode(dl.x, dl.y) for dl in dls])
    by_title, h = df.groupby('title').rating, dls.history
    assert h is dls.history
    assert h.count[1:].tolist() == by_title.size().tolist() and h.count[0] == 0
    assert torch.allclose(h.mean[1:], tensor(by_title.mean().tolist()).float())
    for user in (1, 196, 943):
        items, stars = h[dls.classes['user'].o2i[user]]
        assert sorted(zip(dls.classes['title'][items], stars.tolist())) == sorted(df[df.user == user][['title', 'rating']].itertuples(index=False, name=None))

@pytest.mark.parametrize('k, noise', [(1, 0.7), (3, 0.3), (30, 1.5)])
def test_fold_in_is_ridge_regression(planted, k, noise):
    learn, _ = planted
    items, stars = np.arange(1, k + 1), np.linspace(1, 5, k)
    profile = fold_in(learn, dict(zip(items.tolist(), stars.tolist())), noise=noise)
    assert [*profile.weight.tolist(), profile.bias.item()] == pytest.approx(numpy_ridge(learn, items, stars, noise).tolist(), abs=1e-4)

def test_fold_in_finds_a_planted_user(planted):
    learn, stars = planted
    new = tensor([1., -1., 0.5, 0., 1.2])
    items = learn.model.i_weight.weight.detach()[1:], learn.model.i_bias.weight.detach()[1:, 0]
    truth = items[0] @ new + 3.6 + items[1]
    profile = fold_in(learn, dict(zip(range(1, 61), truth.tolist())), noise=0.01)
    assert torch.allclose(profile.preds(learn)[1:], truth, atol=0.02)

def test_a_new_item_is_the_same_from_the_other_side(planted):
    learn, stars = planted
    profile = fold_in(learn, dict(zip(range(1, 41), stars[:, 8].tolist())), noise=0.01, is_item=True)
    assert profile.preds(learn)[1:].tolist() == pytest.approx(stars[:, 8].tolist(), abs=0.02)
    with pytest.raises(TypeError, match='of an item'): recommend(learn, profile)

def test_all_ratings_of_a_known_user_lead_near_the_trained_row(learn):
    gaps = []
    for user in (1, 13, 196, 405, 655):
        known = learn.predict(pd.DataFrame({'user': user, 'title': list(learn.dls.classes['title'])[1:]})).to_numpy()
        folded = fold_in(learn, rated(learn.dls, user)).preds(learn)[1:].numpy()
        assert np.corrcoef(known, folded)[0, 1] > 0.9
        gaps.append(np.sqrt(((known - folded)**2).mean()))
    assert np.mean(gaps) < 0.35

def test_no_ratings_give_the_average_user(learn):
    average = FactorTables(learn.model).users[1:].mean(0)
    for nothing in ({}, pd.DataFrame(), pd.DataFrame({'title': [], 'rating': []})):
        profile = fold_in(learn, nothing)
        assert torch.allclose(torch.cat([profile.weight, profile.bias[None]]), average, atol=1e-6)
    top = recommend(learn, {})
    assert len(top) == 10 and set(top.because) == {''}

def test_a_table_and_a_dict_are_the_same(learn):
    stars = {'Alien (1979)': 5, 'Fargo (1996)': 2}
    table = pd.DataFrame({'rating': stars.values(), 'title': stars.keys()}, index=[7, 3])
    a, b = fold_in(learn, stars), fold_in(learn, table)
    assert torch.equal(a.weight, b.weight) and torch.equal(a.bias, b.bias)

def test_unknown_titles_are_named_and_left_out(learn):
    with pytest.warns(UserWarning, match=r"2 of 3 ratings are left out, as their title was not seen in training: 'Alian \(1979\)', close to it: \['Alien \(1979\)'.*'#na#'"):
        profile = fold_in(learn, {'Alien (1979)': 5, 'Alian (1979)': 5, '#na#': 1})
    assert torch.equal(profile.weight, fold_in(learn, {'Alien (1979)': 5}).weight)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        fold_in(learn, {'Alien (1979)': 5})

@pytest.mark.parametrize('bad, error, message', [
    ({'Alien (1979)': 50}, ValueError, r"rating of 'Alien \(1979\)' is 50: this model predicts from 0 to 5.5"),
    ({'Alien (1979)': 'good'}, ValueError, "'good'"), ({'Alien (1979)': float('nan')}, ValueError, 'nan'),
    (pd.DataFrame({'title': ['Alien (1979)']}), ValueError, "column 'rating' is missing"),
    (pd.DataFrame({'user': [1, 2], 'title': ['Alien (1979)'] * 2, 'rating': [3, 4]}), ValueError, "column 'user' has 2 values: fold in one at a time"),
])
def test_ratings_that_cannot_be_used(learn, bad, error, message):
    with pytest.raises(error, match=message): fold_in(learn, bad)

def test_who_and_what_is_unknown(learn, network):
    for user in (9999, '#na#', 'Ann'):
        with pytest.raises(ValueError, match=f"no user {user!r}.*pass the ratings"): recommend(learn, user)
    with pytest.raises(ValueError, match='n=0'): recommend(learn, 196, n=0)
    with pytest.raises(ValueError, match='n=0'): recommend_all(learn, n=0)
    with pytest.raises(ValueError, match=r"Alian.*Alien \(1979\)"): similar_items(learn, 'Alian (1979)')
    with pytest.raises(ValueError, match=r"Alian.*Alien \(1979\)"): explain(learn, 196, 'Alian (1979)')
    for call in (lambda: fold_in(network, {1: 5}), lambda: recommend(network, {1: 5}), lambda: explain(network, 1, 2), lambda: similar_items(network, 1)):
        with pytest.raises(TypeError, match='EmbeddingNN has no factors'): call()

def test_a_model_of_ones_own_needs_no_factors(planted):
    class Mean(nn.Module):
        def forward(self, x): return 5. - x[:, 1] / 100
    got = recommend(Learner(planted[0].dls, Mean()), 1, n=3, exclude_seen=False, min_ratings=0)
    assert list(got.columns) == ['item', 'prediction', 'mean', 'ratings'] and got.item.tolist() == [1, 2, 3]

def test_a_subclass_with_a_forward_of_its_own_is_asked_by_pairs(planted):
    class Reversed(EmbeddingDotBias):
        def forward(self, x): return -super().forward(x)
    model = Reversed.from_classes(5, planted[0].dls.classes)
    model.load_state_dict(planted[0].model.state_dict())
    got = recommend(Learner(planted[0].dls, model), 3, n=60, exclude_seen=False, min_ratings=0)
    assert got.item.tolist() == (np.argsort(planted[1][2]) + 1).tolist()

def test_shares_add_up_to_the_prediction(planted, learn):
    for o, user in ((planted[0], 5), (learn, 196)):
        stars, item = rated(o.dls, user), o.dls.item_name
        average = recommend(o, {}, n=5_000, min_ratings=0).set_index(item).prediction
        for newcomer in (False, True):
            who = stars if newcomer else user
            for _, row in recommend(o, who, n=5).iterrows():
                why = explain(o, who, row[item])
                assert sorted(why[item][:-1]) == sorted(stars[item]) and why[item].iloc[-1] == 'training'
                assert why.share[:-1].is_monotonic_decreasing
                assert average[row[item]] == pytest.approx(row['average'], abs=1e-4)
                assert row['average'] + why.share.sum() == pytest.approx(row['prediction'], abs=1e-4)
                if newcomer: assert why.share.iloc[-1] == pytest.approx(0, abs=1e-4)
                reasons = row['because'].split('; ')
                assert reasons[0] == f"{why[item][0]} {why.share[0]:+.2f}"
                assert sum(float(reason.rsplit(' ', 1)[1]) for reason in reasons) == pytest.approx(row['match'], abs=0.025)

def test_shares_of_ratings_that_cancel(planted):
    "Two opposite ratings of one item move nothing, and their shares are as large as that of either, not NaN"
    tables = FactorTables(planted[0].model)
    base = RidgeFit(tables, tensor([3]), tensor([3.])).base[3].item()
    shares = RidgeFit(tables, tensor([3, 3]), tensor([base + 1, base - 1], dtype=torch.float64)).shares([3])[0]
    assert shares[0] > 0.1 and shares.sum().item() == pytest.approx(0, abs=1e-9)

def test_a_title_rated_twice_is_one_reason(learn):
    twice = pd.DataFrame({'title': ['Alien (1979)'] * 2 + ['Fargo (1996)'], 'rating': [5., 5., 5.]})
    for because in recommend(learn, twice).because: assert because.count('Alien (1979)') <= 1
    assert recommend(learn, twice).because.str.contains('Alien').any()

def test_similar_items(learn):
    factors, titles = FactorTables(learn.model).items[:, :-1], learn.dls.classes['title']
    own = factors[titles.o2i['Alien (1979)']]
    score = {'cosine': F.cosine_similarity(factors, own[None]), 'euclidean': -(factors - own).norm(dim=1), 'dot': factors @ own}
    allowed = (learn.dls.history.count >= 20) & (torch.arange(len(titles)) != titles.o2i['Alien (1979)'])
    for by, s in score.items():
        got = similar_items(learn, 'Alien (1979)', n=7, by=by)
        assert got.title.tolist() == titles[s.masked_fill(~allowed, -torch.inf).topk(7).indices]
        assert got.ratings.min() >= 20

def test_predict_with_and_without_ratings(learn, ratings):
    rows = ratings.sample(50, random_state=0)
    assert learn.predict(rows).equals(learn.predict(rows[['user', 'title']]))

def test_lists_for_everybody_keep_ids_of_any_kind():
    for ids in ([1, 'b', 3, 'd'], [(1, 2), (1, 3), (2, 2), (2, 3)]):
        df = make_ratings(4, 12, 30, seed=0)
        df['user'] = pd.Series([ids[o - 1] for o in df.user], index=df.index, dtype=object)
        learn = collab_learner(CollabDataLoaders.from_df(df, bs=8, seed=0), 3)
        found = recommend_all(learn, n=2, min_ratings=0)
        assert set(found.user) <= set(ids) and len(found)

def test_likes_have_no_reasons(dls):
    learn = collab_learner(ranking_dls(dls, 4), 5, loss_func=bpr_loss)
    with pytest.raises(ValueError, match='gave no stars'): explain(learn, 5, 'Fargo (1996)')
    top = recommend(learn, 5)
    assert not top.drop(columns='because').isna().any().any() and (top.because == '').all()

def test_a_ranker_keeps_what_was_seen(dls, tmp_path):
    learn = collab_learner(ranking_dls(dls, 4), 5, loss_func=bpr_loss)
    back = load_learner(learn.export(tmp_path/'it'))
    for _ in range(2):
        pd.testing.assert_frame_equal(recommend(back, 5), recommend(learn, 5))
        pd.testing.assert_frame_equal(recommend_all(back, n=3), recommend_all(learn, n=3))
        back = load_learner(back.export(tmp_path/'again'))

@pytest.mark.parametrize('names', [('mean', 'prediction', 'rating'), ('rank', 'because', 'share'), ('average', 'ratings', 'match'), ('rating', 'rank', 'user')])
def test_columns_never_collide(names):
    df = make_ratings(30, 40, 800, seed=3).set_axis(list(names), axis=1)
    same = make_ratings(30, 40, 800, seed=3)
    mine, plain = (collab_learner(CollabDataLoaders.from_df(o, user_name=o.columns[0], item_name=o.columns[1], rating_name=o.columns[2], seed=3), 3) for o in (df, same))
    mine.model.load_state_dict(plain.model.state_dict())
    for f in (lambda o: recommend(o, 7), lambda o: recommend_all(o, n=3), lambda o: explain(o, 7, 5), lambda o: similar_items(o, 7, min_ratings=0)):
        a, b = f(mine), f(plain)
        assert a.columns.is_unique and a.index.name not in [*a.columns]
        for x, y in zip(a, b): assert a[x].tolist() == pytest.approx(b[y].tolist(), nan_ok=True) if b[y].dtype.kind in 'if' else a[x].tolist() == b[y].tolist()
        assert names[1] in a

def test_a_warning_points_at_the_callers_line(learn):
    for ask in (lambda: fold_in(learn, {'Alien (1979)': 5, 'Allien': 4}), lambda: recommend(learn, {'Alien (1979)': 5, 'Allien': 4}), lambda: explain(learn, {'Alien (1979)': 5, 'Allien': 4}, 'Fargo (1996)'), lambda: recommend(learn, 5, exclude=['Allien'])):
        with pytest.warns(UserWarning, match='Allien') as said: ask()
        assert said[0].filename == __file__

def test_names_need_classes():
    with pytest.raises(ValueError, match='knows no names: make it by EmbeddingDotBias.from_classes'): EmbeddingDotBias(3, 5, 5).bias([1])
