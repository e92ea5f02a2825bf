"""Run the tests in fresh environments: each Python, with the lowest version of each dependency that settings.ini declares, and with the newest.

    python .ci/matrix.py                                  every Python from 3.10 to 3.13 on this machine
    python .ci/matrix.py --python 3.11 --kind lowest      one of them
    python .ci/matrix.py --torch 2.13.0 -- -m 'not slow'  with this PyTorch; what follows -- goes to pytest
    python .ci/matrix.py --lessons --kind newest          run the lessons too, on the installed package alone, as on Colab
"""
import argparse, os, shutil, subprocess, sys
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVS = ROOT/'build'/'matrix'
INI = ConfigParser(delimiters=['='], interpolation=None)
INI.read(ROOT/'settings.ini', encoding='utf-8')
NEEDS = INI['DEFAULT']['requirements'].split()
PYTHONS = '3.10', '3.11', '3.12', '3.13'
TOO_OLD = [('3.13', 'lowest')] # no wheels of versions so old exist for a Python so new
TOOLS = 'pytest', 'pytest-xdist', 'hypothesis', 'openpyxl', 'scikit-learn', 'nbformat'

def find(version):
    "Path of the newest Python `version` on this machine, or None"
    pyenv = Path(os.environ.get('PYENV_ROOT', Path.home()/'.pyenv'))/'versions'
    found = sorted(pyenv.glob(f'{version}.*/bin/python{version}'), key=lambda o: int(o.parts[-3].split('.')[2]))
    return str(found[-1]) if found else shutil.which(f'python{version}')

def runs(python):
    "Is this the Python it says, with what an environment needs?"
    return python and subprocess.run([python, '-c', 'import ensurepip, ssl, sqlite3'], capture_output=True).returncode == 0

def requirements(kind, torch):
    "What to install: `kind` is 'lowest' or 'newest'"
    needs = [o.replace('>=', '==') if kind == 'lowest' else o for o in NEEDS]
    if torch: needs = [f'torch=={torch}' if o.startswith('torch') else o for o in needs]
    return needs + (['numpy<2', 'pyarrow==14.0.2'] if kind == 'lowest' else ['pyarrow']) # what goes with pandas of that age

def with_lessons(env, pip, line, ok):
    "Run the lessons on the installed package, too: the line and the verdict with their result"
    subprocess.run([*pip, '--no-deps', '--force-reinstall', ROOT], check=True, capture_output=True)
    subprocess.run([*pip, 'ipykernel', 'nbclient'], check=True, capture_output=True)
    done = subprocess.run([env/'bin'/'python', '.ci/lessons.py'], cwd=ROOT, capture_output=True, text=True)
    if done.returncode: print(done.stderr[-6_000:])
    return f'{line}; {done.stdout.strip().splitlines()[-1]}', ok and done.returncode == 0

def test(version, kind, torch, lessons, args, asked):
    "Make the environment, run the tests in it; a line on how it went, and whether it went well"
    env, name = ENVS/f'{version}-{kind}', f'Python {version}, {kind}'
    python = find(version)
    if not runs(python): return f'{name}: skipped, not on this machine', not asked
    shutil.rmtree(env, ignore_errors=True)
    subprocess.run([python, '-m', 'venv', env], check=True)
    pip = [env/'bin'/'python', '-m', 'pip', 'install', '-q', '--disable-pip-version-check', '--retries', '1']
    index = ['--extra-index-url', os.environ.get('TORCH_INDEX', 'https://download.pytorch.org/whl/cpu')]
    done = subprocess.run([*pip, *index, *requirements(kind, torch), *TOOLS], cwd=ROOT, capture_output=True, text=True)
    if done.returncode: return f'{name}: cannot be installed: {done.stderr.strip().splitlines()[-1]}', False
    versions = 'import importlib.metadata as m; print(", ".join(f"{o} {m.version(o)}" for o in ("torch", "numpy", "pandas", "matplotlib", "fastcore", "tqdm", "itables")))'
    shown = subprocess.run([env/'bin'/'python', '-c', versions], capture_output=True, text=True).stdout.strip()
    print(f'{name}: {shown}', flush=True)
    done = subprocess.run([env/'bin'/'python', '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-n', 'auto', '--dist', 'loadgroup', *args], cwd=ROOT,
                          capture_output=True, text=True, env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'})
    if done.returncode: print(done.stdout[-6_000:] + done.stderr[-2_000:])
    line, ok = f"{name}: {(done.stdout.strip() or 'no output').splitlines()[-1]}", done.returncode == 0
    if lessons: line, ok = with_lessons(env, pip, line, ok)
    if ok: shutil.rmtree(env) # it may hold gigabytes; one that failed stays to be looked at
    return line, ok

def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument('--python', action='append', help='such as 3.11; again for another')
    args.add_argument('--kind', choices=['lowest', 'newest'])
    args.add_argument('--torch', help='this version of PyTorch, whatever settings.ini says')
    args.add_argument('--lessons', action='store_true', help='run the lessons after the tests')
    args.add_argument('rest', nargs='*', metavar='-- PYTEST ARGUMENTS', default=[])
    args = args.parse_args()
    # what needs the site, the wheel, a browser or the tools for notebooks has nothing to do with these versions
    rest = args.rest or ['tests', *(f'--ignore=tests/{o}' for o in ('test_site.py', 'test_wheel.py', 'test_jupyterlab.py', 'test_figures.py'))]
    lines = [test(p, kind, args.torch, args.lessons, rest, bool(args.python)) for p in args.python or PYTHONS for kind in ([args.kind] if args.kind else ['lowest', 'newest'])
             if args.python or (p, kind) not in TOO_OLD]
    for line, _ in lines: print(line)
    sys.exit(not all(ok for _, ok in lines))

if __name__ == '__main__': main()
