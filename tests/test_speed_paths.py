"""The fast paths of training do what the plain ones do. No clock here: `make bench` measures."""
import copy, subprocess, sys

import pytest

from collab_course import collab
from collab_course.all import *

TorchAdam = partial(torch.optim.AdamW, betas=(0.9, 0.99), eps=1e-5, fused=True)

class Plain(EmbeddingDotBias):
    "The same model with a `forward` of its own, so that its gradient is autograd's"
    def forward(self, x): return EmbeddingDotBias.forward(self, x)

def learner(dls, cls=EmbeddingDotBias, seed=0, y_range=(0, 5.5), **kwargs):
    set_seed(seed)
    return CollabLearner(dls, cls.from_classes(50, dls.classes, y_range=y_range), **kwargs)

class FirstSteps(Callback):
    "Ends training after `n` steps"
    def __init__(self, n): self.n = n
    def after_batch(self):
        if self.learn.iter + 1 == self.n: raise CancelFitException

def losses(learn, n=100, cbs=None):
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, 5e-3, wd=0.1, cbs=[*L(cbs), FirstSteps(n)])
    return learn.recorder.losses

@pytest.fixture
def calls(monkeypatch):
    "Has a number of rows for each use of the formula"
    rows, formula = [], collab.dot_product_gradient
    def counted(tables, grads, y_range, x, y):
        rows.append(len(x))
        return formula(tables, grads, y_range, x, y)
    monkeypatch.setattr(collab, 'dot_product_gradient', counted)
    return rows

def farthest(a, b):
    "The largest difference between the gradients of two models"
    return max((p.grad - q.grad).abs().max().item() for p, q in zip(a.parameters(), b.parameters()))

# The formula

@pytest.mark.parametrize('y_range', [(0, 5.5), (0.5, 5.5), None])
def test_gradient_is_autograds(dls, calls, y_range):
    fast, plain = (learner(dls, cls, y_range=y_range) for cls in (EmbeddingDotBias, Plain))
    for (x, y), _ in zip(dls.train, range(3)): # later batches meet the rows that earlier ones filled
        for learn in (fast, plain): learn.model.zero_grad()
        assert fast.gradient(x, y).item() == pytest.approx(plain.gradient(x, y).item(), abs=1e-5)
        assert farthest(fast.model, plain.model) < 1e-6
    assert calls == [64] * 3

@pytest.mark.parametrize('n', [1, 2, 128, 129, 5_000])
def test_gradient_of_any_number_of_rows_is_autograds(dls, calls, n):
    fast, plain = (learner(dls, cls) for cls in (EmbeddingDotBias, Plain))
    x, y = dls.train.x[:n].long(), dls.train.y[:n]
    assert fast.gradient(x, y).item() == pytest.approx(plain.gradient(x, y).item(), abs=1e-5)
    assert farthest(fast.model, plain.model) < 1e-6 and calls == [n]

@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize('y_range', [(0.5, 5.5), None])
def test_gradient_of_other_types(dls, calls, y_range, dtype):
    "Of the type of the parameters; within its rounding autograd's in double precision, since not every PyTorch has a loss for each type"
    x, y = dls.one_batch()
    fast, plain = (learner(dls, cls, y_range=y_range) for cls in (EmbeddingDotBias, Plain))
    for learn in (fast, plain): learn.model.to(dtype)
    plain.model.double()
    assert fast.gradient(x, y).dtype == dtype and calls == [64]
    plain.gradient(x, y)
    for a, b in zip(fast.model.parameters(), plain.model.parameters()):
        assert a.grad.dtype == dtype and (a.grad - b.grad).abs().max() <= 8 * torch.finfo(dtype).eps * b.grad.abs().max()

@pytest.mark.parametrize('y_range', [(0, 5.5), None])
@pytest.mark.parametrize('seed', [42, 0, 7])
def test_losses_of_100_steps_agree(dls, calls, y_range, seed):
    fast = losses(learner(dls, seed=seed, y_range=y_range))
    plain = losses(learner(dls, Plain, seed=seed, y_range=y_range, opt_func=TorchAdam))
    assert len(calls) == len(fast) == 100 and np.abs(np.subtract(fast, plain)).max() < 1e-5

def test_what_one_step_leaves_in_a_gradient_does_not_leak_into_the_next(dls, calls):
    used, fresh = learner(dls), learner(dls)
    (x, y), (x2, y2) = [b for b, _ in zip(dls.train, range(2))]
    used.gradient(x, y)
    for p in used.model.parameters(): p.grad.fill_(1.) # what a callback may do
    used.model.zero_grad()
    for learn in (used, fresh): learn.gradient(x2, y2)
    for a, b in zip(used.model.parameters(), fresh.model.parameters()): assert torch.equal(a.grad, b.grad)
    assert len(calls) == 3

def test_a_gradient_that_is_there_already_is_added_to(dls):
    "As by autograd, for those who step after several batches"
    fast, plain = (learner(dls, cls) for cls in (EmbeddingDotBias, Plain))
    for (x, y), _ in zip(dls.train, range(3)):
        for learn in (fast, plain): learn.gradient(x, y)
    assert farthest(fast.model, plain.model) < 1e-6

# Where it would not hold

def frozen(l): l.model.u_bias.weight.requires_grad_(False)
def shared_lookup(l): l.model.u_bias = l.model.i_bias
def shared_table(l): l.model.u_bias.weight = l.model.i_bias.weight
def other_type(l): l.model.u_bias.double()
def short_vectors(l): l.model.i_weight.max_norm = 0.01
def by_frequency(l): l.model.i_weight.scale_grad_by_freq = True
def sparse(l): l.model.i_weight.sparse = True
def padded(l): l.model.i_weight.padding_idx = 3
def other_class(l):
    class Doubled(Embedding):
        def forward(self, x): return 2 * super().forward(x)
    l.model.u_weight = Doubled(*l.model.u_weight.weight.shape)
def hook_forward(l): l.model.u_weight.register_forward_hook(lambda m, args, out: 2 * out)
def hook_before_forward(l): l.model.u_weight.register_forward_pre_hook(lambda m, args: (args[0] * 0,))
def hook_backward(l): l.model.u_weight.register_full_backward_hook(lambda *args: None)
def hook_before_backward(l): l.model.u_weight.register_full_backward_pre_hook(lambda m, grads: (2 * grads[0],))
def hook_on_the_model(l): l.model.register_forward_hook(lambda m, args, out: out + 1)
def hook_on_the_loss(l): l.loss_func.register_forward_hook(lambda m, args, out: 2 * out)
def hook_on_a_gradient(l): l.model.u_weight.weight.register_hook(lambda g: 2 * g)
def hook_after_a_gradient(l):
    def double(p): p.grad *= 2
    l.model.u_weight.weight.register_post_accumulate_grad_hook(double)
def other_loss(l): l.loss_func = lambda pred, y: F.l1_loss(pred, y.flatten())
def summed_loss(l): l.loss_func = MSELossFlat(reduction='sum')
def own_loss(l):
    class Cubed(MSELossFlat):
        def forward(self, pred, y): return (pred - y.flatten()).abs().pow(3).mean()
    l.loss_func = Cubed()
def own_forward(l): l.model.forward = lambda x: l.model.u_bias(x[:, 0]).flatten()
def own_class(l): l.model.__class__ = Plain
def network(l): l.model = EmbeddingNN([(944, 5), (1665, 5)], [10], y_range=(0, 5.5))

CHANGES = [frozen, shared_lookup, shared_table, other_type, short_vectors, by_frequency, sparse, padded, other_class, hook_forward, hook_before_forward,
           hook_backward, hook_before_backward, hook_on_the_model, hook_on_the_loss, hook_on_a_gradient, hook_after_a_gradient, other_loss, summed_loss,
           own_loss, own_forward, own_class, network]

@pytest.mark.filterwarnings('ignore:Full backward hook is firing')
@pytest.mark.parametrize('change', CHANGES, ids=lambda f: f.__name__)
def test_formula_is_left_where_it_would_not_hold(dls, calls, change):
    "From the batch on before which it ceases to, and what comes is autograd's, to the last bit"
    x, y = dls.one_batch()
    first, second = learner(dls), learner(dls)
    for learn in (first, second):
        learn.gradient(x, y)
        learn.model.zero_grad()
        set_seed(0)
        change(learn)
    assert len(calls) == 2
    assert first.gradient(x, y).item() == Learner.gradient(second, x, y).item()
    for p, q in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None)
        if p.grad is not None: assert torch.equal(p.grad.to_dense(), q.grad.to_dense())
    assert len(calls) == 2

def test_formula_is_taken_up_again_when_the_hook_is_gone(dls, calls):
    learn, (x, y) = learner(dls), dls.one_batch()
    for o in (learn.model.u_weight.register_forward_hook, learn.model.u_weight.weight.register_hook):
        handle = o(lambda *args: None)
        for after in (False, True):
            if after: handle.remove()
            before = len(calls)
            learn.gradient(x, y)
            learn.model.zero_grad()
            assert len(calls) - before == after

# Changes in the middle of a training

class Change(Callback):
    "Calls `f` with the learner after step `n`"
    def __init__(self, f, n=10): self.f, self.n = f, n
    def after_batch(self):
        if self.learn.iter + 1 == self.n: self.f(self.learn)

def new_rows(like):
    torch.manual_seed(1)
    return torch.randn_like(like.detach()) / 10

def freeze(l): l.model.i_weight.weight.requires_grad_(False)
def thaw(l): l.model.i_weight.weight.requires_grad_(True)
def swap_parameter(l):
    l.model.i_weight.weight = nn.Parameter(new_rows(l.model.i_weight.weight))
    l.create_opt() # as in PyTorch, an optimiser moves the parameters that it was made with
def swap_data(l): l.model.i_weight.weight.data = new_rows(l.model.i_weight.weight)
def write_over(l):
    with torch.no_grad(): l.model.i_weight.weight.copy_(new_rows(l.model.i_weight.weight))
def swap_lookup(l):
    torch.manual_seed(1)
    l.model.i_weight = Embedding(*l.model.i_weight.weight.shape)
    l.create_opt()
def swap_model(l):
    torch.manual_seed(1)
    l.model = type(l.model).from_classes(20, l.dls.classes, y_range=(0.5, 5.5))
    l.create_opt()
def change_range(l): l.model.y_range = (0.5, 5.5)

@pytest.mark.parametrize('change', [freeze, swap_parameter, swap_data, write_over, swap_lookup, swap_model, change_range, other_loss, summed_loss],
                         ids=lambda f: f.__name__)
def test_a_training_changed_on_the_way_goes_on_as_by_autograd(dls, calls, change):
    runs, models = [], []
    for cls in (EmbeddingDotBias, Plain):
        learn = learner(dls, cls)
        runs.append(losses(learn, 60, Change(change)))
        models.append(learn.model)
    assert np.allclose(*runs, rtol=1e-5, atol=1e-5)
    assert len(calls) == (10 if change in (freeze, other_loss, summed_loss) else 60)
    for p, q in zip(*(m.parameters() for m in models), strict=True): assert (p - q)[1:].abs().max() < 1e-4 # row 0, #na#, is set after a training of factors alone

def test_factors_frozen_on_the_way_stay_put_and_thawed_ones_move(dls):
    learn, kept = learner(dls), {}
    def look(l): return {name: p.detach().clone() for name, p in l.model.named_parameters()}
    class Watch(Callback):
        def after_batch(self):
            if self.learn.iter + 1 in (10, 30, 40): kept[self.learn.iter + 1] = look(self.learn)
    losses(learn, 40, [Change(freeze, 10), Change(thaw, 30), Watch()])
    for name in kept[10]:
        assert torch.equal(kept[10][name], kept[30][name]) == (name == 'i_weight.weight'), name
        assert not torch.equal(kept[30][name], kept[40][name]), name

@pytest.mark.parametrize('swap', [swap_parameter, swap_data], ids=lambda f: f.__name__)
def test_a_table_put_in_on_the_way_is_the_one_that_is_trained(dls, calls, swap):
    learn, old = learner(dls), {}
    def remember(l):
        old['table'] = l.model.i_weight.weight.data
        old['copy'] = old['table'].clone()
        swap(l)
    losses(learn, 30, Change(remember))
    assert torch.equal(old['table'], old['copy'])
    new = learn.model.i_weight.weight.detach()
    moved = (new - new_rows(new)).abs().amax(1) > 0
    assert moved.any() and not torch.equal(new, old['table']) and len(calls) == 30

# Adam

def tiny(dtype=torch.float32):
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(5, 3, dtype=dtype)), nn.Parameter(torch.randn(4, dtype=dtype))]

def steps(opt, ps, n=10, missing=(), seed=0):
    "The parameters after each of `n` steps; at those in `missing` the second parameter has no gradient"
    g, res = torch.Generator().manual_seed(seed), []
    for t in range(n):
        for p in ps: p.grad = torch.randn(p.shape, generator=g).to(p.dtype)
        if t in missing: ps[1].grad = None
        opt.step()
        res.append([p.detach().clone() for p in ps])
    return res

def same(a, b): return all(torch.equal(p, q) for ps, qs in zip(a, b, strict=True) for p, q in zip(ps, qs, strict=True))

@pytest.mark.parametrize('kwargs', [{}, {'weight_decay': 0}, {'betas': (0.8, 0.9), 'eps': 1e-3}], ids=str)
@pytest.mark.parametrize('missing', [(), (0, 1, 2), (5,), range(10)], ids=str)
def test_each_step_of_adam_is_torchs(kwargs, missing):
    ours, theirs = tiny(), tiny()
    assert same(steps(Adam(ours, lr=0.1, **kwargs), ours, missing=missing), steps(TorchAdam(theirs, lr=0.1, **kwargs), theirs, missing=missing))

def test_adam_of_double_precision_is_torchs():
    ours, theirs = tiny(torch.float64), tiny(torch.float64)
    assert same(steps(Adam(ours, lr=0.1), ours), steps(TorchAdam(theirs, lr=0.1), theirs))

def test_groups_of_adam_have_settings_of_their_own_which_may_change():
    def groups(ps): return [{'params': ps[:1]}, {'params': ps[1:], 'weight_decay': 0., 'lr': 0.01}, {'params': []}]
    runs = []
    for make in (Adam, TorchAdam):
        ps = tiny()
        opt = make(groups(ps), lr=0.1, weight_decay=0.1)
        first = steps(opt, ps)
        opt.param_groups[0].update(lr=0.02, betas=(0.85, 0.99))
        runs.append(first + steps(opt, ps))
    assert same(*runs)

def test_parameters_of_adam_may_come_one_by_one():
    ours, theirs = tiny(), tiny()
    assert same(steps(Adam(p for p in ours), ours), steps(TorchAdam(theirs), theirs))

def test_adam_leaves_all_alone_without_any_gradient():
    ps = tiny()
    before, opt = [p.detach().clone() for p in ps], Adam(ps, lr=0.1)
    opt.step()
    assert same([before], [ps]) and all(o['step'] == 0 for o in opt.state_dict()['state'].values())

def test_zero_grad_forgets():
    ps = tiny()
    opt = Adam(ps)
    steps(opt, ps)
    opt.zero_grad()
    assert all(p.grad is None for p in ps)

@pytest.mark.parametrize('saver', [Adam, TorchAdam], ids=['from ours', "from torch's"])
@pytest.mark.parametrize('reader', [Adam, TorchAdam], ids=['to ours', "to torch's"])
def test_state_goes_to_and_fro_between_ours_and_torchs(saver, reader):
    "What goes on with the state of another goes on as if nothing had been"
    kept, moved = tiny(), tiny()
    whole = TorchAdam(kept, lr=0.1, weight_decay=0.2)
    expected = steps(whole, kept, missing=(3,)) + steps(whole, kept, seed=1)
    first = saver(moved, lr=0.1, weight_decay=0.2)
    begun = steps(first, moved, missing=(3,))
    second = reader(moved)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for g in second.param_groups: g['fused'] = True # which our state does not say
    assert same(begun + steps(second, moved, seed=1), expected)

def test_state_of_other_groups_is_refused():
    ps = tiny()
    with pytest.raises(ValueError, match=r'groups of \[2\] parameters, this optimiser of \[1, 1\]'):
        Adam([{'params': ps[:1]}, {'params': ps[1:]}]).load_state_dict(Adam(ps).state_dict())

def test_a_copy_of_adam_goes_on_by_itself():
    ps, theirs = tiny(), tiny()
    opt, theirs_opt = Adam(ps, lr=0.1), TorchAdam(theirs, lr=0.1)
    steps(opt, ps), steps(theirs_opt, theirs)
    other_opt, others = copy.deepcopy((opt, ps))
    steps(opt, ps)
    assert same(steps(other_opt, others, seed=1), steps(theirs_opt, theirs, seed=1))

def test_sparse_gradients_are_refused():
    for cls in (Adam, TorchAdam):
        table = nn.Embedding(5, 2, sparse=True)
        opt, before = cls(table.parameters(), lr=0.1), table.weight.detach().clone()
        table(tensor([1])).sum().backward()
        with pytest.raises(RuntimeError, match='(?i)sparse'): opt.step()
        assert torch.equal(table.weight, before)

@pytest.mark.parametrize('make', [lambda dls: DotProductBias(944, 1665, 50), lambda dls: EmbeddingNN(get_emb_sz(dls), [20], y_range=(0, 5.5))],
                         ids=['dot product', 'network'])
def test_any_module_takes_the_same_steps_as_with_torchs_adamw(dls, make):
    runs = []
    for opt_func in (Adam, TorchAdam):
        set_seed(0)
        runs.append(losses(Learner(dls, make(dls), opt_func=opt_func)))
    assert np.abs(np.subtract(*runs)).max() < 1e-5

@pytest.mark.slow
def test_no_compiler_is_loaded_to_train():
    "torch.optim loads torch._dynamo at its first use, which takes about a second; a training does without"
    code = ('import sys; from collab_course.all import *; dls = CollabDataLoaders.from_df(make_ratings())\n'
            'for use_nn in (False, True): collab_learner(dls, use_nn=use_nn).fit_one_cycle(1)\n'
            'assert "torch._dynamo" not in sys.modules')
    subprocess.run([sys.executable, '-c', code], check=True)

def test_a_pickled_adam_goes_on_as_it_would_have():
    "Its counts of steps and those that the kernel reads stay one"
    import pickle
    def run(through):
        set_seed(0)
        p = nn.Parameter(torch.randn(4))
        opt = Adam([p], lr=0.1)
        for t in range(10):
            if t == 5: opt = through(opt)
            (p,) = opt.param_groups[0]['params']
            p.grad = torch.randn(4)
            opt.step()
        return p.detach()
    assert torch.equal(run(lambda o: o), run(lambda o: pickle.loads(pickle.dumps(o))))
