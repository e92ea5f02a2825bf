"The spreadsheet of lesson 2: formulas stand where they should, and LibreOffice computes what PyTorch does."
import math, shutil, subprocess, sys

import numpy as np, pandas as pd, pytest, torch

from collab_course.crosstab import crosstab, crosstab_params, crosstab_predict
from collab_course.data import make_ratings
from collab_course.spreadsheet import crosstab_to_excel

openpyxl = pytest.importorskip('openpyxl', reason='openpyxl is not installed: pip install openpyxl')
SOFFICE = shutil.which('soffice') or shutil.which('libreoffice')
needs_soffice = pytest.mark.skipif(SOFFICE is None, reason='LibreOffice (soffice) is not installed: nothing here can recalculate a spreadsheet')

@pytest.fixture
def table():
    "A table of 12 users and 9 items with holes"
    res = crosstab(make_ratings(20, 14, 170, seed=3), 12, 9, item_name='item')
    assert res.isna().to_numpy().any() and res.notna().to_numpy().any()
    return res

def random_params(n_users, n_items, n_factors, seed=0):
    "Params of the size that training ends with, in float64"
    g = torch.Generator().manual_seed(seed)
    return {k: torch.randn(v.shape, generator=g, dtype=torch.float64) for k, v in crosstab_params(n_users, n_items, n_factors).items()}

def layout(table, n_factors): return max(n_factors + 4, 8), n_factors + 4 # row and column of the first prediction on 'Model'

def recalculate(path, tmp_path):
    "The workbook at `path` with its formulas' values, as LibreOffice computes them"
    out = tmp_path/'out'
    done = subprocess.run([SOFFICE, f'-env:UserInstallation={(tmp_path/"profile").as_uri()}', '--headless', '--convert-to', 'xlsx',
                           '--outdir', str(out), str(path)], capture_output=True, text=True, timeout=180)
    assert (out/path.name).is_file(), done.stderr
    return openpyxl.load_workbook(out/path.name, data_only=True)

@pytest.mark.parametrize('n_factors', [0, 1, 5, 30])
def test_formulas(table, tmp_path, n_factors):
    "Every prediction, squared error and the RMSE are formulas; ratings and what is learned are numbers; holes are empty"
    params = random_params(*table.shape, n_factors)
    book = openpyxl.load_workbook(crosstab_to_excel(table, tmp_path/'t.xlsx', params=params))
    assert book.sheetnames == ['How to', 'Ratings', 'Model', 'Errors']
    model, ratings, errors, (top, left) = book['Model'], book['Ratings'], book['Errors'], layout(table, n_factors)
    assert model['B2'].value == '=SQRT(B3)' and model['B3'].value.startswith('=SUM(Errors!') and model['B4'].value.startswith('=COUNT(Ratings!')
    assert model['B5'].value == pytest.approx(params['bias'].item())
    for i in range(len(table)):
        assert model.cell(top + i, 2).value == pytest.approx(params['u_bias'][i].item())
        for j in range(table.shape[1]):
            formula = model.cell(top + i, left + j).value
            assert formula.startswith('=$B$5+') and formula.count('*') == n_factors
            assert errors.cell(2 + i, 2 + j).value.startswith('=IF(ISNUMBER(Ratings!')
            rating = ratings.cell(2 + i, 2 + j).value
            assert rating is None if np.isnan(table.iloc[i, j]) else rating == table.iloc[i, j]
    for f in range(n_factors):
        assert [model.cell(top + i, 3 + f).value for i in range(len(table))] == pytest.approx(params['u_factors'][:, f].tolist())
        assert [model.cell(3 + f, left + j).value for j in range(table.shape[1])] == pytest.approx(params['i_factors'][:, f].tolist())
    assert [model.cell(2, left + j).value for j in range(table.shape[1])] == pytest.approx(params['i_bias'].tolist())

def test_looks(table, tmp_path):
    "Frozen headers, widths, number formats, colours for holes, and a note that names the cells to change"
    book = openpyxl.load_workbook(crosstab_to_excel(table, tmp_path/'t.xlsx'))
    assert [book[o].freeze_panes for o in ('Ratings', 'Model', 'Errors')] == ['B2', 'B9', 'B2']
    for name in ('Ratings', 'Model', 'Errors'):
        sheet = book[name]
        assert sheet.column_dimensions['A'].width == 14 and sheet.row_dimensions[1].height == 62 and sheet.row_dimensions[2].height is None
        assert {o.fill.start_color.rgb[2:] for o in sheet[1] if o.value} == {'E4E9EE'}
        rules = sorted((o for rules in sheet.conditional_formatting for o in rules.rules), key=lambda o: o.priority)
        assert ['ISBLANK(Ratings!B2)'] == rules[0].formula and {o.type for o in rules[1:]} == {'cellIs'}
        assert rules[0].dxf.fill.end_color.rgb != rules[1].dxf.fill.end_color.rgb and rules[0].dxf.font.bold and all(o.stopIfTrue for o in rules)
    assert all(book[o]['B1'].font.bold and book[o]['B1'].alignment.wrap_text for o in ('Ratings', 'Errors'))
    limits = {name: [float(o.formula[0]) for rules in book[name].conditional_formatting for o in rules.rules if o.type == 'cellIs'] for name in ('Ratings', 'Model', 'Errors')}
    assert limits == {'Ratings': [4.5, 3.5, 2.5, 1.5], 'Model': [4.5, 3.5, 2.5, 1.5], 'Errors': [4, 1, 0.25]}
    assert book['Ratings'].column_dimensions['C'].width == book['Errors'].column_dimensions['C'].width == 14
    assert book['Model']['B2'].number_format == '0.0000' and book['Model']['I9'].number_format == '0.00'
    note = '\n'.join(o.value for o in book['How to']['A'])
    assert '$B$5,$B$9:$G$20,$I$2:$Q$7' in note and '$B$5;$B$9:$G$20;$I$2:$Q$7' in note and 'change all 127' in note

@pytest.mark.parametrize('n_factors', [0, 2])
def test_labels_of_the_model(table, tmp_path, n_factors):
    "Each number of the model has its name beside or above it, in bold; columns of names are wider than those of numbers"
    params = random_params(*table.shape, n_factors)
    model = openpyxl.load_workbook(crosstab_to_excel(table, tmp_path/'t.xlsx', params=params))['Model']
    (top, left), factors = layout(table, n_factors), [f'factor {f + 1}' for f in range(n_factors)]
    goal, above = [model.cell(i, 1) for i in range(2, 6)], [model.cell(1, left + j) for j in range(table.shape[1])]
    beside, heads = [model.cell(2 + i, left - 1) for i in range(n_factors + 1)], [model.cell(top - 1, 1 + j) for j in range(n_factors + 2)]
    users = [model.cell(top + i, 1) for i in range(len(table))]
    assert [[o.value for o in cells] for cells in (goal, beside, heads)] == [['RMSE', 'MSE', 'ratings', 'bias'], ['item bias', *factors], ['user', 'user bias', *factors]]
    assert [[o.value for o in cells] for cells in (above, users)] == [table.columns.tolist(), table.index.tolist()]
    assert all(o.font.bold for o in goal + above + beside + heads + users)
    widths = [model.column_dimensions[openpyxl.utils.get_column_letter(j)].width for j in range(1, left + table.shape[1])]
    assert widths == [14] + [9] * (n_factors + 1) + [14] * (table.shape[1] + 1)

def test_labels_stay_text(tmp_path):
    "A title that begins with '=' is no formula"
    df = pd.DataFrame({'user': ['=1+1', 'Bo'], 'title': ['=HYPERLINK("x")', 'y'], 'rating': [5, 2]})
    book = openpyxl.load_workbook(crosstab_to_excel(crosstab(df), tmp_path/'t.xlsx'))
    assert {o.data_type for name in ('Ratings', 'Errors') for o in (*book[name][1], *book[name]['A'])} == {'s'}
    assert {o.data_type for o in book['Model'][1] if o.value} == {'s'}

def test_bad_params(table, tmp_path):
    good = random_params(*table.shape, 2)
    for bad, message in (({**good, 'u_bias': good['u_bias'][:-1]}, 'u_bias'), ({k: v for k, v in good.items() if k != 'bias'}, 'bias'),
                         ({**good, 'i_factors': good['i_factors'] * float('nan')}, 'finite'), ({**good, 'i_factors': good['i_factors'][:, :1]}, 'i_factors')):
        with pytest.raises(ValueError, match=message): crosstab_to_excel(table, tmp_path/'t.xlsx', params=bad)
    assert not (tmp_path/'t.xlsx').exists()

def test_without_openpyxl(table, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'openpyxl', None)
    with pytest.raises(ImportError, match='pip install openpyxl'): crosstab_to_excel(table, tmp_path/'t.xlsx')

@needs_soffice
@pytest.mark.parametrize('n_factors, seeded', [(5, True), (5, False), (0, False), (30, False)])
def test_libreoffice_agrees(table, tmp_path, n_factors, seeded):
    "Recalculated, predictions, squared errors and RMSE are PyTorch's"
    params = crosstab_params(*table.shape, n_factors) if seeded else random_params(*table.shape, n_factors)
    path = crosstab_to_excel(table, tmp_path/'t.xlsx', n_factors, None if seeded else params)
    book, (top, left) = recalculate(path, tmp_path), layout(table, n_factors)
    pred = crosstab_predict({k: v.double() for k, v in params.items()}).numpy()
    squared = (pred - table.to_numpy())**2
    for i, j in np.ndindex(*table.shape):
        assert math.isclose(book['Model'].cell(top + i, left + j).value, pred[i, j], abs_tol=1e-6)
        error = book['Errors'].cell(2 + i, 2 + j).value
        assert error in (None, '') if np.isnan(squared[i, j]) else math.isclose(error, squared[i, j], abs_tol=1e-6)
    assert math.isclose(book['Model']['B2'].value, np.nanmean(squared)**0.5, abs_tol=1e-6)
    assert book['Model']['B4'].value == table.notna().to_numpy().sum()

@needs_soffice
def test_rating_typed_into_a_hole(table, tmp_path):
    "A new rating counts at once, as all formulas are live"
    path, params = tmp_path/'t.xlsx', random_params(*table.shape, 5)
    book = openpyxl.load_workbook(crosstab_to_excel(table, path, params=params))
    i, j = np.argwhere(table.isna().to_numpy())[0]
    book['Ratings'].cell(2 + i, 2 + j).value = 4
    book.save(path)
    filled = table.to_numpy().copy()
    filled[i, j] = 4
    rmse = np.nanmean((crosstab_predict(params).numpy() - filled)**2)**0.5
    assert math.isclose(recalculate(path, tmp_path)['Model']['B2'].value, rmse, abs_tol=1e-6)
