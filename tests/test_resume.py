"""A training that was interrupted and goes on from its checkpoint has the losses of one that was not, to the bit."""
import subprocess, sys

import pytest

from collab_course.all import *

KINDS = {'dot product': {'n_factors': 5}, 'network': {'use_nn': True, 'layers': [20, 10], 'config': {'ps': [0.2, 0.2], 'embed_p': 0.1}}}

def make(kind, seed=1, **kwargs):
    dls = CollabDataLoaders.from_df(make_ratings(30, 30, 400), seed=1, bs=16)
    set_seed(seed)
    learn = collab_learner(dls, y_range=(0, 5.5), **KINDS[kind], **kwargs)
    learn.bar = learn.log = False
    return learn

def fit(learn, how, n=5, **kwargs):
    "The losses of `n` epochs, and the rows of the table"
    getattr(learn, how)(n, 5e-3, wd=0.1, **kwargs)
    return learn.recorder.losses, list(map(list, learn.recorder.values))

class PowerCut(Callback):
    "Raises in the middle of epoch 3"
    def after_batch(self):
        if self.learn.epoch == 2 and self.learn.iter == 2*len(self.learn.dls.train) + 4: raise OSError('no power')

def interrupted(kind, how, path):
    learn = make(kind)
    with pytest.raises(OSError, match='no power'): fit(learn, how, cbs=[Checkpoint(path), PowerCut()])
    assert len(learn.recorder.values) == 2

def rest(whole, n, epochs):
    losses, rows = whole
    return losses[len(losses)//n*epochs:], rows[epochs:]

@pytest.mark.parametrize('how', ['fit', 'fit_one_cycle'])
@pytest.mark.parametrize('kind', KINDS)
def test_resumed_from_a_checkpoint(kind, how, tmp_path):
    whole = fit(make(kind), how)
    interrupted(kind, how, tmp_path/'it.zip')
    learn = make(kind, seed=99).load(tmp_path/'it.zip')
    test_eq(fit(learn, how, start_epoch=2), rest(whole, 5, 2))
    assert learn.epoch == 4 and learn.iter == 5*len(learn.dls.train)

CODE = '''
import json, sys
sys.path.insert(0, sys.argv[1])
from test_resume import *
print(json.dumps(fit(make(sys.argv[2], seed=99).load(sys.argv[3]), 'fit_one_cycle', start_epoch=2)))
'''

@pytest.mark.slow
@pytest.mark.parametrize('kind', KINDS)
def test_resumed_in_another_process(kind, tmp_path):
    import json
    whole = fit(make(kind), 'fit_one_cycle')
    interrupted(kind, 'fit_one_cycle', tmp_path/'it.zip')
    done = subprocess.run([sys.executable, '-c', CODE, str(Path(__file__).parent), kind, str(tmp_path/'it.zip')],
                          check=True, capture_output=True, text=True)
    losses, rows = json.loads(done.stdout.splitlines()[-1])
    test_eq((losses, rows), rest(whole, 5, 2))

def test_dropout_and_rows_are_really_drawn():
    "The network's losses depend on the random numbers, so the tests above would see a wrong state"
    whole = fit(make('network'), 'fit')
    learn = make('network')
    fit(learn, 'fit', n=2)
    set_seed(99)
    losses, _ = fit(learn, 'fit', start_epoch=2)
    assert losses != rest(whole, 5, 2)[0]

@pytest.mark.parametrize('how', ['fit', 'fit_one_cycle'])
@pytest.mark.parametrize('kind', KINDS)
def test_start_epoch_in_the_same_session(kind, how):
    "Stopped between two epochs, it goes on without a file"
    class Stop(Callback):
        def after_epoch(self):
            if self.learn.epoch == 2: raise CancelFitException
    whole, learn = fit(make(kind), how), make(kind)
    fit(learn, how, cbs=Stop())
    test_eq(fit(learn, how, start_epoch=3), rest(whole, 5, 3))

def test_schedule_goes_on_where_it_was():
    learn = make('dot product')
    fit(learn, 'fit_one_cycle')
    lrs, moms = learn.recorder.lrs, learn.recorder.moms
    fit(learn, 'fit_one_cycle', start_epoch=4)
    n = len(learn.dls.train)
    test_eq((learn.recorder.lrs, learn.recorder.moms), (lrs[-n:], moms[-n:]))
    test_eq(len(learn.recorder.values), 1)
    learn.recorder.plot_loss()
    learn.recorder.plot_sched()

def test_saved_state_is_used_once_and_only_to_go_on(tmp_path):
    learn = make('network')
    fit(learn, 'fit', n=2)
    learn.save(tmp_path/'it.zip')
    def after(other, **kwargs):
        set_seed(5)
        return fit(other, 'fit', n=3, **kwargs)[0]
    plain, loaded = (make('network', seed=s).load(tmp_path/'it.zip') for s in (3, 4))
    plain.saved_random = None
    test_eq(after(loaded), after(plain)) # without `start_epoch`, `set_seed` has the last word
    assert loaded.saved_random is None
    before = make('network').load(tmp_path/'it.zip')
    before.lr_find(show_plot=False)
    assert before.saved_random is not None # `lr_find` puts it back with the rest

def test_weights_alone_hold_no_random_state(tmp_path):
    learn = make('dot product')
    fit(learn, 'fit', n=1)
    assert make('dot product').load(learn.save(tmp_path/'it.zip', with_opt=False)).saved_random is None
    assert make('dot product').load(learn.save(tmp_path/'it.zip'), with_opt=False).saved_random is None

def test_load_leaves_the_random_numbers_alone(tmp_path):
    learn = make('dot product')
    fit(learn, 'fit', n=1)
    other, path = make('dot product'), learn.save(tmp_path/'it.zip')
    set_seed(3)
    want = torch.rand(3)
    set_seed(3)
    other.load(path)
    assert torch.equal(torch.rand(3), want)

@pytest.mark.parametrize('state', [torch.zeros(7, dtype=torch.uint8), torch.zeros(5056), torch.zeros(5056, dtype=torch.uint8)], ids=['short', 'floats', 'zeros'])
def test_forged_state_is_refused(state, tmp_path):
    from collab_course.files import pack, unpack
    learn = make('dot product')
    fit(learn, 'fit', n=1)
    meta, tensors = unpack(learn.save(tmp_path/'it.zip'))
    (tmp_path/'it.zip').write_bytes(pack(meta, tensors | {'random/cpu': state}))
    with pytest.raises(ValueError, match='it.zip'): make('dot product').load(tmp_path/'it.zip')

def test_a_file_from_before_random_states_still_loads(tmp_path):
    from collab_course.files import pack, unpack
    learn = make('dot product')
    fit(learn, 'fit', n=1)
    meta, tensors = unpack(learn.save(tmp_path/'it.zip'))
    (tmp_path/'it.zip').write_bytes(pack(meta, {k: v for k, v in tensors.items() if not k.startswith('random/')}))
    other = make('dot product').load(tmp_path/'it.zip')
    assert other.opt and other.saved_random is None and torch.equal(other.get_preds()[0], learn.get_preds()[0])

@pytest.mark.parametrize('how', ['fit', 'fit_one_cycle'])
@pytest.mark.parametrize('start', [-1, 6, 1.5, '2', True])
def test_start_epoch_out_of_range_changes_nothing(how, start):
    learn = make('dot product')
    before = learn.get_preds()[0]
    with pytest.raises(ValueError, match='start_epoch='): fit(learn, how, start_epoch=start)
    assert learn.opt is None and torch.equal(learn.get_preds()[0], before)

@pytest.mark.parametrize('how', ['fit', 'fit_one_cycle'])
def test_all_epochs_done_trains_nothing(how):
    learn = make('dot product')
    before = learn.get_preds()[0]
    getattr(learn, how)(5, start_epoch=5)
    assert torch.equal(learn.get_preds()[0], before) and not len(learn.recorder.values)
