"""What a CPU can show of training on a GPU: the arithmetic of a step as a CUDA graph, and what happens where it cannot be recorded. `bench/gpu.py` does the rest, on a card."""
import math, warnings

import pytest
import torch

from collab_course import gpu
from collab_course.all import *

class Recorded(CUDAGraph):
    "Takes the way through recorded steps on any machine"
    def fits(self): return True

def played(step, warm_up):
    "In place of `record`: runs the step each time, on the tensors that stay"
    for _ in range(3): warm_up()
    return step

MODELS = {'dot product': lambda dls: collab_learner(dls, n_factors=8, y_range=(0, 5.5)), 'any module': lambda dls: Learner(dls, DotProductBias(*map(len, dls.classes.values()), 8)),
          'network': lambda dls: collab_learner(dls, use_nn=True, layers=[20, 10], y_range=(0, 5.5))}

@pytest.fixture(scope='module')
def dls():
    "A hundred batches: in many more, rounding would grow in the network"
    return CollabDataLoaders.from_df(make_ratings(200, 100, 8_000, seed=3), bs=64, seed=42)

def fitted(dls, make, cbs=None):
    set_seed(42)
    learn = make(dls)
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, 5e-3, wd=0.1, cbs=cbs)
    return learn

@pytest.mark.parametrize('name', MODELS)
def test_recorded_steps_give_the_same_losses(name, dls, monkeypatch):
    "Averages of batch normalisation, random numbers and the optimiser's counts among them"
    monkeypatch.setattr(gpu, 'record', played)
    plain, recorded = fitted(dls, MODELS[name]), fitted(dls, MODELS[name], Recorded())
    assert recorded.recorder.losses == pytest.approx(plain.recorder.losses, abs=1e-5)
    for a, b in zip(plain.model.state_dict().values(), recorded.model.state_dict().values()): assert torch.allclose(a.float(), b.float(), atol=1e-4)
    assert all(v['step'] == len(dls.train) for v in recorded.opt.state_dict()['state'].values())

def test_nothing_stays_behind(dls, monkeypatch):
    monkeypatch.setattr(gpu, 'record', played)
    learn = fitted(dls, MODELS['dot product'], Recorded())
    assert 'gradient' not in vars(learn) and 'step' not in vars(learn.opt)
    assert all(p.grad is None for p in learn.model.parameters())

def test_where_recording_fails_training_goes_on_and_says_so_once(dls, monkeypatch):
    def fail(step, warm_up):
        warm_up()
        raise RuntimeError('operation not permitted when stream is capturing')
    monkeypatch.setattr(gpu, 'record', fail)
    with pytest.warns(UserWarning, match='not permitted') as said: learn = fitted(dls, MODELS['network'], Recorded())
    assert len(said) == 1
    assert learn.recorder.losses == fitted(dls, MODELS['network']).recorder.losses

def test_a_batch_of_another_size_takes_the_plain_way(dls, monkeypatch):
    monkeypatch.setattr(gpu, 'record', played)
    learn, cb = MODELS['dot product'](dls), Recorded()
    learn.create_opt()
    cb.learn = learn
    cb.before_fit()
    for n in (64, 64, 30):
        x, y = dls.one_batch()
        learn.gradient(x[:n], y[:n])
        learn.opt.step()
        learn.opt.zero_grad()
        assert cb.whole == (n == 64)
    cb.after_fit()
    assert all(v['step'] == 3 for v in learn.opt.state_dict()['state'].values())

@pytest.fixture
def measured(monkeypatch):
    "Steps take what the test says they take, by batch size"
    def use(seconds):
        class Clock(gpu.StepClock):
            @property
            def seconds(self): return seconds(self.learn.dls.bs)
        monkeypatch.setattr(gpu, 'StepClock', Clock)
    return use

@pytest.mark.parametrize('seconds, bs', [(lambda bs: 1., 64), (lambda bs: max(1., bs / 20), 32), (lambda bs: bs * 1., 8), (lambda bs: 1 / bs, 64)])
def test_the_smallest_batch_that_comes_near_the_best_speed(seconds, bs, measured):
    "Of 6,400 training rows, an epoch of 100 steps has batches of 64"
    measured(seconds)
    dls = CollabDataLoaders.from_df(make_ratings(200, 100, 8_000, seed=3), bs=8, seed=42)
    assert bs_find(collab_learner(dls), n_epoch=1, show=False).bs == bs

@pytest.mark.parametrize('best', [1e-3, 4e-3])
def test_the_rate_is_doubled_while_the_loss_falls(best, dls, monkeypatch):
    def fit(self, n_epoch, lr): self.final = [abs(math.log(lr / best))]
    monkeypatch.setattr(Learner, 'fit_one_cycle', fit)
    assert bs_find(collab_learner(dls), lr=1e-3, show=False).lr == pytest.approx(best)

def test_a_rate_that_diverges_is_too_high(dls, monkeypatch):
    def fit(self, n_epoch, lr):
        if lr > most: raise FloatingPointError('the loss is nan')
        self.final = [-lr]
    monkeypatch.setattr(Learner, 'fit_one_cycle', fit)
    most = 5e-3
    assert bs_find(collab_learner(dls), lr=1e-3, show=False).lr == pytest.approx(4e-3)
    most = 0
    with pytest.raises(FloatingPointError): bs_find(collab_learner(dls), lr=1e-3, show=False)

def test_what_is_measured_leaves_no_trace(dls, capsys):
    learn = MODELS['network'](CollabDataLoaders.from_df(make_ratings(200, 100, 8_000, seed=3), bs=16, seed=42))
    before, random = [o.clone() for o in learn.model.state_dict().values()], torch.get_rng_state()
    found, shown = bs_find(learn, n_epoch=1), capsys.readouterr().out
    assert found.bs in (16, 32, 64) and 'ratings a second' in shown and 'valid_loss' in shown
    assert all(torch.equal(a, b) for a, b in zip(before, learn.model.state_dict().values())) and torch.equal(random, torch.get_rng_state())
    assert learn.opt is None and learn.dls.bs == 16

def test_full_memory_ends_the_search(measured, monkeypatch):
    measured(lambda bs: 1.)
    learn = MODELS['any module'](CollabDataLoaders.from_df(make_ratings(200, 100, 8_000, seed=3), bs=8, seed=42))
    def gradient(self, xb, yb, real=Learner.gradient):
        if len(xb) > most: raise torch.OutOfMemoryError('CUDA out of memory')
        return real(self, xb, yb)
    monkeypatch.setattr(Learner, 'gradient', gradient)
    most = 40
    assert bs_find(learn, n_epoch=1, show=False).bs == 32
    most = 4
    with pytest.raises(MemoryError, match='not even a batch of 8 rows'): bs_find(learn, show=False)

def test_sizes_that_cannot_be_tried(dls):
    with pytest.raises(ValueError, match='fewer than 100 batches of 256'): bs_find(collab_learner(CollabDataLoaders.from_df(make_ratings(200, 100, 8_000, seed=3), bs=256)))
    with pytest.raises(ValueError, match='n_steps=1'): bs_find(collab_learner(dls), n_steps=1)

@pytest.mark.parametrize('card, n, said', [(True, 1_000_000, 1), (True, 999_999, 0), (False, 1_000_000, 0)])
def test_a_large_table_and_a_card_are_brought_together(card, n, said, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: card)
    df = pd.DataFrame({'user': np.arange(n) % 1000, 'item': np.arange(n) % 999, 'rating': np.arange(n) % 5 + 1})
    with warnings.catch_warnings(record=True) as ws:
        warnings.simplefilter('always')
        CollabDataLoaders.from_df(df)
    assert sum("device='cuda'" in str(o.message) for o in ws) == said == len(ws)

@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('name', MODELS)
def test_on_a_card(name, ratings):
    dls = CollabDataLoaders.from_df(ratings, item_name='title', bs=64, seed=42, device='cuda')
    plain, recorded = fitted(dls, MODELS[name]), fitted(dls, MODELS[name], CUDAGraph())
    assert recorded.recorder.losses == pytest.approx(plain.recorder.losses, abs=1e-4)
