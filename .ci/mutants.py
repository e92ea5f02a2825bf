"""Put small mistakes into the package, one at a time, and count those that the fast part of the tests catches.

    python .ci/mutants.py [N] [--seed S] [--jobs J] [--tests FILE ...]     N mutants, 100 by default; names the survivors; exit status 1 under 80% caught

Each mutant lives in a copy of the project, so that the package itself is never touched and several can run at once. It meets
the tests that run its line first, then all."""
import argparse, ast, os, random, shutil, subprocess, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from coverage import CoverageData

ROOT = Path(__file__).resolve().parent.parent
LIB = ROOT/'collab_course'
SKIP = {'__init__.py', '_modidx.py', 'all.py', 'exercises.py'}
SLOW = 'test_site.py', 'test_wheel.py', 'test_jupyterlab.py', 'test_figures.py', 'test_house.py'
OPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.MatMult: ast.Add,
       ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
       ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr}

def changes(node):
    "Functions that each put one mistake into `node`"
    def put(name, val): return lambda: setattr(node, name, val)
    if isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)) and type(node.op) in OPS: yield put('op', OPS[type(node.op)]())
    if isinstance(node, ast.Compare) and type(node.ops[0]) in OPS: yield put('ops', [OPS[type(node.ops[0])](), *node.ops[1:]])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not): yield put('operand', ast.Constant(False))
    if isinstance(node, ast.Constant) and isinstance(node.value, bool): yield put('value', not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)): yield put('value', node.value + 1)
    if isinstance(node, ast.Return) and node.value is not None: yield put('value', ast.Constant(None))
    if isinstance(node, (ast.If, ast.IfExp)): yield put('test', ast.UnaryOp(ast.Not(), node.test))

def spots(tree):
    "Nodes where a mistake can matter: none in types, texts and docstrings"
    dead = {id(o) for node in ast.walk(tree) if isinstance(node, (ast.JoinedStr, ast.Raise)) for o in ast.walk(node)}
    dead |= {id(o) for node in ast.walk(tree) for name in ('annotation', 'returns') if getattr(node, name, None) for o in ast.walk(getattr(node, name))}
    return [o for o in ast.walk(tree) if id(o) not in dead and any(True for _ in changes(o))]

def mutant(rng):
    "A module's name, the line of the mistake, its source with it, and what was changed where"
    files = [o for o in sorted(LIB.glob('*.py')) if o.name not in SKIP]
    trees = {o: ast.parse(o.read_text(encoding='utf-8')) for o in files}
    file = rng.choices(files, [len(spots(trees[o])) for o in files])[0]
    tree, node = trees[file], rng.choice(spots(trees[file]))
    before, near = ast.unparse(tree).splitlines(), node.lineno if hasattr(node, 'lineno') else 0
    rng.choice(list(changes(node)))()
    after = ast.unparse(ast.fix_missing_locations(tree))
    diff = [(a, b) for a, b in zip(before, after.splitlines()) if a != b]
    return file.name, near, after, f'{file.name}:{near}  ' + ('  ->  '.join(o.strip()[:110] for o in diff[0]) if diff else 'no visible change')

def copy(tmp, name='', source=''):
    "Copy what the tests need to the folder `tmp`, with `source` as the package's module `name`"
    shutil.copytree(LIB, tmp/'collab_course', ignore=shutil.ignore_patterns('__pycache__'))
    shutil.copytree(ROOT/'tests', tmp/'tests', ignore=shutil.ignore_patterns('__pycache__'))
    shutil.copytree(ROOT/'nbs', tmp/'nbs', ignore=shutil.ignore_patterns('*.ipynb', 'images'))
    shutil.copytree(ROOT/'.github', tmp/'.github')
    if name: (tmp/'collab_course'/name).write_text(source, encoding='utf-8')

def passes(tmp, tests, limit, run=('pytest',)):
    "Do the fast ones of `tests` pass in the copy `tmp`? A loop without end is noticed too"
    env = {**os.environ, 'PYTHONPATH': str(tmp), 'OMP_NUM_THREADS': '1', 'PYTHONDONTWRITEBYTECODE': '1'}
    args = '-x', '-q', '-p', 'no:cacheprovider', '-p', 'no:randomly', '-m', 'not slow', *tests, *(f'--ignore=tests/{o}' for o in SLOW)
    try: return subprocess.run([sys.executable, '-m', *run, *args], cwd=tmp, env=env, capture_output=True, timeout=limit).returncode == 0
    except subprocess.TimeoutExpired: return False

def tests_by_line(tests):
    "By module and line of the package as it is: the tests that run it"
    with tempfile.TemporaryDirectory(prefix='mutant-') as tmp:
        tmp = Path(tmp).resolve()
        copy(tmp)
        (tmp/'rc').write_text(f'[run]\nsource = {tmp/"collab_course"}\ndata_file = {tmp/"data"}\ndynamic_context = test_function\n')
        if not passes(tmp, tests, 3_600, ('coverage', 'run', f'--rcfile={tmp/"rc"}', '-m', 'pytest')): sys.exit('the tests fail on the package as it is')
        data = CoverageData(str(tmp/'data'))
        data.read()
        texts = {o.stem: o.read_text(encoding='utf-8') for o in (tmp/'tests').glob('test_*.py')}
        def nodes(contexts): # coverage takes every function called test_... for a test, test_eq and test_dl too
            names = {tuple(o.split('.')[-2:]) for o in contexts if '.' in o}
            return sorted(f'tests/{file}.py::{name}' for file, name in names if f'\ndef {name}(' in texts.get(file, ''))
        return {Path(o).name: {line: nodes(cs) for line, cs in data.contexts_by_lineno(o).items()} for o in data.measured_files()}

def caught(name, source, first, tests, limit):
    "Do the fast tests fail where `source` is the module `name`? The tests in `first`, which run the line, are tried before all"
    with tempfile.TemporaryDirectory(prefix='mutant-') as tmp:
        copy(Path(tmp), name, source)
        return bool(first) and not passes(tmp, first, limit) or not passes(tmp, tests, limit)

def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument('n', nargs='?', type=int, default=100)
    args.add_argument('--seed', type=int, default=0)
    args.add_argument('--tests', nargs='+', default=['tests'], help='files of tests; all by default')
    args.add_argument('--jobs', type=int, default=max(1, (os.cpu_count() or 2) // 2))
    args = args.parse_args()
    start = time.perf_counter()
    lines = tests_by_line(args.tests)
    with tempfile.TemporaryDirectory(prefix='mutant-') as tmp: # written anew by ast alone, a module must pass, or all its mutants count as caught
        copy(Path(tmp))
        for o in LIB.glob('*.py'): (Path(tmp)/'collab_course'/o.name).write_text(ast.unparse(ast.parse(o.read_text(encoding='utf-8'))), encoding='utf-8')
        if not passes(Path(tmp), args.tests, 3_600): sys.exit('the tests fail on the package without its comments')
    limit = 60 + 3 * (time.perf_counter() - start)
    rng = random.Random(args.seed)
    all_ = [mutant(rng) for _ in range(args.n)]
    def judge(o):
        name, line, source, text = o
        found = caught(name, source, lines.get(name, {}).get(line), args.tests, limit)
        print(f"{'caught  ' if found else 'SURVIVED'}  {text}", flush=True)
        return found
    with ThreadPoolExecutor(args.jobs) as pool: found = sum(pool.map(judge, all_))
    print(f'{found} of {args.n} mutants caught, {found / args.n:.0%}, in {time.perf_counter() - start:.0f} s')
    sys.exit(found < 0.8 * args.n)

if __name__ == '__main__': main()
