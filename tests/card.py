"""Stand-ins for a GPU: a tape that plays operations again as a CUDA graph does, and a card whose tensors keep apart from the processor's."""
from concurrent.futures import Executor, Future

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from collab_course import gpu, parquet

aten = torch.ops.aten
WAITING = {aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default} # for what a card has computed

class Tape(TorchDispatchMode):
    "Keeps the operations inside `with`, and the tensors they worked on"
    def __init__(self):
        super().__init__()
        self.played = []
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in WAITING: raise RuntimeError('operation not permitted when stream is capturing')
        res = func(*args, **(kwargs or {}))
        self.played.append((func, args, kwargs or {}, res))
        return res
    def replay(self):
        "Do it all again: no line of Python in between, results in the tensors of the first time"
        for func, args, kwargs, old in self.played:
            if func.is_view: continue
            new = func(*args, **kwargs)
            olds, news = ([o for o in (r if isinstance(r, (tuple, list)) else [r]) if torch.is_tensor(o)] for r in (old, new))
            for a, b in zip(olds, news):
                if a.data_ptr() != b.data_ptr(): a.copy_(b)

def record(work):
    "In place of `gpu.record`. What is computed while recording is spoilt, since a card computes nothing then"
    for _ in range(3): work()
    with Tape() as tape: made = work()
    loss, grads = made
    with torch.inference_mode():
        for o in (loss, *grads): o is None or o.fill_(torch.nan)
    def replay():
        with torch.inference_mode(): tape.replay()
        return made
    return replay

class Generator(torch.Generator):
    "Random numbers of one device, drawn by the processor"
    def __new__(cls, device='cpu'): return super().__new__(cls)
    def __init__(self, device='cpu'): self.place = torch.device(device)
    @property
    def device(self): return self.place

INDEXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default, aten._unsafe_index.Tensor}

class Places(TorchDispatchMode):
    "Knows what lies on the card, by its memory, and lets nothing meet that lies in two places"
    def __init__(self):
        super().__init__()
        self.storages = {} # those on the card are kept, or their addresses would be given away again
    def __contains__(self, t): return t.untyped_storage()._cdata in self.storages
    def put(self, t):
        self.storages.setdefault(t.untyped_storage()._cdata, t.untyped_storage())
        return t
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = [o for o in tree_leaves((args, kwargs)) if torch.is_tensor(o)]
        if func in INDEXED: given = [o for o in given if o.is_floating_point()] or given[:1]
        here, there = [o for o in given if o not in self and o.dim()], [o for o in given if o in self]
        if here and there and func is not aten.copy_.default:
            raise RuntimeError(f'Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! ({func})')
        res = func(*args, **(kwargs or {}))
        if there and func is not aten.copy_.default:
            for o in tree_leaves(res): torch.is_tensor(o) and self.put(o)
        return res

class AtOnce(Executor):
    def __init__(self, *args): pass
    def submit(self, func, *args):
        res = Future()
        res.set_result(func(*args))
        return res

class Card(TorchFunctionMode):
    "Inside `with`, device='cuda' names a card: tensors of the processor that must not meet others"
    def __init__(self):
        super().__init__()
        self.places, self.cuda = Places(), torch.device('cuda', 0)
    def __enter__(self):
        self.patches = pytest.MonkeyPatch()
        for name, new in {'is_available': lambda: True, 'get_rng_state': lambda device: torch.get_rng_state(), 'set_rng_state': lambda state, device: torch.set_rng_state(state),
                          'synchronize': lambda device=None: None, 'reset_peak_memory_stats': lambda device: None, 'max_memory_allocated': lambda device: 0}.items():
            self.patches.setattr(torch.cuda, name, new)
        self.patches.setattr(torch, 'Generator', Generator)
        self.patches.setattr(gpu, 'record', record)
        self.patches.setattr(parquet, 'ThreadPoolExecutor', AtOnce) # other threads would not see the card
        self.places.__enter__()
        return super().__enter__()
    def __exit__(self, *args):
        super().__exit__(*args)
        self.places.__exit__(*args)
        self.patches.undo()
    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs, name = dict(kwargs or {}), getattr(func, '__name__', '')
        mine = args[0] if args and torch.is_tensor(args[0]) else None
        if name == '__get__':
            attr = getattr(func.__self__, '__name__', '')
            if attr == 'device': return self.cuda if mine in self.places else func(*args)
            if attr == 'is_cpu': return mine not in self.places
            if attr == 'is_cuda': return mine in self.places
        if name in ('numpy', '__array__') and mine in self.places:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first.")
        if name in ('cpu', 'cuda'): args, name = (mine, name), 'to'
        if name == 'to': return self.moved(*args, **kwargs)
        device, generator = torch.device(kwargs.get('device') or 'cpu'), kwargs.get('generator')
        if generator is not None and generator.device.type != device.type and mine is None:
            raise RuntimeError(f"Expected a '{device.type}' device type for generator but found '{generator.device.type}'")
        if device.type != 'cuda': return func(*args, **kwargs)
        return self.places.put(func(*args, **kwargs | {'device': 'cpu'}))
    def moved(self, t, *args, device=None, dtype=None, **_):
        "`t.to(...)`"
        for o in args:
            if isinstance(o, (str, torch.device)): device = o
            elif isinstance(o, torch.dtype): dtype = o
            elif torch.is_tensor(o): device, dtype = self.cuda if o in self.places else 'cpu', o.dtype
        res = t.to(dtype or t.dtype)
        if device is None or (torch.device(device).type == 'cuda') == (t in self.places): return res
        res = res.clone()
        if torch.device(device).type == 'cuda': return self.places.put(res)
        del self.places.storages[res.untyped_storage()._cdata]
        return res
