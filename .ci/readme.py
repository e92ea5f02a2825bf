"""Write README.md from nbs/index.ipynb as it is stored: `python .ci/readme.py`"""
import re
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

from pages import NBS, ROOT, settings

def shown(cell):
    "Does a reader see this cell?"
    return not re.search(r'^#\|\s*(hide|default_exp|eval: false)', cell.source, re.M)

def badges():
    "Markdown of what GitHub says of the last run of each workflow"
    url = settings()['git_url']
    return ' '.join(f'[![{o}]({url}/actions/workflows/{o}.yml/badge.svg)]({url}/actions/workflows/{o}.yml)' for o in ('test', 'docs'))

def readme():
    "README.md as text, and its pictures as a dict of file name to bytes"
    nb = nbformat.read(NBS/'index.ipynb', as_version=4)
    nb.metadata.language_info = {'name': 'python'}
    nb.cells = [o for o in nb.cells if o.cell_type == 'markdown' or shown(o) or o.outputs]
    alts = []
    for cell in nb.cells:
        if cell.cell_type == 'code':
            alt = re.search(r'^#\| fig-alt: (.*)$', cell.source, re.M)
            alts += [alt.group(1) if alt else ''] * sum('image/png' in o.get('data', {}) for o in cell.outputs)
            cell.source = re.sub(r'^#\|.*\n?', '', cell.source, flags=re.M).strip() if shown(cell) else ''
    text, resources = MarkdownExporter().from_notebook_node(nb, {'unique_key': 'index', 'output_files_dir': 'nbs/images'})
    text = re.sub(r'```python\s*```\n*', '', text)
    text = re.sub(r'\]\(([\w/]+\.(?:ipynb|md)|images/)', r'](nbs/\1', text)
    text = re.sub(r'<style scoped>.*?</style>\n', '', text, flags=re.S)
    alts = iter(alts)
    text = re.sub(r'!\[png\]', lambda m: f'![{next(alts)}]', text)
    text = re.sub(r'^[ \t]+$', '', text, flags=re.M)
    title, rest = text.strip().split('\n', 1)
    text = f'{title}\n\n{badges()}\n{rest}'
    return re.sub(r'\n{3,}', '\n\n', text).strip() + '\n', {Path(k).name: v for k, v in resources['outputs'].items()}

def write_readme():
    text, images = readme()
    (ROOT/'README.md').write_text(text, encoding='utf-8')
    for name, data in images.items(): (NBS/'images'/name).write_bytes(data)

if __name__ == '__main__': write_readme()
