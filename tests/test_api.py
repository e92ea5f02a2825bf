"""The names, parameters and defaults that people's code relies on: a change here is a change for them, so it is made on purpose.

    python tests/test_api.py     writes them to tests/api.txt anew"""
import inspect, pkgutil
from functools import partial
from importlib import import_module
from pathlib import Path

import collab_course

FILE = Path(__file__).with_name('api.txt')

def shown(val):
    "A default as text that is the same in every process"
    if isinstance(val, partial): return f'{shown(val.func)}({", ".join(f"{k}={shown(v)}" for k, v in val.keywords.items())})'
    return getattr(val, '__name__', None) or repr(val)

class Shown:
    def __init__(self, val): self.val = val
    def __repr__(self): return shown(self.val)

def signature(o):
    "Parameters and defaults without annotations, as one line"
    ps = inspect.signature(o).parameters.values()
    return str(inspect.Signature([p.replace(annotation=p.empty, default=p.default if p.default is p.empty else Shown(p.default)) for p in ps]))

def lines():
    "Each public name with what it takes; of a class its public methods too"
    names = sorted(o.name for o in pkgutil.iter_modules(collab_course.__path__) if o.name not in ('all', '_modidx', 'exercises'))
    modules = {name: import_module(f'collab_course.{name}') for name in names} # all before the first is listed: some add methods to others' classes
    for module, m in modules.items():
        for name in sorted(m.__all__):
            o = getattr(m, name)
            if isinstance(o, partial): yield f'{module}.{name} = {shown(o)}'
            elif not callable(o): yield f'{module}.{name}'
            elif not inspect.isclass(o): yield f'{module}.{name}{signature(o)}'
            else:
                yield f"{module}.{name}{signature(o) if '__init__' in vars(o) else ''}"
                for k, f in sorted(vars(o).items()):
                    f = getattr(f, '__func__', f)
                    if inspect.isfunction(f) and not k.startswith('_'): yield f'{module}.{name}.{k}{signature(f)}'

def test_names_parameters_and_defaults_are_those_on_record():
    now, then = list(lines()), FILE.read_text(encoding='utf-8').splitlines()
    assert now == then, f'gone: {sorted(set(then) - set(now))}; new: {sorted(set(now) - set(then))}. If meant: python {Path(__file__).name}'

if __name__ == '__main__': FILE.write_text('\n'.join(lines()) + '\n', encoding='utf-8')
