"""The fast paths of training do what the plain ones do. No clock here: `make bench` measures."""
import copy, subprocess, sys

import pytest

from collab_course.all import *
from collab_course import learner as learner_module, optimiser
from collab_course.learner import FusedAdamW
from collab_course.optimiser import backward
from collab_course.neural_net import TabularModel

TorchAdam = partial(torch.optim.AdamW, betas=(0.9, 0.99), eps=1e-5, fused=True)

class Plain(EmbeddingDotBias):
    "The same model with a `forward` of its own, so that its gradient is autograd's"
    def forward(self, x): return EmbeddingDotBias.forward(self, x)

def learner(dls, cls=EmbeddingDotBias, seed=0, y_range=(0, 5.5), **kwargs):
    set_seed(seed)
    return Learner(dls, cls.from_classes(50, dls.classes, y_range=y_range), **kwargs)

class FirstSteps(Callback):
    "Ends training after `n` steps"
    def __init__(self, n): self.n = n
    def after_batch(self):
        if self.learn.iter + 1 == self.n: raise CancelFitException

def losses(learn, n=100, **kwargs):
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, 5e-3, wd=0.1, cbs=FirstSteps(n), **kwargs)
    return learn.recorder.losses

def takes_shortcut(learn): return learn._closed_form() is not None

@pytest.mark.parametrize('y_range', [(0, 5.5), (0.5, 5.5), None])
def test_gradient_is_autograds(dls, y_range):
    fast, plain = (learner(dls, cls, y_range=y_range) for cls in (EmbeddingDotBias, Plain))
    assert takes_shortcut(fast) and not takes_shortcut(plain)
    gradient = fast._closed_form()
    for (x, y), _ in zip(dls.train, range(3)): # later batches meet the rows that earlier ones filled
        plain.model.zero_grad()
        assert gradient(x, y).item() == pytest.approx(plain._autograd(x, y).item(), abs=1e-5)
        for a, b in zip(fast.model.parameters(), plain.model.parameters()):
            assert (a.grad - b.grad).abs().max() < 1e-6

@pytest.mark.parametrize('n', [1, 2, 128, 129, 5_000])
def test_gradient_of_any_number_of_rows_is_autograds(dls, n):
    fast, plain = (learner(dls, cls) for cls in (EmbeddingDotBias, Plain))
    x, y = dls.train.x[:n].long(), dls.train.y[:n]
    assert fast._closed_form()(x, y).item() == pytest.approx(plain._autograd(x, y).item(), abs=1e-5)
    for a, b in zip(fast.model.parameters(), plain.model.parameters()): assert (a.grad - b.grad).abs().max() < 1e-6

@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize('y_range', [(0.5, 5.5), None])
def test_gradient_of_other_types(dls, y_range, dtype):
    "Of the type of the parameters; within its rounding autograd's in double precision, since not every PyTorch has a loss for each type"
    x, y = dls.one_batch()
    fast, plain = (learner(dls, cls, y_range=y_range) for cls in (EmbeddingDotBias, Plain))
    for learn in (fast, plain): learn.model.to(dtype)
    plain.model.double()
    assert fast._closed_form()(x, y).dtype == dtype
    plain._autograd(x, y)
    for a, b in zip(fast.model.parameters(), plain.model.parameters()):
        assert a.grad.dtype == dtype and (a.grad - b.grad).abs().max() <= 8 * torch.finfo(dtype).eps * b.grad.abs().max()

@pytest.mark.parametrize('y_range', [(0, 5.5), None])
@pytest.mark.parametrize('seed', [42, 0, 7])
def test_losses_of_100_steps_agree(dls, y_range, seed):
    fast = losses(learner(dls, seed=seed, y_range=y_range))
    plain = losses(learner(dls, Plain, seed=seed, y_range=y_range, opt_func=TorchAdam))
    assert len(fast) == 100 and np.abs(np.subtract(fast, plain)).max() < 1e-5

@pytest.mark.parametrize('make', [lambda dls: DotProductBias(944, 1665, 50), lambda dls: EmbeddingNN(get_emb_sz(dls), [20], y_range=(0, 5.5))],
                         ids=['dot product', 'network'])
def test_any_module_takes_the_same_steps_as_with_torchs_adamw(dls, make):
    runs = []
    for opt_func in (Adam, TorchAdam):
        set_seed(0)
        runs.append(losses(Learner(dls, make(dls), opt_func=opt_func)))
    assert np.abs(np.subtract(*runs)).max() < 1e-5

def test_backward_is_torchs(dls, monkeypatch):
    "To the last bit, and the loss may have one number in it or one row"
    runs = []
    for f in (learner_module.backward, lambda loss: loss.backward()):
        monkeypatch.setattr(learner_module, 'backward', f)
        set_seed(0)
        runs.append(losses(Learner(dls, DotProductBias(944, 1665, 50))))
    assert runs[0] == runs[1]
    p = nn.Parameter(torch.ones(3))
    for loss in (p.sum(), p.sum()[None], p.double().sum()): backward(loss)
    assert p.grad.tolist() == [3., 3., 3.]

def fails(error):
    def run(loss): raise error
    return run

@pytest.mark.parametrize('run', [fails(AttributeError('gone')), fails(TypeError('another argument')), lambda loss: None], ids=['gone', 'changed', 'idle'])
def test_backward_where_the_engine_has_changed_is_torchs(run, monkeypatch):
    monkeypatch.setattr(optimiser, '_run_engine', run)
    optimiser._reaches_engine.cache_clear()
    p = nn.Parameter(torch.ones(3))
    try: backward(p.square().sum())
    finally: optimiser._reaches_engine.cache_clear()
    assert p.grad.tolist() == [2., 2., 2.]

def test_what_a_backward_raises_is_passed_on():
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x): return x.clone()
        @staticmethod
        def backward(ctx, g): raise TypeError('my mistake')
    with pytest.raises(TypeError, match='my mistake'): backward(Broken.apply(nn.Parameter(torch.ones(()))))

def test_shortcut_is_left_where_it_would_not_hold(dls):
    def frozen(l): l.model.u_bias.weight.requires_grad_(False)
    def shared(l): l.model.i_bias = l.model.u_bias
    def other_lookup(l): l.model.i_bias = nn.Embedding(1665, 1, max_norm=1.)
    def listened_to(l): l.model.u_weight.register_forward_hook(lambda *args: None)
    def watched(l): l.model.u_weight.weight.register_hook(lambda g: g)
    def other_loss(l): l.loss_func = nn.L1Loss()
    def summed(l): l.loss_func = MSELossFlat(reduction='sum')
    def own_forward(l): l.model.forward = lambda x: l.model.u_bias(x[:, 0])
    assert takes_shortcut(learner(dls))
    for change in (frozen, shared, other_lookup, listened_to, watched, other_loss, summed, own_forward):
        learn = learner(dls)
        change(learn)
        assert not takes_shortcut(learn), change.__name__

def test_callbacks_may_change_gradients_and_fill_what_the_batch_left_empty(dls):
    "What one step leaves in a gradient must not leak into the next"
    gradient, model = (learn := learner(dls))._closed_form(), learn.model
    (x, y), (x2, y2) = [b for b, _ in zip(dls.train, range(2))]
    gradient(x, y)
    model.u_weight.weight.grad.fill_(1.)
    gradient(x2, y2)
    learn.model.zero_grad()
    fresh = learner(dls)
    fresh._closed_form()(x2, y2)
    gradient(x2, y2)
    for a, b in zip(model.parameters(), fresh.model.parameters()): assert torch.equal(a.grad, b.grad)

def tiny():
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(5, 3)), nn.Parameter(torch.randn(4))]

def steps(opt, ps, n=10, missing=(), seed=0):
    "Take `n` steps; at those in `missing` the second parameter has no gradient"
    g = torch.Generator().manual_seed(seed)
    for t in range(n):
        for p in ps: p.grad = torch.randn(p.shape, generator=g)
        if t in missing: ps[1].grad = None
        opt.step()
    return ps

def same(a, b): assert all(torch.equal(p, q) for p, q in zip(a, b))

@pytest.mark.parametrize('kwargs', [{}, {'amsgrad': True}, {'maximize': True}, {'fused': False}, {'weight_decay': 0}], ids=str)
@pytest.mark.parametrize('missing', [(), (0, 1, 2), (5,)], ids=str)
def test_fused_adamw_is_torchs(kwargs, missing):
    kwargs = {'fused': True, 'lr': 0.1, **kwargs}
    ours, theirs = tiny(), tiny()
    same(steps(FusedAdamW(ours, **kwargs), ours, missing=missing), steps(torch.optim.AdamW(theirs, **kwargs), theirs, missing=missing))

def test_fused_adamw_goes_on_after_load_copy_and_new_group():
    ours, theirs = tiny(), tiny()
    a, b = FusedAdamW(ours[:1], lr=0.1, fused=True), torch.optim.AdamW(theirs[:1], lr=0.1, fused=True)
    for opt, ps in ((a, ours), (b, theirs)):
        steps(opt, ps)
        opt.add_param_group({'params': ps[1:]})
        steps(opt, ps)
        opt.load_state_dict(copy.deepcopy(opt.state_dict()))
        steps(opt, ps)
    same(ours, theirs)
    assert str(a.state_dict()) == str(b.state_dict())

def test_scaled_gradients_are_torchs_business():
    "What torch.amp.GradScaler sets on an optimiser is heeded, from the first step on and later"
    ps = [nn.Parameter(torch.linspace(1, 2, 6)) for _ in range(2)]
    opts = [f([p], lr=0.1) for f, p in zip((Adam, TorchAdam), ps)]
    for scale in (None, 8., None):
        for opt, p in zip(opts, ps):
            if scale: opt.grad_scale, opt.found_inf = torch.tensor(scale), torch.tensor(0.)
            elif hasattr(opt, 'grad_scale'): del opt.grad_scale, opt.found_inf
            p.grad = torch.arange(1., 7)
            opt.step()
        assert (ps[0] - ps[1]).abs().max() < 1e-7

def test_without_the_kernel_it_is_torchs(monkeypatch):
    ours, theirs = tiny(), tiny()
    monkeypatch.delattr(torch, '_fused_adamw_')
    opt = FusedAdamW(ours, lr=0.1, foreach=False)
    same(steps(opt, ours), steps(torch.optim.AdamW(theirs, lr=0.1, foreach=False), theirs))
    assert opt._lists is None

def test_zero_grad_both_ways():
    ps = tiny()
    opt = FusedAdamW(ps, lr=0.1, fused=True)
    steps(opt, ps)
    opt.zero_grad(set_to_none=False)
    assert all((p.grad == 0).all() for p in ps)
    opt.zero_grad()
    assert all(p.grad is None for p in ps)

def test_no_compiler_is_loaded_to_train():
    "torch.optim loads torch._dynamo at its first use, which takes about a second; a training does without"
    code = ('import sys; from collab_course.all import *; '
            'learn = collab_learner(CollabDataLoaders.from_df(make_ratings()), use_nn=True); learn.fit_one_cycle(1); assert "torch._dynamo" not in sys.modules')
    subprocess.run([sys.executable, '-c', code], check=True)

def test_sparse_gradients_are_refused_as_by_torch():
    for cls in (FusedAdamW, torch.optim.AdamW):
        table = nn.Embedding(5, 2, sparse=True)
        opt = cls(table.parameters(), lr=0.1, fused=True)
        table(tensor([1])).sum().backward()
        with pytest.raises(RuntimeError, match='sparse'): opt.step()

def test_hooks_on_steps_are_refused():
    opt = FusedAdamW(tiny(), lr=0.1, fused=True)
    for register in (opt.register_step_pre_hook, opt.register_step_post_hook):
        with pytest.raises(RuntimeError, match='Callback') as e: register(lambda *args: None)
        assert e.type is RuntimeError

def test_closure():
    ps = tiny()
    opt = FusedAdamW(ps, lr=0.1, fused=True)
    def closure():
        opt.zero_grad()
        loss = sum(p.square().sum() for p in ps)
        loss.backward()
        return loss
    first = opt.step(closure).item()
    for _ in range(5): last = opt.step(closure).item()
    assert last < first

class PlainNN(EmbeddingNN):
    "The same network with a `forward` of its own, so that its gradient is autograd's"
    def forward(self, x): return TabularModel.forward(self, x)

#: a start from which no unit comes so near to its ReLU's switch that rounding decides, as after some other seeds: there autograd, nudged in its last digit, leaves itself, too
SEED = 4

def network(dls, cls=EmbeddingNN, seed=SEED, y_range=(0, 5.5), layers=(100, 50), **kwargs):
    set_seed(seed)
    return Learner(dls, cls(get_emb_sz(dls), list(layers), y_range=y_range, **kwargs))

NETWORKS = [{}, {'y_range': None}, {'use_bn': False}, {'layers': [10]}, {'layers': []}, {'layers': [30, 20, 10]}]

@pytest.mark.parametrize('kwargs', NETWORKS, ids=str)
def test_gradient_of_the_network_is_autograds(dls, kwargs):
    fast, plain = (network(dls, cls, **kwargs) for cls in (EmbeddingNN, PlainNN))
    assert takes_shortcut(fast) and not takes_shortcut(plain)
    gradient = fast._closed_form()
    for (x, y), _ in zip(dls.train, range(3)):
        for learn in (fast, plain): learn.model.train().zero_grad()
        assert gradient(x, y).item() == pytest.approx(plain._autograd(x, y).item(), abs=1e-5)
        for (name, a), b in zip(fast.model.named_parameters(), plain.model.parameters()):
            assert (a.grad - b.grad).abs().max() < 1e-6, name
    for (name, a), b in zip(fast.model.named_buffers(), plain.model.buffers()): assert torch.allclose(a, b), name

@pytest.mark.parametrize('kwargs', NETWORKS, ids=str)
def test_losses_of_100_steps_of_the_network_agree(dls, kwargs):
    assert np.abs(np.subtract(losses(network(dls, **kwargs)), losses(network(dls, PlainNN, **kwargs)))).max() < 1e-5

def test_normalisation_that_a_callback_freezes_stays_frozen(dls):
    class Freeze(Callback):
        def before_epoch(self):
            for m in self.learn.model.modules():
                if isinstance(m, nn.BatchNorm1d): m.eval()
        after_batch = before_epoch
    runs = []
    for cls in (EmbeddingNN, PlainNN):
        learn = network(dls, cls)
        with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-3, cbs=[Freeze(), FirstSteps(20)])
        runs.append(learn.recorder.losses)
        assert max(m.num_batches_tracked for m in learn.model.modules() if isinstance(m, nn.BatchNorm1d)) <= 1
    assert np.abs(np.subtract(*runs)).max() < 1e-5

def test_network_refuses_one_row_by_either_way():
    x, y = torch.tensor([[1, 2]]), torch.tensor([[3.]])
    model = EmbeddingNN([(5, 2), (6, 3)], [4])
    for step in (lambda: model(x), lambda: model.mse_gradient()(x, y)):
        with pytest.raises(ValueError, match='more than 1 value'): step()
    assert model.layers[2].running_var.isfinite().all()

def test_shortcut_of_the_network_is_left_where_it_would_not_hold(dls):
    def frozen(m): m.layers[0].weight.requires_grad_(False)
    def shared(m): m.layers[5].weight = m.layers[2].weight
    def shared_beside_an_extra(m):
        shared(m)
        m.extra = nn.Parameter(torch.zeros(1))
    def upside_down(m): m.layers[-1].lo, m.layers[-1].hi = 5.5, 0
    def listened_to(m): m.layers[1].register_forward_hook(lambda *args: None)
    def double(m): m.double()
    def other_lookup(m): m.embeds[1] = nn.Embedding(1665, 102, max_norm=1.)
    def other_activation(m): m.layers[1] = nn.GELU()
    def no_averages(m): m.layers[2] = nn.BatchNorm1d(20, track_running_stats=False)
    def own_forward(m): m.forward = lambda x: m.embeds[0](x[:, 0]).sum(1)
    layers = [20, 20]
    assert takes_shortcut(network(dls, layers=layers))
    for change in (frozen, shared, shared_beside_an_extra, upside_down, listened_to, double, other_lookup, other_activation, no_averages, own_forward):
        learn = network(dls, layers=layers)
        change(learn.model)
        assert not takes_shortcut(learn), change.__name__
    for kwargs in ({'ps': 0.1}, {'embed_p': 0.1}, {'act_cls': nn.SiLU}):
        assert not takes_shortcut(network(dls, layers=layers, **kwargs)), kwargs
