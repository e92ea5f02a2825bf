"""Train the course's model and write what the page 'Rate a few films' needs of it, for the site to take along: `make demo`.

Titles, the learned numbers of each film, and mean and covariance of the users' numbers; no ratings."""
import base64, json

import torch

from collab_course.all import *
from collab_course.collab import FactorTables
from pages import ROOT

NOISE, MIN_RATINGS = 0.7, 5

def trained():
    "The learner of README"
    dls = CollabDataLoaders.from_df(load_ratings(), item_name='title', bs=64, seed=42)
    set_seed(42)
    learn = collab_learner(dls, n_factors=50, y_range=(0, 5.5))
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(5, 5e-3, wd=0.1)
    return learn

def packed(t): return base64.b64encode(t.float().numpy().astype('<f4').tobytes()).decode()

def parts(learn):
    "What the page computes with, the films with the most ratings first"
    tables, count = FactorTables(learn.model), learn.dls.history.count
    films = (count >= MIN_RATINGS).nonzero()[:, 0]
    films = films[films > 0]
    films = films[count[films].argsort(descending=True, stable=True)]
    users = tables.users[1:].double()
    return dict(titles=list(learn.dls.classes['title'][films]), items=packed(tables.items[films]), mean=packed(users.mean(dim=0)),
                cov=packed(torch.cov(users.t(), correction=0)), range=tables.y_range, noise=NOISE)

def write(learn, folder):
    "Write the model as a script, which a page opened from a folder can load, too"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder/'demo-model.js'
    file.write_text(f'window.COLLAB_COURSE_DEMO = {json.dumps(parts(learn), ensure_ascii=False)}\n', encoding='utf-8')
    return file

if __name__ == '__main__':
    file = write(trained(), ROOT/'build/demo')
    print(f'{file.relative_to(ROOT)}: {file.stat().st_size / 1e3:.0f} KB')
