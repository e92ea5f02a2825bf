"""A table of the lessons' measures, with a star at each that is outside its bounds: python .ci/measures.py"""
import re, sys
from pathlib import Path

import nbformat
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from lessons import NBS

#: measure: least and most
BOUNDS = {'cells': (40, 70), 'words': (900, 1_800), 'median lines': (1, 3), '90% lines': (1, 9), 'longest': (1, 25),
          'code in a row': (1, 3), '% with output': (45, 100), 'KB': (0, 700)}

def lines(cell): return sum(bool(o.strip()) and not o.startswith('#|') for o in cell.source.splitlines())

def measure(file):
    nb = nbformat.read(file, as_version=4)
    code = [o for o in nb.cells if o.cell_type == 'code']
    lengths, row, longest_row = pd.Series(map(lines, code)), 0, 0
    for o in nb.cells:
        row = row + 1 if o.cell_type == 'code' else 0
        longest_row = max(longest_row, row)
    text = ' '.join(o.source for o in nb.cells if o.cell_type == 'markdown')
    words = len(re.sub(r'</?(details|summary)>|\[!\[.*?\)\]\(.*?\)', ' ', text).split()) # without the tags that fold answers, and the badge
    return dict(zip(BOUNDS, (len(nb.cells), words, lengths.median(), lengths.quantile(0.9), lengths.max(), longest_row,
                             100 * sum(bool(o.outputs) for o in code) / len(code), file.stat().st_size / 1_000)))

table = pd.DataFrame({o.stem: measure(o) for o in sorted(NBS.glob('[0-9]*.ipynb'))}).T
print(table.apply(lambda col: col.map(lambda o: f"{o:.0f}{' ' if BOUNDS[col.name][0] <= o <= BOUNDS[col.name][1] else '*'}")).to_string())
