"""Bad input: each error names the column, the value or the argument, how many rows are affected, and the way out."""
import pytest

from collab_course.all import *

def table(n=20): return make_ratings(10, 10, n)

def changed(col, row, val):
    df = table().astype({col: object})
    df.loc[row, col] = val
    return df

BAD_TABLES = {
    'missing column': (lambda: table().drop(columns='rating'), "column '(column 3)' is missing.*'user', 'item'.*rating_name="),
    'column there twice': (lambda: table().set_axis(['user', 'user', 'rating'], axis=1), "column 'user' is there 2 times"),
    'no rows': (lambda: table().iloc[:0], 'empty'),
    'one row': (lambda: table().iloc[:1], 'valid_pct=0.2 of 1 rows'),
    'rating missing': (lambda: changed('rating', 3, None), "column 'rating': 1 of 20 ratings.*None at row 3"),
    'rating not a number': (lambda: changed('rating', 3, float('nan')), "column 'rating': 1 of 20.*row 3"),
    'rating infinite': (lambda: changed('rating', 4, float('inf')), "column 'rating': 1 of 20.*inf at row 4"),
    'rating text': (lambda: changed('rating', 5, 'good'), "column 'rating': 1 of 20.*'good' at row 5"),
    'ratings boolean': (lambda: table().assign(rating=True), "column 'rating' holds bool"),
    'ratings dates': (lambda: table().assign(rating=pd.Timestamp('1998-04-22')), "column 'rating' holds datetime64"),
    'user missing': (lambda: changed('user', 6, None), "column 'user': 1 of 20 rows have no value, the first at row 6.*dropna"),
    'item missing': (lambda: changed('item', 7, None), "column 'item': 1 of 20 rows have no value, the first at row 7"),
}

@pytest.mark.parametrize('kind', BAD_TABLES)
def test_bad_table(kind):
    make, message = BAD_TABLES[kind]
    with pytest.raises(ValueError, match=message.replace('(', r'\(').replace(')', r'\)')): CollabDataLoaders.from_df(make())

@pytest.mark.parametrize('args, message', [
    (dict(valid_pct=0), 'valid_pct=0 '), (dict(valid_pct=1), 'valid_pct=1 '), (dict(valid_pct=-0.1), 'valid_pct=-0.1'), (dict(valid_pct=20), 'valid_pct=20'),
    (dict(bs=0), 'bs=0'), (dict(val_bs=-1), 'bs=-1'), (dict(rating_name='stars'), "'stars' is missing"), (dict(item_name='title'), "'title' is missing"),
])
def test_bad_argument(args, message):
    with pytest.raises(ValueError, match=message): CollabDataLoaders.from_df(table(), **args)

def test_unknown_in_predict(ratings, dls):
    learn = collab_learner(dls, y_range=(0, 5.5))
    rows = ratings.head(5).assign(title=['Kolya (1996)', 'Kolia (1996)', 'Kolia (1996)', 'Jackie Brown (1997)', 'Heavyweights (1994)'])
    with pytest.raises(ValueError, match=r"column 'title': 2 of 5 rows.*'Kolia \(1996\)' at row 1.*'Kolya \(1996\)'.*unknown='na'"): learn.predict(rows)
    with pytest.raises(ValueError, match="column 'user': 1 of 1 rows.*9999"): learn.predict({'user': 9999, 'title': 'Kolya (1996)'})
    with pytest.raises(ValueError, match="column 'title' is missing"): learn.predict(ratings[['user', 'movie']])
    assert learn.predict(rows, unknown='na').between(0, 5.5).all()
    with pytest.raises(ValueError, match='Kolya'): learn.model.bias(['Kolia (1996)'])
    with pytest.raises(ValueError, match='Kolya'): nearest('Kolia (1996)', learn.model.i_weight.weight, dls.classes['title'])

def test_batch_larger_than_the_data():
    dls = CollabDataLoaders.from_df(table(), bs=64)
    assert [len(y) for _, y in dls.train] == [16]
    Learner(dls, DotProduct(11, 11, 2)).fit(1)
