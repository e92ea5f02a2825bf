"""Checks and times what the package does on a GPU: `python bench/gpu.py > bench/gpu.txt`, under five minutes on a card.

Without a card it says so, and goes through all the checks it can on the CPU, with smaller numbers."""
import io, os, statistics, sys, time, traceback, warnings
from contextlib import redirect_stdout
from pathlib import Path

os.environ['TQDM_DISABLE'] = '1'
os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8') # what older versions of PyTorch ask for where products are to be the same twice

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

def check(what, holds, value='', only_there=False):
    "A line that says yes or NO; without a card nothing of what can be seen `only_there`"
    note(what, 'no card' if only_there and not CARD else f"{'yes' if holds else 'NO'} {value}".strip())

def loaders(ratings, bs=64, device=DEVICE): return CollabDataLoaders.from_df(ratings, item_name='title', bs=bs, seed=42, device=device)

MODELS = {'collab_learner': lambda dls: collab_learner(dls, n_factors=50, y_range=(0, 5.5)),
          'any module': lambda dls: Learner(dls, DotProductBias(*map(len, dls.classes.values()), 50)),
          'network': lambda dls: collab_learner(dls, use_nn=True, layers=[100, 50], y_range=(0, 5.5))}

def made(dls, name, seed=42):
    set_seed(seed)
    return MODELS[name](dls)

def quiet(call, *args, **kwargs):
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter('ignore')
        return call(*args, **kwargs)

def fit(learn, n=1, lr=5e-3, cbs=None):
    quiet(learn.fit_one_cycle, n, lr, wd=0.1, cbs=cbs)
    return learn

def apart(a, b, steps=None):
    "The largest difference between the losses of two trainings, in all steps or the first"
    return max(abs(x - y) for x, y in zip(a.recorder.losses[:steps], b.recorder.losses[:steps]))

def training(ratings):
    dls, here = loaders(ratings), loaders(ratings, device='cpu')
    for name, asked in {'collab_learner': '', 'any module': 'at most 0.16', 'network': 'at most 0.26'}.items():
        plain = made(dls, name)
        note(f'{name}, bs=64: seconds an epoch', f'{seconds(lambda: fit(plain), 3):.3f}')
        graph = made(dls, name)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter('always')
            with graph.no_bar(), graph.no_logging():
                took = seconds(lambda: graph.fit_one_cycle(1, 5e-3, wd=0.1, cbs=CUDAGraph()), 3) if CARD else None
        note(f'{name}, bs=64, as a CUDA graph: seconds an epoch', f'{took:.3f}' if CARD else 'no card', asked)
        for o in said: print('   ', o.message)
        a, b = fit(made(dls, name)), fit(made(dls, name), cbs=CUDAGraph())
        check(f'{name}: the graph gives equal losses for 100 steps, to 1e-5', apart(a, b, 100) < 1e-5, f'{apart(a, b, 100):.1e}', only_there=True)
        if CARD: note(f'{name}: and in the whole epoch they differ by', f'{apart(a, b):.1e}')
        cpu = fit(made(here, name))
        check(f'{name}: losses as on the CPU for 100 steps, to 1e-3', apart(cpu, a, 100) < 1e-3, f'{apart(cpu, a, 100):.1e}', only_there=True)

def safety(ratings):
    dls = loaders(ratings)
    for name in MODELS:
        again = apart(fit(made(dls, name)), fit(made(dls, name)))
        free = seconds(lambda: fit(made(dls, name)), 3)
        note(f'{name}: the same seed twice, losses differ by', f'{again:.1e}')
        torch.use_deterministic_algorithms(True)
        try:
            again = apart(fit(made(dls, name)), fit(made(dls, name)))
            check(f'{name}, torch.use_deterministic_algorithms: equal losses twice', again == 0, f'{again:.1e}')
            note(f'{name}: what that costs, times as long an epoch', f'{seconds(lambda: fit(made(dls, name)), 3) / free:.2f}')
            again = apart(fit(made(dls, name), cbs=CUDAGraph()), fit(made(dls, name), cbs=CUDAGraph()))
            check(f'{name}: and as a CUDA graph', again == 0, f'{again:.1e}', only_there=True)
        finally: torch.use_deterministic_algorithms(False)
    class Asks(DotProductBias):
        "Waits for an answer in the middle of a step, which no recording allows"
        def forward(self, x):
            res = super().forward(x)
            return res if res.mean().item() < 100 else res / 2
    learn = Learner(dls, Asks(*map(len, dls.classes.values()), 5))
    with warnings.catch_warnings(record=True) as said, learn.no_logging():
        warnings.simplefilter('always')
        learn.fit_one_cycle(1, 5e-3, cbs=CUDAGraph())
    check('a step that cannot be recorded: said once, and trained as without', len(said) == 1 and learn.final[0] < 2, str(said[0].message)[-30:], only_there=True)
    learn = made(dls, 'any module')
    learn.loss_func = lambda pred, targ: (pred - targ).square().mean() * torch.nan
    try: fit(learn)
    except FloatingPointError as e: check('a loss that is no number ends the training', True, str(e).split(':')[0][:40])
    else: check('a loss that is no number ends the training', False)

def numbers(res):
    "Every number in what a call returned, in order"
    if isinstance(res, pd.DataFrame): res = res.select_dtypes('number')
    if torch.is_tensor(res): res = res.detach().cpu()
    if isinstance(res, dict): res = res.values()
    if isinstance(res, (list, tuple, L, type({}.values()))): return np.concatenate([numbers(o) for o in res])
    return np.asarray(res, dtype=float).ravel()

def first_line(e): return f'{type(e).__name__}: {e}'.partition('\n')[0]

def compare(what, here, *there, atol=1e-4):
    "Do the calls `there` return the numbers of the call `here`, on the CPU?"
    try: right, *others = (numbers(quiet(call)) for call in (here, *there))
    except Exception as e: return check(f'{what}: {first_line(e)}', False)
    off = []
    for got in others:
        if got.shape != right.shape: return check(f'{what}: other shapes', False, f'{got.shape} {right.shape}')
        both = np.isnan(got) & np.isnan(right)
        off.append(np.where(both, 0, np.abs(got - right) / np.maximum(1, np.abs(right))).max())
    worst = np.max(off)
    check(f'{what}: {len(right):,} numbers as on the CPU', len(right) > 0 and worst <= atol, f'{worst:.0e}')

def runs(what, call):
    try: quiet(call)
    except Exception as e: check(f'{what}: {first_line(e)}', False)
    else: check(f'{what}: runs', True)

def everything(ratings):
    "Each call of the package that meets tensors on the card; its answer is compared with the CPU's where that can be equal"
    folder, ratings = Path('build')/'gpu', ratings.rename(columns={'timestamp': 'time'})
    folder.mkdir(parents=True, exist_ok=True)
    here, there = (CollabDataLoaders.from_df(ratings, item_name='title', time_name='time', bs=64, seed=42, device=o) for o in ('cpu', DEVICE))
    user, title, rows = ratings.user.iloc[0], ratings.title.iloc[0], ratings.head(500)
    few, names = dict(zip(ratings.title.unique()[:4], (5., 4., 2., 1.))), list(here.classes['title'])[1:101]
    n_items = len(here.classes['title'])

    learn = made(there, 'collab_learner')
    cbs = [EarlyStoppingCallback(patience=9), SaveModelCallback(fname=str(folder/'best')), RankingMetrics(there), Checkpoint(folder/'on.zip')]
    for name in ('fit', 'fit_flat_cos', 'fit_one_cycle'): runs(f'{name}, with callbacks', lambda: getattr(learn, name)(2, 5e-3, cbs=cbs))
    runs('lr_find', lambda: learn.lr_find(show_plot=False))
    runs('load a checkpoint and go on', lambda: made(there, 'collab_learner').load(folder/'on.zip').fit_one_cycle(3, 5e-3, start_epoch=2))
    runs('what is shown and drawn', lambda: (there.show_batch(3), learn.show_results(3), learn.recorder.plot_loss(), learn.recorder.plot_sched(), plt.close('all')))
    cpu, again = load_learner(learn.export(folder/'it.zip')), load_learner(folder/'it.zip', device=DEVICE)
    for what, call in {
            'predict, a table': lambda o: o.predict(rows),
            'predict, a row': lambda o: [o.predict({'user': user, 'title': title})],
            'get_preds': lambda o: o.get_preds(),
            'validate': lambda o: o.validate(),
            'recommend': lambda o: recommend(o, user),
            'recommend, to a newcomer': lambda o: recommend(o, few),
            'recommend_all': lambda o: recommend_all(o).prediction,
            'explain': lambda o: explain(o, user, title),
            'explain, to a newcomer': lambda o: explain(o, few, title),
            'similar_items': lambda o: similar_items(o, title, min_ratings=1),
            'fold_in': lambda o: fold_in(o, few).preds(o),
            'bias and weight': lambda o: (o.model.bias(names), o.model.weight(names)),
            'names by a tensor of indices': lambda o: [len(n) for n in o.dls.classes['title'][o.model.i_bias.weight.squeeze().argsort()]],
            'score_all': lambda o: score_all(o, torch.arange(1, 50, device=o.dls.device), n_items),
            'score_vectors': score_vectors,
            'rating_metrics': lambda o: rating_metrics(o, o.dls),
            'ranking_metrics': lambda o: ranking_metrics(o, o.dls, qualities=True),
            'user_metrics': lambda o: user_metrics(o, o.dls)}.items():
        compare(what, lambda: call(cpu), lambda: call(learn), lambda: call(again))
    for model in (GlobalMean, Biases, ItemKNN, Popularity): compare(model.__name__, lambda: rating_metrics(model(here), here), lambda: rating_metrics(model(there), there))

    for name, make in {'DotProduct': lambda d: DotProduct(*map(len, d.classes.values()), 5, y_range=(0, 5.5)), 'DotProductParams': lambda d: DotProductParams(*map(len, d.classes.values()), 5),
                       'CollabNN': lambda d: CollabNN(*get_emb_sz(d)), 'EmbeddingNN': lambda d: EmbeddingNN(get_emb_sz(d), [20], y_range=(0, 5.5))}.items():
        runs(name, lambda: fit(Learner(there, make(there))))
        runs(f'{name}, as a CUDA graph', lambda: fit(Learner(there, make(there)), cbs=CUDAGraph()))
    runs('ranking_dls and bpr_loss', lambda: fit(collab_learner(ranking_dls(there), loss_func=bpr_loss, metrics=pairs_right)))
    runs('averaged', lambda: ranking_metrics(averaged(lambda d: fit(made(d, 'collab_learner')), 2)(there), there))
    runs('from_parquet', lambda: (ratings[['user', 'title', 'rating']].to_parquet(folder/'ratings.parquet'),
                                  fit(collab_learner(CollabDataLoaders.from_parquet(folder, seed=42, device=DEVICE), y_range=(0, 5.5)))))

    for name, make in {'EASE': lambda d: EASE(d, reg=500), 'IALS': lambda d: (set_seed(0), IALS(d, n_factors=64))[1], 'LikesKNN': LikesKNN}.items():
        a, b = Learner(here, make(here)), Learner(there, make(there))
        for what, call in {'recommend': lambda o: recommend(o, user), 'recommend, to a newcomer': lambda o: recommend(o, list(few)), 'recommend_all': lambda o: recommend_all(o).prediction,
                           'similar_items': lambda o: similar_items(o, title, min_ratings=1), 'explain': lambda o: explain(o, list(few)[1:], title), 'ranking_metrics': lambda o: ranking_metrics(o, o.dls)}.items():
            compare(f'{name}: {what}', lambda: call(a), lambda: call(b))
        runs(f'{name}: export and load', lambda: load_learner(b.export(folder/'it.zip'), device=DEVICE))
    for name, options in {'BPMF': {}, 'BPMF, ordinal': {'ordinal': True}}.items():
        a, b = (Learner(d, BPMF(d, n_sweeps=30, user_features=rated_features(d)[0], item_features=rated_features(d)[1], **options)) for d in (here, there))
        compare(f'{name}: other random draws, RMSE to 0.02', lambda: rating_metrics(a, here), lambda: rating_metrics(b, there), atol=0.02)
        runs(f'{name}: predict, std, draws, recommend', lambda: (b.model.predict(rows), b.model.std(there.valid.x[:9]), b.model.draws(there.valid.x[:9]), recommend(b, user)))
        if not options: runs(f'{name}: newcomers', lambda: (recommend(b, few), fold_in(b, few).preds(b)))
        runs(f'{name}: export and load', lambda: load_learner(b.export(folder/'it.zip'), device=DEVICE))

def large(n=20_000_000 if CARD else 200_000):
    rng = np.random.default_rng(0)
    df = pd.DataFrame({'user': rng.integers(0, 138_493, n), 'title': rng.integers(0, 26_744, n), 'rating': rng.integers(1, 6, n)})
    for bs in (65_536, 262_144) if CARD else (8_192,):
        learn = made(CollabDataLoaders.from_df(df, bs=bs, seed=42, valid_pct=0.01, device=DEVICE), 'collab_learner')
        for how, cb in {'': None, ', as a CUDA graph': CUDAGraph()}.items() if CARD else [('', None)]:
            took = seconds(lambda: fit(learn, cbs=cb), 3)
            note(f'{n:,} ratings, bs={bs:,}{how}: million a second', f'{0.99 * n / took / 1e6:.1f}', 'at least 200' if bs == 65_536 else '')
    learn = made(CollabDataLoaders.from_df(df, bs=64, seed=42, valid_pct=0.01, device=DEVICE), 'collab_learner')
    note(f'{n:,} ratings: bs_find suggests, of 5e-3 at 64', '{:,} at {:.2g}'.format(*bs_find(learn, lr=5e-3, show=False)))

def main():
    print(f"{torch.cuda.get_device_name() if CARD else 'no card, so what follows ran on the CPU'}; PyTorch {torch.__version__}\n")
    Path('build').mkdir(exist_ok=True)
    start, ratings = time.perf_counter(), load_ratings()
    for part in (training, safety, everything, large):
        try: part(*[ratings] if part is not large else [])
        except Exception as e: # the parts after it are to be seen all the same
            traceback.print_exc()
            note(f'{part.__name__} ends with {type(e).__name__}', 'NO')
    failed = [what for what, value, _ in ROWS if value.startswith('NO')]
    print(f'\n{len(ROWS)} lines in {time.perf_counter() - start:.0f} s; ' + (f'failed: {failed}' if failed else 'every check holds' + ' that a CPU can make' * (not CARD)))
    sys.exit(bool(failed))

if __name__ == '__main__': main()
