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

# What other notebooks for fastai call: it works, or a message names what to use instead

def quiet(learn, *args, method='fit_one_cycle', **kwargs):
    with learn.no_logging(), learn.no_bar(): getattr(learn, method)(*args, **kwargs)
    return learn

@pytest.fixture(scope='module')
def small(): return CollabDataLoaders.from_df(make_ratings(30, 40, 800, seed=3), seed=3)

def tried(dls, **kwargs): return quiet(collab_learner(dls, y_range=(0, 5.5), **kwargs), 1, 0.05)

WORKS = {
    'emb_szs by column': lambda dls: [e.weight.shape[1] for e in collab_learner(dls, use_nn=True, emb_szs={'item': 7}).model.embeds] == [emb_sz_rule(31), 7],
    'config=tabular_config(...)': lambda dls: isinstance(collab_learner(dls, use_nn=True, config=tabular_config(ps=[0.1], embed_p=0.05)).model.layers[3], nn.Dropout),
    'y_range in config': lambda dls: collab_learner(dls, use_nn=True, config=tabular_config(y_range=(0, 5.5))).model.layers[-1].hi == 5.5,
    'loss_func=L1LossFlat()': lambda dls: float(tried(dls, loss_func=L1LossFlat()).validate()[0]) < 1.2,
    'metrics=partial(...)': lambda dls: tried(dls, metrics=partial(rmse)).recorder.metric_names[3] == 'rmse',
    'fit_flat_cos': lambda dls: np.array(quiet(collab_learner(dls), 4, 0.1, method='fit_flat_cos').recorder.lrs)[[0, 29, 35]].tolist() == pytest.approx([0.1, 0.1, 0.05], rel=1e-4),
    'dls.device, dls.bs, dls.one_batch()': lambda dls: (dls.device, dls.bs, len(dls.one_batch())) == (torch.device('cpu'), 64, 2),
    'learn.dls.valid, learn.dls[1]': lambda dls: dls.valid is dls[1],
    'learn.recorder.metric_names': lambda dls: list(tried(dls).recorder.metric_names) == ['epoch', 'train_loss', 'valid_loss', 'time'],
    'get_preds(ds_idx=0)': lambda dls: torch.equal(collab_learner(dls).get_preds(ds_idx=0)[1], dls.train.y.flatten()),
    'validate(ds_idx=0)': lambda dls: collab_learner(dls, metrics=lambda p, y: len(p)).validate(ds_idx=0)[1] == dls.train.n,
}

@pytest.mark.parametrize('call', WORKS)
def test_fastai_call_works(call, small): assert WORKS[call](small)

class Elsewhere: pass
Elsewhere.__module__, Elsewhere.__qualname__ = 'fastai.collab', 'CollabDataLoaders'

def learner(dls): return collab_learner(dls, y_range=(0, 5.5))

REFUSED = [
    ("from_df(path=...)", lambda dls: CollabDataLoaders.from_df(make_ratings(), path='.'), 'no argument path: .*from_csv takes the path'),
    ("from_df(shuffle=...)", lambda dls: CollabDataLoaders.from_df(make_ratings(), shuffle=True), 'shuffle_train'),
    ("from_df(num_workers=...)", lambda dls: CollabDataLoaders.from_df(make_ratings(), num_workers=0), 'no argument num_workers: batches are cut from memory'),
    ("from_df(weight_name=...)", lambda dls: CollabDataLoaders.from_df(make_ratings(), weight_name='w'), 'ratings have no weights'),
    ("collab_learner(path=...)", lambda dls: collab_learner(dls, path='.'), "no argument path: learn.save and learn.export take a file's whole path"),
    ("collab_learner(splitter=...)", lambda dls: collab_learner(dls, splitter=0), 'no argument splitter: .*requires_grad_'),
    ("collab_learner(loaders of fastai)", lambda dls: collab_learner(Elsewhere()), 'dls is a fastai.collab.CollabDataLoaders: .*from_df'),
    ("Learner(loaders of fastai)", lambda dls: Learner(Elsewhere(), nn.Linear(2, 1)), 'dls is a fastai.collab.CollabDataLoaders: .*from_df'),
    ("config=tabular_config(bn_final=...)", lambda dls: collab_learner(dls, use_nn=True, config=tabular_config(bn_final=True)), 'no argument bn_final: the last layer'),
    ("act_cls=nn.ReLU()", lambda dls: collab_learner(dls, use_nn=True, config=tabular_config(act_cls=nn.ReLU())), 'give the class, such as nn.ReLU'),
    ("emb_szs for another column", lambda dls: collab_learner(dls, use_nn=True, emb_szs={'film': 7}), r"the columns are \['user', 'item'\]"),
    ("n_factors beside layers", lambda dls: collab_learner(dls, 30, use_nn=True, layers=[100]), 'n_factors=30 has no effect beside layers'),
    ("bs=1 and a network", lambda dls: collab_learner(CollabDataLoaders.from_df(make_ratings(), bs=1), use_nn=True), 'bs=1: the network normalises'),
    ("freeze()", lambda dls: learner(dls).freeze(), 'nothing here was trained before'),
    ("unfreeze()", lambda dls: learner(dls).unfreeze(), 'fit_one_cycle trains all of it'),
    ("fine_tune(1)", lambda dls: learner(dls).fine_tune(1), 'fit_one_cycle'),
    ("fit_sgdr(1, 1)", lambda dls: learner(dls).fit_sgdr(1, 1), 'fit_one_cycle'),
    ("summary()", lambda dls: learner(dls).summary(), r'print\(learn.model\)'),
    ("learn.path", lambda dls: learner(dls).path, "take a file's whole path"),
    ("add_cb(...)", lambda dls: learner(dls).add_cb(0), 'learn.cbs is the list'),
    ("to_fp16()", lambda dls: learner(dls).to_fp16(), 'train in float32'),
    ("lr_find(suggest_funcs=...)", lambda dls: learner(dls).lr_find(suggest_funcs=()), 'the valley is suggested'),
    ("fit(reset_opt=True)", lambda dls: learner(dls).fit(1, reset_opt=True), 'learn.create_opt'),
    ("get_preds(with_decoded=True)", lambda dls: learner(dls).get_preds(with_decoded=True), 'predictions are ratings already'),
    ("get_preds(with_input=True)", lambda dls: learner(dls).get_preds(with_input=True), 'dls.decode'),
    ("get_preds(with_loss=True)", lambda dls: learner(dls).get_preds(with_loss=True), 'F.mse_loss'),
    ("predict(with_input=True)", lambda dls: learner(dls).predict({}, with_input=True), 'keep their index'),
    ("show_results(ds_idx=0)", lambda dls: learner(dls).show_results(ds_idx=0), 'learn.predict'),
    ("predict(user, item)", lambda dls: learner(dls).predict(5, 7), "ask with a dict, {'user': ..., 'item': ...}"),
    ("cbs=Checkpoint", lambda dls: learner(dls).fit(1, cbs=Checkpoint), r'the class Checkpoint: pass an object, Checkpoint\(...\)'),
    ("a callback of fastai's", lambda dls: learner(dls).fit(1, cbs=Elsewhere()), 'fastai.collab.*derive it from Callback'),
    ("metrics='rmse'", lambda dls: quiet(collab_learner(dls, metrics='rmse'), 1), "metrics holds 'rmse'"),
    ("dls.train_ds", lambda dls: dls.train_ds, 'dls.train.x'),
    ("dls.valid_ds", lambda dls: dls.valid_ds, 'dls.valid.x'),
    ("dls.c", lambda dls: dls.c, 'one output'),
    ("dls.vocab", lambda dls: dls.vocab, 'dls.classes'),
    ("dls.items", lambda dls: dls.items, 'dls.decode'),
    ("dls.cuda()", lambda dls: dls.cuda(), "device='cuda'"),
    ("SaveModelCallback(every_epoch=True)", lambda dls: SaveModelCallback(every_epoch=True), 'Checkpoint'),
    ("EarlyStoppingCallback('accuracy')", lambda dls: learner(dls).fit(1, cbs=EarlyStoppingCallback('accuracy')), "monitor='accuracy': this learner records .*'valid_loss'"),
]

@pytest.mark.parametrize('call', REFUSED, ids=lambda o: o[0])
def test_fastai_call_is_refused_by_name(call, small):
    with pytest.raises((AttributeError, TypeError, ValueError), match=call[2]): call[1](small)

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
