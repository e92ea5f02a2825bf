"""Check that notebooks, package and README.md are in step and clean; changes nothing. Exit status 1 names what is off."""
import ast, filecmp, re, shutil, subprocess, sys, tempfile
from pathlib import Path

import nbformat

sys.path.insert(0, str(Path(__file__).parent))
from lessons import CFG, NBS, ROOT, SETUP, badge
from readme import readme

BIN, LIB = Path(sys.executable).parent, ROOT/CFG['lib_path']
off = []

def require(holds, message):
    if not holds: off.append(message)

def exported_again():
    "Clean and export a copy of the project; compare with what is here"
    with tempfile.TemporaryDirectory() as tmp:
        copy = Path(tmp)/'project'
        copy.mkdir()
        for name in ('settings.ini', 'setup.py', 'README.md'): shutil.copy(ROOT/name, copy)
        shutil.copytree(NBS, copy/'nbs')
        (copy/CFG['lib_path']).mkdir()
        for name in ('__init__.py', 'all.py'): shutil.copy(LIB/name, copy/CFG['lib_path'])
        for tool in ('nbdev_clean', 'nbdev_export'): subprocess.run([BIN/tool], cwd=copy, check=True, capture_output=True)
        for ours in NBS.glob('*.ipynb'):
            require(filecmp.cmp(ours, copy/'nbs'/ours.name, False), f'nbs/{ours.name} is not clean: run nbdev_clean')
        theirs = {o.name for o in (copy/CFG['lib_path']).glob('*.py')}
        for name in theirs | {o.name for o in LIB.glob('*.py')}:
            same = name in theirs and (LIB/name).exists() and filecmp.cmp(LIB/name, copy/CFG['lib_path']/name, False)
            require(same, f"{CFG['lib_path']}/{name} is not what the notebooks export: run nbdev_export")

def notebooks():
    "What each stored notebook must and must not hold"
    homes = {}
    for file in sorted(NBS.glob('*.ipynb')):
        nb = nbformat.read(file, as_version=4)
        nbformat.validate(nb)
        sources, name = [o.source for o in nb.cells], file.stem
        for module in re.findall(r'^#\| default_exp (\w+)', '\n'.join(sources), re.M):
            require(module not in homes, f'{file.name} and {homes.get(module)} both export {module}')
            homes[module] = file.name
        if name[0].isdigit():
            require(badge(name) in sources[0], f'{file.name}: its Colab badge does not open it: run .ci/lessons.py --write')
            require(sources[1] == SETUP, f'{file.name}: its set-up cell is not the current one: run .ci/lessons.py --write')
        for cell in nb.cells:
            if cell.cell_type != 'code': continue
            for out in cell.outputs:
                text = str(out)
                require(out.output_type != 'error', f'{file.name} holds an error output')
                require(out.get('name') != 'stderr', f'{file.name} holds a warning: {text[:200]}')
                require(not re.search(r'(?<![\w.:/])/(home|root|tmp|Users|usr|mnt|opt)/|[A-Z]:\\\\', text), f'{file.name} holds an absolute path: {text[:200]}')
            if any('image/png' in o.get('data', {}) for o in cell.outputs):
                require('#| fig-alt: ' in cell.source, f'{file.name} has a picture without #| fig-alt: {cell.source[:60]!r}')
        require(file.stat().st_size <= 700_000, f'{file.name} has {file.stat().st_size:,} bytes, over 700 KB')

def python_files():
    "Every tracked Python file parses on the oldest Python we claim"
    oldest = tuple(map(int, CFG['min_python'].split('.')))
    for file in [*LIB.glob('*.py'), *(ROOT/'tests').glob('*.py'), *(ROOT/'.ci').glob('*.py'), *(ROOT/'bench').glob('*.py')]:
        ast.parse(file.read_text(encoding='utf-8'), feature_version=oldest)

#: errors; unused and unknown names; defaults that are shared; and what runs code: exec, eval, pickle, a shell
RULES = 'E9,F,B006,B008,S102,S301,S302,S307,S602,S604,S605'
STARS = 'F403,F405' # `from collab_course.all import *` is how a lesson and a test begin
#: modules that pass names on, from where they were before they moved
PASS_ON = 'all', 'learner', 'rebuild', 'persistence', 'exercises'
EXEMPT = *(f'collab_course/{o}.py:F401' for o in PASS_ON), 'tests/*:S301'

def lint():
    "What ruff finds in the Python files"
    done = subprocess.run([BIN/'ruff', 'check', '--isolated', '--no-cache', '--quiet', '--output-format=concise', f"--target-version=py{CFG['min_python'].replace('.', '')}",
                           f'--select={RULES}', f'--ignore={STARS}', *(f'--per-file-ignores={o}' for o in EXEMPT),
                           *(o for o in (CFG['lib_path'], 'tests', '.ci', 'bench') if (ROOT/o).exists())], cwd=ROOT, capture_output=True, text=True)
    off.extend(done.stdout.splitlines())
    require(done.returncode in (0, 1), f'ruff: {done.stderr.strip()}')

def times():
    "README.md's times beside fastai's are those of bench/results.md, on one thread, rounded"
    found = re.findall(r'^\|[^|]+\| ([\d.]+) \|[^|]+\|[^|]+\| ([\d.]+) \|[^|]+\| ([\d.]+) \| \d+ \|$', (ROOT/'bench'/'results.md').read_text(encoding='utf-8'), re.M)[:3]
    shown = re.findall(r'^\|[^|]+\| ([\d.]+) \|[^|]+\| ([\d.]+) \| (\d+) \|$', (ROOT/'README.md').read_text(encoding='utf-8'), re.M)
    rounded = [(f'{float(a):.2f}', f'{float(b):.2f}', f'{float(c):.0f}') for a, b, c in found]
    require(found and shown == rounded, f'README.md shows the times {shown}, bench/results.md has {rounded}')

#: switched off: fastcore's `@patch` gives a class methods and attributes that mypy cannot see
UNSEEN = 'attr-defined'

def types():
    "What mypy finds in the package; of libraries without hints it takes anything"
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run([BIN/'mypy', '--config-file=', f'--cache-dir={cache}', '--no-error-summary', '--hide-error-context', '--ignore-missing-imports',
                               '--warn-unused-ignores', f'--disable-error-code={UNSEEN}', CFG['lib_path']], cwd=ROOT, capture_output=True, text=True)
    off.extend(done.stdout.splitlines())
    require(not done.returncode or done.returncode == 1 and done.stdout, f'mypy: {done.stderr.strip()}')

#: PyTorch gives `step` two signatures, with a closure and without; no plain hint says the same
HINTLESS = 'FusedAdamW.step',

def public(tree):
    "Name and node of each function in `__all__` of a module, and of each method that `@patch` adds or a class in `__all__` has"
    names = next((ast.literal_eval(o.value) for o in tree.body if isinstance(o, ast.Assign) and ast.unparse(o.targets[0]) == '__all__'), [])
    for o in tree.body:
        if isinstance(o, ast.ClassDef) and o.name in names: yield from ((f'{o.name}.{m.name}', m) for m in o.body if isinstance(m, ast.FunctionDef))
        if not isinstance(o, ast.FunctionDef): continue
        if any(ast.unparse(d).startswith('patch') for d in o.decorator_list): yield f'{ast.unparse(o.args.args[0].annotation)}.{o.name}', o
        elif o.name in names: yield o.name, o

def inside(f):
    "The nodes of function `f`, but for those of functions in it"
    todo = list(f.body)
    while todo:
        yield (o := todo.pop())
        if not isinstance(o, (ast.FunctionDef, ast.Lambda)): todo += ast.iter_child_nodes(o)

def hints():
    """Public functions and methods, and `__init__`, have a hint for each parameter but self, cls, *args and **kwargs, and for what
    they return, unless that is None: where there is no `yield` and no `return` of a value, as in `__init__` and callbacks' events"""
    for file in LIB.glob('*.py'):
        for name, f in public(ast.parse(file.read_text(encoding='utf-8'))):
            last = name.split('.')[-1]
            if last.startswith('_') and last != '__init__' or name in HINTLESS: continue
            bare = [o.arg for o in (*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs) if o.annotation is None and o.arg not in ('self', 'cls')]
            gives = any(isinstance(o, (ast.Yield, ast.YieldFrom)) or isinstance(o, ast.Return) and o.value for o in inside(f))
            if gives and f.returns is None: bare.append('what it returns')
            require(not bare, f"{CFG['lib_path']}/{file.name}: {name} has no type hint for {', '.join(bare)}")

exported_again()
notebooks()
lint()
times()
types()
hints()
python_files()
text, images = readme()
require((ROOT/'README.md').read_text(encoding='utf-8') == text, 'README.md is not what nbs/index.ipynb gives: run python .ci/readme.py')
for name, data in images.items(): require((NBS/'images'/name).read_bytes() == data, f'nbs/images/{name} is not the picture of nbs/index.ipynb: run python .ci/readme.py')
for o in off: print(o, file=sys.stderr)
print(f'In step: {len(list(NBS.glob("*.ipynb")))} notebooks, {len(list(LIB.glob("*.py")))} modules, README.md.' if not off else f'{len(off)} things are out of step.')
sys.exit(bool(off))
