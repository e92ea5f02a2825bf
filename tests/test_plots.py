"""What the drawings and the shown tables hold: their numbers, their names, and room for both."""
import numpy as np, pandas as pd, pytest, torch
from matplotlib.colors import to_rgb

from collab_course.all import (DotProductBias, Learner, crosstab_params, crosstab_predict, plot_crosstab, plot_params, plot_pca, plt,
                               set_seed, show_table)
from collab_course import dataloaders, learner, notebook

@pytest.fixture
def table(): return pd.DataFrame([[5., np.nan, 1.], [2., 3.5, 4.]], index=pd.Index([7, 9], name='user'), columns=['Alien', 'A title of many more than 32 letters', 'Up'])

def texts(ax): return {(round(o.get_position()[0]), round(o.get_position()[1])): o for o in ax.texts}

def test_crosstab_as_a_heat_map(table):
    ax = plot_crosstab(table, title='Six cells')
    cells = texts(ax)
    assert {k: o.get_text() for k, o in cells.items()} == {(0, 0): '5', (2, 0): '1', (0, 1): '2', (1, 1): '3.5', (2, 1): '4'} # the hole stays empty
    assert [o.get_text() for o in ax.get_xticklabels()] == ['Alien', 'A title of many more than 32…', 'Up']
    assert list(ax.get_xticks()) == [0, 1, 2] and list(ax.get_yticks()) == [0, 1]
    assert [o.get_text() for o in ax.get_yticklabels()] == ['7', '9'] and ax.get_ylabel() == 'user' and ax.get_title() == 'Six cells'
    assert ax.images[0].get_clim() == (1, 5) and np.ma.allequal(ax.images[0].get_array(), np.ma.masked_invalid(table))
    dark = {k for k, o in cells.items() if to_rgb(o.get_color()) == (1, 1, 1)}
    assert dark == {(2, 0), (0, 1)} # 1 and 2, under the middle, 3
    assert all(o.get_ha() == o.get_va() == 'center' for o in cells.values()) and not ax.xaxis.get_gridlines()[0].get_visible()
    assert ax.figure.get_size_inches() == pytest.approx((0.4 * 3 + 2, 0.28 * 2 + 1.8))

def test_drawings_go_where_they_are_told(table):
    ax = plt.subplots()[1]
    assert plot_crosstab(table, ax=ax) is ax
    factors = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    assert plot_pca(factors, list('abcde'), ax=ax) is ax
    assert plot_crosstab(table, vmin=0, vmax=10).images[0].get_clim() == (0, 10)

def test_learned_numbers_around_what_they_predict(table):
    params = crosstab_params(2, 3, n_factors=4)
    pred = crosstab_predict(params)
    ax = plot_params(table, params, pred)
    assert set(ax) == set('iup')
    of_users, of_items, drawn = (np.asarray(ax[k].images[0].get_array()) for k in 'uip')
    assert of_users.shape == (2, 5) and of_items.shape == (5, 3) # the bias first, then four factors
    assert np.allclose(drawn, pred) and np.allclose(of_users[:, 1:] @ of_items[1:] + of_users[:, :1] + of_items[:1] + float(params['bias'][0]), pred, atol=1e-5)
    hole, = ax['p'].texts
    assert hole.get_position() == (1, 0) and hole.get_text() == f'{pred[0, 1]:.1f}'
    assert [o.get_text() for o in ax['i'].get_yticklabels()] == ['bias', '1', '2', '3', '4'] == [o.get_text() for o in ax['u'].get_xticklabels()]
    assert [o.get_text() for o in ax['p'].get_xticklabels()] == ['Alien', 'A title of many more than 32…', 'Up'] and [o.get_text() for o in ax['u'].get_yticklabels()] == ['7', '9']
    assert ax['u'].get_ylabel() == 'user' and not len(ax['p'].get_yticks()) and not len(ax['i'].get_xticks())
    assert ax['p'].images[0].get_clim() == (1, 5) and ax['u'].images[0].get_clim() == ax['i'].images[0].get_clim() == (-1.5, 1.5)
    assert any(f"{params['bias'][0]:.2f}" in o.get_text() for o in ax['i'].figure.texts)

def test_map_of_items_has_room_for_each_title():
    g = torch.Generator().manual_seed(1)
    factors = torch.randn(60, 8, generator=g) * torch.linspace(3, 1, 8)
    factors[:10] *= 0.05 # ten dots on top of each other
    labels = [f'Title number {i}' if i < 20 else '' for i in range(60)]
    ax = plot_pca(factors, labels, components=(2, 0))
    grey, titled = (o.get_offsets() for o in ax.collections)
    xy = factors.pca(3)[:, [2, 0]].numpy()
    assert np.allclose(titled, xy[:20], atol=1e-5) and np.allclose(grey, xy[20:], atol=1e-5)
    assert ax.get_xlabel() == 'component 3' and ax.get_ylabel() == 'component 1'
    ax.figure.draw_without_rendering()
    named = [o for o in ax.texts if o.get_text()]
    assert [o.get_text() for o in named] == labels[:20] and all(np.allclose(o.xy, p, atol=1e-5) for o, p in zip(named, xy))
    boxes, frame = [o.get_window_extent() for o in named], ax.get_window_extent()
    for i, box in enumerate(boxes):
        assert not box.count_overlaps(boxes[i + 1:]), f'{labels[i]} lies on another title'
        assert frame.x0 < box.x0 and box.x1 < frame.x1
    px = ax.figure.dpi / 72
    dots = ax.transData.transform(xy[:20])
    away = [np.hypot(*(np.clip(dot, box.min, box.max) - dot)) / px for dot, box in zip(dots, boxes)]
    lines = [o for o in ax.texts if not o.get_text()]
    assert min(away) > 3 and sorted(away)[5] < 6 # beside its dot, not on it; most of them near
    near = sum(abs((box.y0 + box.y1) / 2 - dot[1]) <= box.height / 2 + 0.01 and a < 10 for a, box, dot in zip(away, boxes, dots))
    assert len(lines) == 20 - near > 0 # a line to each that is further off
    for o in lines: assert o.arrow_patch is not None and any(np.allclose(o.xy, p, atol=1e-5) for p in xy[:20])

def test_alone_a_title_stands_right_of_its_dot():
    factors = torch.tensor([[0., 0.], [1., 1.], [4., 0.], [-5., -1.]])
    ax = plot_pca(factors, ['', 'Heat', '', ''])
    text, = (o for o in ax.texts if o.get_text())
    assert text.xyann == (5, 0) and len(ax.texts) == 1

def test_spots_for_a_title_nearest_first():
    "Six dots in one place: right of it, left of it, further out on both sides, then a line up or down, as half a line would touch the others"
    factors = torch.zeros(8, 2)
    factors[:2] = torch.tensor([[9., 3.], [-9., -3.]])
    ax = plot_pca(factors, ['', '', *'012345'])
    named, pt = [o for o in ax.texts if o.get_text()], ax.figure.dpi / 72
    w, h = named[0].get_window_extent().size / pt
    starts = [(5, 0), (-5 - w, 0), (25, 0), (-25 - w, 0), (5, h), (-5 - w, h)]
    assert np.allclose([np.abs(o.xyann) for o in named], np.abs(starts)) and [o.xyann[0] > 0 for o in named] == [True, False] * 3

def test_shown_tables(dls, monkeypatch, capsys):
    shown = []
    for module in (notebook, dataloaders, learner): monkeypatch.setattr(module, 'display', shown.append)
    learn = Learner(dls, DotProductBias(*(len(o) for o in dls.classes.values()), 5))
    learn.show_results(max_n=4)
    assert list(shown[0]) == ['user', 'title', 'rating', 'rating_pred'] and len(shown[0]) == 4
    assert shown[0].rating_pred.tolist() == pytest.approx(learn.get_preds()[0][:4].tolist()) and shown[0].rating.tolist() == dls.valid.y[:4, 0].tolist()
    assert not learn.model.training
    learn.show_results()
    assert len(shown[1]) == 9
    monkeypatch.setenv('COLLAB_COURSE_STATIC', '1')
    show_table(pd.DataFrame({'a': range(1234)}), n=3)
    assert shown[2].a.tolist() == [0, 1, 2] and 'The first 3 of 1,234 rows' in capsys.readouterr().out
    show_table(pd.DataFrame({'a': range(2)}))
    assert 'The first 2 of 2 rows' in capsys.readouterr().out and len(shown[3]) == 2
    show_table(pd.DataFrame({'a': range(50)}))
    assert len(shown[4]) == 10

def test_table_to_search(monkeypatch):
    shown = []
    monkeypatch.delenv('COLLAB_COURSE_STATIC', raising=False)
    monkeypatch.setattr(notebook, 'get_ipython', lambda: type('Shell', (), {'kernel': None})())
    monkeypatch.setattr(notebook, 'display', lambda o: shown.append(o.data))
    show_table(pd.DataFrame({'a': range(50)}), n=7)
    show_table(pd.Series({'x': 1.5, 'y': None}).rename_axis('<i>').to_frame('b'))
    assert 'data-size="7"' in shown[0] and shown[0].count('<tr>') == 2 + 7 and 'are on this page' not in shown[0]
    assert '&lt;i&gt;' in shown[1] and '[["x",1.5],["y",null]]' in shown[1] # the index is a column
    assert not any('http' in o for o in shown) # nothing from the web

def test_recorded_training_as_drawn(dls):
    set_seed(0)
    learn = Learner(dls, DotProductBias(*(len(o) for o in dls.classes.values()), 5))
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(2, 5e-3)
    rec, n = learn.recorder, 2 * len(dls.train)
    lrs, moms = rec.plot_sched()
    assert lrs.lines[0].get_ydata().tolist() == rec.lrs and moms.lines[0].get_ydata().tolist() == rec.moms and len(rec.lrs) == n
    assert (lrs.get_ylabel(), moms.get_ylabel(), lrs.get_xlabel()) == ('learning rate', 'momentum', 'step')
    train, valid = rec.plot_loss().lines
    assert train.get_xdata().tolist() == list(range(5, n)) and valid.get_xdata().tolist() == [n // 2, n] and valid.get_ydata().tolist() == rec.values.itemgot(1)
    assert len(rec.plot_loss(skip_start=0, with_valid=False).lines) == 1
    assert [o.get_text() for o in valid.axes.get_legend().get_texts()] == ['train', 'valid']
