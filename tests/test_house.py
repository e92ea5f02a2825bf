"""How the house is built: where code and names live, that notebooks, package and README.md are in step, and that one place says where the course is."""
import ast, filecmp, re, shutil, subprocess, sys
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT/'.ci'))
from pages import NBS, lessons, pages, settings
from readme import readme
from retarget import badge, install, target

CFG, BIN = settings(), Path(sys.executable).parent
LIB = ROOT/CFG['lib_path']
OURS = CFG['lib_path']
#: kept by hand; nbdev exports the rest
BY_HAND = '__init__.py', 'all.py', 'course.mplstyle', 'table.css', 'table.js', 'py.typed'
MODULES = {o.stem: ast.parse(o.read_text(encoding='utf-8')) for o in sorted(LIB.glob('*.py')) if o.stem not in ('__init__', '_modidx')}
STORED = {o: nbformat.read(o, as_version=4) for o in pages()}

def code(nb):
    "The Python of a notebook's cells, without IPython's own commands"
    return ast.parse('\n'.join(re.sub(r'^(\s*)[%!].*', r'\1pass', o.source, flags=re.M) for o in nb.cells if o.cell_type == 'code'))

def imports(tree):
    "Module of the package, name (None for the module itself) and what it is called here, of each import in `tree`"
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for o in node.names:
                if o.name.startswith(f'{OURS}.'): yield o.name.split('.')[1], None, o.asname or o.name
        if isinstance(node, ast.ImportFrom):
            module = node.module or ''
            if not node.level and module.split('.')[0] != OURS: continue
            if not node.level: module = module[len(OURS) + 1:]
            for o in node.names: yield (module, o.name, o.asname or o.name) if module else (o.name, None, o.asname or o.name)

def private(tree):
    "Each `_name` of another module that `tree` imports or reaches for; nbdev's index counts as public"
    found = [o for o in imports(tree) if o[0] != '_modidx']
    yield from (f'{module}.{name}' for module, name, _ in found if name and name.startswith('_'))
    called = {here for _, name, here in found if not name}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match('_[^_]', node.attr) and ast.unparse(node.value) in called: yield ast.unparse(node)

def patches(tree):
    "Class and method of each `@patch`"
    for f in ast.walk(tree):
        if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for how in map(ast.unparse, f.decorator_list):
                if re.match(r'patch_to\b', how): yield re.sub(r'patch_to\(|[,)].*', '', how), f.name
                elif re.match(r'patch\b', how): yield ast.unparse(f.args.args[0].annotation).strip('"\'').split('.')[-1], f.name

def circle(uses):
    "The modules of an import circle, if there is one"
    try: TopologicalSorter(uses).prepare()
    except CycleError as e: return e.args[1]

def test_no_import_circle():
    "Imports inside functions count, too"
    assert not circle({k: {module for module, *_ in imports(tree)} for k, tree in MODULES.items()})
    assert circle({'a': {'b'}, 'b': {'a'}})

def test_no_private_name_crosses_modules():
    found = {k: o for k, tree in MODULES.items() if (o := sorted(private(tree)))}
    assert not found, str(found)
    assert len(list(private(ast.parse('from .files import _part\nfrom . import files as f, _modidx\nf._part, f.pack')))) == 2

def exports(nb): return set(re.findall(r'^#\| *(?:default_exp|exports?) +(\w+)', '\n'.join(o.source for o in nb.cells), re.M))

def test_no_notebook_imports_a_private_name():
    "But for those of a module that it writes, too"
    found = {k.stem: o for k, nb in STORED.items() if (o := sorted(o for o in private(code(nb)) if o.split('.')[0] not in exports(nb)))}
    assert not found, str(found)

def test_patch_adds_to_learner_and_pca_to_tensor_alone():
    found = {(module, *o) for module, tree in MODULES.items() for o in patches(tree)}
    wrong = [o for o in sorted(found) if o[1:] != ('Tensor', 'pca') and (o[1] != 'Learner' or o[0] not in ('learner', 'persistence'))]
    assert found and not wrong, str(wrong)
    assert list(patches(ast.parse('@patch\ndef f(self:Tensor): pass'))) == [('Tensor', 'f')]

def test_a_name_is_defined_in_one_module():
    homes = defaultdict(set)
    for module, tree in MODULES.items():
        for o in tree.body:
            if isinstance(o, (ast.FunctionDef, ast.ClassDef)) and not any(ast.unparse(d).startswith('patch') for d in o.decorator_list): homes[o.name].add(module)
    twice = {k: v for k, v in homes.items() if len(v) > 1}
    assert not twice, str(twice)

def test_each_module_says_what_it_is_for():
    "nbdev takes it from the line that starts with > below the page's title"
    silent = [k for k, tree in MODULES.items() if not ast.get_docstring(tree)]
    assert not silent, str(silent)

def test_all_passes_names_on_and_does_nothing_else():
    from_ours = [o for o in MODULES['all'].body if isinstance(o, ast.ImportFrom) and o.level]
    assert all(isinstance(o, (ast.Import, ast.ImportFrom)) for o in MODULES['all'].body[1:])
    assert all([n.name for n in o.names] == ['*'] for o in from_ours)
    left_out = MODULES.keys() - {o.module for o in from_ours} - {'all', 'cli'}
    assert not any(import_module(f'{OURS}.{o}').__all__ for o in left_out), str(left_out) # those that only other modules call
    for module in {o.module for o in from_ours}: assert {*import_module(f'{OURS}.{module}').__all__} <= vars(import_module(f'{OURS}.all')).keys(), module

def copy(to):
    "Copy what nbdev works on, with nothing exported yet, to the folder `to`"
    shutil.copy(ROOT/'settings.ini', to)
    shutil.copytree(NBS, to/'nbs')
    (to/OURS).mkdir()
    for o in BY_HAND: shutil.copy(LIB/o, to/OURS)

def nbdev(tool, at): subprocess.run([BIN/tool], cwd=at, check=True, capture_output=True)

def contents(folder): return {o.name: o.read_bytes() for o in folder.glob('*.py')}

def test_package_is_what_the_notebooks_export(tmp_path):
    "Twice from nothing: a page that is exported too early, or appends twice, would show"
    copy(tmp_path)
    nbdev('nbdev_export', tmp_path)
    once = contents(tmp_path/OURS)
    nbdev('nbdev_export', tmp_path)
    assert contents(tmp_path/OURS) == once
    ours = contents(LIB)
    assert not ours.keys() ^ once.keys(), 'a module without a page, or a page without its module: nbdev_export, and delete what is left over'
    assert not [k for k in once if once[k] != ours[k]], 'run nbdev_export'

def test_notebooks_are_clean(tmp_path):
    copy(tmp_path)
    nbdev('nbdev_clean', tmp_path)
    assert not [o.name for o in pages() if not filecmp.cmp(o, tmp_path/o.relative_to(ROOT), False)], 'run nbdev_clean'

def test_a_module_is_begun_by_one_page():
    homes = defaultdict(list)
    for file, nb in STORED.items():
        for module in re.findall(r'^#\| *default_exp (\w+)', '\n'.join(o.source for o in nb.cells), re.M): homes[module].append(file.stem)
    assert homes and not {k: v for k, v in homes.items() if len(v) > 1}
    assert len({o.stem for o in pages()}) == len(pages()), 'two pages have one name: nbdev tells them apart by it'

def test_lessons_lie_in_nbs_and_the_rest_in_library():
    astray = [o.stem for o in pages() if o.parent != (NBS if o.name[0].isdigit() or o.stem == 'index' else NBS/'library')]
    assert not astray, str(astray)

@pytest.mark.parametrize('file', pages(), ids=lambda o: o.stem)
def test_stored_notebook(file):
    nb = STORED[file]
    nbformat.validate(nb)
    assert file.stat().st_size <= 700_000
    for cell in nb.cells:
        outputs = cell.get('outputs', [])
        assert not [o for o in outputs if o.output_type == 'error' or o.get('name') == 'stderr']
        assert not re.search(r'<summary>[^<]*`', cell.source), 'GitHub shows a line that begins in HTML as it is: <code>'
        assert not re.search(r'(?<![\w.:/])/(home|root|tmp|Users|usr|mnt|opt)/|[A-Z]:\\\\', str(outputs)), 'an absolute path'
        if any('image/png' in o.get('data', {}) for o in outputs): assert '#| fig-alt: ' in cell.source, f'a picture without fig-alt: {cell.source[:60]!r}'

@pytest.mark.parametrize('file', lessons(), ids=lambda o: o.stem)
def test_lesson_opens_on_colab(file):
    title, setup, *_ = STORED[file].cells
    assert badge(file.stem, *target()) in title.source and setup.source == install(*target()), 'run make retarget'

def test_index_says_how_long_the_lessons_take():
    "The minutes at the head of each lesson, and the hours that they add up to"
    index = '\n'.join(o.source for o in STORED[NBS/'index.ipynb'].cells)
    minutes = {o.stem: int(re.search(r'^Reading: (\d+) minutes', STORED[o].cells[0].source, re.M).group(1)) for o in lessons()}
    assert {k: int(v) for k, v in re.findall(r'^\| \d+\. \[.*?\]\((\w+)\.ipynb\) .*? \| (\d+) \| \[', index, re.M)} == minutes
    low = sum(minutes.values()) // 60
    assert f'all together between {low} and {low + 1} hours' in index

def test_readme_cites_what_the_citation_file_does():
    title, url = (re.search(rf'^{o}: "?(.*?)"?$', (ROOT/'CITATION.cff').read_text(encoding='utf-8'), re.M).group(1) for o in ('title', 'repository-code'))
    assert f'*{title}*. {url}' in (ROOT/'README.md').read_text(encoding='utf-8').split('## Cite')[1].split('## ')[0]

def test_readme_is_what_index_gives():
    text, images = readme()
    assert (ROOT/'README.md').read_text(encoding='utf-8') == text, 'run python .ci/readme.py'
    assert not [k for k, v in images.items() if (NBS/'images'/k).read_bytes() != v], 'run python .ci/readme.py'

def test_results_give_the_times_of_the_bench():
    "On one thread, rounded"
    found = re.findall(r'^\|[^|]+\| ([\d.]+) \|[^|]+\|[^|]+\| ([\d.]+) \|[^|]+\| ([\d.]+) \| [\d.]+ \|$', (ROOT/'bench'/'results.md').read_text(encoding='utf-8'), re.M)[:3]
    times = (NBS/'results.md').read_text(encoding='utf-8').split('## Time')[1]
    shown = re.findall(r'^\|[^|]+\| ([\d.]+) \|[^|]+\| ([\d.]+) \| (\d+) \|$', times, re.M)
    assert found and shown == [(f'{float(a):.2f}', f'{float(b):.2f}', f'{float(c):.0f}') for a, b, c in found]

def test_python_files_suit_the_oldest_python():
    oldest = tuple(map(int, CFG['min_python'].split('.')))
    for file in (o for folder in (LIB, ROOT/'tests', ROOT/'.ci', ROOT/'bench') for o in folder.glob('*.py')): ast.parse(file.read_text(encoding='utf-8'), feature_version=oldest)

def public(tree):
    "Name and node of each function in `__all__` of a module, and of each method that `@patch` adds or a class in `__all__` has"
    names = next((ast.literal_eval(o.value) for o in tree.body if isinstance(o, ast.Assign) and ast.unparse(o.targets[0]) == '__all__'), [])
    for o in tree.body:
        if isinstance(o, ast.ClassDef) and o.name in names: yield from ((f'{o.name}.{m.name}', m) for m in o.body if isinstance(m, ast.FunctionDef))
        if not isinstance(o, ast.FunctionDef): continue
        if any(ast.unparse(d).startswith('patch') for d in o.decorator_list): yield f'{ast.unparse(o.args.args[0].annotation)}.{o.name}', o
        elif o.name in names: yield o.name, o

def inside(f):
    "The nodes of function `f`, but for those of functions in it"
    todo = list(f.body)
    while todo:
        yield (o := todo.pop())
        if not isinstance(o, (ast.FunctionDef, ast.Lambda)): todo += ast.iter_child_nodes(o)

def bare(f):
    "What of function `f` has no type hint: its arguments but self and cls, and what it returns where it returns something"
    args = [o.arg for o in (*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs) if o.annotation is None and o.arg not in ('self', 'cls')]
    gives = any(isinstance(o, (ast.Yield, ast.YieldFrom)) or isinstance(o, ast.Return) and o.value for o in inside(f))
    return args + ['what it returns'] * (gives and f.returns is None)

def test_public_functions_have_type_hints():
    found = {(module, name): bare(f) for module, tree in MODULES.items() for name, f in public(tree)
             if not name.split('.')[-1].startswith('_') or name.endswith('.__init__')}
    assert found and not {k: v for k, v in found.items() if v}
    assert bare(ast.parse('def f(x, y:int): return x').body[0]) == ['x', 'what it returns']

def git(*args, at): return subprocess.run(['git', '-c', 'user.name=nobody', '-c', 'user.email=nobody@localhost', *args], cwd=at, check=True, capture_output=True, text=True).stdout

def retarget(at, user, repo, branch): subprocess.run([sys.executable, '.ci/retarget.py', '--user', user, '--repo', repo, '--branch', branch], cwd=at, check=True)

def mentions(at, pattern):
    "Where `pattern` is found in the files of the folder `at`, but for this one"
    texts = {o: o.read_bytes().decode(errors='ignore') for o in at.rglob('*') if o.is_file() and not {'.git', '__pycache__'} & {*o.parts} and o.name != Path(__file__).name}
    return [f'{o.relative_to(at)}: {text[max(0, hit.start() - 60):hit.end() + 20]}' for o, text in texts.items() for hit in re.finditer(pattern, text)]

@pytest.mark.slow
def test_retargeting_leaves_nothing_behind(tmp_path):
    "To a second place; to a third, where what names the second by owner, repository or branch alone would show, too; and back"
    for name in git('ls-files', '-co', '--exclude-standard', '-z', at=ROOT).split('\0'):
        if (ROOT/name).is_file():
            (tmp_path/name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT/name, tmp_path/name)
    git('init', '-q', at=tmp_path)
    git('add', '.', at=tmp_path)
    user, repo, branch = target()
    retarget(tmp_path, user, repo, branch)
    git('commit', '-q', '-a', '-m', 'as it is', at=tmp_path)
    retarget(tmp_path, 'some-owner', 'their.course', 'on/trunk')
    left = mentions(tmp_path, rf'(?<![\w.-]){user}/{repo}|{user}\.github\.io|{user}@|cd {repo}|branches: \[{branch}\]|some-owner/their\.course[^\s")]*[/=@]{branch}\b')
    assert not left, str(left)
    assert len(mentions(tmp_path, r'some-owner/their\.course')) > 3 * len(lessons())
    retarget(tmp_path, 'third', 'fork', 'main')
    left = mentions(tmp_path, r'some-owner|their\.course|on/trunk')
    assert not left, str(left)
    retarget(tmp_path, user, repo, branch)
    assert git('status', '--porcelain', at=tmp_path) == ''

@pytest.mark.parametrize('name', [o.relative_to(ROOT).as_posix() for o in (ROOT/'CITATION.cff', *(ROOT/'.github').rglob('*.yml'))])
def test_yaml_parses(name):
    assert yaml.safe_load((ROOT/name).read_text(encoding='utf-8'))
