"""The package computes what it computed before its rooms were rebuilt: see golden.py."""
import json, math

import pytest

import golden
from collab_course.all import collab_learner, load_learner

#: by how much numbers may differ, as a share and in absolute terms: processors round differently, and training makes more of it
EXACT, TRAINED = (1e-4, 1e-5), (5e-3, 1e-4)

@pytest.fixture(scope='module')
def then(): return json.loads(golden.RECORD.read_text())

@pytest.fixture
def alike(then):
    "The numbers drawn are those of the record, or there is nothing to compare"
    if golden.drawn() != pytest.approx(then['drawn']): pytest.skip('this PyTorch draws first weights in another way than that of the record')

def same(a, b, tol, at=''):
    "Raise where the two differ in more than rounding"
    if isinstance(a, dict):
        assert [*a] == [*b], at
        for k in a: same(a[k], b[k], tol, f'{at}/{k}')
    elif isinstance(a, list):
        assert len(a) == len(b), at
        for i, (x, y) in enumerate(zip(a, b)): same(x, y, tol, f'{at}/{i}')
    elif isinstance(a, float) or isinstance(b, float): assert a is b or math.isclose(a, b, rel_tol=tol[0], abs_tol=tol[1]), f'{at}: {a} and {b}'
    else: assert a == b, f'{at}: {a!r} and {b!r}'

@pytest.mark.parametrize('name', golden.TRAININGS)
def test_made_up_ratings_train_as_before(then, alike, name): same(golden.training(name, golden.toy_dls()), then['made-up ratings'][name], TRAINED)

@pytest.mark.slow
@pytest.mark.parametrize('name', golden.TRAININGS)
def test_movielens_trains_as_before(then, alike, name): same(golden.training(name, golden.movie_dls()), then['MovieLens 100K'][name], TRAINED)

def test_lists_and_reasons_are_as_before(then):
    same(json.loads(json.dumps(golden.lists(load_learner(golden.FOLDER/'learner.zip')))), then['lists'], EXACT)

def test_the_command_line_answers_as_before(then, tmp_path):
    now = golden.named(golden.command_line(tmp_path), tmp_path)
    assert [*now] == [*then['command line']]
    for command, (code, out) in now.items():
        before = then['command line'][command]
        assert code == before[0]
        answer, then_said = json.loads(out), json.loads(before[1])
        if isinstance(answer, dict): answer.pop('next', None) # `train` now also says what to do next
        same(answer, then_said, TRAINED, command)

def test_a_learner_goes_on_from_weights_of_format_1(then):
    "The optimiser's state and the random numbers are in the file: the second epoch of a training is that of the record"
    dls = golden.toy_dls()
    learn = collab_learner(dls, n_factors=20, y_range=(0, 5.5)).load(golden.FOLDER/'weights.zip')
    assert learn.opt.state_dict()['state'][0]['step'] == 100
    same(float(learn.validate()[0]), then['made-up ratings']['collab_learner']['epochs'][-1][1], EXACT)
    with learn.no_logging(): learn.fit_one_cycle(3, 5e-3, start_epoch=2)
    assert learn.recorder.values[0][1] < then['made-up ratings']['collab_learner']['epochs'][-1][1]
