"""The course's results: as good as the classic lesson's, on three seeds."""
import re
from pathlib import Path

import pytest

from figures import RUNS, SEEDS, figures, train

@pytest.fixture(scope='module')
def table(ratings):
    res = figures(ratings)
    print('\n' + res.round(4).to_string())
    return res

@pytest.mark.parametrize('run', RUNS)
def test_as_good_as_the_classic_lesson(table, run):
    "Its split is another one, so the mean may be behind by as much as seeds differ among themselves"
    assert table.loc[run, 'mean'] <= RUNS[run][3] + table.loc[run, [*SEEDS]].std()

@pytest.mark.parametrize('run', RUNS)
def test_as_good_as_plain_pytorch(table, run):
    for seed, plain in zip(SEEDS, RUNS[run][4]): assert table.loc[run, seed] <= 1.01 * plain, seed

def test_results_quote_what_is_measured(table):
    "Each run's row on the page of results: three seeds and their mean, to the half percent that processors may differ by"
    text = (Path(__file__).parent.parent/'nbs/results.md').read_text(encoding='utf-8')
    for run in RUNS:
        row = re.search(rf'^\| `?{re.escape(run)}`? \|(.*)\|$', text, re.M)
        assert row, f'results.md has no row for {run}'
        quoted = [float(o) for o in re.findall(r'\d\.\d+', row.group(1))][:4]
        assert quoted == pytest.approx(table.loc[run, [*SEEDS, 'mean']].tolist(), rel=0.005)

def test_overfitting_shows_without_weight_decay(ratings):
    losses = train(ratings, 'DotProductBias, no weight decay', 42)
    assert losses[-1] > min(losses) + 0.02

def test_same_seed_same_losses(ratings):
    assert train(ratings, 'collab_learner, wd=0.1', 42) == train(ratings, 'collab_learner, wd=0.1', 42)
