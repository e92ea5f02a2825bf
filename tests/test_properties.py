"""What must hold whatever the data, tried on data that hypothesis makes up."""
import math

import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st

from collab_course.all import *

settings.register_profile('course', max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile('course')

finite = st.floats(-1e3, 1e3, width=32)
sizes = st.integers(1, 12)
seeds = st.integers(0, 2**31)

# Ids. Equal ones of different types, such as 1 and True, are one id to pandas and to a dict; NaN, None and '#na#' are none.

simple = st.one_of(st.integers(-2**70, 2**70), st.text(), st.binary(), st.booleans(), st.dates(), st.complex_numbers(allow_nan=False), st.floats(allow_nan=False),
                   st.fractions(), st.uuids(), st.just(''), st.sampled_from(['1', 1, 1.5, '#na', 'na', ' ']))
ids = st.one_of(simple, st.tuples(simple), st.tuples(simple, simple), st.frozensets(st.integers(), max_size=3))
columns = st.one_of(*(st.lists(o, min_size=1, max_size=30) for o in (ids, st.integers(-2**63, 2**63 - 1), st.text(), st.tuples(st.integers(), st.text()), st.datetimes(min_value=pd.Timestamp('1700-01-01').to_pydatetime(), max_value=pd.Timestamp('2200-01-01').to_pydatetime()))))

def as_column(vals):
    "`vals` as pandas keeps them, one by one"
    col = pd.Series(np.empty(len(vals)), dtype=object)
    for i, o in enumerate(vals): col.iat[i] = o
    return col

@settings(max_examples=300)
@given(columns)
def test_category_map_round_trips(vals):
    vals = [o for o in vals if not (isinstance(o, str) and o == '#na#')]
    assume(vals)
    c, col = CategoryMap(as_column(vals)), as_column(vals)
    code = c.encode(col)
    assert c[code] == vals and code.min() > 0
    assert len(c) == 1 + len(set(vals)) and c[0] == '#na#'
    assert all(c.o2i[o] == i for o, i in zip(vals, code.tolist()))
    assert CategoryMap(as_column(vals[::-1])).o2i == c.o2i or any(isinstance(o, (frozenset, complex, tuple)) for o in vals) or len({type(o) for o in vals}) > 1

@given(st.lists(st.integers(0, 50), min_size=1), st.lists(st.integers(0, 99)))
def test_unknown_ids_are_zero(known, asked):
    code = CategoryMap(known).encode(asked).tolist()
    assert [o in known for o in asked] == [o > 0 for o in code]

# Rows

frames = st.builds(lambda n, seed: make_ratings(30, 30, n, seed=seed), st.integers(2, 300), st.integers(0, 1_000))

@given(frames, st.floats(0.01, 0.99), seeds, st.integers(1, 400))
def test_split_is_disjoint_and_complete(df, valid_pct, seed, bs):
    assume(int(valid_pct * len(df)))
    dls = CollabDataLoaders.from_df(df, valid_pct, seed=seed, bs=bs)
    back = pd.concat([dls.decode(dl.x, dl.y) for dl in dls])
    assert len(dls.valid.x) == int(valid_pct * len(df)) and len(dls.train.x) + len(dls.valid.x) == len(df)
    both = [o.sort_values(['user', 'item']).to_numpy().tolist() for o in (back, df)]
    assert both[0] == both[1]

@given(st.integers(1, 300), st.integers(1, 350), st.booleans(), st.booleans(), seeds)
def test_epoch_is_a_permutation(n, bs, shuffle, drop_last, seed):
    set_seed(seed)
    y = torch.arange(n)[:, None]
    dl = RatingDataLoader(torch.cat([y, -y], dim=1).int(), y, bs, shuffle, drop_last)
    batches = list(dl)
    rows = torch.cat([yb for _, yb in batches]).flatten()
    assert len(batches) == len(dl) and all(len(yb) == bs for _, yb in batches[:-1])
    assert all((xb == torch.cat([yb, -yb], dim=1)).all() for xb, yb in batches)
    assert len(rows) == (n // bs * bs if drop_last and n >= bs else n) and len(rows.unique()) == len(rows)
    if not shuffle: assert rows.tolist() == list(range(len(rows)))

@settings(max_examples=15)
@given(frames, seeds, st.integers(1, 100))
def test_batch_size_and_order_change_no_total(df, seed, val_bs):
    dls = [CollabDataLoaders.from_df(o, valid_idx=v, val_bs=bs) for o, v, bs in (
        (df, range(len(df) // 2), 4096), (df.iloc[::-1], range(len(df) - len(df) // 2, len(df)), val_bs))] if len(df) > 3 else []
    assume(dls and all(len(a) == len(b) for a, b in zip(dls[0].classes.values(), dls[1].classes.values())))
    set_seed(seed)
    model = DotProductBias(*(len(c) for c in dls[0].classes.values()), 3)
    one, two = (Learner(o, model, metrics=[rmse, mae]).validate() for o in dls)
    assert list(one) == pytest.approx(list(two), rel=1e-5)

@given(st.lists(st.tuples(finite, finite), min_size=1))
def test_metrics_agree_with_brute_force(pairs):
    pred, targ = torch.tensor(pairs, dtype=torch.float64).T
    off = [p - t for p, t in pairs]
    want = [math.sqrt(sum(o * o for o in off) / len(off)), sum(map(abs, off)) / len(off)]
    got = [rmse(pred, targ[:, None]).item(), mae(pred, targ).item()]
    assert got == pytest.approx(want) and 0 <= got[1] <= got[0] + 1e-9
    assert MSELossFlat()(pred[:, None], targ).item() == pytest.approx(want[0]**2)

# Models

MODELS = {
    'DotProduct': lambda: DotProduct(4, 5, 3), 'DotProduct, y_range': lambda: DotProduct(4, 5, 3, y_range=(0, 5.5)), 'DotProductBias': lambda: DotProductBias(4, 5, 3),
    'DotProductParams': lambda: DotProductParams(4, 5, 3), 'EmbeddingDotBias': lambda: EmbeddingDotBias(3, 4, 5), 'EmbeddingDotBias, y_range': lambda: EmbeddingDotBias(3, 4, 5, (0, 5.5)),
    'CollabNN': lambda: CollabNN((4, 3), (5, 2), n_act=6), 'EmbeddingNN': lambda: EmbeddingNN([(4, 3), (5, 2)], [6, 4], y_range=(0, 5.5)),
    'EmbeddingNN, no normalisation': lambda: EmbeddingNN([(4, 3), (5, 2)], [6], use_bn=False),
}

@pytest.mark.parametrize('name', MODELS)
def test_gradients(name):
    "The gradient of every parameter is the slope of the prediction, in double precision"
    set_seed(3)
    model = MODELS[name]().double()
    for p in model.parameters(): p.data = torch.randn_like(p) # larger than models start, so that mistakes show
    names, params = zip(*model.named_parameters())
    x = tensor([[1, 2], [3, 4], [1, 4], [0, 0], [2, 1], [3, 2]])
    assert torch.autograd.gradcheck(lambda *ps: torch.func.functional_call(model, dict(zip(names, ps)), (x,)), params)

@pytest.mark.parametrize('cls, bias', [(DotProduct, False), (DotProductBias, True), (DotProductParams, True), (EmbeddingDotBias, True)])
def test_formula(cls, bias):
    "Factors multiplied and summed, plus both biases, squeezed into the range: in plain Python from the model's own numbers"
    set_seed(3)
    model = cls(3, 4, 5, y_range=(0.5, 5)) if cls is EmbeddingDotBias else cls(4, 5, 3, y_range=(0.5, 5))
    for p in model.parameters(): p.data = torch.randn_like(p)
    of = {k.removesuffix('.weight').replace('u_', 'user_').replace('i_', 'movie_').replace('weight', 'factors'): p.tolist() for k, p in model.named_parameters()}
    def number(o): return o[0] if isinstance(o, list) else o
    for u, m in ((0, 0), (3, 4), (2, 1)):
        score = sum(a * b for a, b in zip(of['user_factors'][u], of['movie_factors'][m]))
        if bias: score += number(of['user_bias'][u]) + number(of['movie_bias'][m])
        assert model(tensor([[u, m]])).item() == pytest.approx(0.5 + 4.5 / (1 + math.exp(-score)), abs=1e-5)

@pytest.mark.parametrize('name', MODELS)
def test_prediction_is_the_row_s_own(name):
    "Other rows of the batch, and their order, change nothing"
    set_seed(0)
    model = MODELS[name]().eval()
    x = torch.cartesian_prod(torch.arange(4), torch.arange(5))
    order = torch.randperm(20)
    whole = model(x).flatten()
    assert torch.allclose(model(x[order]).flatten(), whole[order], atol=1e-6)
    assert torch.allclose(torch.stack([model(o[None]).flatten()[0] for o in x]), whole, atol=1e-6)

@given(sizes, sizes, seeds, st.data())
def test_one_hot_product_is_lookup(n, k, seed, draw):
    i = draw.draw(st.integers(0, n - 1))
    w = torch.randn(n, k, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(one_hot(i, n).float() @ w, w[i])
    assert one_hot(i, n).sum() == 1 and one_hot(range(n), n).tolist() == [1] * n

@given(st.lists(st.floats(-50, 50, width=32), min_size=1), finite, finite)
def test_sigmoid_range_keeps_its_bounds(xs, lo, hi):
    assume(lo + 0.01 < hi)
    x = torch.tensor(xs, dtype=torch.float64)
    y = sigmoid_range(x, lo, hi)
    rounding = 4 * torch.finfo(y.dtype).eps * max(abs(lo), abs(hi))
    assert ((y >= lo - rounding) & (y <= hi + rounding)).all()
    assert (y[x.argsort()].diff() >= 0).all()
    assert sigmoid_range(torch.zeros(1).double(), lo, hi).item() == pytest.approx((lo + hi) / 2, abs=1e-6)
    assert torch.allclose(sigmoid_range(-x, lo, hi), lo + hi - y)

@given(st.integers(1, 50), st.integers(1, 8), st.floats(0.001, 3))
def test_embedding_is_cut_at_two_standard_deviations(ni, nf, std):
    w = Embedding(ni, nf, std).weight
    assert w.shape == (ni, nf) and w.abs().max() <= 2 * std * (1 + 1e-6)

@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_embedding_size_grows_to_600(a, b):
    a, b = sorted((a, b))
    assert 1 <= emb_sz_rule(a) <= emb_sz_rule(b) <= 600

# Training

@given(st.integers(1, 300), st.floats(1e-6, 1), st.floats(1e-6, 1), st.floats(1e-6, 1), st.floats(0.05, 0.95))
def test_one_cycle_has_its_ends_and_bounds(n, start, mid, end, pct_start):
    v = one_cycle(n, start, mid, end, pct_start)
    assert len(v) == n and v[0] == pytest.approx(start)
    assert (v >= min(start, mid, end) - 1e-9).all() and (v <= max(start, mid, end) + 1e-9).all()
    turn = math.ceil(n * pct_start)
    for part, rises in ((v[:turn], mid >= start), (v[turn:], end >= mid)): assert (np.diff(part) * (1 if rises else -1) >= -1e-12).all()
    fine = one_cycle(10_000, start, mid, end, pct_start)
    assert fine[-1] == pytest.approx(end, abs=1e-4) and np.abs(fine - mid).min() < 1e-3

@given(st.lists(st.floats(0, 100), min_size=2, max_size=60))
def test_valley_is_one_of_the_rates(losses):
    lrs = np.geomspace(1e-7, 10, len(losses))
    assert valley(lrs, losses) in lrs

@given(st.lists(st.integers(0, 8), min_size=1, max_size=9))
def test_valley_goes_down_the_longest_series(losses):
    "Against every subset of the losses"
    def falls(mask):
        kept = [o for i, o in enumerate(losses) if mask >> i & 1]
        return all(a > b for a, b in zip(kept, kept[1:])) * len(kept)
    longest = max(map(falls, range(1, 2**len(losses))))
    ends = [i for i in range(len(losses)) if any(falls(m) == longest and m.bit_length() == i + 1 for m in range(1, 2**len(losses)))]
    lrs = list(range(len(losses)))
    assert valley(lrs, losses) == ends[0] - longest // 2

@given(st.lists(finite, min_size=1), st.floats(0, 0.99))
def test_smooth_stays_within_what_it_has_seen(losses, beta):
    got = smooth(losses, beta)
    assert len(got) == len(losses) and got[0] == pytest.approx(losses[0])
    for i, o in enumerate(got): assert min(losses[:i + 1]) - 1e-3 <= o <= max(losses[:i + 1]) + 1e-3

# Reading a model

def test_nearest_among_a_few(dls):
    names, n = dls.classes['title'], len(dls.classes['title'])
    factors = torch.randn(n, 4, generator=torch.Generator().manual_seed(0))
    res = nearest(names[5], factors, names, n=2, among=[names[5], names[9], names[11], names[12]])
    assert len(res) == 2 and set(res.index) < {names[9], names[11], names[12]} and res.iloc[0] >= res.iloc[1]

@given(st.integers(2, 30), st.integers(1, 6), seeds, st.sampled_from(['cosine', 'dot', 'euclidean']), st.integers(1, 30))
def test_nearest_agrees_with_brute_force(n_items, n_factors, seed, by, n):
    f = torch.randn(n_items + 1, n_factors, generator=torch.Generator().manual_seed(seed)).double()
    classes = CategoryMap([f'item {i:02}' for i in range(n_items)])
    def score(a, b): return {'cosine': lambda: -sum(a * b) / (sum(a * a) * sum(b * b))**0.5, 'dot': lambda: -sum(a * b), 'euclidean': lambda: sum((a - b)**2)**0.5}[by]().item()
    want = sorted((score(f[i], f[1]), classes[i]) for i in range(2, n_items + 1))[:n]
    got = nearest('item 00', f, classes, n, by)
    assert list(got.index) == [o for _, o in want]
    assert np.abs(got.to_numpy(dtype=float)) == pytest.approx(np.abs([o for o, _ in want]), abs=1e-6)

@given(st.integers(3, 30), st.integers(2, 8), seeds, st.data())
def test_pca_agrees_with_numpy(n, d, seed, draw):
    k = draw.draw(st.integers(1, min(n - 1, d)))
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(seed)).double()
    u, s, vt = np.linalg.svd(x.numpy() - x.numpy().mean(0), full_matrices=False)
    signs = np.sign(vt[np.arange(len(vt)), np.abs(vt).argmax(1)])
    got = x.pca(k)
    assert got.numpy() == pytest.approx((u * s * signs)[:, :k], abs=1e-8)
    assert got.mean(0).abs().max() < 1e-9 and (got.var(0).diff() <= 1e-9).all()

@settings(max_examples=30)
@given(frames, st.integers(1, 8), st.integers(1, 8))
def test_crosstab_agrees_with_a_loop(df, n_users, n_items):
    got = crosstab(df, n_users, n_items, item_name='item')
    counts = [df[o].value_counts() for o in ('user', 'item')]
    assert list(got.index) == list(counts[0].index[:n_users]) and list(got.columns) == list(counts[1].index[:n_items])
    ratings = {(u, i): r for u, i, r in df.itertuples(index=False)}
    for u in got.index:
        for i in got.columns:
            if (u, i) in ratings: assert got.loc[u, i] == ratings[u, i]
            else: assert np.isnan(got.loc[u, i])

@given(sizes, sizes, sizes, seeds)
def test_crosstab_predict_agrees_with_a_loop(n_users, n_items, k, seed):
    p = crosstab_params(n_users, n_items, k, seed, std=1)
    p['u_bias'], p['i_bias'], p['bias'] = p['u_factors'][:, 0] * 2, p['i_factors'][:, 0] * 3, torch.tensor([3.])
    got = crosstab_predict(p)
    for u in range(n_users):
        for i in range(n_items):
            want = 3. + p['u_bias'][u] + p['i_bias'][i] + sum(p['u_factors'][u, f] * p['i_factors'][i, f] for f in range(k))
            assert got[u, i].item() == pytest.approx(want.item(), abs=1e-4)

@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.01, 1), seeds)
def test_made_up_ratings_are_what_was_asked_for(n_users, n_items, share, seed):
    n = max(1, int(share * n_users * n_items))
    df = make_ratings(n_users, n_items, n, seed=seed)
    assert len(df) == n and not df.duplicated(['user', 'item']).any()
    assert df.user.between(1, n_users).all() and df.item.between(1, n_items).all() and df.rating.isin(np.arange(1, 5.5, 0.5)).all()
