"""What the package computed before its rooms were rebuilt, kept to compare with: python tests/golden.py writes tests/golden/ anew.

Trainings on fixed seeds, lists and reasons of ten users, the command line's output, and two model files of format 1. Where a change
means to compute something else, its commit message names the difference."""
import contextlib, io, json, os
from pathlib import Path

os.environ['TQDM_DISABLE'] = '1'

from collab_course.all import *
from collab_course import cli

FOLDER = Path(__file__).with_name('golden')
RECORD = FOLDER/'record.json'

def drawn():
    "Numbers that PyTorch draws as it does first weights: in another way before version 2.12"
    torch.manual_seed(42)
    return nn.init.trunc_normal_(torch.empty(4), a=-2., b=2.).tolist()

def sizes(dls): return [len(o) for o in dls.classes.values()]

#: training: how its learner is made, epochs, highest learning rate, weight decay
TRAININGS = {
    'DotProduct': (lambda dls: Learner(dls, DotProduct(*sizes(dls), 20, y_range=(0, 5.5))), 2, 5e-3, None),
    'DotProductBias': (lambda dls: Learner(dls, DotProductBias(*sizes(dls), 20)), 2, 5e-3, 0.1),
    'DotProductParams': (lambda dls: Learner(dls, DotProductParams(*sizes(dls), 20)), 2, 5e-3, 0.2),
    'CollabNN': (lambda dls: Learner(dls, CollabNN(*get_emb_sz(dls))), 2, 5e-3, 0.01),
    'collab_learner': (lambda dls: collab_learner(dls, n_factors=20, y_range=(0, 5.5)), 2, 5e-3, 0.1),
    'collab_learner, no range': (lambda dls: collab_learner(dls, n_factors=20), 2, 5e-3, 0.1),
    'collab_learner, use_nn': (lambda dls: collab_learner(dls, use_nn=True, layers=[20, 10], y_range=(0, 5.5)), 2, 5e-3, 0.1),
    'BPR': (lambda dls: Learner(ranking_dls(dls, at_least=4), EmbeddingDotBias.from_classes(20, dls.classes), loss_func=bpr_loss, metrics=pairs_right), 1, 0.01, 0.1),
}

def toy_dls(): return CollabDataLoaders.from_df(make_ratings(), seed=42)

def movie_dls(): return CollabDataLoaders.from_df(load_ratings(), item_name='title', seed=42)

def trained(name, dls):
    "The learner of `name`, trained"
    make, epochs, lr, wd = TRAININGS[name]
    set_seed(42)
    learn = make(dls)
    with learn.no_logging(): learn.fit_one_cycle(epochs, lr, wd=wd)
    return learn

def training(name, dls):
    "Losses of a training on fixed seeds: every tenth of its first hundred steps, and what each epoch's end says"
    rec = trained(name, dls).recorder
    return {'steps': rec.losses[:100:10], 'epochs': [list(o) for o in rec.values]}

def lists(learn):
    "Lists, reasons, newcomers and neighbours"
    users, items = ([*c][1:] for c in learn.dls.classes.values())
    rated = dict(zip(items[3:40:7], [5., 1., 4., 3., 2., 5.]))
    table = lambda df: json.loads(df.to_json(orient='records'))
    return {'recommend': {str(u): table(recommend(learn, u)) for u in users[:50:5]},
            'explain': {str(u): table(explain(learn, u, items[10])) for u in users[:50:5]},
            'fold_in': fold_in(learn, rated).preds(learn).tolist(), 'newcomer': table(recommend(learn, rated, n=5)),
            'all': table(recommend_all(learn, n=3)), 'similar': {by: table(similar_items(learn, items[5], by=by)) for by in ('cosine', 'euclidean', 'dot')}}

def said(*args):
    "What the command line prints"
    with contextlib.redirect_stdout(io.StringIO()) as out: code = cli.main([*map(str, args)])
    return code, out.getvalue()

def command_line(folder):
    "What commands answer, about the model file of the record"
    model, csv, new = FOLDER/'learner.zip', folder/'ratings.csv', folder/'new.json'
    make_ratings().to_csv(csv, index=False)
    new.write_text('{"3": 5, "8": 1}')
    return {' '.join(map(str, o)): said(o[0], *o[1], '--json') for o in (
        ('recommend', ('--model', model, '--user', 7, '-n', 5)), ('recommend', ('--model', model, '--rated', new)),
        ('similar', ('--model', model, '--item', 12)), ('evaluate', ('--model', model)), ('evaluate', ('--model', model, '--csv', csv)),
        ('evaluate', ('--csv', csv, '--epochs', 2, '--factors', 5)), ('train', ('--csv', csv, '--epochs', 2, '--factors', 5, '--out', folder/'m.zip')))}

def named(commands, folder):
    "The same without folders"
    out = json.dumps(commands)
    for o in (FOLDER, folder): out = out.replace(str(o), '')
    return json.loads(out)

def record(folder):
    "All of it, as JSON would have it"
    toys, movies, learn = toy_dls(), movie_dls(), load_learner(FOLDER/'learner.zip')
    res = {'drawn': drawn(), 'made-up ratings': {o: training(o, toys) for o in TRAININGS}, 'MovieLens 100K': {o: training(o, movies) for o in TRAININGS},
           'lists': lists(learn), 'command line': named(command_line(folder), folder)}
    return json.loads(json.dumps(res))

def write():
    import tempfile
    FOLDER.mkdir(exist_ok=True)
    learn = trained('collab_learner', toy_dls())
    learn.export(FOLDER/'learner.zip')
    learn.save(FOLDER/'weights.zip')
    with tempfile.TemporaryDirectory() as tmp: RECORD.write_text(json.dumps(record(Path(tmp)), indent=1) + '\n')

if __name__ == '__main__': write()
