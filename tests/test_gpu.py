"""What a CPU can show of training on a GPU: a gradient recorded and played again, and what happens where it cannot be. `bench/gpu.py` does the rest, on a card."""
import math, warnings
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import torch

import card
from collab_course import gpu
from collab_course.all import *

class Recorded(CUDAGraph):
    "Records on any machine"
    def fits(self): return True

def network(dls, **kwargs): return collab_learner(dls, use_nn=True, layers=[20, 10], y_range=(0, 5.5), **kwargs)

MODELS = {'dot product': lambda dls: collab_learner(dls, n_factors=8, y_range=(0, 5.5)),
          'any module': lambda dls: Learner(dls, DotProductBias(*map(len, dls.classes.values()), 8)),
          'network': network,
          'dropout': lambda dls: network(dls, config={'embed_p': 0.2}),
          'another optimiser': lambda dls: network(dls, opt_func=partial(torch.optim.SGD, momentum=0.9)),
          'another loss': lambda dls: collab_learner(dls, n_factors=8, loss_func=L1LossFlat())}

@pytest.fixture(scope='module')
def dls(): return CollabDataLoaders.from_df(make_ratings(200, 100, 8_000, seed=3), bs=64, seed=42)

def fitted(dls, make, cbs=None):
    set_seed(42)
    learn = make(dls)
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(2, 5e-3, wd=0.1, cbs=cbs)
    return learn

@pytest.mark.parametrize('name', MODELS)
def test_a_recorded_gradient_gives_the_same_losses(name, dls, monkeypatch):
    "Averages of batch normalisation, random numbers and the optimiser's state among them"
    monkeypatch.setattr(gpu, 'record', card.record)
    plain, recorded = fitted(dls, MODELS[name]), fitted(dls, MODELS[name], Recorded())
    assert recorded.recorder.losses == plain.recorder.losses and recorded.final == plain.final
    for a, b in zip(plain.model.state_dict().values(), recorded.model.state_dict().values()): assert torch.equal(a, b)

def test_the_module_is_called_only_to_record(dls, monkeypatch):
    "Else the test before this one would show nothing"
    monkeypatch.setattr(gpu, 'record', card.record)
    calls = Counter()
    class Counted(DotProductBias):
        def forward(self, x):
            calls[self.training] += 1
            return super().forward(x)
    fitted(dls, lambda dls: Learner(dls, Counted(*map(len, dls.classes.values()), 8)), Recorded())
    assert calls[True] == 4

def test_what_python_decides_is_frozen(dls, monkeypatch):
    "As on a card: the tape is no stand-in for a module whose steps differ"
    monkeypatch.setattr(gpu, 'record', card.record)
    class Alternating(DotProductBias):
        calls = 0
        def forward(self, x):
            self.calls += self.training
            return super().forward(x) * (1 + self.calls % 2)
    make = lambda dls: Learner(dls, Alternating(*map(len, dls.classes.values()), 8))
    assert fitted(dls, make).recorder.losses[5:] != fitted(dls, make, Recorded()).recorder.losses[5:]

def test_nothing_stays_behind(dls, monkeypatch):
    monkeypatch.setattr(gpu, 'record', card.record)
    cb = Recorded()
    learn = fitted(dls, MODELS['dot product'], cb)
    assert 'gradient' not in vars(learn) and cb.replay is None
    assert all(p.grad is None for p in learn.model.parameters())
    own = learn.gradient = lambda xb, yb: Learner.gradient(learn, xb, yb)
    learn.fit(1, cbs=Recorded())
    assert learn.gradient is own

def test_a_frozen_parameter_stays(dls, monkeypatch):
    monkeypatch.setattr(gpu, 'record', card.record)
    def make(dls):
        learn = MODELS['any module'](dls)
        learn.model.user_factors.weight.requires_grad_(False)
        return learn
    plain, recorded = fitted(dls, make), fitted(dls, make, Recorded())
    assert recorded.recorder.losses == plain.recorder.losses
    assert recorded.model.user_factors.weight.grad is None

class Asks(DotProductBias):
    "Waits for what has been computed, which no recording allows"
    def forward(self, x):
        res = super().forward(x)
        return res if res.mean().item() < 100 else res / 2

def test_where_recording_fails_training_goes_on_and_says_so_once(dls, monkeypatch):
    monkeypatch.setattr(gpu, 'record', card.record)
    make = lambda dls: Learner(dls, Asks(*map(len, dls.classes.values()), 8))
    with pytest.warns(UserWarning, match='not permitted') as said: learn = fitted(dls, make, Recorded())
    assert len(said) == 1
    assert learn.recorder.losses == fitted(dls, make).recorder.losses

def test_a_batch_of_another_size_takes_the_plain_way(dls, monkeypatch):
    monkeypatch.setattr(gpu, 'record', card.record)
    learns = [(set_seed(42), MODELS['dot product'](dls))[1] for _ in range(2)]
    cb, batch = Recorded(), dls.one_batch()
    cb.learn = learns[1]
    for learn in learns: learn.create_opt()
    cb.before_fit()
    for n in (64, 64, 30, 64):
        x, y = (o[:n] for o in batch)
        losses = []
        for learn in learns:
            losses.append(learn.gradient(x, y))
            learn.opt.step()
            learn.opt.zero_grad()
        assert losses[0] == losses[1]
    cb.after_fit()
    for a, b in zip(*(o.model.parameters() for o in learns)): assert torch.equal(a, b)

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

def test_the_stand_in_for_a_card_keeps_places_apart():
    with card.Card():
        there, here = torch.ones(3, device='cuda'), torch.ones(3)
        assert (there + 1).device.type == there[1:].device.type == 'cuda' and here.device.type == there.cpu().device.type == 'cpu'
        assert (there + torch.tensor(1.)).device.type == 'cuda' # a single number may come from anywhere
        for wrong in (lambda: there + here, lambda: here.index_select(0, there.long()), lambda: torch.cat([here, there])):
            with pytest.raises(RuntimeError, match='at least two devices'): wrong()
        with pytest.raises(TypeError, match="can't convert cuda:0"): there.numpy()
        with pytest.raises(RuntimeError, match="Expected a 'cpu' device type"): torch.randn(2, generator=torch.Generator('cuda'))

@pytest.fixture
def bench(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(Path(__file__).parent.parent/'bench')
    import gpu as module # bench/gpu.py
    monkeypatch.setattr(module, 'ROWS', [])
    return module

def test_every_call_keeps_its_tensors_in_one_place(bench, monkeypatch):
    "What `bench/gpu.py` goes through on a card, with the stand-in"
    monkeypatch.setattr(bench, 'DEVICE', 'cuda')
    df = make_ratings(200, 100, 8_000, seed=3)
    df = df.assign(title='film ' + df.item.astype(str), timestamp=range(len(df)))[['user', 'title', 'rating', 'timestamp']]
    with card.Card(): bench.everything(df)
    assert len(bench.ROWS) > 60 and not [o for o in bench.ROWS if o[1].startswith('NO')]

def test_the_bench_says_no(bench):
    "Its checks can fail, and one that raises does not end it"
    bench.compare('other numbers', lambda: [1.], lambda: [1.1])
    bench.compare('other shapes', lambda: [1.], lambda: [1., 1.])
    bench.compare('no number', lambda: [1.], lambda: [float('nan')])
    bench.compare('an error', lambda: [1.], lambda: 1 / 0)
    bench.runs('an error', lambda: 1 / 0)
    assert len(bench.ROWS) == 5 and all(o[1].startswith('NO') for o in bench.ROWS)

@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('name', MODELS)
def test_on_a_card(name, ratings):
    dls = CollabDataLoaders.from_df(ratings, item_name='title', bs=64, seed=42, device='cuda')
    plain, recorded = fitted(dls, MODELS[name]), fitted(dls, MODELS[name], CUDAGraph())
    assert recorded.recorder.losses[:100] == pytest.approx(plain.recorder.losses[:100], abs=1e-5)
