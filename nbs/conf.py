"""Sphinx builds the course's site from the notebooks as they are stored, and runs nothing."""
import re, sys
from configparser import ConfigParser
from pathlib import Path

import nbformat
from docutils import nodes
from fastcore.docments import docments
from latex2mathml.converter import convert

sys.path.insert(0, str(Path(__file__).parent)) # so that myst_nb can import read_lesson by name
root = next(o for o in Path(__file__).resolve().parents if (o/'settings.ini').exists())
ini = ConfigParser(delimiters=['='], interpolation=None)
ini.read(root/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']

project, author, copyright, release = cfg['title'], cfg['author'], cfg['copyright'], cfg['version']
extensions = ['myst_nb', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'sphinx.ext.viewcode']
exclude_patterns = ['_*', '**.ipynb_checkpoints', 'images']
html_theme = 'sphinx_book_theme'
html_title = cfg['title']
html_favicon = 'images/icon.svg'
html_context = {'default_mode': 'auto'}
html_theme_options = {'repository_url': cfg['git_url'], 'repository_branch': cfg['branch'], 'path_to_docs': 'nbs',
                      'use_repository_button': True, 'launch_buttons': {'colab_url': 'https://colab.research.google.com'},
                      'show_toc_level': 2}
html_static_path = ['_static', *(str(o) for o in [root/'build/demo'] if o.exists())] # what `make demo` wrote
html_css_files = ['site.css', 'demo.css', 'pictures.css']
html_js_files = [(o, {'defer': 'defer'}) for o in ('demo.js', 'pictures.js')]
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = 'mathml'
nb_execution_mode = 'off'
nb_custom_formats = {'.ipynb': ['conf.read_lesson', {}]}
myst_enable_extensions = ['dollarmath']
python_maximum_signature_line_length = 80
autodoc_member_order = 'bysource'
autodoc_typehints = 'none'
autodoc_inherit_docstrings = False

def read_lesson(text):
    "A notebook as its page shows it: no directives, no plumbing, pictures with their alternative text"
    nb = nbformat.reads(text, as_version=4)
    plumbing = re.compile(r'^#\|\s*(hide|default_exp|eval: false)', re.M)
    nb.cells = [o for o in nb.cells if o.get('outputs') or not plumbing.search(o.source)]
    for cell in nb.cells:
        if cell.cell_type == 'markdown':
            cell.source = cell.source.replace('https://colab.research.google.com/assets/colab-badge.svg', 'images/open-in-colab.svg')
            continue
        if alt := re.search(r'^#\| fig-alt: (.*)$', cell.source, re.M): cell.metadata['mystnb'] = {'image': {'alt': alt.group(1)}}
        if plumbing.search(cell.source): cell.metadata['tags'] = ['remove-input']
        cell.source = re.sub(r'^#\|.*\n?', '', cell.source, flags=re.M)
    if nb.cells[0].source.startswith(f"# {cfg['title']}"): nb.cells.append(nbformat.v4.new_markdown_cell(CONTENTS))
    return nb

def library():
    "Names of the pages behind the lessons"
    here = Path(__file__).parent
    return sorted((o.relative_to(here).with_suffix('').as_posix() for o in here.rglob('[a-z]*.ipynb') if o.stem != 'index' and '.ipynb_checkpoints' not in o.parts), key=lambda o: o.split('/')[-1])

CONTENTS = f"""```{{toctree}}
:hidden:
:caption: Lessons
:glob:
[0-9]*
```
```{{toctree}}
:hidden:
:caption: Behind the lessons
map
{chr(10).join(library())}
```
```{{toctree}}
:hidden:
:caption: To look up
bad_input
api
```"""

def add_modules(app, docname, source):
    "List the package's modules on the page `api`, in the order in which `all` imports them"
    if docname != 'api': return
    text = (root/cfg['lib_path']/'all.py').read_text(encoding='utf-8')
    for name in [*re.findall(r'^from \.(\w+) import', text, re.M), 'cli']:
        source[0] += f"\n## {name}\n\n```{{eval-rst}}\n.. automodule:: {cfg['lib_path']}.{name}\n   :members:\n```\n"

def add_arguments(app, what, name, obj, options, lines):
    "Add to a docstring what the comments beside the arguments say"
    if what not in ('function', 'method', 'class'): return
    try: args = docments(obj, returns=True)
    except (TypeError, ValueError, OSError): return
    lines += ['', *(f":{'return' if k == 'return' else 'param ' + k}: {v}" for k, v in args.items() if v)]

def mathml(display):
    "Renderer that writes a formula as MathML, which browsers draw without any script"
    def visit(self, node):
        formula = convert(node.astext(), display=display)
        self.body.append(f'<div class="math">{formula}</div>' if display == 'block' else formula)
        raise nodes.SkipNode
    return visit

def setup(app):
    app.connect('source-read', add_modules)
    app.connect('autodoc-process-docstring', add_arguments)
    app.add_html_math_renderer('mathml', (mathml('inline'), None), (mathml('block'), None))
