"""Ratings that outgrow memory, and one model in two processes. Run it on a machine that does nothing else:

    python bench/scale.py [--small] > bench/scale.txt

1. On MovieLens 100K, one process and two, in turns: losses, what is alike, seconds an epoch.
2. 20 million made-up ratings, in memory and from Parquet, in turns: losses and seconds an epoch.
3. 100 million made-up ratings from Parquet: memory and ratings a second.

`--small` takes a fiftieth of the made-up ratings, to see that all of it runs. Times come from the machine, so the ratios of
runs in turns say more than the seconds do. The files lie in build/scale and are used again.
"""
import argparse, json, os, subprocess, sys, time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT/'build'/'scale'
#: users and items of a made-up table by its ratings: MovieLens 20M and the Netflix prize
SHAPES = {20_000_000: (138_493, 26_744), 100_000_000: (480_189, 17_770)}
BS, EPOCHS = 65_536, 3
#: learning rates by batch size: that of the lessons, and for the largest the best of 5e-3, 1e-2, 2e-2 and 4e-2 in one process
RATES = {64: 5e-3, 1024: 5e-3, 8192: 2e-2}
SMALLER = 8_192 # for the 20 million, so that three epochs come to the end of what there is to learn

def now(what):
    "MB of this process: VmRSS, what is resident, or VmHWM, the most that was"
    return next(int(o.split()[1]) / 1024 for o in Path('/proc/self/status').read_text().splitlines() if o.startswith(what))

def make(n, small):
    "A folder with `n` made-up ratings in Parquet files of 2.5 million, each with all ratings of some users, sorted by user; made a file at a time"
    import numpy as np, pyarrow as pa, pyarrow.parquet as parquet
    from collab_course.data import planted_factors
    n_users, n_items = (o // small for o in SHAPES[n])
    n //= small
    folder = WORK/f'{n}'
    if (folder/'done').exists(): return folder
    folder.mkdir(parents=True, exist_ok=True)
    p, n_files = planted_factors(n_users, n_items, 5, 0), -(-n // 2_500_000)
    for k, (users, rows) in enumerate(zip(np.array_split(np.arange(n_users), n_files), np.array_split(np.arange(n), n_files))):
        rng = np.random.default_rng([0, k])
        u = np.sort(rng.choice(users, len(rows)))
        i = rng.integers(n_items, size=len(rows))
        score = 3.5 + p.user_bias[u] + p.item_bias[i] + rng.normal(0, 0.3, len(rows))
        for f in range(5): score += p.user_factors[u, f] * p.item_factors[i, f]
        stars = np.clip(np.round(score * 2) / 2, 1, 5).astype('float32')
        table = pa.table({'user': (u + 1).astype('int32'), 'item': (i + 1).astype('int32'), 'rating': stars})
        parquet.write_table(table, folder/f'{k:03}.parquet', row_group_size=2**17)
    (folder/'done').touch()
    return folder

def learner(dls):
    from collab_course.all import collab_learner, set_seed
    set_seed(42)
    return collab_learner(dls, 50, y_range=(0.5, 5.5), lr=0.02)

def trained(learn, epochs):
    "Seconds of each epoch, and the validation loss after each"
    from collab_course.all import Callback
    class Clock(Callback):
        def before_epoch(self): self.start = time.perf_counter()
        def after_epoch(self): seconds.append(time.perf_counter() - self.start)
    seconds = []
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(epochs, cbs=Clock())
    return seconds, [o[1] for o in learn.recorder.values]

def held_out(folder):
    "The table in `folder`, and which of its rows `from_parquet` with seed 42 validates on"
    import numpy as np, pandas as pd, torch
    from collab_course.parquet import ParquetTable
    table = ParquetTable(folder, ['user', 'item', 'rating'], 2**21)
    share = min(0.2, 1_000_000 / table.n_rows)
    held = torch.cat([table.held(i, share, 42) for i in range(len(table.groups))])
    return pd.concat([pd.read_parquet(o) for o in table.files], ignore_index=True), np.flatnonzero(held)

def fit(kind, n, small, threads):
    "Train on `n` ratings, from the table in memory or in blocks"
    import torch
    torch.set_num_threads(threads)
    from collab_course.all import CollabDataLoaders
    folder = make(n, small)
    if kind == 'blocks': dls = CollabDataLoaders.from_parquet(folder, seed=42, bs=SMALLER // small)
    else:
        df, rows = held_out(folder)
        dls = CollabDataLoaders.from_df(df, valid_idx=rows, bs=SMALLER // small)
        del df
    seconds, losses = trained(learner(dls), EPOCHS)
    return {'seconds': seconds, 'losses': losses}

def memory(n, small, threads):
    "Train an epoch on `n` ratings from Parquet; where the memory goes, in MB"
    import torch
    torch.set_num_threads(threads)
    import pandas, pyarrow.dataset, pyarrow.parquet # noqa: F401
    from collab_course.all import CollabDataLoaders
    folder = WORK/f'{n // small}'
    imports, start = now('VmRSS'), time.perf_counter()
    dls = CollabDataLoaders.from_parquet(folder, seed=42, bs=BS // small)
    opened, passes = now('VmRSS'), time.perf_counter() - start
    from collab_course.vocabulary import CategoryMap
    before, again = now('VmRSS'), [CategoryMap(c.items[1:]) for c in dls.classes.values()]
    vocabulary = now('VmRSS') - before
    del again
    learn = learner(dls)
    numbers = sum(p.numel() for p in learn.model.parameters())
    seconds, losses = trained(learn, 1)
    model = numbers * 4 * 4 / 2**20 # numbers, gradients, and Adam's two averages, 4 bytes each
    return {'rows': dls.train.n + dls.valid.n, 'imports': imports, 'opened': opened, 'vocabulary': vocabulary, 'model': model, 'peak': now('VmHWM'),
            'rest': now('VmHWM') - imports - vocabulary - model, 'passes': passes, 'seconds': seconds[0], 'losses': losses,
            'a second': dls.train.n / seconds[0], 'size': sum(o.stat().st_size for o in folder.glob('*.parquet')) / 2**20}

def contract(bs, threads):
    "Train on MovieLens 100K, in one process or as one of several"
    import torch, torch.distributed as dist
    torch.set_num_threads(threads)
    from collab_course.all import CollabDataLoaders, DistributedLearner, collab_learner, load_ratings, set_seed
    size = int(os.environ.get('WORLD_SIZE', 1))
    if size > 1: dist.init_process_group()
    dls = CollabDataLoaders.from_df(load_ratings(), item_name='title', bs=bs, seed=42)
    set_seed(42)
    learn = collab_learner(dls, 50, y_range=(0, 5.5))
    part = DistributedLearner(learn) if size > 1 else learn
    part.lr, part.wd = RATES[bs], 0.1
    seconds, losses = trained(part, 5)
    res = {'seconds': seconds, 'losses': losses, 'shared': [], 'traffic': 0}
    if size > 1:
        import hashlib
        own = set(part.tables)
        digest = hashlib.sha256(b''.join(v.numpy().tobytes() for k, v in part.model.state_dict().items() if k not in own)).hexdigest()
        res['shared'] = [None] * size
        dist.all_gather_object(res['shared'], digest)
        res['traffic'] = 4 * sum(v.numel() for k, v in part.model.state_dict().items() if k not in own)
        dist.destroy_process_group()
    return res

def run(*job, ranks=1):
    "What this file prints for `job`, in a process of its own or several"
    launcher = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', str(ranks)] if ranks > 1 else []
    env = os.environ | {'OMP_NUM_THREADS': '1', 'TQDM_DISABLE': '1', 'PYTHONPATH': str(ROOT)}
    done = subprocess.run([sys.executable, *launcher, __file__, '--job', *map(str, job)], capture_output=True, text=True, env=env)
    if done.returncode: sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])

def ratio(a, b): return median(x / y for x, y in zip(a, b))

def report(small):
    import platform, torch
    print(f'{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, PyTorch {torch.__version__}; made-up ratings divided by {small}')
    print('\nOne process and two (one thread each), MovieLens 100K, 50 factors, 5 epochs; medians of 3 runs in turns\n')
    print(f'{"bs":>6} {"loss, one":>10} {"loss, two":>10} {"shared alike":>13} {"KB a step":>10} {"s an epoch, one":>16} {"two":>6} {"two / one":>10}')
    for bs in RATES:
        runs = [(run('contract', bs, 1), run('contract', bs, 1, ranks=2)) for _ in range(3)]
        one, two = ([median(o['seconds'][1:]) for o in os_] for os_ in zip(*runs))
        a, b = runs[0]
        print(f'{bs:>6} {a["losses"][-1]:>10.4f} {b["losses"][-1]:>10.4f} {"to the bit" if len({*b["shared"]}) == 1 else "NO":>13} {b["traffic"] / 1e3:>10.0f} '
              f'{median(one):>16.3f} {median(two):>6.3f} {ratio(two, one):>10.2f}', flush=True)
    for n in SHAPES: run('make', n, small)
    n, _ = SHAPES
    print(f'\n{n // small:,} made-up ratings, bs={SMALLER // small}, 50 factors, {EPOCHS} epochs, two threads; 3 runs in turns\n')
    runs = [(run('fit', 'memory', n, small, 2), run('fit', 'blocks', n, small, 2)) for _ in range(3)]
    mem, blocks = ([median(o['seconds']) for o in os_] for os_ in zip(*runs))
    for name, k, seconds in (('in memory', 0, mem), ('from Parquet', 1, blocks)):
        print(f'{name:14} loss after each epoch {", ".join(f"{o:.4f}" for o in runs[0][k]["losses"])}; seconds an epoch {", ".join(f"{o:.2f}" for o in seconds)}')
    print(f'from Parquet takes {ratio(blocks, mem):.2f} times as long (run by run: {", ".join(f"{b / a:.2f}" for a, b in zip(mem, blocks))})', flush=True)
    _, n = SHAPES
    o = run('memory', n, small, 2)
    print(f'\n{o["rows"]:,} made-up ratings from Parquet ({o["size"]:,.0f} MB of files), bs={BS // small}, 50 factors, one epoch, two threads\n')
    print(f'resident at most {o["peak"]:,.0f} MB: imports {o["imports"]:,.0f}, vocabulary {o["vocabulary"]:,.0f}, model with gradients and averages {o["model"]:,.0f}, all else {o["rest"]:,.0f}')
    print(f'{o["passes"]:.0f} s for the two passes, {o["seconds"]:.0f} s an epoch: {o["a second"]:,.0f} ratings a second; loss {o["losses"][-1]:.4f}')

JOBS = {'make': make, 'fit': fit, 'memory': memory, 'contract': contract}

if __name__ == '__main__':
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument('--small', action='store_const', const=50, default=1)
    args.add_argument('--job', nargs='+')
    args = args.parse_args()
    if args.job:
        name, *rest = args.job
        res = JOBS[name](*(int(o) if o.isdigit() else o for o in rest))
        if not int(os.environ.get('RANK', 0)): print(json.dumps(res, default=str))
    else: report(args.small)
