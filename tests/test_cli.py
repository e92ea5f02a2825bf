"""The command `collab_course`, as a shell sees it."""
import argparse, inspect, json, os, re, shlex, signal, subprocess, sys
from importlib import metadata

import pytest

from collab_course import cli
from collab_course.all import *

COMMANDS = ('data', 'train', 'evaluate', 'recommend', 'similar', 'lab')

def shell(*args, **kwargs):
    "Run the command in a process of its own"
    return subprocess.run([sys.executable, '-m', 'collab_course.cli', *map(str, args)], capture_output=True, text=True, encoding='utf-8', **kwargs)

@pytest.fixture
def run(capsys):
    "Run the command in this process; returns exit code, stdout and stderr"
    def run(*args):
        try: code = cli.main([str(o) for o in args])
        except SystemExit as e: code = e.code
        return code, *capsys.readouterr()
    return run

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "A folder with ratings.csv, and model.zip trained on it"
    tmp = tmp_path_factory.mktemp('cli')
    df = make_ratings(40, 30, 600, seed=1)
    df.assign(item='film ' + df['item'].astype(str)).set_axis(['who', 'what', 'stars'], axis=1).to_csv(tmp/'ratings.csv', index=False)
    assert cli.main(['train', '--csv', str(tmp/'ratings.csv'), '--epochs', '3', '--factors', '5', '--bs', '16', '--out', str(tmp/'model.zip')]) == 0
    return tmp

def failed(res, *parts):
    "Does the result say in one line that it failed, with nothing in it that only a Python programmer understands?"
    code, out, err = res
    err = re.sub(r'\Acollab_course: columns taken: .*\n', '', err) # said before it fails
    assert code == 1 and out == '' and err.count('\n') == 1 and err.startswith('collab_course: '), res
    assert not re.search(r'Traceback|Errno|Error:|[a-z]_?=|use_nn|lr_find', err), err
    for o in parts: assert o in err, err

def test_help_shows_an_example_and_imports_no_torch():
    code = 'import sys; from collab_course.cli import main\ntry: main(sys.argv[1:])\nfinally: assert not {"torch", "pandas", "numpy"} & set(sys.modules)'
    for command in COMMANDS:
        done = subprocess.run([sys.executable, '-c', code, command, '--help'], capture_output=True, text=True)
        assert done.returncode == 0 and f'example:\n  collab_course {command}' in done.stdout, done.stderr
    done = shell('--help')
    assert done.returncode == 0 and all(o in done.stdout for o in COMMANDS)
    assert shell('--version').stdout == f'collab_course {cli.__version__}\n'

def test_a_wrong_call_is_answered_with_an_example():
    for call, says in {('train',): ('--out', 'example:\n  collab_course train '), (): ('COMMAND', 'COMMAND --help')}.items():
        done = shell(*call)
        assert done.returncode == 2 and done.stdout == '' and all(o in done.stderr.split('error: ')[1] for o in says), done.stderr

@pytest.fixture
def parsers():
    "The parser of each command by the command's name"
    return next(o for o in cli.parser()._actions if isinstance(o, argparse._SubParsersAction)).choices

def test_every_example_is_understood(parsers):
    assert tuple(parsers) == COMMANDS
    for name, o in parsers.items():
        example = o.epilog.splitlines()[-1]
        assert cli.parser().parse_args(shlex.split(example)[1:]).run is getattr(cli, f'{name}_command') and len(example) <= 80

def test_help_has_a_line_an_option_with_its_default(parsers, monkeypatch):
    monkeypatch.setenv('COLUMNS', '80')
    for o in parsers.values():
        listed = o.format_help().split('options:')[-1]
        rows = re.findall(r'^  (-.*)', listed, re.M)
        assert len(rows) == sum(bool(a.option_strings) for a in o._actions) and '\n    ' not in listed, listed # nothing is folded
        for a in o._actions:
            row = next((row for row in rows if row.startswith(', '.join(a.option_strings))), listed)
            assert a.help and (a.default in (None, False, argparse.SUPPRESS) or f'(default: {a.default})' in row), a
    commands = cli.parser().format_help().split('COMMAND\n')[-1]
    assert [row.split()[0] for row in commands.splitlines() if row.startswith('    ')] == list(COMMANDS)

def test_defaults_of_the_lists_are_those_of_the_package(parsers):
    for name, f in (('recommend', recommend), ('similar', similar_items)):
        for k in ('n', 'min_ratings'): assert parsers[name].get_default(k) == inspect.signature(f).parameters[k].default

@pytest.mark.parametrize('args', [[], ['dance'], ['train'], ['train', '--out', 'x', '--epochs', '0'], ['train', '--out', 'x', '--epochs', 'many'], ['recommend', '--model', 'x'],
    ['recommend', '--model', 'x', '--user', '1', '--rated', 'y'], ['similar', '--model', 'x', '--item', 'y', '-n', '0'], ['data', '--speed', '3'], ['recommend', '--user', '1']])
def test_usage_errors(args, run):
    code, out, err = run(*args)
    assert code == 2 and out == '' and err.startswith('usage: collab_course') and 'Traceback' not in err

def test_data(run, tmp_path, monkeypatch):
    code, out, err = run('data', '--json')
    res = json.loads(out)
    assert code == 0 and Path(res['path'], 'u.data').is_file() and res['source']
    code, out, err = run('data')
    assert code == 0 and f"path: {res['path']}\n" in out
    failed(run('data', '--path', tmp_path/'nowhere'), 'nowhere')
    failed(run('data', '--path', tmp_path), 'u.data is missing')

def test_train_on_movielens_is_lesson_13(tmp_path, run):
    code, out, err = run('train', '--out', tmp_path/'movies.zip', '--json')
    res = json.loads(out)
    assert code == 0 and res['seed'] == 42 and (res['train_ratings'], res['ratings']) == (80_000, 20_000)
    assert res['rmse'] < 0.8215**0.5 and res['rmse_of_mean'] > 1.1 and res['bytes'] == (tmp_path/'movies.zip').stat().st_size
    assert err == '' and res['next'] == f"collab_course recommend --model={tmp_path/'movies.zip'} --user=1"
    learn = load_learner(tmp_path/'movies.zip')
    assert learn.model.y_range == (0, 5.5)
    code, out, err = run('evaluate', '--model', tmp_path/'movies.zip', '--json')
    assert {k: json.loads(out)[k] for k in ('rmse', 'mae', 'ratings')} == {k: res[k] for k in ('rmse', 'mae', 'ratings')}
    code, out, err = run('recommend', '--model', tmp_path/'movies.zip', '--user', '196', '-n', '10', '--json')
    titles = [o['title'] for o in json.loads(out)]
    seen = set(load_ratings().query('user == 196').title)
    assert code == 0 and len(set(titles)) == 10 and not seen & set(titles)
    code, out, err = run('similar', '--model', tmp_path/'movies.zip', '--item', 'Star Wars (1977)')
    assert code == 0 and 'Empire Strikes Back, The (1980)' in out
    failed(run('similar', '--model', tmp_path/'movies.zip', '--item', 'Star Warts (1977)'), 'Star Wars (1977)')

def test_csv_with_named_columns(folder, tmp_path, run):
    df = pd.read_csv(folder/'ratings.csv')[['stars', 'what', 'who']]
    for sep, shown in ((';', ';'), ('\t', r'\t')):
        df.to_csv(tmp_path/'mine.csv', sep=sep, index=False)
        code, out, err = run('evaluate', '--csv', tmp_path/'mine.csv', '--sep', shown, '--user', 'who', '--item', 'what', '--rating', 'stars', '--epochs', 1, '--json')
        assert code == 0 and json.loads(out)['ratings'] == 120

def test_evaluate_a_model_on_new_ratings(folder, tmp_path, run):
    df = pd.read_csv(folder/'ratings.csv').head(50)
    df.loc[0, 'what'] = 'film unheard of'
    df.set_axis(['a', 'b', 'c'], axis=1).to_csv(tmp_path/'new.csv', index=False)
    code, out, err = run('evaluate', '--model', folder/'model.zip', '--csv', tmp_path/'new.csv', '--user', 'a', '--item', 'b', '--rating', 'c', '--json')
    learn = load_learner(folder/'model.zip')
    right = rmse(*learn.get_preds(dl=learn.dls.test_dl(df)))
    assert code == 0 and json.loads(out)['rmse'] == pytest.approx(right.item()) and json.loads(out)['unknown'] == 1

def test_same_seed_same_numbers(folder, run):
    args = ('evaluate', '--csv', folder/'ratings.csv', '--epochs', 1, '--json', '--seed')
    first, second, other = (json.loads(run(*args, o)[1]) for o in (3, 3, 4))
    assert first == second and first['rmse'] != other['rmse']

def test_recommend(folder, tmp_path, run):
    learn = load_learner(folder/'model.zip')
    code, out, err = run('recommend', '--model', folder/'model.zip', '--user', '7', '-n', 4, '--json')
    assert code == 0 and [o['what'] for o in json.loads(out)] == recommend(learn, 7, n=4).what.tolist()
    rated = {'film 1': 5, 'film 2': 1, 'film 99': 3}
    (tmp_path/'rated.json').write_text(json.dumps(rated))
    code, out, err = run('recommend', '--model', folder/'model.zip', '--rated', tmp_path/'rated.json', '-n', 3, '--min-ratings', 0, '--json')
    assert code == 0 and 'film 99' in err and err.count('\n') == 1
    found = [o['what'] for o in json.loads(out)]
    assert len(found) == 3 and not set(found) & set(rated)
    code, out, err = run('recommend', '--model', folder/'model.zip', '--user', '7')
    assert code == 0 and out.split()[:2] == ['rank', 'what']

def test_model_without_rows(folder, tmp_path, run):
    assert run('train', '--csv', folder/'ratings.csv', '--epochs', 1, '--out', tmp_path/'it.zip', '--without-rows')[0] == 0
    code, out, err = run('recommend', '--model', tmp_path/'it.zip', '--user', '7')
    assert code == 0 and out and 'may hold what the user has seen' in err
    failed(run('evaluate', '--model', tmp_path/'it.zip'), 'without ratings', '--csv')

def test_errors_are_one_line(folder, tmp_path, run):
    model = folder/'model.zip'
    (tmp_path/'bad.zip').write_bytes(model.read_bytes()[:-100])
    (tmp_path/'bad.json').write_text('{"film 1": ')
    (tmp_path/'list.json').write_text('[1, 2]')
    (tmp_path/'high.json').write_text('{"film 1": 50}')
    (tmp_path/'text.json').write_text('{"film 1": "good"}')
    (tmp_path/'empty.csv').touch()
    (tmp_path/'latin.csv').write_bytes('who,what,stars\n1,Amélie,4\n'.encode('latin-1'))
    failed(run('recommend', '--model', tmp_path/'bad.zip', '--user', 1), 'bad.zip is truncated or altered')
    failed(run('recommend', '--model', tmp_path/'nowhere.zip', '--user', 1), 'nowhere.zip')
    failed(run('recommend', '--model', tmp_path, '--user', 1), str(tmp_path))
    failed(run('recommend', '--model', model, '--user', 99), "no user '99'", 'Close to it', '--rated')
    failed(run('recommend', '--model', model, '--rated', tmp_path/'bad.json'), 'bad.json is no JSON')
    failed(run('recommend', '--model', model, '--rated', tmp_path/'list.json'), 'list.json holds a list')
    failed(run('recommend', '--model', model, '--rated', tmp_path/'nowhere.json'), 'nowhere.json')
    failed(run('recommend', '--model', model, '--rated', tmp_path/'high.json'), '50')
    failed(run('recommend', '--model', model, '--rated', tmp_path/'text.json'), 'good')
    failed(run('similar', '--model', model, '--item', 'fim 1'), 'film 1')
    failed(run('train', '--csv', tmp_path/'nowhere.csv', '--out', tmp_path/'it.zip'), 'nowhere.csv')
    failed(run('train', '--csv', tmp_path/'empty.csv', '--out', tmp_path/'it.zip'), 'empty.csv')
    failed(run('train', '--csv', tmp_path/'latin.csv', '--out', tmp_path/'it.zip'), 'latin.csv')
    failed(run('train', '--csv', folder/'ratings.csv', '--item', 'film', '--out', tmp_path/'it.zip'), "'film' is missing", 'who', '--item')
    failed(run('train', '--csv', folder/'ratings.csv', '--valid-pct', 2, '--out', tmp_path/'it.zip'), '--valid-pct 2')
    failed(run('train', '--csv', folder/'ratings.csv', '--sep', ';', '--out', tmp_path/'it.zip'), "--sep ';'")
    failed(run('train', '--csv', folder/'ratings.csv', '--y-range', 5, 1, '--out', tmp_path/'it.zip'), '--y-range')
    failed(run('train', '--csv', folder/'ratings.csv', '--lr', -1, '--out', tmp_path/'it.zip'), '--lr -1')
    failed(run('train', '--csv', folder/'ratings.csv', '--wd', -1, '--out', tmp_path/'it.zip'), '--wd -1')
    failed(run('train', '--csv', folder/'ratings.csv', '--lr', 1e30, '--out', tmp_path/'it.zip'), 'the loss is', '--lr')
    failed(run('recommend', '--model', model, '--user', 1, '--min-ratings', 1000), '--min-ratings 1000')
    failed(run('train', '--out', tmp_path/'nowhere'/'it.zip'), 'nowhere')
    assert not (tmp_path/'it.zip').exists()

def test_errors_about_models_that_only_python_makes(folder, tmp_path, run):
    class Mine(EmbeddingDotBias): pass
    dls = CollabDataLoaders.from_csv(folder/'ratings.csv')
    sizes = [len(o) for o in dls.classes.values()]
    Learner(dls, Mine(5, *sizes)).export(tmp_path/'mine.zip')
    failed(run('recommend', '--model', tmp_path/'mine.zip', '--user', 1), 'class Mine', 'Load it in Python')
    collab_learner(dls, use_nn=True).export(tmp_path/'nn.zip')
    failed(run('similar', '--model', tmp_path/'nn.zip', '--item', 'film 1'), 'has no factors')
    Learner(dls, Mine(5, *sizes)).save(tmp_path/'weights.zip')
    failed(run('similar', '--model', tmp_path/'weights.zip', '--item', 'film 1'), 'holds weights alone')

def test_missing_values_are_one_line(tmp_path, run):
    (tmp_path/'gap.csv').write_text('who,what,stars\n1,a,4\n1,b,4\n,b,3\n')
    failed(run('evaluate', '--csv', tmp_path/'gap.csv'), "'who'", 'Drop them first')

def test_unexpected_errors_are_one_line_too(folder, run, monkeypatch):
    monkeypatch.setattr(cli, '_by_text', lambda *args: 1 / 0)
    code, out, err = run('similar', '--model', folder/'model.zip', '--item', 'film 1')
    assert code == 1 and err == 'collab_course: ZeroDivisionError: division by zero\n'

def test_a_file_is_replaced_only_by_force(folder, tmp_path, run):
    train = ('train', '--csv', folder/'ratings.csv', '--epochs', 1, '--out', tmp_path/'it.zip')
    (tmp_path/'it.zip').write_text('precious')
    failed(run(*train), 'it.zip is there already', '--force')
    assert (tmp_path/'it.zip').read_text() == 'precious'
    assert run(*train, '--force')[0] == 0
    assert load_learner(tmp_path/'it.zip').dls.train.n == 480

def test_data_is_fetched_again_by_force(run, monkeypatch):
    asked = []
    monkeypatch.setattr('collab_course.data.untar_data', lambda **kwargs: asked.append(kwargs['force_download']) or print('GroupLens: <urlopen error [Errno 111] refused>; tried the next source.'))
    assert run('data')[0] == 0 and run('data', '--force')[:2] == (0, 'path: None\nsource: GroupLens: <urlopen error refused>; tried the next source.\n')
    assert asked == [False, True]

def test_what_train_says_to_do_next_works(tmp_path, run):
    df = make_ratings(40, 30, 600, seed=1)
    df['user'] = '-user "' + df['user'].astype(str) + '"'
    (tmp_path/'my models').mkdir()
    df.to_csv(tmp_path/'ratings.csv', index=False)
    done = shell('train', '--csv', tmp_path/'ratings.csv', '--epochs', 9, '--out', tmp_path/'my models'/'it.zip')
    last = done.stdout.splitlines()[-1]
    assert done.returncode == 0 and done.stderr == '' and last.startswith('next: collab_course recommend ')
    code, out, err = run(*shlex.split(last)[2:])
    assert code == 0 and out.split()[0] == 'rank'

def test_ids_that_begin_with_a_dash(tmp_path, run):
    df = make_ratings(40, 30, 600, seed=1)
    ids = {1: '-x1aQ', 2: '-5', 3: '--n', 4: '-x y', 5: '-n5'}
    for name in ('user', 'item'): df[name] = df[name].map(ids).fillna(df[name].astype(str))
    df.to_csv(tmp_path/'ratings.csv', index=False)
    assert run('train', '--csv', tmp_path/'ratings.csv', '--epochs', 1, '--out', tmp_path/'it.zip')[0] == 0
    for o in ids.values():
        for given in ('--user', o), (f'--user={o}',):
            assert run('recommend', '--model', tmp_path/'it.zip', *given, '-n', 1)[0] == (2 if given == ('--user', '--n') else 0)
        for given in ('--item', o), (f'--item={o}',):
            assert run('similar', '--model', tmp_path/'it.zip', '-n', 1, *given, '--min-ratings', 0)[0] == (2 if given == ('--item', '--n') else 0)
    assert run('recommend', '--model', tmp_path/'it.zip', '--user', '-n', 3)[0] == 2
    assert run('train', '--user', '--item', 'title', '--out', tmp_path/'it.zip')[0] == 2

def test_breaking_off(run, monkeypatch):
    def stop(args): raise KeyboardInterrupt
    monkeypatch.setattr(cli, '_trained', stop)
    assert run('evaluate') == (130, '', 'collab_course: stopped\n')

@pytest.mark.skipif(os.name != 'posix', reason='a terminal of our own')
def test_progress_and_control_c_in_a_terminal(folder):
    import pty
    ours, theirs = pty.openpty()
    command = [sys.executable, '-m', 'collab_course.cli', 'evaluate', '--csv', folder/'ratings.csv', '--epochs', '100000']
    def as_in_a_terminal(): signal.signal(signal.SIGINT, signal.SIG_DFL) # what a shell starts in the background ignores Ctrl-C
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, preexec_fn=as_in_a_terminal) as p:
        try:
            seen = b''
            while b'valid_loss' not in seen: seen += os.read(ours, 1000)
            p.send_signal(signal.SIGINT)
            assert p.wait(60) == 130 and p.stdout.read() == b''
            while b'collab_course: stopped' not in seen: seen += os.read(ours, 100_000)
        finally: p.kill()
    for o in (ours, theirs): os.close(o)

@pytest.mark.skipif(os.name != 'posix', reason='a shell with head')
def test_reader_who_stops_reading(folder):
    command = f'{sys.executable} -m collab_course.cli recommend --model {folder/"model.zip"} --user 7 | head -1; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(['bash', '-c', command], capture_output=True, text=True)
    assert done.stdout.split()[0] == 'rank' and done.stderr == '' and done.stdout.split()[-1] == '0'

def test_lab(tmp_path, run, monkeypatch, capsys):
    failed(run('lab', tmp_path), 'no lessons in', f"git clone {metadata.metadata('collab_course')['Home-page']},")
    def not_installed(name): raise metadata.PackageNotFoundError(name)
    with monkeypatch.context() as m:
        m.setattr(metadata, 'metadata', not_installed)
        failed(run('lab', tmp_path), 'no lessons in', 'git clone the repository')
    (tmp_path/'01_data.ipynb').touch()
    monkeypatch.setattr(cli, 'find_spec', lambda name: None)
    failed(run('lab', tmp_path), 'pip install jupyterlab')
    called = []
    monkeypatch.setattr(cli, 'find_spec', lambda name: True)
    monkeypatch.setattr(cli.subprocess, 'run', lambda args, env: called.append(args) or subprocess.CompletedProcess(args, 0))
    (tmp_path/'nbs').mkdir()
    (tmp_path/'nbs'/'01_data.ipynb').write_text('{"cells": []}')
    assert run('lab', tmp_path/'nbs')[0] == 0 and called[-1] == [sys.executable, '-m', 'jupyterlab', str(tmp_path/'my_lessons'/'index.ipynb')]
    (tmp_path/'my_lessons'/'01_data.ipynb').write_text('mine')
    (tmp_path/'nbs'/'01_data.ipynb').write_text('{"cells": [], "metadata": {}}')
    capsys.readouterr()
    cli.lab_command(argparse.Namespace(folder=tmp_path/'nbs'))
    assert 'newer versions of 01_data.ipynb' in capsys.readouterr().out and (tmp_path/'my_lessons'/'01_data.ipynb').read_text() == 'mine'
