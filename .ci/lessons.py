"""Run notebooks, each in a kernel of its own and an empty folder, as a reader on Colab would.

    python .ci/lessons.py [NAME ...]            run the lessons and index; fail where a cell fails
    python .ci/lessons.py --to FOLDER           run all notebooks, and keep the executed copies there
    python .ci/lessons.py --write [NAME ...]    run all, and store the outputs in nbs/
"""
import argparse, os, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from pages import ELSEWHERE, NBS, pages

def run(nb):
    "Execute `nb` in an empty folder; what only a live page can show, such as a progress bar, is not kept"
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(nb, timeout=600, kernel_name='python3', record_timing=False, extra_arguments=['--log-level=ERROR'], resources={'metadata': {'path': folder}}).execute()
    nb.metadata.pop('widgets', None)
    for cell in nb.cells:
        if cell.cell_type == 'code':
            cell.outputs = [o for o in cell.outputs if 'application/vnd.jupyter.widget-view+json' not in o.get('data', {})]

def do(file, args):
    "Run a notebook and keep its outputs where `args` says; returns the seconds it took, or None where a cell failed"
    start, nb = time.perf_counter(), nbformat.read(file, as_version=4)
    try: run(nb)
    except CellExecutionError as e:
        print(f'{file.stem:24}FAILED\n{e}', file=sys.stderr, flush=True)
        return None
    for folder in filter(None, (args.write and NBS, args.to)):
        copy = folder/file.relative_to(NBS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, copy)
    took = time.perf_counter() - start
    print(f'{file.stem:24}{took:6.1f} s', flush=True)
    return took

def chosen(args):
    "The notebooks that `args` ask for"
    if not args.names: return [o for o in pages() if o.stem not in ELSEWHERE and (args.write or args.to or o.name[0].isdigit() or o.stem == 'index')]
    found = [o for o in pages() if o.stem in args.names or o.relative_to(NBS).with_suffix('').as_posix() in args.names]
    if len(found) < len(args.names): sys.exit(f'of {" ".join(args.names)} there are only {[o.stem for o in found]}')
    return found

def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument('names', nargs='*', metavar='NAME', help='such as 02_crosstab or library/files')
    args.add_argument('--write', action='store_true', help='store the outputs in nbs/, one notebook at a time')
    args.add_argument('--to', type=Path, help='folder for executed copies')
    args = args.parse_args()
    os.environ['PATH'] = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    os.environ.update(TQDM_DISABLE='1', COLLAB_COURSE_STATIC='1', PYTHONHASHSEED='0', OMP_NUM_THREADS='1')
    files, began = chosen(args), time.perf_counter()
    with ThreadPoolExecutor(1 if args.write else os.cpu_count()) as pool: took = list(pool.map(partial(do, args=args), files))
    print(f'{len(files) - took.count(None)} of {len(files)} notebooks ran, in {time.perf_counter() - began:.0f} s')
    sys.exit(None in took)

if __name__ == '__main__': main()
