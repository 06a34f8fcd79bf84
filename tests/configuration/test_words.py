import pytest

from sermm.configuration.compose import compose, first_of_sweep, globbed
from sermm.configuration.identity import run_key
from sermm.configuration.verbs import DataConfig, RunConfig
from sermm.configuration.words import at_home, readable
from sermm.core.errors import InputError

DEMO = ["data=demo", "encoder/speech=tiny", "encoder/text=tiny"]


def given(word):
    """The value of data.manifest, as the reader gets it."""
    return DataConfig.of(["data=manifest", word]).data.given("manifest")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["lang=de/m.csv", "über.csv", "a&b#c!.csv", "a;b.csv", "x\\ü\\"])
def test_a_value_that_can_mean_nothing_else_needs_no_quotes(name):
    assert given(f"data.manifest={name}") == name


@pytest.mark.parametrize("name", ["calls (1).csv", "[1].csv", "it's.csv", 'a"b.csv', "ü,b.csv"])
def test_a_file_that_is_there_needs_no_quotes(home, name):
    with pytest.raises(InputError, match=r"cannot be read: .* needs quotes within quotes: "):
        given(f"data.manifest={name}")
    (home / name).touch()
    assert given(f"data.manifest={name}") == name


def test_what_can_be_read_stays_as_it_was():
    words = ["-m", "fold=1,2", "a=calls 1.csv", "b='it (1)'", "c=[1,2]", "~d", "e={f: g}", "job"]
    assert readable(words) == words
    assert readable(readable(["a=~/b", "c=ü"])) == readable(["a=~/b", "c=ü"])


def test_a_sweep_takes_such_words_too(home):
    assert first_of_sweep(["fold=1,2", "data.manifest=ü.csv"]) == [
        "fold=1",
        'data.manifest="ü.csv"',
    ]


@pytest.mark.parametrize(
    ("word", "way_out"),
    [
        ("fold=range(1,3),4", "fold=1,2,4"),
        ("fold=4,range(6,4,-1)", "fold=4,6,5"),
        ("fold=choice(range(1,3),4)", "'fold=choice(1,2,4)'"),
        ("fold=sort(range(1,3),4)", "'fold=sort(1,2,4)'"),
        ("fold=int(range(1,3)),4", "out each value"),
        ("fold=[range(1,3),4]", "'fold=[1,2,4]'"),
        ("x={a: range(1,3)}", "out each value"),
        ("fold=range(1,1000000),4", "out each value"),
        ("x=interval(0,1),3", "out each value"),
        ("model=glob(l*),majority", "out each value"),
        ("model=choice(glob(l*),majority)", "out each value"),
    ],
)
def test_a_sweep_among_other_values_is_refused_in_one_line(word, way_out):
    with pytest.raises(InputError) as refused:
        readable([word])
    said = str(refused.value)
    assert said.startswith(f"{word} cannot be read: range(), glob(), ")
    assert said.endswith(f"; write {way_out}")
    assert "\n" not in said


def test_a_sweep_that_is_the_whole_value_stays():
    words = [
        "fold=range(1,3)",
        "m=glob([a*,b*],exclude=c)",
        "x=shuffle(range(1,4))",
        "y=tag(t,choice(1,2))",
    ]
    words += ["z=sort(3,1)", "v=choice(1,2)", "u=interval(0,1)", "t='a,range(1)'", "s=[1,{a: 2}],3"]
    assert readable(words) == words


def test_a_glob_fits_the_choices_of_its_group():
    assert globbed(["-m", "model=glob(l*)", "fold=1"]) == [
        "-m",
        "model=late_fusion,linear,logistic,lookup",
        "fold=1",
    ]
    assert globbed(["encoder/text=glob([h*,t*],exclude=hf)"]) == ["encoder/text=tiny"]
    assert ",_base" not in globbed(["model=glob(*)"])[0]
    assert first_of_sweep(["model=glob(l*)"]) == ["model=late_fusion"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("trainer=glob(x*)", r"trainer=glob\(x\*\) fits none of .*default"),
        ("modle=glob(x*)", "there is no group modle"),
    ],
)
def test_a_glob_that_fits_nothing_is_refused(word, said):
    with pytest.raises(InputError, match=said):
        globbed([word])


def test_the_message_shows_what_to_type():
    with pytest.raises(InputError, match=r"""'data\.manifest="calls \(2\)\.csv"'"""):
        readable(["data.manifest=calls (2).csv"])
    with pytest.raises(InputError, match="lists, mappings, quotes and sweeps must be complete"):
        readable(["data.labels={a: b"])


@pytest.mark.parametrize("word", ["data.manifest=~/a.csv", 'data.manifest="~/a.csv"'])
def test_a_home(home, word):
    assert given(word) == str(home / "a.csv")


def test_a_home_at_every_key(home, monkeypatch):
    monkeypatch.setenv("SERMM_RUNS", "~/runs")
    monkeypatch.setenv("SERMM_CACHE", "~/cache")
    assert compose("train", DEMO).runs_dir == f"{home}/runs"
    words = ["align.mfa_dir=~/mfa", "augment=speech", "augment.noise.root='~/n'"]
    config = RunConfig.of([*DEMO, *words])
    assert config.runs_dir == f"{home}/runs"
    assert config.cache_dir == f"{home}/cache"
    assert config.data.given("root") == f"{home}/cache/demo"
    assert config.align.mfa_dir == f"{home}/mfa"
    assert config.augment.noise is not None
    assert config.augment.noise.root == f"{home}/n"


def test_only_the_start_of_a_text_is_a_home(home):
    assert at_home({"a": ["x~/y", "~"], "b": 1}) == {"a": ["x~/y", str(home)], "b": 1}
    assert at_home("~nobody-here/x") == "~nobody-here/x"


@pytest.mark.parametrize("word", ["text.allow_empty=true", "cache_dir=~/elsewhere"])
def test_neither_changes_a_key(word):
    assert run_key(RunConfig.of([*DEMO, word])) == run_key(RunConfig.of(DEMO))


def test_what_sets_a_map_as_a_whole_is_said_once():
    words = [
        "fold=1",
        "protocol.labels={a: b}",
        "+protocol.labels={c: d}",
        "protocol.classes=[b,c]",
    ]
    said = readable(words)
    assert said == ["fold=1", "++protocol.labels=null", *words[1:]]
    assert readable(said) == said
