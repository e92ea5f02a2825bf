"""The Gibbs sampler against brute force, against its own prior and on planted ratings; and what goes in and comes out of it."""
import pytest

from collab_course.all import *
from collab_course.bpmf import Gibbs, Groups, Link, OrderedProbit, Precisions, Side

def rng(seed=0): return torch.Generator().manual_seed(seed)

def tiny(**kwargs):
    "A 4 x 5 table with 12 ratings, one of them twice, features and sittings, after three sweeps"
    g = rng(1)
    x = torch.stack([torch.randint(4, (12,), generator=g), torch.randint(4, (12,), generator=g)], 1) # nobody rated item 4
    x[-1] = x[0]
    args = dict(user_features=[torch.randn(4, 2, generator=g)], item_features=[torch.randn(5, 7, generator=g), torch.randn(5, 1, generator=g)],
                times=torch.randint(0, 300, (12,), generator=g), spans=(60,))
    gibbs = Gibbs(x, torch.randn(12, generator=g), 4, 5, 2, **(args | kwargs))
    for _ in range(3): gibbs.sweep()
    return gibbs

# The conditionals against brute force

def log_normal(x, mean, precision): return torch.distributions.MultivariateNormal(mean, precision_matrix=precision).log_prob(x)

def test_vectors_given_all_else():
    "The joint density, by loops over ratings, differs from the conditional by the same for any vector"
    gibbs = tiny()
    user, item = gibbs.users, gibbs.items
    left = gibbs.y - sum(o.added for o in gibbs.sittings)
    for side, other, (own, theirs) in ((user, item, gibbs.x), (item, user, gibbs.x.flip(0))):
        precision, shift = side.equations(other.vectors, left - other.vectors[theirs, -1], gibbs.weight)
        mean = torch.linalg.solve(precision, shift)
        for row in range(side.groups.n):
            def joint(v):
                res = log_normal(v, side.mean + sum(o.fitted[row] for o in side.links), side.precision)
                for n in range(12):
                    if own[n] != row: continue
                    score = v[:-1] @ other.vectors[theirs[n], :-1] + v[-1] + other.vectors[theirs[n], -1]
                    res = res - gibbs.weight[n] * (left[n] - score)**2 / 2
                return res
            apart = torch.stack([joint(v) - log_normal(v, mean[row], precision[row]) for v in torch.randn(5, 3, generator=rng(row))])
            torch.testing.assert_close(apart, apart[:1].expand(5), atol=1e-3, rtol=1e-4)

@pytest.mark.parametrize('p', [2, 7])
def test_link_given_vectors(p):
    "Mean and covariance of what the features add, against the normal equations of all of beta at once"
    g = rng(2)
    features, left, precision = torch.randn(5, p, generator=g), torch.randn(5, 3, generator=g), torch.eye(3) * 4 + 1
    link, draws, strengths = Link(features, 3), [], []
    for _ in range(4000):
        link.strength = tensor(1.5)
        link.draw(left, precision, g)
        draws.append(link.fitted.flatten())
        strengths.append(link.strength * (link.rate + (link.beta @ precision * link.beta).sum()))
    big = torch.kron(features - features.mean(0), torch.eye(3)) # beta as one vector
    weight = torch.kron(torch.eye(5), precision)
    cov = (big.T @ weight @ big + 1.5 * torch.kron(torch.eye(p), precision)).inverse()
    draws = torch.stack(draws)
    torch.testing.assert_close(draws.mean(0), big @ (cov @ big.T @ weight @ left.flatten()), atol=0.05, rtol=0)
    torch.testing.assert_close(draws.T.cov(), big @ cov @ big.T, atol=0.05, rtol=0)
    assert torch.stack(strengths).mean().item() == pytest.approx(1 + link.beta.numel(), rel=0.05) # chi-squared

def test_rows_of_zeros_are_at_the_mean():
    g = rng(8)
    features = torch.randn(50, 3, generator=g)
    left, full = torch.randn(50, 2, generator=g), torch.cat([torch.zeros(1, 3), features])
    a, b = Link(features, 2), Link(full, 2)
    for o, target in ((a, left), (b, torch.cat([torch.full((1, 2), 1e3), left]))): o.draw(target, torch.eye(2), rng(9))
    torch.testing.assert_close(b.fitted[0], torch.zeros(2))
    torch.testing.assert_close(a.basis @ a.basis.T, (b.basis @ b.basis.T)[1:, 1:])

def test_mean_and_precision_given_vectors():
    "Weights of 40,000 draws of a prior, by the likelihood of the vectors, give the mean of the conditional"
    g, k, n = rng(3), 2, 40_000
    side = Side(Groups(torch.arange(6), 6), torch.zeros(6, dtype=torch.long), k, (), g)
    side.df, side.scale = 5, 4.
    side.vectors = 0.5 + 0.7 * torch.randn(6, k, generator=g)
    draws = []
    for _ in range(4000):
        side.draw_prior(g)
        draws.append(torch.cat([side.mean, side.precision.flatten()]))
    roots = torch.randn(n, 5, k, generator=g) / 2
    precision = roots.mT @ roots
    mean = torch.linalg.solve(torch.linalg.cholesky(2 * precision).mT, torch.randn(n, k, 1, generator=g))[..., 0]
    weight = sum(log_normal(v, mean, precision) for v in side.vectors).softmax(0)
    right = weight @ torch.cat([mean, precision.flatten(1)], 1)
    torch.testing.assert_close(torch.stack(draws).mean(0), right, atol=0.06, rtol=0.04)

def test_sittings_and_noise_given_all_else():
    gibbs, g = tiny(), rng(4)
    at, left, weight = gibbs.sittings[0], torch.randn(12, generator=g), gibbs.weight
    prior, draws = at.spread.each.clone(), []
    for _ in range(4000):
        at.spread.each = prior
        at.draw(left, weight, g)
        draws.append(at.effect)
    assert at.effect[-1] == 0
    mean, var = torch.stack(draws).mean(0), torch.stack(draws).var(0)
    for key, m, v in zip(at.keys[:-1], mean, var):
        user = key.item() >> 40
        rows = [n for n in range(12) if gibbs.x[0, n] == user and at.keys[at.groups.idx[n]] == key]
        right = prior[user] + sum(weight[n] for n in rows)
        assert m.item() == pytest.approx((sum(weight[n] * left[n] for n in rows) / right).item(), abs=4 / right.sqrt().item() / 60)
        assert v.item() == pytest.approx(1 / right.item(), rel=0.12)
    noise, each = Precisions(4, 1., 5, 'cpu'), []
    for _ in range(4000):
        noise.common = tensor(2.)
        noise.draw(left, gibbs.by_user, g)
        each.append(noise.each)
    for user in range(4):
        own = left[gibbs.x[0] == user]
        assert torch.stack(each).mean(0)[user].item() == pytest.approx(((5 + len(own)) / (2.5 + (own**2).sum())).item(), rel=0.05)

def test_cuts_and_what_is_behind_stars():
    "Against a grid over both cuts"
    g = rng(5)
    score, sd = torch.randn(60, generator=g), torch.rand(60, generator=g) + 0.5
    y = (score + sd * torch.randn(60, generator=g) > tensor([-0.7, 0.6])[:, None]).sum(0).float()
    probit, draws, behind = OrderedProbit(y), [], []
    for _ in range(3000):
        behind.append(probit.draw(score, sd, g))
        draws.append(probit.cuts)
    grid = torch.linspace(-2.5, 2.5, 201)
    below = torch.special.ndtr((grid[:, None] - score) / sd)
    log_p = below[:, y == 0].log().sum(1)[:, None] + (1 - below[:, y == 2]).log().sum(1)
    log_p = log_p + (below[:, y == 1] - below[:, None, y == 1]).transpose(0, 1).clamp(min=1e-30).log().sum(-1).T
    p = log_p.flatten().softmax(0).view(201, 201)
    right = torch.stack([grid @ p.sum(1), grid @ p.sum(0)])
    spread = torch.stack([(grid**2 @ p.sum(1) - right[0]**2), (grid**2 @ p.sum(0) - right[1]**2)]).sqrt()
    draws = torch.stack(draws).float()
    torch.testing.assert_close(draws.mean(0), right, atol=0.03, rtol=0)
    torch.testing.assert_close(draws.std(0), spread, atol=0.02, rtol=0)
    some = torch.stack(behind)
    assert ((some[-1] > probit.cuts[:, None]).sum(0) == y).all()
    assert some.isfinite().all()

def test_the_sampler_leaves_its_prior_alone():
    """Geweke's test: draw parameters given ratings, then ratings given parameters, and so on, and everything is distributed
    as its prior, which is simulated here by NumPy"""
    n_users, n_items, k, spans = 3, 4, 2, (60,)
    g, x = rng(6), torch.cartesian_prod(torch.arange(3), torch.arange(4))
    features, times = torch.randn(n_users, 2, generator=g), torch.arange(12) * 25
    gibbs = Gibbs(x, torch.zeros(12), n_users, n_items, k - 1, [features], (), times, spans)
    for side in (gibbs.users, gibbs.items): side.df, side.scale = 12, 10.
    link, at, noise = gibbs.users.links[0], gibbs.sittings[0], gibbs.noise
    link.df, link.rate = 10, 2.
    for o, start in ((at.spread, 4.), (noise, 2.)): o.start, o.df = start, 10
    def said(): return torch.stack([
        gibbs.users.vectors.square().mean(), gibbs.items.vectors.square().mean(), gibbs.users.mean.square().sum(), gibbs.items.precision.logdet(),
        gibbs.users.precision.logdet(), gibbs.users.precision[0, 1], gibbs.users.vectors.prod(), link.strength.log(), link.fitted.square().mean(),
        at.effect.square().mean().log(), at.spread.common.log(), at.spread.each[1].log(), noise.common.log(), noise.each[1].log(),
        gibbs.scores().square().mean().log(), gibbs.y.square().mean().log(), gibbs.y.mean().tanh()])
    chain = []
    for _ in range(2000):
        gibbs.sweep()
        gibbs.y = gibbs.scores() + torch.randn(12, generator=g) / gibbs.weight.sqrt()
        chain.append(said())
    chain, rand, n = torch.stack(chain).double().numpy(), np.random.default_rng(6), 20_000
    def precisions(p):
        common = p.start / rand.exponential(1, n)
        return common, common[:, None] * rand.chisquare(p.df, (n, len(p.each))) / p.df
    (at_common, at_each), (noise_common, noise_each) = precisions(at.spread), precisions(noise)
    sittings = at.by_user.idx.numpy()
    effect = np.append(rand.normal(size=(n, len(sittings))) / at_each[:, sittings]**0.5, np.zeros((n, 1)), axis=1)
    def side(o):
        "`n` priors and the vectors from them"
        roots = rand.normal(size=(n, o.df, k)) / o.scale**0.5
        precision = roots.swapaxes(1, 2) @ roots
        root = np.linalg.cholesky(np.linalg.inv(precision))
        draw = lambda rows: rand.normal(size=(n, rows, k)) @ root.swapaxes(1, 2)
        mean, strength, fitted = draw(1) / o.weight**0.5, np.ones(n), 0
        for l in o.links:
            strength = rand.chisquare(l.df, n) / l.rate
            fitted = l.basis.double().numpy() @ (draw(len(l.beta)) / strength[:, None, None]**0.5)
        return precision, mean[:, 0], strength, fitted, mean + fitted + draw(len(o.vectors))
    (u_precision, u_mean, strength, fitted, u), (v_precision, _, _, _, v) = side(gibbs.users), side(gibbs.items)
    (i, j), row = gibbs.x.numpy(), at.groups.idx.numpy()
    scores = u[:, i, 0] * v[:, j, 0] + u[:, i, 1] + v[:, j, 1] + effect[:, row]
    y = scores + rand.normal(size=scores.shape) / noise_each[:, i]**0.5
    alone = np.stack([
        (u**2).mean((1, 2)), (v**2).mean((1, 2)), (u_mean**2).sum(1), np.linalg.slogdet(v_precision)[1], np.linalg.slogdet(u_precision)[1],
        u_precision[:, 0, 1], u.prod((1, 2)), np.log(strength), (fitted**2).mean((1, 2)), np.log((effect**2).mean(1)), np.log(at_common),
        np.log(at_each[:, 1]), np.log(noise_common), np.log(noise_each[:, 1]), np.log((scores**2).mean(1)), np.log((y**2).mean(1)), np.tanh(y.mean(1))], 1)
    batches = chain.reshape(40, 50, -1).mean(1) # nearly independent
    z = (chain.mean(0) - alone.mean(0)) / (alone.var(0) / n + batches.var(0) / 40)**0.5
    assert abs(z).max() < 4, z

# Planted ratings

def planted(n, n_users=100, n_items=80, seed=0, noise=0.5):
    "`n` ratings without rounding, and the score behind each pair"
    p, g = planted_factors(n_users, n_items, 3, seed), np.random.default_rng(seed)
    scores = 3.5 + p.user_bias[:, None] + p.item_bias + p.user_factors @ p.item_factors.T
    users, items = np.divmod(g.permutation(n_users * n_items), n_items)
    df = pd.DataFrame({'user': users, 'item': items, 'score': scores[users, items]})
    df['rating'] = df.score + g.normal(0, noise, len(df))
    dls = CollabDataLoaders.from_df(df[['user', 'item', 'rating']], valid_idx=np.arange(n, len(df)), shuffle_train=False)
    return dls, tensor(df.score.to_numpy()[n:]).float()

def test_error_falls_as_ratings_grow():
    errors = [(BPMF(dls, 3, 60)(dls.valid.x) - scores).square().mean().sqrt().item() for dls, scores in map(planted, (500, 1500, 4500))]
    assert errors[0] > 1.4 * errors[1] > 1.96 * errors[2] and errors[2] < 0.3, errors

def test_intervals_hold_what_they_promise():
    held = []
    for seed in range(3):
        dls, scores = planted(3000, seed=seed)
        model = BPMF(dls, 3, 200, n_draws=150, burn_in=50, seed=seed)
        lo, hi = model.draws(dls.valid.x).quantile(tensor([0.05, 0.95]), dim=1)
        held.append(((lo <= scores) & (scores <= hi)).float().mean().item())
        off = (dls.valid.y.flatten() - model(dls.valid.x)) / model.std(dls.valid.x, noise=True)
        assert off.std().item() == pytest.approx(1, abs=0.05)
    assert 0.87 < np.mean(held) < 0.93, held

def test_intervals_of_stars():
    "Ratings in half stars: what is the mean of the ratings that such a score would get?"
    dls = CollabDataLoaders.from_df(make_ratings(150, 100, 6000, 3, noise=0.6, seed=2), seed=0)
    p, x = planted_factors(150, 100, 3, 2), dls.decode(dls.valid.x)
    u, i = x.user.to_numpy() - 1, x.item.to_numpy() - 1
    scores = 3.5 + p.user_bias[u] + p.item_bias[i] + (p.user_factors[u] * p.item_factors[i]).sum(1)
    ends = torch.from_numpy(scores)[:, None] - torch.arange(1.25, 5, 0.5)
    means = 1 + 0.5 * torch.special.ndtr(ends / 0.6).sum(1)
    model = BPMF(dls, 3, 200, ordinal=True)
    lo, hi = model.draws(dls.valid.x).quantile(tensor([0.05, 0.95]), dim=1)
    assert 0.85 < ((lo <= means) & (means <= hi)).float().mean() < 0.95
    plain = BPMF(dls, 3, 60)
    assert (model(dls.valid.x) - means).square().mean() < (plain(dls.valid.x) - means).square().mean()

def test_rating_by_class_probabilities():
    "Mean and spread of stars, by a sum over the classes"
    dls = CollabDataLoaders.from_df(make_ratings(30, 20, 300, seed=1), seed=0)
    m = BPMF(dls, 2, 8, ordinal=True)
    (user, item), draws = dls.valid.x[0].tolist(), range(m.user.shape[1])
    mean, square = [], []
    for s in draws:
        u, v = m.user[user, s].double(), m.item[item, s].double()
        ends = torch.cat([tensor([-torch.inf]), m.cuts[:, s], tensor([torch.inf])]).double()
        p = torch.special.ndtr((ends - (u[:-1] @ v[:-1] + u[-1] + v[-1])) / m.noise[user, s].double()).diff()
        mean.append((p @ m.levels.double()).item()), square.append((p @ m.levels.double()**2).item())
    torch.testing.assert_close(m.draws(dls.valid.x[:1])[0], tensor(mean), atol=1e-4, rtol=0)
    std = m.std(dls.valid.x[:1], noise=True).item()
    assert std == pytest.approx(np.sqrt(np.mean(square) - np.mean(mean)**2), abs=1e-3)

def moody(time=lambda t: t):
    "Loaders of ratings by sixty users, each of whom has four days with a mood; `time` changes what the table has of the times"
    g, n = np.random.default_rng(0), 3000
    df = pd.DataFrame({'user': g.integers(0, 60, n), 'item': g.integers(0, 40, n)})
    day, mood = g.integers(0, 4, n), g.normal(0, 1, (60, 4))
    df['rating'] = 3 + mood[df.user, day] + g.normal(0, 0.3, n)
    df['time'] = time(pd.Series(day * 86400 + g.integers(0, 86400, n)))
    return df, CollabDataLoaders.from_df(df, valid_idx=np.arange(500), time_name='time')

def test_moods_are_found():
    df, dls = moody()
    model, plain = BPMF(dls, 2, 40), BPMF(dls, 2, 40, spans=())
    assert rating_metrics(model, dls)['rmse'] < 0.4 < 0.9 < rating_metrics(plain, dls)['rmse']
    assert model.uses_times and not plain.uses_times
    nowhere, x = torch.full((500,), 99 * 86400), dls.valid.x
    for o in (nowhere, nowhere * 0 - 1): assert torch.equal(model(x, o), model(x)) # the prior's mean
    assert not torch.equal(model(x, dls.valid.times), model(x))

def test_times_reach_the_model_by_every_road(tmp_path):
    df, dls = moody()
    model, rows = BPMF(dls, 2, 40), df[:500]
    preds = model(dls.valid.x, dls.valid.times).numpy()
    learn = Learner(dls, model, metrics=rmse)
    for o in (learn.predict(rows), model.predict(rows).prediction, learn.get_preds()[0], Ensemble([model, learn])(dls.valid.x, dls.valid.times)):
        np.testing.assert_allclose(o, preds, atol=1e-6)
    assert learn.validate()[1] == pytest.approx(rating_metrics(model, dls)['rmse'], abs=1e-6) == rating_metrics(Ensemble([model]), dls)['rmse']
    np.testing.assert_allclose(model.predict(rows)['std'], model.std(dls.valid.x, dls.valid.times))
    assert (model.predict(rows, noise=True)['std'] > model.predict(rows)['std']).all()
    shuffled, rated = learn.get_preds(0)
    assert (shuffled - rated).square().mean().sqrt() < 0.35 # training rows come in a new order, with their times
    timeless = rows.drop(columns='time')
    np.testing.assert_allclose(model.predict(timeless).prediction, model(dls.valid.x)) # unknown
    res = cross_validate(df, {'day': lambda dls: BPMF(dls, 2, 40), 'none': lambda dls: BPMF(dls, 2, 40, spans=())}, {'a': np.arange(500)}, time_name='time')
    assert res.rmse[0] == pytest.approx(rating_metrics(model, dls)['rmse'], abs=0.01) and res.rmse[1] > 0.9
    learn.export(tmp_path/'all.zip')
    Learner(dls, EmbeddingDotBias.from_classes(2, dls.classes)).export(tmp_path/'rows.zip')
    again = load_learner(tmp_path/'rows.zip').dls
    assert again.time_name == 'time' and torch.equal(again.train.times, dls.train.times) and torch.equal(again.valid.times, dls.valid.times)

def test_missing_times_belong_to_no_sitting():
    df, all_known = moody()
    _, some = moody(lambda t: t.where(t % 2 == 0))
    assert (some.train.times == -1).any()
    assert len(BPMF(some, 2, 2).effect_0) <= len(BPMF(all_known, 2, 2).effect_0)
    _, none = moody(lambda t: t * np.nan)
    assert BPMF(none, 2, 2)(all_known.valid.x, all_known.valid.times).isfinite().all()

def test_cold_start():
    "Items that nobody rated, from their features"
    g = np.random.default_rng(0)
    kind = g.integers(0, 3, 60)
    df = pd.DataFrame({'user': g.integers(0, 80, 4000), 'item': g.integers(0, 60, 4000)})
    likes = g.normal(0, 1, (80, 3)) + [-0.5, 0, 0.5]
    df['rating'] = 3 + likes[df.user, kind[df.item]] + g.normal(0, 0.3, 4000)
    dls = CollabDataLoaders.from_df(df, valid_idx=np.flatnonzero(df.item < 10))
    features = one_hot_features(pd.DataFrame({'kind': kind.astype(str)}), ['kind'], dls.classes['item'])
    y = dls.valid.y.flatten()
    learn = Learner(dls, BPMF(dls, 3, 60, item_features=features))
    new = (learn.model(dls.valid.x) - y).square().mean().sqrt()
    by_kind = df[df.item >= 10].rating.groupby(kind[df.item[df.item >= 10]]).mean()
    everybody = torch.cartesian_prod(torch.arange(81), tensor([4]))
    folded = fold_in(learn, {}, is_item=True, features=features[4]) # nobody rated item 3, and here it is unknown
    torch.testing.assert_close(folded.preds(learn), learn.model(everybody), atol=5e-3, rtol=0)
    assert {*recommend(learn, 5, 20, exclude_seen=False, min_ratings=0).item} & {*range(10)}
    assert new < 0.55 and new < 0.6 * (tensor(by_kind[kind[df.item[df.item < 10]]].to_numpy()) - y).square().mean().sqrt()

# In and out

@pytest.fixture(scope='module')
def small(): return CollabDataLoaders.from_df(make_ratings(30, 40, 700, seed=3), seed=0)

@pytest.mark.parametrize('ordinal', [False, True])
def test_same_seed_same_draw(small, ordinal):
    make = lambda seed: BPMF(small, 3, 6, ordinal=ordinal, seed=seed).state_dict()
    first = make(1)
    torch.rand(3) # its generator is its own
    assert first.keys() == make(1).keys() and all(torch.equal(o, p) for o, p in zip(first.values(), make(1).values()))
    assert not torch.equal(first['user'], make(2)['user'])
    runs = []
    for seed in (0, 0, 1):
        set_seed(seed)
        runs.append(make(None)['user'])
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])

def test_saved_and_loaded(small, tmp_path):
    small = CollabDataLoaders.from_df(make_ratings(30, 40, 700, seed=3).assign(time=range(700)), seed=0, time_name='time')
    times = small.train.times
    model = BPMF(small, 3, 12, rated_features(small)[0], ordinal=True, spans=(60,))
    torch.save(model.state_dict(), tmp_path/'draws.pt')
    learn = Learner(small, model)
    learn.export(tmp_path/'whole.zip')
    learn.export(tmp_path/'bare.zip', rows=False)
    learn.save(tmp_path/'weights.zip')
    state = torch.load(tmp_path/'draws.pt', weights_only=True)
    for again in (BPMF.from_state(small, state), load_learner(tmp_path/'whole.zip').model, load_learner(tmp_path/'bare.zip').model):
        for o in ('__call__', 'std', 'draws'): assert torch.equal(*(getattr(m, o)(small.train.x, times) for m in (model, again)))
    rows = small.decode(small.valid.x).assign(time=small.valid.times.numpy())
    pd.testing.assert_frame_equal(load_learner(tmp_path/'bare.zip').model.predict(rows), model.predict(rows))
    alike = Learner(small, BPMF(small, 3, 12, rated_features(small)[0], ordinal=True, spans=(60,), seed=1)).load(tmp_path/'weights.zip')
    assert torch.equal(alike.model(small.valid.x), model(small.valid.x))
    for wrong in (BPMF(small, 3, 12), BPMF(small, 3, 12, ordinal=True, spans=(60,))):
        with pytest.raises(ValueError, match='do not fit this BPMF'): Learner(small, wrong).load(tmp_path/'weights.zip')
    with pytest.raises(ValueError, match="31 rows of users, and 6 entries"):
        BPMF.from_state(CollabDataLoaders.from_df(make_ratings(5, 40, 100), seed=0), state)

def test_a_newcomer_is_folded_in():
    df = make_ratings(30, 40, 700, seed=3)
    dls = CollabDataLoaders.from_df(df, seed=0)
    kinds = torch.randn(41, 2, generator=rng(0))
    learn = Learner(dls, BPMF(dls, 3, 30, item_features=[rated_features(dls)[1], kinds]))
    model = learn.model
    rated, stars = tensor([3, 9, 17]), tensor([5., 1., 4.])
    vectors = model.fold_in(rated, stars)
    for s in (0, 11): # least squares: a row per rating, and the prior's rows
        v, prior = model.item[rated, s].double(), model.user_precision[0, s].double()
        root, sd = torch.linalg.cholesky(prior).T, model.common_noise[0, s].double()
        A = torch.cat([torch.cat([v[:, :-1], torch.ones(3, 1)], 1) / sd, root])
        y = torch.cat([((stars - model.mean) / model.unit - v[:, -1]) / sd, root @ model.user_mean[0, s].double()])
        torch.testing.assert_close(vectors[s].double(), torch.linalg.lstsq(A, y).solution, atol=1e-4, rtol=1e-3)
    profile = fold_in(learn, {3: 5., 9: 1., 17: 4.})
    assert '3 factors' in repr(profile) and torch.equal(profile.preds(learn), model.score_newcomer(vectors))
    listed = recommend(learn, profile, n=5)
    assert not {3, 9, 17} & {*listed.item} and listed.equals(recommend(learn, {3: 5., 9: 1., 17: 4.}, n=5))
    one = (model.item[listed.item.to_numpy()[0]].float(), vectors)
    scores = (one[0][:, :-1] * one[1][:, :-1]).sum(1) + one[0][:, -1] + one[1][:, -1]
    assert listed.prediction.iloc[0] == pytest.approx((model.mean + model.unit * scores).clamp(1, 5).mean().item(), abs=1e-4)
    known = df[df.user == 7]
    again = fold_in(learn, known[['item', 'rating']]).preds(learn)
    assert np.corrcoef(again[1:], model(torch.cartesian_prod(tensor([7]), torch.arange(1, 41))))[0, 1] > 0.8
    with pytest.raises(ValueError, match='block 0 of features has 30 numbers; the model was trained on 31 of items'): fold_in(learn, {}, is_item=True, features=[torch.zeros(30), kinds[0]])
    with pytest.raises(ValueError, match='block 0 of features has 2 numbers; the model was trained on 0 of users'): fold_in(learn, {}, features=kinds[0])
    with pytest.raises(ValueError, match='ordinal=True folds nobody in'): fold_in(Learner(dls, BPMF(dls, 2, 4, ordinal=True)), {3: 5})

def test_it_is_a_model_like_the_others(small):
    df = make_ratings(30, 40, 700, seed=3)
    make = lambda dls: BPMF(dls, 3, 30, rated_features(dls)[0], rated_features(dls)[1])
    res = cross_validate(df, {'bpmf': make, 'biases': Biases}, {'a': random_split(df)}, metrics=(rating_metrics, ranking_metrics))
    assert res.rmse[0] < res.rmse[1] and res.notna().all().all()
    model, x = make(small), small.valid.x
    torch.testing.assert_close(score_all(model, tensor([3]), 41)[0, 1:3], model(tensor([[3, 1], [3, 2]])))
    assert not set(recommend(Learner(small, model), 3)['item']) & set(small.train.x[small.train.x[:, 0] == 3, 1].tolist())
    many = x.repeat(2**13 // len(x) + 1, 1)
    torch.testing.assert_close(model(many)[-len(x):], model(x))
    assert model(x[:0]).shape == (0,) and not list(model.parameters()) and not model(x).requires_grad

def test_draws_are_bounded_and_spread_over_the_sweeps(small):
    assert BPMF(small, 3, 40, n_draws=7).user.shape == (31, 7, 4) and BPMF(small, 3, 4, burn_in=0).user.shape[1] == 4
    every, some = BPMF(small, 3, 10, burn_in=4), BPMF(small, 3, 10, burn_in=4, n_draws=2)
    assert torch.equal(every.user[:, [0, -1]], some.user) and some.user.dtype == torch.float16

def test_scale_of_the_ratings_does_not_matter():
    df = make_ratings(30, 40, 700, seed=3)
    dls, other = (CollabDataLoaders.from_df(df.assign(rating=r), seed=0) for r in (df.rating, df.rating * 10 + 7))
    a, b = (BPMF(o, 3, 6)(o.valid.x) for o in (dls, other))
    torch.testing.assert_close(a * 10 + 7, b, atol=0.1, rtol=0)
    same = CollabDataLoaders.from_df(df.assign(rating=4.), seed=0)
    assert (BPMF(same, 3, 6)(same.valid.x) == 4).all()

@pytest.mark.parametrize('kwargs', [dict(n_factors=0), dict(user_noise=False), dict(n_sweeps=1)])
def test_edges(small, kwargs):
    m = BPMF(small, **{'n_factors': 2, 'n_sweeps': 20, **kwargs})
    assert m(small.valid.x).isfinite().all() and m(tensor([[0, 0], [0, 3], [3, 0]])).isfinite().all() # 0: unknown

def test_features(small):
    users, items = rated_features(small)
    x, y = small.train.x.long().T
    assert users[x[0], y[0]] > 0 and (users > 0).sum() == (items > 0).sum() == len(set(zip(x.tolist(), y.tolist()))) # no validation row
    torch.testing.assert_close(users.square().sum(1)[1:], torch.ones(30))
    table = pd.DataFrame({'age': [0.5, 0.1], 'job': ['cook', 'clown'], 'more': [1, 2]}, index=[12, 11])
    f = one_hot_features(table, ['age', 'job'], CategoryMap([11, 12, 13]))
    assert f.tolist() == tensor([[0, 0, 0], [0.1, 1, 0], [0.5, 0, 1], [0, 0, 0]]).tolist() and f.dtype == torch.float32
    one = BPMF(small, 2, 3, users, [items])
    assert torch.equal(one.user, BPMF(small, 2, 3, [users], items).user)

@pytest.mark.parametrize('kwargs, message', [
    (dict(n_factors=-1), 'n_factors=-1'), (dict(n_sweeps=2.5), 'n_sweeps=2.5'), (dict(n_draws=0), 'n_draws=0'), (dict(burn_in=150), 'burn_in=150: forget fewer'),
    (dict(user_features=torch.zeros(3, 2)), "3 rows of features, and 31 entries in dls.classes\\['user'\\]"),
    (dict(item_features=[torch.zeros(41, 2), torch.zeros(40, 2)]), "40 rows of features, and 41"),
])
def test_refusals(small, kwargs, message):
    with pytest.raises(ValueError, match=message): BPMF(small, **kwargs)

def test_refusals_of_features_and_of_times(small):
    with pytest.raises(ValueError, match="'a' has several rows"): one_hot_features(pd.DataFrame({'x': [1, 2]}, index=['a', 'a']), ['x'], CategoryMap(['a']))
    with pytest.raises(ValueError, match='1 pairs and 2 times'): BPMF(small, 2, 2)(small.valid.x[:1], torch.zeros(2))
