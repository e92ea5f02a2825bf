"""Run the lessons, each in a kernel of its own and an empty folder, as a reader on Colab would.

    python .ci/lessons.py                        run all of them; fail where a cell fails
    python .ci/lessons.py --to FOLDER            and keep the executed copies there
    python .ci/lessons.py --write [LESSON ...]   renew badge and set-up cell, run, and store the outputs in nbs/
"""
import argparse, os, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor
from configparser import ConfigParser
from functools import partial
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
NBS = ROOT/'nbs'
INI = ConfigParser(delimiters=['='], interpolation=None)
INI.read(ROOT/'settings.ini', encoding='utf-8')
CFG = INI['DEFAULT']
SLUG = f"{CFG['user']}/{CFG['repo']}"

def badge(name):
    "Markdown of the button that opens lesson `name` on Colab"
    url = f"https://colab.research.google.com/github/{SLUG}/blob/{CFG['branch']}/nbs/{name}.ipynb"
    return f'[![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)]({url})'

SETUP = f"""#| eval: false
import sys
if 'google.colab' in sys.modules: # on Colab, install the course; elsewhere do nothing
    %pip install -q "git+https://github.com/{SLUG}\""""

def stamp(nb, name):
    "Put the badge under the title of lesson `name`, and the set-up cell behind its first cell"
    title, *lines = nb.cells[0].source.split('\n')
    lines = [o for o in lines if not o.startswith('[![Open In Colab]')]
    while lines and not lines[0]: lines.pop(0)
    nb.cells[0].source = '\n'.join([title, '', badge(name), '', *lines])
    if not nb.cells[1].source.startswith('#| eval: false'):
        cell = nbformat.v4.new_code_cell()
        cell.id = f'setup-{name[:2]}'
        nb.cells.insert(1, cell)
    nb.cells[1].source = SETUP

def run(nb):
    "Execute `nb` in an empty folder; what only a live page can show, such as a progress bar, is not kept"
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(nb, timeout=600, kernel_name='python3', record_timing=False, extra_arguments=['--log-level=ERROR'], resources={'metadata': {'path': folder}}).execute()
    nb.metadata.pop('widgets', None)
    for cell in nb.cells:
        if cell.cell_type == 'code':
            cell.outputs = [o for o in cell.outputs if 'application/vnd.jupyter.widget-view+json' not in o.get('data', {})]

def do(name, args):
    "Run lesson `name` and keep its outputs where `args` says; returns the seconds it took, or None where a cell failed"
    start, nb = time.perf_counter(), nbformat.read(NBS/f'{name}.ipynb', as_version=4)
    if args.write and name[0].isdigit(): stamp(nb, name)
    try: run(nb)
    except CellExecutionError as e:
        print(f'{name:24}FAILED\n{e}', file=sys.stderr, flush=True)
        return None
    for folder in filter(None, (args.write and NBS, args.to)):
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, folder/f'{name}.ipynb')
    took = time.perf_counter() - start
    print(f'{name:24}{took:6.1f} s', flush=True)
    return took

def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument('lessons', nargs='*', metavar='LESSON', help='names such as 02_crosstab; all by default')
    args.add_argument('--write', action='store_true', help='store badge, set-up cell and outputs in nbs/, one lesson at a time')
    args.add_argument('--to', type=Path, help='folder for executed copies')
    args = args.parse_args()
    os.environ['PATH'] = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    os.environ.update(TQDM_DISABLE='1', COLLAB_COURSE_STATIC='1', PYTHONHASHSEED='0', OMP_NUM_THREADS='1')
    names, began = args.lessons or sorted(o.stem for o in NBS.glob('[a-z0-9]*.ipynb')), time.perf_counter()
    with ThreadPoolExecutor(1 if args.write else os.cpu_count()) as pool: took = list(pool.map(partial(do, args=args), names))
    print(f'{len(names) - took.count(None)} of {len(names)} lessons ran, in {time.perf_counter() - began:.0f} s')
    sys.exit(None in took)

if __name__ == '__main__': main()
