"""Sphinx builds the course's site from the notebooks as they are stored, and runs nothing."""
import ast, re, sys
from configparser import ConfigParser
from html import escape
from importlib import import_module
from pathlib import Path
from urllib.parse import quote

import nbformat, pydata_sphinx_theme
from docutils import nodes
from fastcore.docments import docments
from latex2mathml.converter import convert
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

here = Path(__file__).resolve().parent
sys.path.insert(0, str(here)) # so that myst_nb can import read_lesson by name
root = next(o for o in here.parents if (o/'settings.ini').exists())
ini = ConfigParser(delimiters=['='], interpolation=None)
ini.read(root/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']
lib = cfg['lib_path']

project, author, copyright, release = cfg['title'], cfg['author'], cfg['copyright'], cfg['version']
language = 'en'
extensions = ['myst_nb', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'sphinx.ext.viewcode']
exclude_patterns = ['_*', '**.ipynb_checkpoints', 'images']
html_theme = 'sphinx_book_theme'
html_title = cfg['title']
html_favicon = 'images/icon.svg'
html_baseurl = f"{cfg['doc_host']}{cfg['doc_baseurl']}/"
html_context = {'default_mode': 'auto'}
html_theme_options = {'repository_url': cfg['git_url'], 'repository_branch': cfg['branch'], 'path_to_docs': 'nbs',
                      'use_repository_button': True, 'launch_buttons': {'colab_url': 'https://colab.research.google.com'},
                      'use_download_button': False, 'use_fullscreen_button': False,
                      'navbar_persistent': [], # else there are two headers, and the buttons of the one in sight do nothing
                      'show_toc_level': 2}
html_static_path = ['_static', *(str(o) for o in [root/'build/demo'] if o.exists())] # what `make demo` wrote
html_css_files = ['site.css', 'icons.css']
html_js_files = [('site.js', {'defer': 'defer'})]
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = 'mathml'
nb_execution_mode = 'off'
nb_merge_streams = True # what a loop prints is one block
nb_custom_formats = {'.ipynb': ['conf.read_lesson', {}]}
myst_enable_extensions = ['dollarmath']
myst_heading_anchors = 2 # the tables of bad_input.md have links to their kinds
python_maximum_signature_line_length = 80
default_role = 'py:obj'
autodoc_member_order = 'bysource'
autodoc_typehints = 'none'
autodoc_inherit_docstrings = False
add_module_names = False
toc_object_entries_show_parents = 'hide'

# The pages

#: parts of the course, each with the number of its first lesson
PARTS = {'I. From a table to a model': 1, 'II. Use it': 15, 'III. Go far': 20}

def pages(pattern):
    "Names of the notebooks in or below this folder that fit `pattern`, by file name"
    found = (o.relative_to(here).with_suffix('').as_posix() for o in here.rglob(pattern) if '.ipynb_checkpoints' not in o.parts)
    return sorted(found, key=lambda o: o.split('/')[-1])

def toctree(names, caption=''):
    "A table of contents for the side bar"
    return '\n'.join(['```{toctree}', ':hidden:', *([f':caption: {caption}'] if caption else []), *names, '```', ''])

def contents():
    "The side bar: the lessons by part; what lies behind them is folded away"
    lessons = {k: [] for k in PARTS}
    for name in pages('[0-9]*.ipynb'):
        number, title = re.search(r'# Lesson (\d+): (.*?)[\\"\n]', (here/f'{name}.ipynb').read_text(encoding='utf-8')).groups()
        part = [k for k, first in PARTS.items() if int(number) >= first][-1]
        lessons[part].append(f'{number}. {title} <{name}>')
    look_up = toctree(['map', 'api', 'results', 'bad_input', 'genindex'], 'To look up')
    return '\n'.join(toctree(names, k) for k, names in lessons.items() if names) + look_up

def terms(text, number):
    "Index entries for a lesson: what its file is named after, and the terms that it sets in bold"
    name = next((o[3:].replace('_', ' ') for o in pages(f'{number:02}_*.ipynb')), '')
    bold = {o.lower() for o in re.findall(r'\*\*([^*:.,]+)\*\*', text) if o.count(' ') < 4} - {name}
    return f"```{{index}} {', '.join([f'! {name}', *sorted(bold)])}\n```\n"


def begins_module(cell):
    "Does `cell` hold nothing but the imports of an exported module?"
    if cell.cell_type != 'code' or not cell.source.startswith('#| export'): return False
    return all(isinstance(o, (ast.Import, ast.ImportFrom)) for o in ast.parse(cell.source).body)

def read_lesson(text):
    "A notebook as its page shows it: no directives, no plumbing, pictures with their alternative text"
    nb = nbformat.reads(text, as_version=4)
    plumbing = re.compile(r'^#\|\s*(hide|default_exp|eval: false)', re.M)
    nb.cells = [o for o in nb.cells if o.get('outputs') or not (plumbing.search(o.source) or begins_module(o))]
    title = nb.cells[0]
    if number := re.match(r'# Lesson (\d+)', title.source):
        prose = '\n'.join(o.source for o in nb.cells if o.cell_type == 'markdown')
        title.source = re.sub(r'^> .*\n?', '', title.source, flags=re.M) + f'\n\n{terms(prose, int(number[1]))}' # without its module's docstring
    if title.source.startswith(f"# {cfg['title']}"): nb.cells.append(nbformat.v4.new_markdown_cell(contents()))
    for cell in nb.cells:
        if cell.cell_type == 'markdown':
            cell.source = cell.source.replace('https://colab.research.google.com/assets/colab-badge.svg', 'images/open-in-colab.svg')
            continue
        if alt := re.search(r'^#\| fig-alt: (.*)$', cell.source, re.M): cell.metadata['mystnb'] = {'image': {'alt': alt.group(1)}}
        if plumbing.search(cell.source): cell.metadata['tags'] = ['remove-input']
        cell.source = re.sub(r'^#\|.*\n?', '', cell.source, flags=re.M)
    return nb

# The reference

def modules():
    "The modules that `api.md` lists, each with the names that it gives there"
    rows = re.findall(r'^\| \[(\w+)\]\(api/(.*)', (here/'api.md').read_text(encoding='utf-8'), re.M)
    return {module: re.findall(r'`(\w+)`', rest) for module, rest in rows}

def reference(name, main):
    "The page of a module: what it is for, the pages that explain it, then its public names, `main` first and checks last"
    module = import_module(f'{lib}.{name}')
    source = Path(module.__file__).read_text(encoding='utf-8')
    explained = dict.fromkeys(re.findall(rf'^# %% \.\./{cfg["nbs_path"]}/(.*)\.ipynb', source, re.M))
    lines = [f'# {name}', '', '```{eval-rst}', f'.. automodule:: {lib}.{name}', '```', '',
             f"Explained in {', '.join(f'[](/{o}.ipynb)' for o in explained)}.", '', '```{eval-rst}']
    for o in sorted(module.__all__, key=lambda o: (o not in main, 'check' in o)):
        thing = getattr(module, o)
        kind = 'autoclass' if isinstance(thing, type) else 'autofunction' if callable(thing) else 'autodata'
        lines += [f'.. {kind}:: {lib}.{name}.{o}', *(['   :members:'] if kind == 'autoclass' else []), '']
    return '\n'.join([*lines, '```', ''])

def write_reference(app):
    "Write a page for each module that `api.md` names; git ignores them"
    folder = Path(app.srcdir)/'api'
    folder.mkdir(exist_ok=True)
    for name, main in modules().items():
        text, file = reference(name, main), folder/f'{name}.md'
        if not file.exists() or file.read_text(encoding='utf-8') != text: file.write_text(text, encoding='utf-8')

def add_toctrees(app, docname, source):
    "Fold the library's pages under the map, and the modules' under the reference"
    if docname == 'map': source[0] += '\n' + toctree([o for o in pages('[a-z]*.ipynb') if o != 'index'])
    if docname == 'api': source[0] += '\n' + toctree([f'api/{o}' for o in modules()])

def add_arguments(app, what, name, obj, options, lines):
    "Add to a docstring what the comments beside the arguments say"
    if what not in ('function', 'method', 'class'): return
    try: args = docments(obj, returns=True)
    except (TypeError, ValueError, OSError): return
    lines += ['', *(f":{'return' if k == 'return' else 'param ' + k}: {v}" for k, v in args.items() if v)]

def name_defaults(app, what, name, obj, options, signature, returns):
    "Call a default that is a class or a function by its name; as it prints itself, it is no Python"
    return signature and (re.sub(r"<(?:class|function) '?(?:\w+\.)*(\w+)[^>]*>", r'\1', signature), returns)

def skip_fields(app, what, name, obj, skip, options):
    "Leave out what a named tuple says of its fields"
    return skip or type(obj).__name__ == '_tuplegetter'

# What a page says of itself

def add_description(app, pagename, templatename, context, doctree):
    "Title, description and picture for search engines and for those who pass a link on"
    if not doctree: return
    texts = [o.astext() for o in doctree.findall(nodes.paragraph) if not o.next_node(nodes.image) and len(o.astext()) > 60]
    about = ' '.join(texts[0].split()) if texts else cfg['description']
    if len(about) > 200: about = f"{about[:197].rsplit(' ', 1)[0]} ..."
    if pagename == 'index': context['title'] = 'Collaborative filtering, a course in notebooks'
    said = {'og:type': 'article', 'og:site_name': cfg['title'], 'og:title': context['title'], 'og:description': about,
            'og:url': f'{html_baseurl}{pagename}.html', 'og:image': f'{html_baseurl}_static/social.png'}
    meta = [f'<meta name="description" content="{escape(about)}">', '<meta name="twitter:card" content="summary_large_image">',
            *(f'<meta property="{k}" content="{escape(v)}">' for k, v in said.items())]
    if pagename == '404': # it is shown at any address, so its links start from the site's root
        meta = [f'<base href="{cfg["doc_baseurl"]}/">', '<meta name="robots" content="noindex">']
        context['pageurl'] = None
    context['metatags'] = '\n'.join([*meta, context.get('metatags', '')])

def social_picture():
    "The first page's picture under its title, in the size that is shown beside a link"
    card, font = Image.new('RGB', (1200, 630), 'white'), get_data_path() + '/fonts/ttf/DejaVuSans.ttf'
    ImageDraw.Draw(card).text((600, 60), 'Collaborative filtering, a course in notebooks', 'black', ImageFont.truetype(font, 44), 'mm')
    picture = Image.open(here/'images'/'index_1_0.png').convert('RGB')
    picture.thumbnail((1120, 500), Image.Resampling.LANCZOS)
    card.paste(picture, ((1200 - picture.width) // 2, 110))
    return card

# What the browser need not load

def add_scripts(app, pagename, templatename, context, doctree):
    "What 'Rate a few films' and the pictures that answer need, on the pages that have them"
    for name, block in {'demo': 'class="demo"', 'pictures': 'class="picture"'}.items():
        if block in context.get('body', ''):
            app.add_css_file(f'{name}.css')
            app.add_js_file(f'{name}.js', defer='defer')

#: names of the theme's icons that the pages use
ICONS = ['angle-left', 'angle-right', 'arrow-up', 'bars', 'chevron-down', 'circle-half-stroke', 'github', 'list', 'magnifying-glass', 'moon', 'rocket', 'sun', 'xmark']

def finish(app, error):
    "Draw the icons without the theme's script of 1.5 MB, keep 256 colours of each picture, and map the site"
    if error or app.builder.name != 'html': return
    static = Path(app.outdir)/'_static'
    text = (Path(pydata_sphinx_theme.__file__).parent/'theme/pydata_sphinx_theme/static/scripts/fontawesome.js').read_text(encoding='utf-8')
    css = ['.fa-solid, .fas, .fa-brands, .fab { font-family: inherit }'] # and without its fonts
    for name in ICONS:
        w, h, path = re.search(rf'[,{{]"?{name}"?:\[(\d+),(\d+),\[[^]]*\],"\w+","([^"]+)"', text).groups()
        svg = quote(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}"><path d="{path}"/></svg>', safe=' ="/:<>')
        css.append(f".fa-{name}::before {{ content: ''; display: inline-block; width: {int(w)/int(h):.3g}em; height: 1em; vertical-align: -.125em;"
                   f" background: currentColor; mask: url('data:image/svg+xml,{svg}') center/contain no-repeat }}")
    (static/'icons.css').write_text('\n'.join(css), encoding='utf-8')
    (static/'scripts'/'fontawesome.js').write_text('')
    sheet = static/'styles'/'pydata-sphinx-theme.css'
    sheet.write_text(re.sub(r'(\.fa-[\w-]+,?)+\{--fa:[^}]*\}', '', sheet.read_text(encoding='utf-8')), encoding='utf-8')
    for o in Path(app.outdir).rglob('*.html'):
        text = re.sub(r'<span class="[nw]">([^<]*)</span>', r'\1', o.read_text(encoding='utf-8')) # names and blanks have the colour of code as it is
        # the theme loads the search's index on every page, and only the search's own page uses it
        if o.stem != 'search': text = re.sub(r'<script src="[^"]*(searchtools|language_data|searchindex)\.js[^"]*"></script>', '', text)
        o.write_text(text, encoding='utf-8')
    for o in static.rglob('*.map'): o.unlink()
    for o in (Path(app.outdir)/'_images').glob('*.png'): Image.open(o).convert('RGB').quantize(256).save(o, optimize=True)
    social_picture().quantize(256).save(static/'social.png', optimize=True)
    listed = [o for o in sorted(app.env.found_docs) if o != '404']
    urls = '\n'.join(f'<url><loc>{html_baseurl}{o}.html</loc></url>' for o in listed)
    sitemap = f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}\n</urlset>\n'
    (Path(app.outdir)/'sitemap.xml').write_text(sitemap, encoding='utf-8')

def mathml(display):
    "Renderer that writes a formula as MathML, which browsers draw without any script"
    def visit(self, node):
        formula = convert(node.astext(), display=display)
        self.body.append(f'<div class="math" tabindex="0">{formula}</div>' if display == 'block' else formula)
        raise nodes.SkipNode
    return visit

def setup(app):
    app.connect('builder-inited', write_reference)
    app.connect('source-read', add_toctrees)
    app.connect('autodoc-process-docstring', add_arguments)
    app.connect('autodoc-process-signature', name_defaults)
    app.connect('autodoc-skip-member', skip_fields)
    app.connect('html-page-context', add_description)
    app.connect('html-page-context', add_scripts)
    app.connect('build-finished', finish)
    app.add_html_math_renderer('mathml', (mathml('inline'), None), (mathml('block'), None))
