"""A notebook written for fastai's collaborative filtering lesson runs on `from collab_course.all import *` alone."""
import inspect

import pytest

from collab_course.all import *

def test_from_the_archive_to_the_batches():
    path = untar_data(URLs.ML_100k)
    assert 'u.data' in path.ls().attrgot('name')
    ratings = pd.read_csv(path/'u.data', delimiter='\t', header=None, names=['user', 'movie', 'rating', 'timestamp'])
    movies = pd.read_csv(path/'u.item', delimiter='|', encoding='latin-1', usecols=(0, 1), names=('movie', 'title'), header=None)
    ratings = ratings.merge(movies)
    dls = CollabDataLoaders.from_df(ratings, item_name='title', bs=64)
    dls.show_batch()
    assert (len(dls.classes['user']), len(dls.classes['title'])) == (944, 1665)
    assert dls.classes['title'][0] == '#na#'
    x, y = dls.one_batch()
    assert (x.shape, x.dtype, y.shape) == ((64, 2), torch.int64, (64, 1))
    assert get_emb_sz(dls) == [(944, 74), (1665, 102)]

def test_lookup_as_a_product():
    factors = torch.randn(944, 5)
    one_hot_3 = one_hot(3, 944).float()
    test_close(factors.t() @ one_hot_3, factors[3])

def test_models_written_in_the_notebook(dls):
    class Model(Module):
        def __init__(self, user_sz, item_sz, y_range=(0, 5.5), n_act=100):
            self.user_factors = Embedding(*user_sz)
            self.item_factors = Embedding(*item_sz)
            self.layers = nn.Sequential(nn.Linear(user_sz[1] + item_sz[1], n_act), nn.ReLU(), nn.Linear(n_act, 1))
            self.y_range = y_range
        def forward(self, x):
            embs = self.user_factors(x[:, 0]), self.item_factors(x[:, 1])
            return sigmoid_range(self.layers(torch.cat(embs, dim=1)), *self.y_range)
    learn = Learner(dls, Model(*get_emb_sz(dls)), loss_func=MSELossFlat())
    learn.fit_one_cycle(1, 5e-3, wd=0.01)
    assert learn.recorder.values[0][1] < 1.05

def test_parameters_are_what_nn_parameter_registers():
    class T(Module):
        def __init__(self, a): self.a = a
    assert L(T(torch.ones(3)).parameters()) == []
    assert len(L(T(nn.Parameter(torch.ones(3))).parameters())) == 1
    assert len(L(T(nn.Linear(1, 3, bias=False)).parameters())) == 1
    assert create_params([3, 2]).shape == (3, 2)

def test_interpretation(ratings, dls):
    set_seed(42)
    learn = collab_learner(dls, n_factors=50, y_range=(0, 5.5))
    assert isinstance(learn.lr_find().valley, float)
    learn.fit_one_cycle(2, 5e-3, wd=0.1)
    movie_bias = learn.model.i_bias.weight.squeeze()
    best = [dls.classes['title'][i] for i in movie_bias.argsort(descending=True)[:20]]
    assert "Schindler's List (1993)" in best
    top_movies = ratings.groupby('title')['rating'].count().sort_values(ascending=False).index.values[:1000]
    top_idxs = tensor([learn.dls.classes['title'].o2i[m] for m in top_movies])
    movie_w = learn.model.i_weight.weight[top_idxs].cpu().detach()
    fac0, fac1, fac2 = movie_w.pca(3).t()
    assert fac0.var() >= fac1.var() >= fac2.var()
    test_close(learn.model.bias(top_movies, is_item=True), movie_bias[top_idxs].detach())
    test_close(learn.model.weight(top_movies, is_item=True), movie_w)
    movie_factors = learn.model.i_weight.weight
    idx = dls.classes['title'].o2i['Silence of the Lambs, The (1991)']
    distances = nn.CosineSimilarity(dim=1)(movie_factors, movie_factors[idx][None])
    assert distances.argsort(descending=True)[0] == idx

def test_embedding_nn_in_two_lines(dls):
    @delegates(TabularModel)
    class Net(TabularModel):
        def __init__(self, emb_szs, layers, **kwargs): super().__init__(emb_szs, layers=layers, n_cont=0, out_sz=1, **kwargs)
    assert 'y_range' in inspect.signature(Net).parameters
    x, _ = dls.one_batch()
    assert Net(get_emb_sz(dls), [10], y_range=(0, 5.5))(x).shape == (64, 1)
    learn = collab_learner(dls, use_nn=True, y_range=(0, 5.5), layers=[100, 50])
    assert isinstance(learn.model, EmbeddingNN)

# Callbacks that other notebooks for fastai use; what else they call is a kind of its own in test_input.py

def quiet(learn, *args, **kwargs):
    with learn.no_logging(), learn.no_bar(): learn.fit_one_cycle(*args, **kwargs)
    return learn

@pytest.fixture(scope='module')
def small(): return CollabDataLoaders.from_df(make_ratings(30, 40, 800, seed=3), seed=3)

def learner(dls): return collab_learner(dls, y_range=(0, 5.5))

def test_early_stopping(small):
    losses = [3., 2., 2.5, 1.9, 2.1, 2.2, 1.]
    class Say(Callback):
        def after_epoch(self): self.learn.recorder.values[-1][1] = losses[self.learn.epoch]
    for patience, epochs in ((1, 3), (2, 6), (3, 7)):
        assert len(quiet(learner(small), 7, cbs=[Say(), EarlyStoppingCallback(patience=patience)]).recorder.values) == epochs
    assert len(quiet(learner(small), 7, cbs=[Say(), EarlyStoppingCallback(min_delta=1.5)]).recorder.values) == 2

def test_the_best_epoch_is_put_back(small, tmp_path):
    kept = []
    class Keep(Callback):
        def after_epoch(self): kept.append(self.learn.get_preds()[0])
    learn = quiet(learner(small), 20, 0.2, wd=0., cbs=[Keep(), SaveModelCallback(fname=tmp_path/'best')])
    losses = learn.recorder.values.itemgot(1)
    assert np.argmin(losses) < 19
    assert torch.equal(learn.get_preds()[0], kept[int(np.argmin(losses))])
