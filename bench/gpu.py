"""Checks and times what the package does on a GPU: `python bench/gpu.py > bench/gpu.txt`, under five minutes on a card.

Without a card it says so, and goes through all the checks it can on the CPU, with smaller numbers."""
import os, statistics, sys, time, warnings
from pathlib import Path

os.environ['TQDM_DISABLE'] = '1'

sys.path.insert(0, str(Path(__file__).resolve().parent.parent)) # the package of this repository
from collab_course.all import *
from collab_course.collab import score_all

CARD = torch.cuda.is_available()
DEVICE = 'cuda' if CARD else 'cpu'
ROWS = []

def wait():
    if CARD: torch.cuda.synchronize()

def seconds(run, rounds=5):
    "Median time of `run`, after one that does not count"
    took = []
    for _ in range(rounds + 1):
        wait()
        start = time.perf_counter()
        run()
        wait()
        took.append(time.perf_counter() - start)
    return statistics.median(took[1:])

def note(what, value, asked=''):
    "A line of the table, at once"
    ROWS.append((what, value, asked))
    print(f'{what:68}{value:>14}{asked:>22}', flush=True)

def check(what, holds, value=''): note(what, f"{'yes' if holds else 'NO'} {value}".strip())

def loaders(ratings, bs=64, device=DEVICE): return CollabDataLoaders.from_df(ratings, item_name='title', bs=bs, seed=42, device=device)

MODELS = {'collab_learner': lambda dls: collab_learner(dls, n_factors=50, y_range=(0, 5.5)),
          'any module': lambda dls: Learner(dls, DotProductBias(*map(len, dls.classes.values()), 50)),
          'network': lambda dls: collab_learner(dls, use_nn=True, layers=[100, 50], y_range=(0, 5.5))}

def made(dls, name, seed=42):
    set_seed(seed)
    return MODELS[name](dls)

def fit(learn, n=1, lr=5e-3, cbs=None):
    with learn.no_bar(), learn.no_logging(), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        learn.fit_one_cycle(n, lr, wd=0.1, cbs=cbs)
    return learn

def same(a, b): return max(abs(x - y) for x, y in zip(a.recorder.losses, b.recorder.losses))

def training(ratings):
    dls = loaders(ratings)
    for name, asked in {'collab_learner': '', 'any module': 'at most 0.16', 'network': 'at most 0.26'}.items():
        plain = made(dls, name)
        note(f'{name}, bs=64: seconds an epoch', f'{seconds(lambda: fit(plain), 3):.3f}')
        graph = made(dls, name)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter('always')
            took = seconds(lambda: graph.fit_one_cycle(1, 5e-3, wd=0.1, cbs=CUDAGraph()), 3) if CARD else None
        note(f'{name}, bs=64, as a CUDA graph: seconds an epoch', f'{took:.3f}' if CARD else 'no card', asked)
        for o in said: print('   ', o.message)
        a, b = fit(made(dls, name)), fit(made(dls, name), cbs=CUDAGraph())
        check(f'{name}: the graph gives equal losses for 100 steps, largest difference', max(abs(x - y) for x, y in zip(a.recorder.losses[:100], b.recorder.losses)) < 1e-5, f'{same(a, b):.1e}')
        here = fit(made(loaders(ratings, device='cpu'), name))
        check(f'{name}: losses as on the CPU for 100 steps', max(abs(x - y) for x, y in zip(here.recorder.losses[:100], a.recorder.losses)) < 1e-3)

def safety(ratings):
    dls = loaders(ratings)
    free = seconds(lambda: fit(made(dls, 'any module')), 3)
    torch.use_deterministic_algorithms(True)
    try:
        check("torch.use_deterministic_algorithms: equal losses twice", same(fit(made(dls, 'any module')), fit(made(dls, 'any module'))) == 0)
        note('what that costs: times as long an epoch', f"{seconds(lambda: fit(made(dls, 'any module')), 3) / free:.2f}")
    finally: torch.use_deterministic_algorithms(False)
    learn = made(dls, 'any module')
    learn.loss_func = lambda pred, targ: (pred - targ).square().mean() * torch.nan
    try: fit(learn)
    except FloatingPointError as e: check('a loss that is no number ends the training', True, str(e).split(':')[0][:40])
    else: check('a loss that is no number ends the training', False)

def everything(ratings):
    dls, here = loaders(ratings), loaders(ratings, device='cpu')
    learn = fit(made(dls, 'collab_learner'), 3)
    check('lr_find', 0 < learn.lr_find(show_plot=False).valley < 10)
    check('recommend, explain, fold_in, similar_items', all(len(o) for o in (recommend(learn, 608), explain(learn, 608, 'Fargo (1996)'), recommend(learn, {'Fargo (1996)': 5}), similar_items(learn, 'Fargo (1996)'))))
    check('recommend_all', len(recommend_all(learn)) == 10 * (len(dls.classes['user']) - 1))
    cpu = load_learner(learn.export(Path('build')/'gpu.zip'))
    users = torch.arange(1, 100)
    apart = (score_all(learn, users.to(DEVICE), len(dls.classes['title'])).cpu() - score_all(cpu, users, len(dls.classes['title']))).abs().max().item()
    check('exported there and loaded here, scores to 1e-4', apart < 1e-4, f'{apart:.0e}')
    for name, make in {'EASE': lambda d: EASE(d, reg=500), 'IALS': lambda d: IALS(d, n_factors=64), 'LikesKNN': LikesKNN, 'BPMF': lambda d: BPMF(d, n_sweeps=30)}.items():
        a, b = (score_all((set_seed(0), make(d))[1], users.to(d.device), len(d.classes['title'])).cpu() for d in (dls, here))
        apart = ((a - b).abs().max() / b.abs().max()).item()
        check(f'{name}: scores as on the CPU', apart < (0.1 if name == 'BPMF' else 1e-4), f'{apart:.0e}') # other random draws in BPMF

def large(n=20_000_000 if CARD else 200_000):
    rng = np.random.default_rng(0)
    df = pd.DataFrame({'user': rng.integers(0, 138_493, n), 'title': rng.integers(0, 26_744, n), 'rating': rng.integers(1, 6, n)})
    for bs in (65_536, 262_144) if CARD else (8_192,):
        learn = made(CollabDataLoaders.from_df(df, bs=bs, seed=42, valid_pct=0.01, device=DEVICE), 'collab_learner')
        took = seconds(lambda: fit(learn), 3)
        note(f'{n:,} ratings, bs={bs:,}: million a second', f'{0.99 * n / took / 1e6:.1f}', 'at least 200' if bs == 65_536 else '')
    learn = made(CollabDataLoaders.from_df(df, bs=64, seed=42, valid_pct=0.01, device=DEVICE), 'collab_learner')
    note(f'{n:,} ratings: bs_find suggests, of 5e-3 at 64', '{:,} at {:.2g}'.format(*bs_find(learn, lr=5e-3, show=False)))

def main():
    print(f"{torch.cuda.get_device_name() if CARD else 'no card, so what follows ran on the CPU'}; PyTorch {torch.__version__}\n")
    Path('build').mkdir(exist_ok=True)
    start, ratings = time.perf_counter(), load_ratings()
    for part in (training, safety, everything, large): part(*[ratings] if part is not large else [])
    failed = [what for what, value, _ in ROWS if value.startswith('NO')]
    print(f'\n{len(ROWS)} lines in {time.perf_counter() - start:.0f} s; ' + (f'failed: {failed}' if failed else 'every check holds'))
    sys.exit(bool(failed))

if __name__ == '__main__': main()
