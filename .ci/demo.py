"""Write what the site's page computes with and what its pictures show, for Sphinx to take along: `make demo`.

'Rate a few films' gets titles, the learned numbers of each film, and mean and covariance of the users' numbers; no ratings. The
pictures of lessons 2, 10 and 12 get numbers computed as those lessons compute them."""
import base64, json

import torch

from collab_course.all import *
from collab_course.collab import FactorTables
from pages import ROOT

NOISE, MIN_RATINGS = 0.7, 5
STEPS = 0, 1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 300, 500, 800, 1000
DECAYS = 0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4

def trained():
    "The learner of README"
    dls = CollabDataLoaders.from_df(load_ratings(), item_name='title', bs=64, seed=42)
    set_seed(42)
    learn = collab_learner(dls, n_factors=50, y_range=(0, 5.5))
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(5, 5e-3, wd=0.1)
    return learn

def packed(t): return base64.b64encode(t.float().numpy().astype('<f4').tobytes()).decode()

def films(learn, least):
    "Rows of the films with at least so many ratings, the most rated first"
    count = learn.dls.history.count
    rows = (count >= least).nonzero()[:, 0]
    rows = rows[rows > 0]
    return rows[count[rows].argsort(descending=True, stable=True)]

def demo(learn):
    "What 'Rate a few films' computes with"
    tables, rows = FactorTables(learn.model), films(learn, MIN_RATINGS)
    users = tables.users[1:].double()
    return dict(titles=list(learn.dls.classes['title'][rows]), items=packed(tables.items[rows]), mean=packed(users.mean(dim=0)),
                cov=packed(torch.cov(users.t(), correction=0)), range=tables.y_range, noise=NOISE)

def fill(lr=0.3):
    "Lesson 2: the table's predictions on the way down the gradient"
    table = crosstab(load_ratings())
    R = torch.tensor(table.to_numpy(), dtype=torch.float32)
    params, known, cells, losses = crosstab_params(), ~R.isnan(), [], []
    for o in params.values(): o.requires_grad_()
    for i in range(max(STEPS) + 1):
        pred = crosstab_predict(params)
        loss = (pred - R)[known].square().mean()
        if i in STEPS:
            cells.append([[round(o, 2) for o in row] for row in pred.tolist()])
            losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            for o in params.values():
                o -= lr * o.grad
                o.grad = None
    stars = [[None if o != o else o for o in row] for row in table.to_numpy().tolist()]
    return dict(users=table.index.tolist(), titles=list(table), known=stars, steps=STEPS, cells=cells, losses=losses)

def movie_map(learn, n=400, n_near=8):
    "Lesson 12: two directions in which the factors differ most, and the nearest by all of them"
    rows = films(learn, 1)[:n]
    classes, factors = learn.dls.classes['title'], FactorTables(learn.model).items[:, :-1]
    titles, places = list(classes[rows]), factors[rows].pca(2)
    at = {title: i for i, title in enumerate(titles)}
    near = [[at[o] for o in nearest(title, factors, classes, n_near, among=titles).index] for title in titles]
    return dict(titles=titles, places=(places / places.abs().amax(dim=0)).tolist(), nearest=near, shown=at['Star Wars (1977)'])

def decay():
    "Lesson 10: losses by epoch, for several weight decays"
    dls, values = CollabDataLoaders.from_df(load_ratings(), item_name='title', bs=64, seed=42), []
    for wd in DECAYS:
        set_seed(42)
        learn = Learner(dls, DotProductBias(*map(len, dls.classes.values()), 50))
        with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(6, 5e-3, wd=wd)
        values.append([[float(o) for o in row[:2]] for row in learn.recorder.values])
    return dict(wds=DECAYS, train=[[row[0] for row in o] for o in values], valid=[[row[1] for row in o] for o in values])

def write(name, variable, data):
    "As a script, which a page opened from a folder can load, too"
    file = ROOT/'build/demo'/name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'window.{variable} = {json.dumps(data, ensure_ascii=False)}\n', encoding='utf-8')
    print(f'{file.relative_to(ROOT)}: {file.stat().st_size / 1e3:.0f} KB')

if __name__ == '__main__':
    learn = trained()
    write('demo-model.js', 'COLLAB_COURSE_DEMO', demo(learn))
    write('pictures-data.js', 'COLLAB_COURSE_PICTURES', dict(fill=fill(), map=movie_map(learn), decay=decay()))
