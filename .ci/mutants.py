"""Put small mistakes into the package, one at a time, and count those that the fast part of the tests catches.

    python .ci/mutants.py [N] [--seed S] [--jobs J] [--tests FILE ...]     N mutants, 100 by default; names the survivors; exit status 1 under 80% caught

Each mutant lives in a copy of the project, so that the package itself is never touched and several can run at once."""
import argparse, ast, os, random, shutil, subprocess, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIB = ROOT/'collab_course'
SKIP = {'__init__.py', '_modidx.py', 'all.py', 'exercises.py'}
SLOW = 'test_site.py', 'test_wheel.py', 'test_jupyterlab.py', 'test_figures.py'
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
    "A module's name, its source with one mistake, and what was changed where"
    files = [o for o in sorted(LIB.glob('*.py')) if o.name not in SKIP]
    trees = {o: ast.parse(o.read_text(encoding='utf-8')) for o in files}
    file = rng.choices(files, [len(spots(trees[o])) for o in files])[0]
    tree, node = trees[file], rng.choice(spots(trees[file]))
    before, near = ast.unparse(tree).splitlines(), node.lineno if hasattr(node, 'lineno') else 0
    rng.choice(list(changes(node)))()
    after = ast.unparse(ast.fix_missing_locations(tree))
    diff = [(a, b) for a, b in zip(before, after.splitlines()) if a != b]
    return file.name, after, f'{file.name}:{near}  ' + ('  ->  '.join(o.strip()[:110] for o in diff[0]) if diff else 'no visible change')

def caught(name, source, limit, tests):
    "Do the fast tests fail on a copy of the project with `source` as its module `name`?"
    with tempfile.TemporaryDirectory(prefix='mutant-') as tmp:
        shutil.copytree(LIB, Path(tmp)/'collab_course', ignore=shutil.ignore_patterns('__pycache__'))
        shutil.copytree(ROOT/'tests', Path(tmp)/'tests', ignore=shutil.ignore_patterns('__pycache__'))
        shutil.copytree(ROOT/'nbs', Path(tmp)/'nbs', ignore=shutil.ignore_patterns('*.ipynb', 'images'))
        shutil.copytree(ROOT/'.github', Path(tmp)/'.github')
        if source is not None: (Path(tmp)/'collab_course'/name).write_text(source, encoding='utf-8')
        env = {**os.environ, 'PYTHONPATH': tmp, 'OMP_NUM_THREADS': '1', 'PYTHONDONTWRITEBYTECODE': '1'}
        try: return subprocess.run([sys.executable, '-m', 'pytest', '-x', '-q', '-p', 'no:cacheprovider', '-p', 'no:randomly', '-m', 'not slow', *tests, *(f'--ignore=tests/{o}' for o in SLOW)],
                                   cwd=tmp, env=env, capture_output=True, timeout=limit).returncode != 0
        except subprocess.TimeoutExpired: return True # a loop without end is noticed too

def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument('n', nargs='?', type=int, default=100)
    args.add_argument('--seed', type=int, default=0)
    args.add_argument('--tests', nargs='+', default=['tests'], help='files of tests; all by default')
    args.add_argument('--jobs', type=int, default=max(1, (os.cpu_count() or 2) // 2))
    args = args.parse_args()
    start = time.perf_counter()
    if caught('', None, 3_600, args.tests): sys.exit('the tests fail on the package as it is')
    limit = 60 + 5 * (time.perf_counter() - start)
    rng = random.Random(args.seed)
    all_ = [mutant(rng) for _ in range(args.n)]
    def judge(o):
        found = caught(*o[:2], limit, args.tests)
        print(f"{'caught  ' if found else 'SURVIVED'}  {o[2]}", flush=True)
        return found
    with ThreadPoolExecutor(args.jobs) as pool: found = sum(pool.map(judge, all_))
    print(f'{found} of {args.n} mutants caught, {found / args.n:.0%}, in {time.perf_counter() - start:.0f} s')
    sys.exit(found < 0.8 * args.n)

if __name__ == '__main__': main()
