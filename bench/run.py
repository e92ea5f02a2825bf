"""Times, accuracy, memory and size beside other libraries: `make bench`, or

    python bench/run.py [--rounds 5] [--threads 1 2] [--large]

Makes an environment a peer under .bench/ (fastai's takes minutes and 6 GB), hands all the same split of MovieLens 100K, runs
every job in a process of its own, round after round, and writes medians and ratios to results.md beside this file, and
pictures to nbs/images, where README shows them. Run it on a machine that does nothing else. `--large` adds 100 thousand to 20
million made-up ratings."""
import argparse, json, os, platform, subprocess, sys
from configparser import ConfigParser
from pathlib import Path
from statistics import median

import matplotlib.pyplot as plt, numpy as np, pandas as pd

HERE = Path(__file__).resolve().parent
ROOT, WORK = HERE.parent, HERE.parent/'.bench'
IMAGES = ROOT/'nbs'/'images'
PEERS = {'fastai': ['fastai==2.8.12', 'torch==2.14.1', 'torchvision==0.29.1'], 'surprise': ['scikit-surprise==1.1.5', 'pandas']}
#: how a job is called in the tables: its line for jobs.py, whose first word names its environment
JOBS = {'collab_learner': 'course collab_learner', 'fastai collab_learner': 'fastai collab_learner', 'PyTorch and its DataLoader': 'pytorch',
        'Learner, any module': 'course any module', 'EmbeddingNN [100, 50]': 'course network', 'fastai EmbeddingNN [100, 50]': 'fastai network',
        'Surprise SVD': 'surprise SVD', 'Surprise SVD++': 'surprise SVD++'}
IMPORTS = {'torch, pandas, matplotlib': 'import torch,pandas,matplotlib.pyplot', 'collab_course.all': 'import collab_course.all'}
#: rows of the table of targets: what, over what, at least
TARGETS = [('collab_learner', 'fastai collab_learner', 18.6), ('Learner, any module', 'fastai collab_learner', 10),
           ('EmbeddingNN [100, 50]', 'fastai EmbeddingNN [100, 50]', 5)]
LARGE = {100_000: 64, 1_000_000: 1024, 10_000_000: 16384, 20_000_000: 65536}

def python(env):
    "The interpreter of environment `env`, which is made where it is missing"
    if env not in PEERS: return sys.executable
    folder = WORK/env
    if not (folder/'made').exists():
        print(f'Making the environment of {env}', flush=True)
        subprocess.run([sys.executable, '-m', 'venv', folder], check=True)
        subprocess.run([folder/'bin'/'python', '-m', 'pip', 'install', '-q', '--progress-bar', 'off', *PEERS[env]], check=True)
        (folder/'made').touch()
    return folder/'bin'/'python'

def run(job, threads):
    "What jobs.py prints for `job`"
    env = {**os.environ, 'OMP_NUM_THREADS': str(threads), 'TQDM_DISABLE': '1', 'MPLBACKEND': 'agg', 'PYTHONWARNINGS': 'ignore'}
    if job.split()[0] in PEERS: env.pop('PYTHONPATH', None)
    done = subprocess.run([python(job.split()[0]), HERE/'jobs.py', job, WORK/'split.npz', str(threads)], capture_output=True, text=True, cwd=ROOT, env=env)
    if done.returncode: sys.exit(f'{job}: {done.stderr[-2000:]}')
    return json.loads(done.stdout.splitlines()[-1])

def make_split():
    "80,000 training and 20,000 validation rows of MovieLens 100K, by title, as `CollabDataLoaders.from_df(seed=42)` draws them"
    from collab_course.all import CollabDataLoaders, load_ratings
    dls = CollabDataLoaders.from_df(load_ratings(), item_name='title', seed=42)
    WORK.mkdir(exist_ok=True)
    np.savez(WORK/'split.npz', **{k: np.concatenate([dl.x.numpy(), dl.y.numpy()], 1) for k, dl in (('train', dls.train), ('valid', dls.valid))})

def measure(rounds, threads):
    "A row for each fit of each job in each round, and peak memory by job"
    rows, peaks, loads = [], {}, {name: [] for name in IMPORTS}
    for r in range(rounds):
        for name, job in JOBS.items():
            res = run(job, threads)
            rows += [{'job': name, 'round': r, **o} for o in res['out']]
            peaks.setdefault(name, []).append(res['peak_mb'])
        for name, job in IMPORTS.items(): loads[name].append(run(job, threads)['out'])
        print(f'round {r + 1} of {rounds}, {threads} thread(s)', flush=True)
    table = pd.DataFrame(rows).groupby(['job', 'epochs'], sort=False).agg(seconds=('seconds', 'median'), least=('seconds', 'min'), most=('seconds', 'max'), rmse=('rmse', 'median'))
    return table.reset_index(), {k: median(v) for k, v in peaks.items()}, loads

def markdown(df): return '\n'.join(['| ' + ' | '.join(map(str, o)) + ' |' for o in (df.columns, ['---'] * len(df.columns), *df.to_numpy().tolist())])

def epoch_table(table):
    "Seconds of one epoch with its validation, and how many times that the peer takes"
    one = table[table.epochs == 1].set_index('job')
    rows = [(ours, f'{one.seconds[ours]:.3f}', f'{one.rmse[ours]:.4f}', peer, f'{one.seconds[peer]:.3f}', f'{one.rmse[peer]:.4f}', f'{one.seconds[peer] / one.seconds[ours]:.1f}', least)
            for ours, peer, least in TARGETS]
    return pd.DataFrame(rows, columns=['ours', 's an epoch', 'RMSE', 'peer', 's an epoch ', 'RMSE ', 'times', 'target'])

def reach_table(table):
    "The shortest fit of each job that reaches an RMSE, and those that others end with"
    ends = {name: table[table.job == name].rmse.iloc[-1] for name in ('Surprise SVD', 'Surprise SVD++', 'fastai collab_learner')}
    goals = {f'{o}': o for o in (0.95, 0.93, 0.91)} | {f"{k}'s last, {v:.4f}": v for k, v in ends.items()}
    def least(job, goal): return table[(table.job == job) & (table.rmse <= goal)].seconds.min()
    rows = [(job, *('-' if np.isnan(t := least(job, goal)) else f'{t:.2f}' for goal in goals.values())) for job in table[table.epochs > 1].job.unique()]
    return pd.DataFrame(rows, columns=['seconds to RMSE', *goals])

def size_table():
    "Installed megabytes with all dependencies; PyTorch counted as its CPU build everywhere"
    ini = ConfigParser(delimiters=['='], interpolation=None)
    ini.read(ROOT/'settings.ini', encoding='utf-8')
    needs = [o.split('>')[0].split('<')[0] for o in ini['DEFAULT']['requirements'].split()]
    ours, theirs = run('sizes ' + ','.join(needs), 1)['out'], json.loads(subprocess.run(
        [python('fastai'), HERE/'jobs.py', 'sizes fastai', '-', '1'], capture_output=True, text=True, check=True).stdout)['out']
    ours['collab-course'] = sum(o.stat().st_size for o in (ROOT/'collab_course').glob('*.py'))
    theirs = {k: v for k, v in theirs.items() if not k.startswith(('nvidia', 'cuda', 'triton'))} | {'torch': ours['torch']}
    mb = lambda sizes, *less: round(sum(v for k, v in sizes.items() if k not in less) / 2**20)
    return pd.DataFrame([(name, len(o), mb(o), mb(o, 'torch')) for name, o in (('collab_course', ours), ('fastai', theirs))],
                        columns=['installed', 'packages', 'MB', 'MB without PyTorch'])

def plot(table, file):
    "Validation RMSE against seconds of training"
    ax = plt.subplots(figsize=(7, 4))[1]
    styles = zip(('o-', 's--', '^:', 'D-.', 'v--'), ('C0', 'C1', 'C2', 'C3', 'C4'))
    for (job, o), (style, color) in zip(table[table.job.isin(table[table.epochs > 1].job)].groupby('job', sort=False), styles):
        ax.plot(o.seconds, o.rmse, style, color=color, label=job)
        for row in o.itertuples(): ax.annotate(row.epochs, (row.seconds, row.rmse), xytext=(4, 4), textcoords='offset points', fontsize=8)
    ax.set(xscale='log', xlabel='seconds of training; the numbers are epochs', ylabel='RMSE on 20,000 held-out ratings, in stars')
    ax.legend(ncols=3, loc='lower center', bbox_to_anchor=(0.5, 1))
    plt.savefig(file, dpi=100, bbox_inches='tight')

def measure_large(rounds, threads):
    "Medians of seconds and memory for each number of ratings"
    runs = [[run(f'large {n},{bs}', threads)['out'] for n, bs in LARGE.items()] for _ in range(rounds)]
    def middle(outs): return {k: middle([o[k] for o in outs]) if isinstance(v, dict) else median(o[k] for o in outs) for k, v in outs[0].items()}
    return [middle(outs) for outs in zip(*runs)]

def plot_large(rows, file):
    "Seconds and memory against the number of ratings"
    axs = plt.subplots(1, 2, figsize=(8, 3.5))[1]
    n = [o['n'] for o in rows]
    for (part, style) in zip(('from_df', 'fit', 'validate', 'recommend'), ('o-', 's--', '^:', 'D-.')): axs[0].plot(n, [o['seconds'][part] for o in rows], style, label=part)
    for key, style, label in (('frame_mb', 'o-', 'table'), ('from_df_peak_mb', 's--', 'from_df, peak'), ('peak_mb', '^:', 'process, peak')): axs[1].plot(n, [o[key] for o in rows], style, label=label)
    for ax, name in zip(axs, ('seconds', 'MB')):
        ax.set(xscale='log', yscale='log', xlabel='ratings', ylabel=name)
        ax.legend(fontsize=8)
    plt.savefig(file, dpi=100, bbox_inches='tight')

def large_table(rows):
    cols = ['ratings', 'bs', 'from_df s', 'from_df peak / table', 'bytes a rating', 'one epoch s', 'ratings a second', 'validate s', 'RMSE', 'recommend s', 'peak MB']
    return pd.DataFrame([(f"{o['n']:,}", o['bs'], f"{o['seconds']['from_df']:.2f}", f"{o['from_df_peak_mb'] / o['frame_mb']:.2f}", o['bytes_a_rating'], f"{o['seconds']['fit']:.2f}",
        f"{o['ratings_a_second']:,.0f}", f"{o['seconds']['validate']:.2f}", f"{o['rmse']:.3f}", f"{o['seconds']['recommend']:.3f}", f"{o['peak_mb']:,.0f}") for o in rows], columns=cols)

def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument('--rounds', type=int, default=5)
    args.add_argument('--threads', type=int, nargs='+', default=[1, 2])
    args.add_argument('--large', action='store_true')
    args = args.parse_args()
    make_split()
    for env in PEERS: python(env)
    plt.style.use('collab_course.course')
    text = [f'# Measured by `bench/run.py {" ".join(sys.argv[1:])}`\n\n{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}; medians of {args.rounds} interleaved rounds; '
            'MovieLens 100K, one split (seed 42), `bs=64`, 50 factors, one cycle to 5e-3, `wd=0.1`. One epoch includes its validation.',
            '![RMSE against seconds of training](../nbs/images/bench.png)']
    for threads in args.threads:
        table, peaks, loads = measure(args.rounds, threads)
        imports = {k: median(v) for k, v in loads.items()}
        a, b = imports.values()
        text += [f'## {threads} thread{"s" * (threads > 1)}', markdown(epoch_table(table)), markdown(reach_table(table)),
                 markdown(table.assign(**{k: table[k].map('{:.3f}'.format) for k in ('seconds', 'least', 'most')}, rmse=table.rmse.map('{:.4f}'.format), **{'peak MB': table.job.map(peaks).round().astype(int)})),
                 f'Importing collab_course.all takes {b:.2f} s, {b / a - 1:+.0%} against torch, pandas and matplotlib ({a:.2f} s).']
        if threads == args.threads[0]: plot(table, IMAGES/'bench.png')
    text += ['## Installed', markdown(size_table())]
    for threads in args.threads if args.large else ():
        rows = measure_large(args.rounds, threads)
        text += [f'## Made-up ratings, one epoch, threads: {threads}', markdown(large_table(rows))]
        if threads == args.threads[0]:
            plot_large(rows, IMAGES/'bench_large.png')
            text += ['![Seconds and memory against ratings](../nbs/images/bench_large.png)']
    (HERE/'results.md').write_text('\n\n'.join(text) + '\n', encoding='utf-8')
    print((HERE/'results.md').read_text(encoding='utf-8'))

if __name__ == '__main__': main()
