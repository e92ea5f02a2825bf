"""Do lessons that were run again give the numbers that are stored in nbs/?

    make course && python .ci/same.py      compares build/lessons, where `make course` leaves its copies; exit status 1 where one differs

Times are masked."""
import re, sys

import nbformat

from pages import NBS, ROOT, pages

SECONDS = re.compile(r'\b\d+(\.\d+)?\s?(s|ms|\xb5s|us|seconds|it/s|batch/s)\b')
#: what differs from run to run: a lesson that measures time, and the page of checks, which try answers on fresh random numbers
FREE = '20_speed', '04_one_hot', 'exercises'

def texts(cell):
    "What the outputs of `cell` say, times masked; what was printed in several pieces is one text"
    outputs = cell.get('outputs', [])
    printed = ''.join(''.join(o['text']) for o in outputs if o.get('name') == 'stdout')
    return [SECONDS.sub('TIME', o) for o in (printed, *(''.join(o['data']['text/plain']) for o in outputs if 'text/plain' in o.get('data', {}))) if o]

def main():
    same, free, off = 0, 0, []
    for file in pages():
        copy = ROOT/'build'/'lessons'/file.relative_to(NBS)
        pairs = zip(nbformat.read(file, as_version=4).cells, nbformat.read(copy, as_version=4).cells, strict=True)
        for i, (a, b) in enumerate(pairs):
            if texts(a) == texts(b): same += bool(texts(a))
            elif file.stem in FREE: free += 1
            else: off.append((f'{file.stem}, cell {i}', texts(a), texts(b)))
    for where, a, b in off: print(f'{where}\n  stored: {a}\n  now:    {b}')
    print(f'{same:,} outputs are the same, {free} differ that may, {len(off)} differ that should not')
    sys.exit(bool(off) or not same)

if __name__ == '__main__': main()
