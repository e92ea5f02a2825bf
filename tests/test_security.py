"""Nothing the package reads can run: no pickle, no eval, no shell; and the workflows may only read."""
import ast, re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT/'collab_course').glob('*.py'))

#: calls that run what they are given, or unpickle it
RUNS = {'eval', 'exec', 'compile', '__import__', 'os.system', 'os.popen', 'subprocess.getoutput', 'subprocess.getstatusoutput', 'pd.read_pickle', 'pandas.read_pickle', 'pd.read_hdf', 'np.fromregex'}
IMPORTS = {'pickle', 'cPickle', 'dill', 'cloudpickle', 'joblib', 'shelve', 'marshal', 'yaml'}

def dangers(tree):
    "Line and name of each danger in `tree`"
    for node in ast.walk(tree):
        if isinstance(node, ast.Import): yield from ((node.lineno, o.name) for o in node.names if o.name.split('.')[0] in IMPORTS)
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or '').split('.')[0] in IMPORTS: yield node.lineno, node.module
        if not isinstance(node, ast.Call): continue
        name, args = ast.unparse(node.func), {o.arg: ast.unparse(o.value) for o in node.keywords}
        if name in RUNS: yield node.lineno, name
        if args.get('shell', 'False') != 'False': yield node.lineno, f'{name}(shell=...)'
        if args.get('allow_pickle', 'False') != 'False': yield node.lineno, f'{name}(allow_pickle=...)'
        if name == 'np.load' and args.get('allow_pickle') != 'False': yield node.lineno, 'np.load without allow_pickle=False'
        if name == 'torch.load' and args.get('weights_only') != 'True': yield node.lineno, 'torch.load without weights_only=True'
        if name.endswith(('extractall', '.extract')) and len(node.args) < 2 and 'filter' not in args: yield node.lineno, f'{name} of everything'

@pytest.mark.parametrize('file', FILES, ids=[o.name for o in FILES])
def test_package_runs_nothing_it_reads(file): assert list(dangers(ast.parse(file.read_text(encoding='utf-8')))) == []

@pytest.mark.parametrize('code', ['eval(x)', 'import pickle', 'from pickle import load', 'torch.load(f)', 'torch.load(f, weights_only=False)', 'np.load(f)', 'np.load(f, allow_pickle=True)',
                                  'subprocess.run(x, shell=True)', 'os.system(x)', 'pd.read_pickle(f)', 'z.extractall(folder)'])
def test_each_danger_is_found(code): assert list(dangers(ast.parse(code)))

WORKFLOWS = sorted((ROOT/'.github'/'workflows').glob('*.yml'))

@pytest.mark.parametrize('file', WORKFLOWS, ids=[o.name for o in WORKFLOWS])
def test_workflow_may_only_read(file):
    "But for the jobs that publish the site and a release, which may do that and no more"
    text = file.read_text(encoding='utf-8')
    assert re.search(r'^permissions:\n  contents: read$', text, re.M), 'permissions at the top must be contents: read and no more'
    writes = re.findall(r'([\w-]+): write', text)
    assert writes == {'docs.yml': ['pages', 'id-token'], 'release.yml': ['id-token', 'contents']}.get(file.name, [])
    assert 'pull_request_target' not in text and '${{ github.event' not in text and '${{ github.head_ref' not in text
