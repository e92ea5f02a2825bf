"""Files of learners: the same to the bit, whole or not at all, and nothing in them is run."""
import copy, hashlib, io, json, multiprocessing, os, pickle, random, shutil, subprocess, sys, time, zipfile
from contextlib import contextmanager

import pytest

from collab_course.all import *
from collab_course.files import pack, unpack, write_whole

def small(seed=0, **kwargs):
    "A small trained learner"
    dls = CollabDataLoaders.from_df(make_ratings(30, 20, 300, seed=seed).assign(item=lambda df: 'film ' + df['item'].astype(str)), seed=seed)
    set_seed(seed)
    learn = collab_learner(dls, y_range=(0, 5.5), **({} if 'layers' in kwargs else {'n_factors': 5}) | kwargs)
    with learn.no_logging(): learn.fit(1)
    return learn

@pytest.fixture
def learn(): return small()

def seal(members):
    "A zip of `members` (name to bytes) with a checksum that fits, as anybody can forge it"
    buf = io.BytesIO()
    with zipfile.ZipFile(buf, 'w') as z:
        for name, body in members.items(): z.writestr(name, body)
        z.comment = b' ' * 64
    body = buf.getvalue()[:-64]
    return body + hashlib.sha256(body).hexdigest().encode()

class Touch:
    "Creates `path` when it is unpickled"
    def __init__(self, path): self.path = str(path)
    def __reduce__(self): return open, (self.path, 'w')

def same(a, b):
    "Do two learners agree on everything that a file keeps?"
    test_eq([list(c) for c in a.dls.classes.values()], [list(c) for c in b.dls.classes.values()])
    test_eq([*a.dls.classes, a.dls.rating_name], [*b.dls.classes, b.dls.rating_name])
    for mine, theirs in zip(a.dls, b.dls):
        assert torch.equal(mine.x, theirs.x) and torch.equal(mine.y, theirs.y) and mine.x.dtype == theirs.x.dtype
        test_eq((mine.bs, mine.shuffle, mine.drop_last), (theirs.bs, theirs.shuffle, theirs.drop_last))
    assert torch.equal(a.get_preds()[0], b.get_preds()[0])
    test_eq((a.lr, a.wd, list(a.moms)), (b.lr, b.wd, list(b.moms)))

# There and back

def test_real_data_in_another_process(dls, tmp_path):
    set_seed(0)
    learn = collab_learner(dls, y_range=(0, 5.5))
    with learn.no_logging(): learn.fit_one_cycle(1, 5e-3)
    file = learn.export(tmp_path/'movies.zip')
    same(learn, load_learner(file))
    code = ('import sys, torch; from collab_course.persistence import load_learner; l = load_learner(sys.argv[1]); '
            'torch.save([l.get_preds(0)[0].sort().values, l.get_preds(1)[0]], sys.argv[2])')
    subprocess.run([sys.executable, '-c', code, file, tmp_path/'preds.pt'], check=True)
    theirs = torch.load(tmp_path/'preds.pt', weights_only=True)
    assert torch.equal(theirs[0], learn.get_preds(0)[0].sort().values) and torch.equal(theirs[1], learn.get_preds(1)[0])

def test_standard_library_of_any_python_reads_it(learn, tmp_path):
    "No pickle and nothing that depends on a version: JSON, and arrays with a header that says what they are"
    learn.export(tmp_path/'it.zip')
    code = '''
import array, ast, json, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as z:
    assert z.testzip() is None
    meta = json.loads(z.read('metadata.json').decode('ascii'))
    for name in z.namelist():
        if name != 'metadata.json':
            data = z.read(name)
            assert data[:8] == b'\\x93NUMPY\\x01\\x00', name
            head = ast.literal_eval(data[10:10 + data[8] + 256 * data[9]].decode('ascii'))
            assert head['descr'] in ('<f4', '<i4'), head
    data = z.read('model/i_bias.weight.npy')
    print(json.dumps([meta['items'], array.array('f', data[10 + data[8] + 256 * data[9]:]).tolist()]))
'''
    others = [o for o in map(shutil.which, ('python3.8', 'python3.10', 'python3.12', 'python3.13', 'python3.14')) if o]
    for python in (sys.executable, *others):
        done = subprocess.run([python, '-I', '-S', '-c', code, str(tmp_path/'it.zip')], capture_output=True, text=True)
        if done.returncode == 127: continue # a pyenv shim of a Python that is not switched on
        assert done.returncode == 0, f'{python}: {done.stderr}'
        items, bias = json.loads(done.stdout)
        test_eq(items, list(learn.dls.classes['item'])[1:])
        test_eq(bias, learn.model.i_bias.weight.flatten().tolist())

def test_same_learner_same_bytes(learn, tmp_path):
    a, b = learn.export(tmp_path/'a').read_bytes(), learn.export(tmp_path/'b').read_bytes()
    assert a == b
    assert load_learner(tmp_path/'a').export(tmp_path/'c').read_bytes() == a

MODELS = {
    'EmbeddingDotBias, no range': lambda u, i: EmbeddingDotBias(4, u, i),
    'EmbeddingDotBias, NumPy range': lambda u, i: EmbeddingDotBias(4, u, i, y_range=(np.int64(0), np.float32(5.5))),
    'DotProduct': lambda u, i: DotProduct(u, i, 4, y_range=(0, 5.5)), 'DotProductBias': lambda u, i: DotProductBias(u, i, 4),
    'DotProductParams': lambda u, i: DotProductParams(u, i, 4), 'CollabNN': lambda u, i: CollabNN((u, 3), (i, 4), n_act=7),
    'EmbeddingNN': lambda u, i: EmbeddingNN([(u, 3), (i, 4)], [8, 6], ps=[0., 0.3], embed_p=0.1, y_range=(0, 5.5)),
    'EmbeddingNN, other layers': lambda u, i: EmbeddingNN([(u, 3), (i, 4)], [8], use_bn=False, act_cls=nn.Tanh),
    'EmbeddingNN, no layers': lambda u, i: EmbeddingNN([(u, 3), (i, 4)], []),
    'double precision': lambda u, i: DotProductBias(u, i, 4).double(),
}

@pytest.mark.parametrize('kind', MODELS)
def test_each_known_model(kind, learn, tmp_path):
    model = MODELS[kind](*map(len, learn.dls.classes.values()))
    one = Learner(learn.dls, model, lr=0.02, wd=0.3, moms=(0.9, 0.8, 0.9))
    if kind != 'double precision':
        with one.no_logging(): one.fit(1, 0.05) # batch normalisation gets statistics
    before = torch.get_rng_state()
    two = load_learner(one.export(tmp_path/'it'))
    assert torch.equal(before, torch.get_rng_state())
    assert type(two.model) is type(model) and repr(two.model) == repr(model) and not two.model.training
    assert all(p.requires_grad for p in two.model.parameters())
    same(one, two)
    with two.no_logging(): two.fit(1)

class Mine(DotProduct): pass

CHANGED = {
    'a class of one\'s own': (lambda u, i: Mine(u, i, 4), 'class Mine'),
    'an activation with arguments': (lambda u, i: EmbeddingNN([(u, 3), (i, 4)], [8], act_cls=partial(nn.LeakyReLU, 0.3)), 'class EmbeddingNN'),
    'an activation of one\'s own, called like one of PyTorch\'s': (lambda u, i: EmbeddingNN([(u, 3), (i, 4)], [8], act_cls=type('ReLU', (nn.Module,), {'forward': lambda self, x: x * x})), 'class EmbeddingNN'),
    'an activation of one\'s own': (lambda u, i: EmbeddingNN([(u, 3), (i, 4)], [8], act_cls=type('Square', (nn.Module,), {'forward': lambda self, x: x * x})), 'class EmbeddingNN'),
    'plain PyTorch': (lambda u, i: type('Plain', (nn.Module,), {'__init__': lambda s: (nn.Module.__init__(s), setattr(s, 'e', nn.Embedding(u, 1)))[0],
                                                               'forward': lambda s, x: s.e(x[:, 0])})(), 'class Plain'),
}

@pytest.mark.parametrize('kind', CHANGED)
def test_other_models_need_model(kind, learn, tmp_path):
    make, name = CHANGED[kind]
    sizes = list(map(len, learn.dls.classes.values()))
    one = Learner(learn.dls, make(*sizes))
    file = one.export(tmp_path/'it.zip')
    with pytest.raises(ValueError, match=rf'it.zip holds a model of {name}.*Pass model='): load_learner(file)
    same(one, load_learner(file, model=make(*sizes)))
    with pytest.raises(ValueError, match='it.zip: its weights do not fit this CollabNN'): load_learner(file, model=CollabNN((9, 3), (9, 4)))

@pytest.mark.parametrize('copied', [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), copy.copy], ids=['deepcopy', 'pickle', 'copy'])
@pytest.mark.parametrize('kind', MODELS)
def test_a_copy_of_a_model_is_made_again_as_well(kind, copied, learn, tmp_path):
    model = copied(MODELS[kind](*map(len, learn.dls.classes.values())))
    same(Learner(learn.dls, model), load_learner(Learner(learn.dls, model).export(tmp_path/'it')))

def test_arguments_by_position_or_keyword(learn, tmp_path):
    u, i = map(len, learn.dls.classes.values())
    size = np.array([u, 3])
    for model in (DotProductBias(u, i, n_factors=4), DotProductBias(n_factors=4, n_movies=i, n_users=u), DotProductBias(u, i, 4, (0, 5.5)), CollabNN(size, (i, 4), n_act=np.int64(7)),
                  EmbeddingNN(layers=(8,), emb_szs=[torch.Size([u, 3]), (i, 4)])):
        same(Learner(learn.dls, model), load_learner(Learner(learn.dls, model).export(tmp_path/'it')))

def test_a_changed_range_counts_as_it_stands(learn, tmp_path):
    learn.model.y_range = [1, 5]
    same(learn, load_learner(learn.export(tmp_path/'it')))
    test_eq(load_learner(tmp_path/'it').model.y_range, (1, 5))

class ReLU(nn.Module):
    "Not PyTorch's, though it is printed alike"
    def forward(self, x): return x.relu() * 2

CHANGES = {
    'a layer of another type': lambda m: m.layers.__setitem__(1, nn.GELU()), 'a layer printed alike': lambda m: m.layers.__setitem__(1, ReLU()),
    'a layer more': lambda m: m.layers.insert(0, nn.Dropout(0.1)), 'another dropout': lambda m: setattr(m.emb_drop, 'p', 0.5),
    'another table': lambda m: m.embeds.__setitem__(0, Embedding(31, 5)), 'another range': lambda m: setattr(m.layers[-1], 'hi', 6),
    'a parameter more': lambda m: m.register_parameter('extra', nn.Parameter(torch.zeros(1))),
}

@pytest.mark.parametrize('kind', CHANGES)
def test_a_model_changed_after_it_was_made_needs_model(kind, learn, tmp_path):
    u, i = map(len, learn.dls.classes.values())
    one = Learner(learn.dls, EmbeddingNN([(u, 3), (i, 2)], [4], y_range=(0, 5.5)))
    load_learner(one.export(tmp_path/'it.zip'))
    CHANGES[kind](one.model)
    with pytest.raises(ValueError, match='it.zip holds a model of class EmbeddingNN.*Pass model='): load_learner(one.export(tmp_path/'it.zip'))

def test_arguments_changed_after_the_model_was_made_need_model(learn, tmp_path):
    layers = [4]
    one = Learner(learn.dls, EmbeddingNN([(31, 3), (21, 2)], layers))
    layers.append(5)
    with pytest.raises(ValueError, match='Pass model='): load_learner(one.export(tmp_path/'it.zip'))

def test_bare_parameters_of_another_shape_need_model(learn, tmp_path):
    one = Learner(learn.dls, DotProductParams(31, 21, 4))
    one.model.user_bias = create_params([31, 1])
    with pytest.raises(ValueError, match='Pass model='): load_learner(one.export(tmp_path/'it.zip'))

@pytest.mark.parametrize('users, items', [
    ([3, 1, 2], ['b', 'a', 'ß 日本 "\\\n']), (['3', '10', '2'], [0.5, 1e300, -2.]), ([2**70, -1, 0], ['#na', '', ' ']), ([1, 'a', 2.5], [1, 2, 3]),
], ids=['text', 'numbers', 'odd', 'mixed'])
def test_users_and_items_keep_their_type_and_order(users, items, tmp_path):
    df = pd.DataFrame({'u': pd.Series(users * 3, dtype=object), 'i': pd.Series(items * 3, dtype=object), 'stars': np.arange(9) % 5 + 0.5})
    one = collab_learner(CollabDataLoaders.from_df(df, seed=0, bs=2), 3)
    two = load_learner(one.export(tmp_path/'it'))
    same(one, two)
    for a, b in zip(one.dls.classes.values(), two.dls.classes.values()): test_eq([type(o) for o in a], [type(o) for o in b])
    test_eq(two.predict(df), one.predict(df))

@pytest.mark.parametrize('vals', [pd.date_range('2020', periods=9), [True, False, True] * 3, [(1, 2), (3, 4), (5, 6)] * 3, [0., float('inf'), 1.] * 3],
                         ids=['dates', 'booleans', 'tuples', 'infinity'])
def test_names_that_json_cannot_keep(vals, tmp_path):
    df = pd.DataFrame({'u': pd.Series(vals), 'i': list('abc') * 3, 'stars': np.arange(1., 10.)})
    learn = collab_learner(CollabDataLoaders.from_df(df, 0.2, 'u', 'i', 'stars', seed=0, bs=2), 3)
    with pytest.raises(ValueError, match=r"column 'u': \d of \d values.*astype\(str\)"): learn.export(tmp_path/'it')
    assert not list(tmp_path.iterdir())
    learn.load(learn.save(tmp_path/'weights'))

def test_without_rows(learn, tmp_path):
    file = learn.export(tmp_path/'it', rows=False)
    two = load_learner(file)
    assert file.stat().st_size < learn.export(tmp_path/'whole').stat().st_size - 12 * 300
    assert not any('train' in o or 'valid' in o for o in zipfile.ZipFile(file).namelist())
    df = learn.dls.decode(learn.dls.train.x)
    test_eq(two.predict(df), learn.predict(df))
    test_eq([dl.n for dl in two.dls], [0, 0])
    assert len(two.get_preds()[0]) == 0
    test_eq(two.model.bias(['film 1']), learn.model.bias(['film 1']))
    test_eq(two.dls.history.count, learn.dls.history.count)
    for ask in (recommend, lambda o, _: recommend_all(o)):
        with pytest.raises(ValueError, match='exported with rows=False. Pass exclude_seen=False'): ask(two, 7)
    test_eq(recommend(two, 7, exclude_seen=False).iloc[:, :6].round(5), recommend(learn, 7, exclude_seen=False).iloc[:, :6].round(5))
    test_eq(similar_items(two, 'film 1', min_ratings=3).round(5), similar_items(learn, 'film 1', min_ratings=3).round(5))
    third = load_learner(two.export(tmp_path/'again', rows=False))
    test_eq(third.dls.history.count, learn.dls.history.count)

def test_arguments_of_load_learner(learn, tmp_path):
    file = learn.export(tmp_path/'it')
    two = load_learner(file, wd=0.7, metrics=[rmse], loss_func=nn.L1Loss())
    assert two.wd == 0.7 and two.lr == learn.lr and len(two.validate()) == 2
    with pytest.raises(TypeError, match='speed'): load_learner(file, speed=2)

# Files that earlier versions wrote

DATA = Path(__file__).parent/'data'

@pytest.mark.parametrize('name', ['learner', 'network'])
def test_learner_of_format_1_predicts_what_it_predicted(name):
    then, learn = json.loads((DATA/'format1.json').read_text()), load_learner(DATA/f'format1_{name}.zip')
    test_close(learn.predict(pd.DataFrame(then['rows'], columns=['user', 'item'])), then[name], eps=1e-5)

def test_weights_of_format_1_train_on_as_they_did():
    "With the state of the optimiser, whose class was called FusedAdamW then"
    then, learn = json.loads((DATA/'format1.json').read_text()), load_learner(DATA/'format1_learner.zip')
    with torch.no_grad():
        for p in learn.model.parameters(): p.zero_()
    learn.load(DATA/'format1_weights.zip')
    test_close(learn.predict(pd.DataFrame(then['rows'], columns=['user', 'item'])), then['learner'], eps=1e-5)
    set_seed(5)
    with learn.no_logging(): learn.fit(1, 0.05)
    test_close(learn.recorder.losses, then['losses_after'], eps=1e-4)

# Saving to train on

@pytest.mark.parametrize('opt_func', [Adam, partial(torch.optim.SGD, momentum=0.9), torch.optim.RMSprop], ids=['Adam', 'SGD', 'RMSprop'])
def test_training_goes_on_in_step(opt_func, tmp_path):
    def on(learn):
        set_seed(5)
        with learn.no_logging(): learn.fit(2, 0.01)
        return learn.recorder.losses
    one = small(opt_func=opt_func)
    file = one.save(tmp_path/'it')
    assert file == tmp_path/'it' and one.load(file) is one
    losses = on(one)
    assert on(small(opt_func=opt_func).load(file)) == losses
    if opt_func is not torch.optim.SGD: assert on(small(opt_func=opt_func).load(file, with_opt=False)) != losses

def test_load_takes_exported_files_and_files_without_optimiser(learn, tmp_path):
    other = small()
    with torch.no_grad():
        for p in other.model.parameters(): p.zero_()
    for file in (learn.export(tmp_path/'a'), learn.save(tmp_path/'b', with_opt=False)):
        assert torch.equal(other.load(file).get_preds()[0], learn.get_preds()[0]) and other.opt is None

def test_load_changes_nothing_where_it_fails(learn, tmp_path):
    before = learn.get_preds()[0]
    for other, message in ((small(n_factors=6), r'5\) in the file and \(31, 6\) in the model|6\) in the file'), (small(use_nn=True, layers=[4]), 'do not fit')):
        with pytest.raises(ValueError, match=message): learn.load(other.save(tmp_path/'it'))
    strangers = CollabDataLoaders.from_df(make_ratings(30, 20, 300).assign(item=lambda df: 'movie ' + df['item'].astype(str)), seed=0)
    with pytest.raises(ValueError, match='other users or items'): learn.load(collab_learner(strangers, 5).save(tmp_path/'it'))
    with pytest.raises(ValueError, match='SGD.*Adam.*with_opt=False'): learn.load(small(opt_func=torch.optim.SGD).save(tmp_path/'it'))
    with pytest.raises(ValueError, match='holds weights alone'): load_learner(tmp_path/'it')
    assert torch.equal(learn.get_preds()[0], before)

# What is refused

def test_any_changed_byte_and_any_cut_is_refused(tmp_path):
    whole = pack({'users': ['Ann', 'Ben']}, {'bias': torch.randn(2, 3)})
    file = tmp_path/'it.zip'
    bad = [whole[:i] + bytes([whole[i] ^ 2**random.randrange(8)]) + whole[i + 1:] for i in range(len(whole))]
    bad += [whole[:i] for i in range(len(whole))] + [whole + b'x', b'x' + whole, whole + whole, bytes(len(whole))]
    for data in bad:
        file.write_bytes(data)
        with pytest.raises(ValueError, match='it.zip'): unpack(file)
    file.write_bytes(whole)
    unpack(file)

def test_changed_bytes_of_a_real_file(learn, tmp_path):
    whole = bytearray(learn.export(tmp_path/'it.zip').read_bytes())
    for i in random.sample(range(len(whole)), 200):
        whole[i] ^= 1
        (tmp_path/'it.zip').write_bytes(whole)
        with pytest.raises(ValueError, match='it.zip'): load_learner(tmp_path/'it.zip')
        whole[i] ^= 1

def test_pickles_are_refused_and_not_run(tmp_path):
    mark, objects = tmp_path/'mark', io.BytesIO()
    np.save(objects, np.array([Touch(mark)], dtype=object), allow_pickle=True)
    torch.save({'model': Touch(mark)}, tmp_path/'torch.zip')
    torch.save({'model': Touch(mark)}, tmp_path/'old.zip', _use_new_zipfile_serialization=False)
    meta = json.dumps({'format': 1, 'kind': 'learner'}).encode()
    files = {f'protocol {o}': pickle.dumps(Touch(mark), protocol=o) for o in range(pickle.HIGHEST_PROTOCOL + 1)}
    files |= {'torch': (tmp_path/'torch.zip').read_bytes(), 'old torch': (tmp_path/'old.zip').read_bytes(),
              'forged array': seal({'metadata.json': meta, 'model/x.npy': objects.getvalue()}),
              'forged pickle': seal({'metadata.json': meta, 'model/x.npy': pickle.dumps(Touch(mark))}),
              'forged metadata': seal({'metadata.json': pickle.dumps(Touch(mark))}),
              'forged torch': seal({'archive/data.pkl': pickle.dumps(Touch(mark)), 'archive/version': b'3'})}
    for name, data in files.items():
        file = tmp_path/f'{name}.zip'
        file.write_bytes(data)
        for load in (load_learner, small().load):
            with pytest.raises(ValueError, match=f'{name}.zip'): load(file)
        assert not mark.exists(), name
    pickle.loads(files['protocol 2']).close()
    assert mark.exists() # the trap does work

def npy(shape, descr="'<f4'"):
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b'\x93NUMPY\x01\x00' + len(head).to_bytes(2, 'little') + head + bytes(16)

FORGED = {
    'a later format': ({'metadata.json': b'{"format": 2}'}, 'it.zip has format 2, .* up to 1. Upgrade'),
    'no metadata': ({'x.npy': npy((2, 2))}, 'metadata.json'), 'no format': ({'metadata.json': b'{}'}, 'format'),
    'no JSON': ({'metadata.json': b'format: 1'}, 'JSON'), 'no dict': ({'metadata.json': b'[1]'}, 'it.zip'), 'format of text': ({'metadata.json': b'{"format": "2"}'}, 'it.zip'),
    'deep JSON': ({'metadata.json': b'{"format":' + b'[' * 100_000 + b']' * 100_000 + b'}'}, 'it.zip'),
    'a huge array': ({'metadata.json': b'{"format": 1, "kind": "learner"}', 'model/x.npy': npy((2**40, 2**20))}, 'it.zip'),
    'an array of code': ({'metadata.json': b'{"format": 1, "kind": "learner"}', 'model/x.npy': npy((2, 2), "__import__('os').getcwd()")}, 'it.zip'),
    'metadata of nothing': ({'metadata.json': b'{"format": 1, "kind": "learner"}'}, 'it.zip'),
}

@pytest.mark.parametrize('kind', FORGED)
def test_forged_files_are_refused(kind, tmp_path):
    members, message = FORGED[kind]
    (tmp_path/'it.zip').write_bytes(seal(members))
    with pytest.raises(ValueError, match=message): load_learner(tmp_path/'it.zip')

def rewritten(file, change):
    "Bytes of the exported `file` after `change` was made to its metadata, sealed again"
    with zipfile.ZipFile(file) as z: members = {o: z.read(o) for o in z.namelist()}
    meta = json.loads(members['metadata.json'])
    change(meta)
    return seal(members | {'metadata.json': json.dumps(meta).encode()})

@pytest.mark.parametrize('change', [
    lambda m: m['items'].insert(0, 'stranger'), lambda m: m['items'].pop(), lambda m: m.update(users=None),
    lambda m: m['model'].update({'class': 'Learner'}), lambda m: m['model'].update({'class': '__import__'}), lambda m: m['model']['args'].update(n_users=10**15),
    lambda m: m['model']['args'].update(evil=1), lambda m: m['learner'].pop('wd'), lambda m: m.update(columns=['user']),
], ids=['item added', 'item missing', 'no users', 'unknown class', 'builtin', 'huge model', 'odd argument', 'odd learner', 'one column'])
def test_forged_metadata_is_refused(change, learn, tmp_path):
    file = learn.export(tmp_path/'it.zip')
    file.write_bytes(rewritten(file, change))
    with pytest.raises(ValueError, match='it.zip'): load_learner(file)

def test_forged_class_of_activation(tmp_path):
    file = small(use_nn=True, layers=[4]).export(tmp_path/'it.zip')
    load_learner(file)
    file.write_bytes(rewritten(file, lambda m: m['model']['args'].update(act_cls='Transformer')))
    with pytest.raises(ValueError, match="it.zip.*'Transformer' is no activation"): load_learner(file)

def test_compressed_bomb_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path/'bomb.zip', 'w', zipfile.ZIP_DEFLATED) as z:
        z.writestr('metadata.json', b'{"format": 1, "x": "' + b' ' * 50_000_000 + b'"}')
        z.comment = b' ' * 64
    body = (tmp_path/'bomb.zip').read_bytes()[:-64]
    (tmp_path/'bomb.zip').write_bytes(body + hashlib.sha256(body).hexdigest().encode())
    with pytest.raises(ValueError, match='bomb.zip.*more than it holds'): unpack(tmp_path/'bomb.zip')

def test_a_title_may_be_called_like_a_pickle(tmp_path):
    df = make_ratings(30, 20, 300).assign(item=lambda df: 'archive/data.pkl' + df['item'].astype(str))
    one = collab_learner(CollabDataLoaders.from_df(df, seed=0), 3)
    same(one, load_learner(one.export(tmp_path/'it')))

@contextmanager
def nobody():
    "Without root's rights inside `with`, for which no permission is missing"
    if not hasattr(os, 'geteuid') or os.geteuid(): yield; return
    os.seteuid(65534)
    try: yield
    finally: os.seteuid(0)

@pytest.mark.skipif(os.name != 'posix', reason='permissions of POSIX')
def test_no_permission(learn, tmp_path):
    file = learn.export(tmp_path/'it.zip')
    file.chmod(0)
    tmp_path.chmod(0o555)
    for o in tmp_path.parents: # pytest's own folders are closed to others
        if os.access(o, os.W_OK) and o.stat().st_uid == os.getuid() and 'pytest' in str(o): o.chmod(0o755)
    data = pack({}, {})
    with nobody():
        with pytest.raises(PermissionError, match='it.zip'): load_learner(file)
        with pytest.raises(PermissionError, match='it.zip.*untouched|untouched.*it.zip'): write_whole(file, data)
        with pytest.raises(PermissionError, match='new.zip'): write_whole(tmp_path/'new.zip', data)
    tmp_path.chmod(0o755)
    assert [o.name for o in tmp_path.iterdir()] == ['it.zip']

def test_no_such_file_or_folder(learn, tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere.zip'): load_learner(tmp_path/'nowhere.zip')
    with pytest.raises(IsADirectoryError, match=str(tmp_path)): load_learner(tmp_path)
    with pytest.raises(IsADirectoryError, match=str(tmp_path)): learn.export(tmp_path)
    with pytest.raises(FileNotFoundError, match='there is no folder .*nowhere'): learn.save(tmp_path/'nowhere'/'it.zip')
    (tmp_path/'file').touch()
    with pytest.raises(FileNotFoundError, match='there is no folder'): learn.save(tmp_path/'file'/'it.zip')
    with pytest.raises(OSError, match='/dev/null is no ordinary file'): learn.export('/dev/null')
    test_eq([o.name for o in tmp_path.iterdir()], ['file'])

def test_what_cannot_be_kept_writes_nothing(learn, tmp_path):
    learn.model.to(torch.bfloat16)
    with pytest.raises(ValueError, match='model/u_weight.weight cannot be kept.*BFloat16'): learn.export(tmp_path/'it')
    assert not list(tmp_path.iterdir())

# Whole or not at all

@pytest.mark.parametrize('step', ['fsync', 'replace'])
def test_full_disk_leaves_the_old_file(step, tmp_path, monkeypatch):
    file = write_whole(tmp_path/'it.zip', b'old')
    def full(*args): raise OSError(28, 'No space left on device')
    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match=r'No space left on device; what was there before is untouched.*it.zip'): write_whole(file, b'new' * 1000)
    assert file.read_bytes() == b'old' and [o.name for o in tmp_path.iterdir()] == ['it.zip']

def test_file_too_large_leaves_the_old_file(tmp_path):
    resource = pytest.importorskip('resource')
    file, (soft, hard) = write_whole(tmp_path/'it.zip', b'old'), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match='File too large; what was there before is untouched.*it.zip'): write_whole(file, bytes(200_000))
    finally: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.read_bytes() == b'old' and [o.name for o in tmp_path.iterdir()] == ['it.zip']

def test_interrupt_leaves_the_old_file(tmp_path, monkeypatch):
    file = write_whole(tmp_path/'it.zip', b'old')
    def stop(*args): raise KeyboardInterrupt
    monkeypatch.setattr(os, 'fsync', stop)
    with pytest.raises(KeyboardInterrupt): write_whole(file, b'new')
    assert file.read_bytes() == b'old' and [o.name for o in tmp_path.iterdir()] == ['it.zip']

@pytest.mark.skipif(os.name != 'posix', reason='modes and links of POSIX')
def test_mode_and_link_are_kept(tmp_path):
    new, private = write_whole(tmp_path/'new', b'1'), tmp_path/'private'
    (tmp_path/'plain').touch()
    assert new.stat().st_mode == (tmp_path/'plain').stat().st_mode
    private.touch(0o600)
    (tmp_path/'link').symlink_to(private)
    write_whole(tmp_path/'link', b'2')
    assert (tmp_path/'link').is_symlink() and private.read_bytes() == b'2' and private.stat().st_mode & 0o777 == 0o600

def kill_children(folder, n):
    "Kill a child that overwrites a file, `n` times; returns how often it was inside a write"
    def write_on_and_on(ready):
        ready.set()
        while True:
            for data in whole: write_whole(file, data)
    file, inside = folder/'it.zip', 0
    whole = {small(seed, n_factors=2_000).export(file).read_bytes() for seed in (0, 1)}
    processes = multiprocessing.get_context('fork') # spares each child the imports
    for _ in range(n):
        ready = processes.Event()
        child = processes.Process(target=write_on_and_on, args=(ready,))
        child.start()
        assert ready.wait(60)
        time.sleep(random.uniform(0, 0.1))
        child.kill()
        child.join()
        assert child.exitcode == -9 and file.read_bytes() in whole
        load_learner(file)
        left = list(folder.glob('.collab_course-*.tmp'))
        inside += bool(left)
        for o in left: o.unlink()
    return inside

@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs kill -9')
@pytest.mark.filterwarnings('ignore:.*fork:DeprecationWarning')
def test_killed_while_writing(tmp_path): assert kill_children(tmp_path, 20) >= 1

@pytest.mark.parametrize('name', [('id', 'u'), pd.Timestamp('2020-01-01')], ids=['two levels', 'a date'])
def test_column_names_that_json_cannot_keep(name, tmp_path):
    learn = collab_learner(CollabDataLoaders.from_df(make_ratings(30, 20, 300).rename(columns={'item': 'i'}).set_axis(pd.Index(['u', name, 'r'], tupleize_cols=False), axis=1), 0.2, 'u', name, 'r', seed=0), 3)
    with pytest.raises(ValueError, match='its name is a .*Rename it'): learn.export(tmp_path/'it')
    assert not list(tmp_path.iterdir())

def test_weights_for_other_users_say_which(learn, tmp_path):
    df = learn.dls.decode(*(torch.cat([getattr(dl, o) for dl in learn.dls]) for o in 'xy'))
    more = pd.concat([df, pd.DataFrame({'user': [999], 'item': ['film 1'], 'rating': [4.]})])
    new = collab_learner(CollabDataLoaders.from_df(more, seed=0), 5, y_range=(0, 5.5))
    with pytest.raises(ValueError, match="column 'user' than the loaders: 1, such as 999, are missing there"): new.load(learn.export(tmp_path/'it'))
    with pytest.raises(ValueError, match='other users or items.*fold_in welcomes somebody new'): new.load(learn.save(tmp_path/'weights'))

def test_a_file_without_rows_does_not_train(learn, tmp_path):
    two = load_learner(learn.export(tmp_path/'it', rows=False))
    for ask in (lambda: two.fit(1), lambda: two.fit_one_cycle(1), lambda: two.lr_find()):
        with pytest.raises(ValueError, match='no rows to train on.*rows=False'): ask()
    with pytest.raises(ValueError, match='no rating to compare'): two.validate()
