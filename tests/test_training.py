"""What training promises beyond its losses."""
import warnings

import pytest

from collab_course import collab, learner, vocabulary
from collab_course.all import *

def pairs(dl): return torch.cat([x for x, _ in dl])

def test_an_epoch_sees_each_row_once_in_a_new_order(dls):
    first, second = pairs(dls.train), pairs(dls.train)
    assert len(first) == 80_000
    rows = lambda x: x[:, 0] * 10_000 + x[:, 1]
    stored = rows(dls.train.x.long()).sort().values
    for x in (first, second): assert torch.equal(rows(x).sort().values, stored)
    assert not torch.equal(first, second)

def test_last_partial_batch_is_dropped_in_training_only(ratings):
    dls = CollabDataLoaders.from_df(ratings.head(1_000), item_name='title', bs=64, val_bs=64)
    assert [len(y) for _, y in dls.train] == [64] * 12
    assert [len(y) for _, y in dls.valid] == [64, 64, 64, 8]

def test_split_is_disjoint_complete_and_seeded(ratings):
    a, b, c = (CollabDataLoaders.from_df(ratings, seed=s) for s in (1, 1, 2))
    assert torch.equal(a.train.x, b.train.x) and not torch.equal(a.train.x, c.train.x)
    both = torch.cat([a.train.x, a.valid.x])
    assert len(both) == 100_000 and len(both.unique(dim=0)) == 100_000

def test_twelve_bytes_a_rating(dls):
    held = [o for dl in dls for o in (dl.x, dl.y)]
    assert sum(o.element_size() * o.nelement() for o in held) == 1_200_000

def test_validation_batch_size_changes_nothing(ratings):
    losses = []
    for val_bs in (64, 20_000):
        dls = CollabDataLoaders.from_df(ratings, item_name='title', seed=42, val_bs=val_bs)
        set_seed(0)
        losses.append(collab_learner(dls, y_range=(0, 5.5)).validate()[0])
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)

class Far(torch.Tensor):
    "Stands for a tensor on a GPU"
    is_cpu = False

def test_losses_of_a_gpu_stay_there_until_somebody_asks(dls):
    "To fetch each would make training wait for the GPU at every step. Recorded are the same numbers."
    recs = []
    for kind in (torch.Tensor, Far):
        set_seed(0)
        learn = Learner(dls, DotProductBias(944, 1665, 5), loss_func=lambda p, y: MSELossFlat()(p, y).as_subclass(kind))
        with learn.no_bar(), learn.no_logging(): learn.fit(2, 1e-3)
        recs.append(learn.recorder)
    here, there = recs
    assert {type(o) for o in here._losses} == {float} and {type(o) for o in there._losses} == {Far}
    assert here.losses == there.losses and list(map(list, here.values)) == list(map(list, there.values))

def test_lr_find_puts_everything_back(dls):
    learn = collab_learner(dls, y_range=(0, 5.5))
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    learn.lr_find(show_plot=False)
    assert learn.opt is None
    for k, v in learn.model.state_dict().items(): assert torch.equal(v, before[k])

def test_lr_find_reads_neither_the_first_tenth_nor_the_last_five_steps(dls, monkeypatch):
    read = []
    monkeypatch.setattr(learner, 'valley', lambda lrs, losses: read.append((lrs, losses)) or valley(lrs, losses))
    learn = collab_learner(dls, y_range=(0, 5.5))
    found, rec = learn.lr_find(show_plot=False, num_it=60, stop_div=False).valley, learn.recorder
    (lrs, losses), kept = read[0], slice(6, 55)
    assert len(rec.losses) == 60 and lrs == rec.lrs[kept] and losses.tolist() == smooth(rec.losses)[kept].tolist()
    assert found == valley(lrs, losses)

def test_one_cycle_agrees_with_torch():
    "Where torch counts n - 1 steps between the first and the last value and we count n, the two come together as n grows"
    n = 10_000
    opt = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=1., total_steps=n, pct_start=0.25, div_factor=25, final_div_factor=1e5 / 25, cycle_momentum=False)
    theirs = []
    for _ in range(n):
        theirs.append(opt.param_groups[0]['lr'])
        opt.step()
        sched.step()
    assert np.abs(np.array(theirs) - one_cycle(n, 1 / 25, 1, 1e-5)).max() < 1e-3

@pytest.mark.parametrize('opt_func, momentum', [(Adam, lambda g: g['betas'][0]), (torch.optim.SGD, lambda g: g['momentum']), (torch.optim.Adagrad, None)],
                         ids=['Adam', 'SGD', 'Adagrad'])
def test_one_cycle_moves_rate_and_momentum_of_each_group(ratings, opt_func, momentum):
    "Momentum of those optimisers that have one; nothing is put into the groups of others"
    seen, keys = [], set()
    class Look(Callback):
        def after_batch(self):
            keys.update(*self.learn.opt.param_groups)
            seen.append([(g['lr'], momentum(g) if momentum else None) for g in self.learn.opt.param_groups])
    dls = CollabDataLoaders.from_df(ratings.head(2_000), bs=64, seed=42)
    learn = collab_learner(dls, use_nn=True, opt_func=opt_func, cbs=Look()) # it has two groups
    with learn.no_logging(): learn.fit_one_cycle(1, 1e-3)
    rec = learn.recorder
    assert seen == [[(lr, mom if momentum else None)] * 2 for lr, mom in zip(rec.lrs, rec.moms)] and len(seen) == 25
    if not momentum: assert not keys & {'momentum', 'betas'}

def test_weight_decay_spares_biases_of_layers_and_normalisation(dls):
    learn = collab_learner(dls, use_nn=True, layers=[8])
    learn.create_opt()
    spared = {id(p) for p in learn.opt.param_groups[1]['params']}
    assert {k for k, p in learn.model.named_parameters() if id(p) in spared} == {'layers.2.weight', 'layers.2.bias', 'layers.3.bias'}

def test_callbacks_are_called_at_their_moments(dls):
    moments = []
    class Log(Callback):
        def __getattribute__(self, name):
            if name.startswith(('before_', 'after_')): moments.append(name)
            return super().__getattribute__(name)
    class Stop(Callback):
        def after_batch(self):
            if self.learn.iter == 2: raise CancelFitException
    learn = collab_learner(dls, cbs=Log())
    learn.fit(1, cbs=Stop())
    assert moments == ['before_fit', 'before_epoch', *['after_batch'] * 3, 'after_fit']

def test_no_logging_and_no_bar(ratings, capsys):
    dls = CollabDataLoaders.from_df(ratings.head(500), item_name='title')
    learn = collab_learner(dls, metrics=[rmse, mae])
    with learn.no_logging(): learn.fit_one_cycle(1)
    assert capsys.readouterr().out == ''
    with learn.no_bar(): learn.fit_one_cycle(2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ['epoch', 'train_loss', 'valid_loss', 'rmse', 'mae', 'time'] and len(lines) == 3

def test_predict_agrees_with_get_preds(dls):
    set_seed(0)
    learn = collab_learner(dls, y_range=(0, 5.5))
    preds, targs = learn.get_preds()
    df = dls.decode(dls.valid.x[:50])
    assert learn.predict(df).tolist() == pytest.approx(preds[:50].tolist())
    assert learn.predict(df.iloc[7]) == pytest.approx(preds[7].item())
    assert torch.equal(targs, dls.valid.y.flatten())
    df.index = range(100, 150)
    assert learn.predict(df).index.equals(df.index)

def test_network_without_hidden_layers(dls):
    learn = collab_learner(dls, use_nn=True, layers=[])
    assert [type(o) for o in learn.model.layers] == [nn.Linear]

def test_indices_of_more_rows_than_a_chunk():
    n = 2**20 + 5
    ids = pd.Series(np.arange(n) % 1000)
    dls = CollabDataLoaders.from_df(pd.DataFrame({'user': ids, 'item': ids[::-1].to_numpy(), 'rating': 3.}), valid_idx=[0], bs=2**19)
    code = dls.classes['user'].encode(ids)
    assert code.shape == (n,) and (code.numpy() == ids.to_numpy() + 1).all()
    assert (dls.classes['user'].encode(ids[::-1])[:10].numpy() == ids[::-1].to_numpy()[:10] + 1).all()

def test_rows_without_ratings_have_none(dls, ratings):
    dl = dls.test_dl(ratings[['user', 'title']].head(7), bs=3)
    assert [tuple(y.shape) for _, y in dl] == [(3, 1), (3, 1), (1, 1)] and all(y.isnan().all() for _, y in dl)

# What must not be misread

def trained(dls, *args, **kwargs):
    learn = collab_learner(dls, y_range=(0, 5.5), **kwargs)
    with learn.no_logging(), learn.no_bar(): learn.fit_one_cycle(*(args or (2, 0.02)))
    return learn

def test_predictions_for_the_training_rows_are_complete_and_in_order(dls):
    learn = collab_learner(dls, y_range=(0, 5.5))
    for ask in (dict(ds_idx=0), dict(dl=dls.train)):
        preds, targs = learn.get_preds(**ask)
        assert torch.equal(targs, dls.train.y.flatten())
        assert torch.equal(preds, learn.model(dls.train.x.long()).detach())
    assert dls.train.shuffle and dls.train.drop_last

@pytest.mark.parametrize('y_range', [None, (0, 10.5)])
@pytest.mark.parametrize('use_nn', [False, True])
def test_an_unknown_user_and_item_are_predicted_near_the_mean(use_nn, y_range):
    "Also where most users and items have a rating or two, and the model has not learned much; of a network, at most a star farther off than its predictions are on average"
    r = np.random.default_rng(3)
    df = pd.DataFrame({'user': (r.pareto(.8, 4000) * 100).astype(int) % 3000, 'book': (r.pareto(1., 4000) * 300).astype(int) % 5000}).drop_duplicates()
    df['rating'] = np.clip(np.round(7.6 + r.normal(0, 1.5, len(df))), 1, 10)
    dls = CollabDataLoaders.from_df(df, seed=1)
    set_seed(1)
    learn = collab_learner(dls, 20, y_range=y_range, use_nn=use_nn)
    with learn.no_logging(), learn.no_bar(): learn.fit_one_cycle(3, 5e-3)
    na, mean = learn.predict({'user': -1, 'book': -1}, unknown='na'), float(dls.train.y.mean())
    own = learn.get_preds(0)[0].mean()
    assert abs(na - mean) < (abs(own - mean) + 1 if use_nn else 0.01)

def test_rows_of_unknowns_are_all_that_is_set(dls):
    "And a frozen table stays as it was"
    learn = collab_learner(dls, y_range=(0, 5.5))
    learn.model.u_weight.weight.requires_grad_(False)
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    collab.set_unknown(learn.model, dls)
    for k, v in learn.model.state_dict().items():
        assert torch.equal(v[1:], before[k][1:])
        assert torch.equal(v[0], before[k][0]) == (k == 'u_weight.weight')

def test_worse_than_the_mean_is_said_at_your_line(dls):
    learn = collab_learner(dls)
    with learn.no_logging(), pytest.warns(UserWarning, match=r'the validation loss is .* Always saying 3.53, the mean') as said: learn.fit(1, 1e-4)
    assert said[0].filename == __file__
    learn = collab_learner(dls, y_range=(0, 5.5))
    with warnings.catch_warnings(), learn.no_logging():
        warnings.simplefilter('error')
        learn.fit_one_cycle(1, 5e-3)
        learn.lr_find(show_plot=False)

@pytest.mark.parametrize('opt_func, own', [(Adam, 0.9), (partial(torch.optim.SGD, momentum=0.3), 0.3), (partial(torch.optim.AdamW, betas=(0.7, 0.9)), 0.7), (torch.optim.Adagrad, None)])
def test_fit_leaves_the_optimisers_own_momentum(dls, opt_func, own):
    learn = trained(dls, 1, 1e-3, opt_func=opt_func)
    with learn.no_logging(): learn.fit(1, 1e-3)
    assert set(learn.recorder.moms) == {own}

def test_rates_that_search_nothing(dls):
    learn = collab_learner(dls)
    for wrong in (dict(start_lr=-1), dict(start_lr=0), dict(start_lr=1, end_lr=0.1), dict(end_lr=float('inf'))):
        with pytest.raises(ValueError, match='_lr='): learn.lr_find(show_plot=False, **wrong)

def test_other_loaders(ratings, dls):
    "The same index would be another user"
    learn, other = collab_learner(dls), CollabDataLoaders.from_df(ratings[ratings.user != 7], item_name='title')
    for ask in (lambda: learn.validate(dl=other.valid), lambda: setattr(learn, 'dls', other), lambda: Learner(other, learn.model),
                lambda: rating_metrics(learn, other), lambda: ranking_metrics(learn, other), lambda: rating_metrics(learn.model, other)):
        with pytest.raises(ValueError, match="other values in column 'user' than the loaders: 1, such as 7,|other values in column 'user' than the loaders: 0 are missing there and 1, such as 7,"): ask()
    learn.dls = CollabDataLoaders.from_df(ratings, item_name='title', seed=1)
    learn.validate(dl=learn.dls.test_dl(ratings.head(100)))

def test_a_baseline_remembers_whose_ratings_it_has_seen(ratings, dls):
    other = CollabDataLoaders.from_df(ratings[ratings.user != 7], item_name='title')
    for made in (GlobalMean, Popularity, Biases, lambda dls: Biases(dls=dls)):
        rating_metrics(made(dls), dls)
        for ask in (rating_metrics, ranking_metrics, lambda model, dls: Learner(dls, model)):
            with pytest.raises(ValueError, match="other values in column 'user' than the loaders"): ask(made(dls), other)

def test_ids_of_another_type_and_strangers(dls):
    learn = collab_learner(dls)
    df = dls.decode(dls.valid.x[:50], dls.valid.y[:50])
    for unknown in ('raise', 'na'):
        with pytest.raises(ValueError, match=r"column 'user': 50 of 50 rows have a known value as another type, .*astype\(int\)"): learn.predict(df.astype({'user': str}), unknown=unknown)
    with pytest.raises(ValueError, match='all 50 rows have a user and an item not seen'): learn.dls.test_dl(df.assign(user=-1, title='?'))
    assert learn.predict(df.assign(user=-1), unknown='na').nunique() > 1

def test_a_typo_in_a_large_catalogue_compares_few(monkeypatch):
    "340,000 titles; difflib, which took seconds, meets some hundreds"
    r = np.random.default_rng(0)
    letters = np.array([*'abcdefghijklmnopqrstuvwxyz'])
    titles = CategoryMap([''.join(o).capitalize() for o in letters[r.integers(0, 26, (340_000, 12))]])
    met = []
    monkeypatch.setattr(vocabulary.difflib, 'get_close_matches', lambda val, names, *args, real=vocabulary.difflib.get_close_matches: met.append(len(names)) or real(val, names, *args))
    for i in range(0, 339_000, 34_000):
        for at in (0, 1, 2, 3, 5, 11):
            right = titles[i + 1]
            for typo in (right[:at] + 'x' + right[at + 1:], right[:at] + right[at + 1:], right[:at] + 'x' + right[at:]): assert right in titles.close(typo)
    assert titles[5] in titles.close('the ' + titles[5].lower())
    assert len(titles) > 339_000 and max(met) < 1000

def test_a_diverged_model_lists_nothing(dls):
    learn = collab_learner(dls, y_range=(0, 5.5))
    with torch.no_grad(): learn.model.u_weight.weight[5] = torch.nan
    for ask in (lambda: recommend(learn, 5), lambda: recommend_all(learn), lambda: learn.validate(), lambda: learn.predict({'user': 5, 'title': 'Fargo (1996)'}),
                lambda: rating_metrics(learn, dls), lambda: ranking_metrics(learn, dls)):
        with pytest.raises(FloatingPointError, match='are no number'): ask()
