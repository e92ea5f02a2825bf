"""Retrieval by blocks against a sort of all scores, and the file that other servers read."""
import numpy as np
import pytest

from collab_course.all import *

@pytest.mark.parametrize('n_items, n, bs', [(1, 1, 1), (100, 7, 3), (100, 7, 1000), (64, 64, 16), (50, 80, 7), (33, 1, 32)])
def test_the_best_of_all(n_items, n, bs):
    g = torch.Generator().manual_seed(n_items)
    users, items = torch.randn(5, 4, generator=g, dtype=torch.float64), torch.randn(n_items, 4, generator=g, dtype=torch.float64)
    every = users @ items.t()
    scores, at = best_items(users, items, n, bs)
    order = every.argsort(dim=1, descending=True)[:, :n]
    assert torch.equal(at, order)
    torch.testing.assert_close(scores, every.gather(1, order))

@pytest.fixture
def made():
    df = make_ratings(20, 15, 150, seed=1)
    return df, {kind: CollabDataLoaders.from_df(df.astype({'user': kind, 'item': kind}), seed=0) for kind in (str, int)}

@pytest.mark.parametrize('kind', [str, int])
@pytest.mark.parametrize('make', [lambda dls: Learner(dls, IALS(dls, 5)), lambda dls: collab_learner(dls, 5, y_range=(0, 5.5)), lambda dls: collab_learner(dls, 5)])
def test_the_file_gives_the_same_lists(made, kind, make, tmp_path):
    dls = made[1][kind]
    set_seed(0)
    learn = make(dls)
    for p in learn.model.parameters(): nn.init.normal_(p) # biases, too
    with np.load(export_vectors(learn, tmp_path/'it.npz'), allow_pickle=False) as f: parts = {k: f[k] for k in f}
    assert parts['item_vectors'].dtype == np.float32 and parts['items'].tolist() == dls.classes['item'].items[1:]
    assert all(np.isfinite(parts[f'{o}_vectors']).all() for o in ('user', 'item'))
    for row, user in enumerate(parts['users'].tolist()):
        scores = parts['item_vectors'] @ parts['user_vectors'][row]
        mine = recommend(learn, user, n=15, min_ratings=0, exclude_seen=False)
        assert parts['items'][np.argsort(-scores)].tolist() == [*mine['item']], user

def test_refusals(made, tmp_path):
    df, dls = made
    for model in (EASE(dls[int]), collab_learner(dls[int], use_nn=True).model):
        with pytest.raises(TypeError, match='has no vectors.*IALS'): export_vectors(Learner(dls[int], model), tmp_path/'it.npz')
    mixed = CollabDataLoaders.from_df(df.assign(user=[str(o) if o < 5 else o for o in df.user]), seed=0)
    with pytest.raises(ValueError, match=r"column 'user'.*astype\(str\)"): export_vectors(collab_learner(mixed), tmp_path/'it.npz')
    with pytest.raises(FileNotFoundError): export_vectors(collab_learner(dls[int]), tmp_path/'none'/'it.npz')
    assert not [*tmp_path.iterdir()]
    with pytest.raises(ValueError, match='n=0'): best_items(torch.ones(1, 2), torch.ones(3, 2), n=0)
