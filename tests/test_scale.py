"""Ratings from Parquet in blocks, and one model trained by two processes: what they promise, on two cores."""
import json, os, re, signal, subprocess, sys, time

import pytest

import ranks
from collab_course.all import *

pytestmark = pytest.mark.slow
torch_run = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2']

@pytest.fixture(scope='module')
def job(tmp_path_factory):
    "What each of the two ranks of tests/ranks.py found, and the folder where they wrote"
    folder, df = tmp_path_factory.mktemp('ranks'), ranks.few()
    for name, parts in (('parquet', [o for _, o in df.groupby(df.user % 3)]), ('mixed', [df[::2], df[1::2]])):
        (folder/name).mkdir()
        for k, o in enumerate(parts): o.to_parquet(folder/name/f'{k}.parquet', index=False, row_group_size=50)
    done = subprocess.run([*torch_run, ranks.__file__, folder], capture_output=True, text=True, timeout=300)
    assert not done.returncode, done.stderr
    return folder, [torch.load(folder/f'{r}.pt', weights_only=False) for r in range(2)], done

class Union(RatingDataLoader):
    "The batches of both ranks together, step by step, in as many epochs"
    def __init__(self, batches, n, bs): self.batches, self.all, self.bs = iter(batches), n, bs
    @property
    def n(self): return self.all
    @property
    def device(self): return torch.device('cpu')
    def __len__(self): return self.all
    def __iter__(self): return (next(self.batches) for _ in range(len(self)))

def alone(make, results):
    "The learner that one process trains on the union of the batches"
    learn = make()
    pairs = [[torch.cat(o) for o in zip(*step)] for step in zip(*(o['batches'] for o in results))]
    learn.dls.train = Union(pairs, len(pairs) // 2, learn.dls.bs)
    learn.fit_one_cycle(2, 5e-3, wd=0.1)
    return learn

@pytest.mark.parametrize('name', ranks.cases())
def test_two_processes_train_as_one(job, name):
    results = [o[name] for o in job[1]]
    a, b = results
    assert a['losses'] == b['losses'] and a['final'] == b['final']
    assert a['shared'].keys() == b['shared'].keys() and all(torch.equal(v, b['shared'][k]) for k, v in a['shared'].items()) # to the bit
    assert all(torch.equal(v, b['whole'][k]) for k, v in a['whole'].items())
    one = alone(ranks.cases()[name], results)
    assert a['losses'] == pytest.approx(one.recorder.losses, abs=1e-5)
    assert a['final'] == pytest.approx([*one.final], abs=1e-5)
    for k, v in one.model.state_dict().items(): torch.testing.assert_close(a['whole'][k][1:], v[1:], atol=1e-3, rtol=0) # row 0, #na#, is set by gather
    whole = ranks.cases()[name]().load(job[0]/f'{name}.zip') # by one process
    assert all(torch.equal(v, a['whole'][k]) for k, v in whole.model.state_dict().items()) and whole.opt
    assert a['loaded'] and b['loaded'] and a['opt'] and b['opt']
    whole.fit_one_cycle(3, 5e-3, start_epoch=2)

def test_batches_are_shared_out(job):
    a, b = (o['MovieLens 100K'] for o in job[1])
    assert a['n'] + b['n'] == 80_000 and abs(a['n'] - b['n']) < 800
    assert all(len(x) == 32 for x, _ in a['batches'][:1000])
    users = [{u for x, _ in o['batches'] for u in x[:, 0].tolist()} for o in (a, b)]
    assert not users[0] & users[1]
    a, b = (o['uneven users'] for o in job[1])
    assert len(a['batches']) == len(b['batches']) and {len(x) for o in (a, b) for x, _ in o['batches']} >= {0, 4}
    a, b = (o['a rank without rows'] for o in job[1])
    assert sorted((a['n'], b['n'])) == [0, 16] and len(a['batches']) == len(b['batches'])

def test_the_first_rank_alone_draws_and_writes(job):
    folder, (a, b), done = job
    assert a['lr_find'][0] == b['lr_find'][0] and (a['lr_find'][1], b['lr_find'][1]) == (1, 0)
    assert done.stdout.count('train_loss') == len(ranks.cases()) + 1 # and the one from Parquet
    learn = load_learner(folder/'exported.zip')
    assert learn.dls.train.n == 80_000 and len(recommend(learn, learn.dls.classes['user'][1], 5)) == 5

def test_what_cannot_be_trained_in_parts_says_why(job):
    for found in job[1]:
        for said, part in zip(found['refusals'], ('use_bn', 'means', 'rmse and mae', 'PairDataLoader', 'tables=[]'), strict=True): assert part in said

def test_each_rank_reads_files_of_its_own(job):
    folder, found, _ = job
    a, b = (o['parquet'] for o in found)
    df = ranks.few()
    assert not a['users'] & b['users'] and a['users'] | b['users'] == {*df.user}
    whole = CollabDataLoaders.from_parquet(folder/'parquet', seed=42, pool=300)
    assert a['n'] + b['n'] == whole.train.n and torch.equal(a['count'], whole.history.count) and a['range'] == whole.rating_range
    pairs = [sorted(map(tuple, o.tolist())) for o in (a['valid'], b['valid'], whole.valid.x)]
    assert pairs[0] == pairs[1] == pairs[2] # the same rows are held out
    assert a['losses'] == b['losses'] and a['final'] == pytest.approx(a['whole'], abs=1e-5)
    for one, many in zip(whole.training_counts, zip(a['counts'], b['counts'])):
        for o in many: assert torch.allclose(o.float(), one.float())
    for o in (a, b): assert o['unknown'] == pytest.approx(whole.training_counts[2].item(), abs=1e-4)
    for o in (a, b): assert re.match(r'user \d+ has ratings in files of rank 0 and of rank 1', o['mixed'])

def test_strangers_get_the_mean_after_a_training_from_disk(job):
    dls = CollabDataLoaders.from_parquet(job[0]/'parquet', seed=42, bs=32, pool=300)
    for learn in (collab_learner(dls, 5, y_range=(0, 5.5)), collab_learner(dls, 5)):
        with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(2, 1e-2)
        y = torch.cat([dls.train.read(i)[1] for i in range(len(dls.train.sizes))]) # batches leave some out
        assert learn.model(torch.zeros(1, 2, dtype=torch.int64)).item() == pytest.approx(y.mean().item(), abs=1e-4)

def torchrun(*args, n=2, **kwargs):
    "Start the command line in `n` processes of a session of their own"
    return subprocess.Popen([*torch_run[:-1], str(n), '-m', 'collab_course', *map(str, args)], text=True, start_new_session=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)

def test_the_command_line_in_two_processes(tmp_path):
    "The file of two processes and that of one are alike, and are read alike"
    ranks.few().to_csv(tmp_path/'ratings.csv', index=False)
    train = 'train', '--csv', tmp_path/'ratings.csv', '--factors', 5, '--lr', 0.05, '--json', '--out'
    job = torchrun(*train, tmp_path/'two.zip')
    one = subprocess.run([sys.executable, '-m', 'collab_course', *map(str, train), tmp_path/'one.zip'], capture_output=True, text=True)
    out, err = job.communicate(timeout=100)
    assert not job.returncode and not one.returncode, err + one.stderr
    two, one = map(json.loads, (out, one.stdout)) # once, not twice
    assert two['train_ratings'] == one['train_ratings'] and two['rmse'] == pytest.approx(one['rmse'], abs=0.1)
    learn = load_learner(tmp_path/'two.zip')
    assert learn.validate()[0]**0.5 == pytest.approx(two['rmse']) and learn.dls.train.n == 424

#: run when Python starts: a file for each rank, as soon as it trains
SAYS_WHEN = """
import os, sys, threading, time
def wait():
    while True:
        if any(o.f_code.co_name == '_train_epoch' for f in sys._current_frames().values() for o in frames(f)): break
        time.sleep(0.1)
    open({ready!r} + '.' + os.environ['RANK'], 'w').write(str(os.getpid()))
def frames(f):
    while f: yield f; f = f.f_back
if 'RANK' in os.environ: threading.Thread(target=wait, daemon=True).start()
"""

def running(group):
    "The processes of a session"
    listed = subprocess.run(['ps', '-o', 'pid=,args=', '-s', str(group)], capture_output=True, text=True).stdout.splitlines()
    return {int(pid): args for pid, args in (o.split(None, 1) for o in listed)}

@pytest.mark.parametrize('how', ['a rank is killed', 'Ctrl-C', 'torchrun is interrupted'])
def test_a_job_ends_as_a_whole(how, tmp_path):
    "Within ten seconds, with a message that names the rank, and leaves no process behind"
    make_ratings(300, 200, 20_000, seed=1).to_csv(tmp_path/'ratings.csv', index=False)
    ready = tmp_path/'ready'
    (tmp_path/'sitecustomize.py').write_text(SAYS_WHEN.format(ready=str(ready)))
    job = torchrun('train', '--csv', tmp_path/'ratings.csv', '--epochs', 300, '--bs', 16, '--out', tmp_path/'model.zip',
                   env=os.environ | {'PYTHONPATH': os.pathsep.join([str(tmp_path), os.environ.get('PYTHONPATH', '')])})
    try:
        end = time.monotonic() + 90
        while len(list(tmp_path.glob('ready*'))) < 2: assert time.monotonic() < end and job.poll() is None, job.communicate()[1]; time.sleep(0.2)
        pids = {o.suffix[1:]: int(o.read_text()) for o in tmp_path.glob('ready*')}
        began = time.monotonic()
        if how == 'a rank is killed': os.kill(pids['1'], signal.SIGKILL)
        elif how == 'Ctrl-C': os.killpg(job.pid, signal.SIGINT) # as a terminal does, to all of them
        else: job.send_signal(signal.SIGINT)
        out, err = job.communicate(timeout=60)
        assert time.monotonic() - began < 10
        assert job.returncode and not out and not (tmp_path/'model.zip').exists()
        if how == 'a rank is killed': assert re.search(r'rank +: 1 .*\n.*exitcode +: -9', err), err
        else: assert re.search('collab_course, rank [01]: stopped', err), err
        assert not running(job.pid)
    finally:
        for pid in running(job.pid): os.kill(pid, signal.SIGKILL)
