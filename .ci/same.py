"""Do lessons that were run again give the numbers that are stored in nbs/?

    make course && python .ci/same.py      compares build/lessons, where `make course` leaves its copies; exit status 1 where one differs

Times differ from run to run: they are masked, and cells that say how long something took are only counted."""
import re, sys

import nbformat

from lessons import NBS, ROOT

SECONDS = re.compile(r'\b\d+(\.\d+)?\s?(s|ms|\xb5s|us|seconds|it/s|batch/s)\b')
#: code that measures time, memory or files of the machine it runs on
CLOCK = re.compile(r'perf_counter|timeit|profil|%time|stopwatch|times?\(|stages|median|untar_data|installed|version|Path\(|threads')

def texts(cell):
    for o in cell.get('outputs', []):
        for text in (o.get('text'), o.get('data', {}).get('text/plain')):
            if text: yield SECONDS.sub('TIME', ''.join(text))

def main():
    same, timed, off = 0, 0, []
    for file in sorted((ROOT/'build'/'lessons').glob('*.ipynb')):
        pairs = zip(nbformat.read(NBS/file.name, as_version=4).cells, nbformat.read(file, as_version=4).cells)
        for i, (a, b) in enumerate(pairs):
            if list(texts(a)) == list(texts(b)): same += bool(list(texts(a)))
            elif file.stem == '16_speed' or CLOCK.search(a.source): timed += 1
            else: off.append((f'{file.stem}, cell {i}', list(texts(a)), list(texts(b))))
    for where, a, b in off: print(f'{where}\n  stored: {a}\n  now:    {b}')
    print(f'{same:,} outputs are the same, {timed} tell times and differ, {len(off)} differ')
    sys.exit(bool(off))

if __name__ == '__main__': main()
