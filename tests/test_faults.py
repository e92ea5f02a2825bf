"""Faults in the middle of training: what is left is usable, and the error says what happened."""
import sys

import pytest

from collab_course.all import *

@pytest.fixture
def learn():
    "A small learner that prints nothing: 13 steps an epoch"
    return make()

def make(**kwargs):
    dls = CollabDataLoaders.from_df(make_ratings(30, 30, 260), seed=1, bs=16)
    set_seed(1)
    res = collab_learner(dls, n_factors=4, y_range=(0, 5.5), **kwargs)
    res.bar = res.log = False
    return res

def finite(learn): return all(o.isfinite().all() for o in learn.model.state_dict().values())

def raising(error, at, event='after_batch'):
    "A callback that raises `error` at step `at`"
    class Bad(Callback): pass
    def act(self):
        if self.learn.iter == at: raise error
    setattr(Bad, event, act)
    return Bad()

def usable(learn, epochs):
    "It has recorded `epochs` epochs, and can predict, validate and train on"
    assert len(learn.recorder.values) == epochs and len(learn.recorder.iters) == epochs
    assert finite(learn) and np.isfinite(learn.predict({'user': 1, 'item': 1}))
    assert all(p.grad is None or not p.grad.any() for p in learn.model.parameters())
    learn.fit(2)
    assert len(learn.recorder.values) == 2 and np.isfinite(learn.validate()[0])

@pytest.mark.parametrize('step, epochs', [(0, 0), (12, 0), (13, 1), (30, 2)])
def test_ctrl_c_between_steps(learn, step, epochs):
    with pytest.raises(KeyboardInterrupt): learn.fit(4, cbs=raising(KeyboardInterrupt(), step))
    usable(learn, epochs)

def test_ctrl_c_inside_a_step(learn):
    "Between gradient and step: the half-made gradient must not reach the next training"
    steps = []
    learn.create_opt()
    plain = learn.opt.step
    def step(*args, **kwargs):
        steps.append(1)
        if len(steps) == 20: raise KeyboardInterrupt
        return plain(*args, **kwargs)
    learn.opt.step = step
    with pytest.raises(KeyboardInterrupt): learn.fit(4)
    learn.opt.step = plain
    usable(learn, 1)

def test_ctrl_c_in_validation(learn):
    class Metric:
        __name__, calls = 'metric', 0
        def __call__(self, pred, targ):
            self.calls += 1
            if self.calls == 3: raise KeyboardInterrupt
            return pred.mean()
    learn.metrics = L([Metric()])
    with pytest.raises(KeyboardInterrupt): learn.fit(4)
    usable(learn, 2)

def test_ctrl_c_in_lr_find_puts_everything_back(learn):
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    count = []
    plain = learn.loss_func
    def loss(pred, targ):
        count.append(1)
        if len(count) == 20: raise KeyboardInterrupt
        return plain(pred, targ)
    learn.loss_func = loss
    with pytest.raises(KeyboardInterrupt): learn.lr_find(show_plot=False)
    learn.loss_func = plain
    for k, v in learn.model.state_dict().items(): assert torch.equal(v, before[k])
    assert learn.opt is None

@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_bad_loss_stops_at_once(learn, value):
    "With the step, the learning rate and a way out; the weights stay as they were before that step"
    count, plain = [], learn.loss_func
    def loss(pred, targ):
        count.extend([1] * pred.requires_grad) # not where a new loss is tried out
        return plain(pred, targ) * (value if len(count) == 5 else 1)
    learn.loss_func = loss
    with pytest.raises(FloatingPointError, match=r'loss is (nan|inf) at step 4 .*learning rate.*0\.01.*lr_find'): learn.fit(2, lr=0.01)
    assert len(count) == 5 and finite(learn)

@pytest.mark.skipif(sys.version_info < (3, 11), reason='exceptions take notes from Python 3.11 on')
@pytest.mark.parametrize('event', ['before_fit', 'before_epoch', 'after_batch', 'after_epoch', 'after_fit'])
def test_exception_in_a_callback_names_it(learn, event):
    "The exception stays what it is; a note or its message says which callback raised it, and at which moment"
    with pytest.raises(ZeroDivisionError) as e: learn.fit(2, cbs=raising(ZeroDivisionError('oops'), {'before_fit': 0, 'before_epoch': 13, 'after_batch': 3, 'after_epoch': 13, 'after_fit': 26}[event], event))
    said = ' '.join([str(e.value), *getattr(e.value, '__notes__', [])])
    assert 'Bad' in said and event in said and 'oops' in said
    learn.fit(1)

def test_callback_that_fails_leaves_the_learner_usable(learn):
    with pytest.raises(ZeroDivisionError): learn.fit(3, cbs=raising(ZeroDivisionError(), 20))
    usable(learn, 1)

@pytest.mark.parametrize('args, message', [(dict(lr=-1), 'lr=-1'), (dict(lr=float('nan')), 'lr=nan'), (dict(lr='fast'), "lr='fast'"), (dict(wd=-0.1), 'wd=-0.1')])
def test_bad_rates_are_refused(learn, args, message):
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    with pytest.raises(ValueError, match=message): learn.fit(1, **args)
    for k, v in learn.model.state_dict().items(): assert torch.equal(v, before[k])

@pytest.mark.parametrize('n', [-1, 1.5, '3'])
def test_bad_number_of_epochs_is_refused(learn, n):
    with pytest.raises(ValueError, match='n_epoch='): learn.fit(n)

@pytest.mark.parametrize('args, message', [(dict(pct_start=0), 'pct_start=0'), (dict(pct_start=1.5), 'pct_start=1.5'), (dict(div=0), 'div=0'), (dict(lr_max=-1), 'lr_max=-1')])
def test_bad_schedule_is_refused(learn, args, message):
    with pytest.raises(ValueError, match=message): learn.fit_one_cycle(1, **args)

def test_lr_find_runs_no_callback_of_yours(tmp_path):
    learn = make(cbs=Checkpoint(tmp_path/'it.zip'))
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-3)
    before = (tmp_path/'it.zip').read_bytes()
    learn.lr_find(show_plot=False, num_it=3 * len(learn.dls.train))
    assert (tmp_path/'it.zip').read_bytes() == before

@pytest.mark.parametrize('args', [{'num_it': 5}, {'start_lr': 1e3, 'end_lr': 1e5}])
def test_lr_find_that_ends_too_early_says_so(learn, args):
    with pytest.raises(ValueError, match='the search ended after . of'): learn.lr_find(show_plot=False, **args)

def test_no_batches_are_no_validation_rows(learn):
    with pytest.raises(ValueError): learn.get_preds(dl=[])

def test_rates_may_be_any_real_number(learn): learn.fit(1, np.float32(1e-3), wd=np.float64(0.1))

class Elsewhere(torch.Tensor):
    "A tensor that says it is not on the CPU, as a GPU's would"
    is_cpu = False

@pytest.mark.parametrize('bad, message', [(0, 'steps 0 to 99 '), (130, 'steps 100 to 199 '), (1249, 'steps 1200 to 1249 ')])
def test_a_loss_that_is_no_number_elsewhere_ends_training_within_a_hundred_steps(dls, bad, message):
    "A GPU is not asked at each step. What was no number once stays so, as the parameters are then no numbers either"
    class OnGPU(Learner):
        def gradient(self, xb, yb): return (super().gradient(xb, yb) * (float('nan') if self.iter >= bad else 1)).as_subclass(Elsewhere)
    class Ends(Callback):
        epochs = 0
        def after_epoch(self): self.epochs += 1
    learn, ends = OnGPU(dls, DotProduct(*(len(o) for o in dls.classes.values()), 3)), Ends()
    with learn.no_bar(), learn.no_logging(), pytest.raises(FloatingPointError, match=message): learn.fit(2, 1e-3, cbs=ends)
    assert ends.epochs == 0

def test_training_that_is_called_off_before_it_begins(dls):
    class Off(Callback):
        ended = False
        def before_fit(self): raise CancelFitException
        def after_fit(self): self.ended = True
    learn, off = Learner(dls, DotProduct(*(len(o) for o in dls.classes.values()), 3)), Off()
    learn.fit(1, 1e-3, cbs=off)
    assert off.ended and not learn.recorder.losses
