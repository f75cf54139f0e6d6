"""Bad experiment files: what each holds, and where its faults lie.

A case is a valid file with one thing changed: `swap` replaces a line of it, `add` appends one. The
expected faults are (path, line, words of the message); line None means that no line is told.
"""

from dataclasses import dataclass

GOOD = """\
# A good file.
format: 1
name: good
target: {kind: sparse_parity}
learner: {kind: kernel_ridge}
axes:
  d: [10, 20]
  k: 2
  n: {low: d, high: "4*d"}
success: {measure: r_squared, above: 0.5}
search: {kind: threshold, tolerance: 0.1}
seed: 0
repeats: 4
resources: {gpus: 0, minutes_per_trial: 5}
"""

LINES = {
    "format": 2,
    "name": 3,
    "target": 4,
    "learner": 5,
    "axes": 6,
    "  d": 7,
    "  k": 8,
    "  n": 9,
    "success": 10,
    "search": 11,
    "seed": 12,
    "repeats": 13,
    "resources": 14,
}
ADDED = 15

Expected = tuple[str, int | None, str]


@dataclass(frozen=True)
class Case:
    """A bad file, and every fault that must be told about it."""

    name: str
    text: str
    faults: tuple[Expected, ...]
    suffix: str = ".yaml"


def swap(name: str, word: str, line: str, *faults: Expected) -> Case:
    """The good file with the line of `word` replaced."""
    lines = GOOD.splitlines()
    lines[LINES[word] - 1] = line
    return Case(name, "\n".join(lines) + "\n", faults)


def drop(name: str, word: str, *faults: Expected) -> Case:
    """The good file without the line of `word`."""
    lines = GOOD.splitlines()
    del lines[LINES[word] - 1]
    return Case(name, "\n".join(lines) + "\n", faults)


def add(name: str, line: str, *faults: Expected) -> Case:
    """The good file with a line at its end."""
    return Case(name, f"{GOOD}{line}\n", faults)


def whole(name: str, text: str, *faults: Expected, suffix: str = ".yaml") -> Case:
    """A file of its own."""
    return Case(name, text, faults, suffix)


UNKNOWN = [
    add("unknown word", "serch: {}", ("serch", 15, "did you mean 'search'?")),
    add("tune misspelt", "tuen: {}", ("tuen", 15, "did you mean 'tune'?")),
    swap(
        "unknown word in search",
        "search",
        "search: {tolerence: 0.1}",
        ("search.tolerence", 11, "did you mean 'tolerance'?"),
    ),
    swap(
        "unknown word in success",
        "success",
        "success: {measure: r_squared, abov: 0.5}",
        ("success.abov", 10, "did you mean 'above'?"),
    ),
    swap(
        "unknown word in resources",
        "resources",
        "resources: {gpu: 1}",
        ("resources.gpu", 14, "did you mean 'gpus'?"),
    ),
    swap("unknown axis", "  k", "  q: 2", ("axes.q", 8, "unknown word 'q'")),
    swap(
        "unknown word in a range",
        "  n",
        "  n: {low: 2, high: 9, step: 1}",
        ("axes.n.step", 9, "known words: count, high, low, spacing"),
    ),
    swap(
        "unknown target kind",
        "target",
        "target: {kind: sparse_party}",
        ("target.kind", 4, "unknown kind 'sparse_party'; did you mean 'sparse_parity'?"),
    ),
    swap(
        "unknown learner kind",
        "learner",
        "learner: {kind: kernel_rigde}",
        ("learner.kind", 5, "did you mean 'kernel_ridge'?"),
    ),
    swap(
        "look-alike kind",
        "target",
        "target: {kind: sparse_p\u0430rity}",
        ("target.kind", 4, r"unknown kind 'sparse_p\u0430rity'; did you mean 'sparse_parity'?"),
    ),
    add("look-alike word", "s\u0435ed: 1", (r"'s\u0435ed'", 15, "did you mean 'seed'?")),
    swap(
        "unknown setting",
        "learner",
        "learner: {kind: kernel_ridge, rigde: 1}",
        ("learner.rigde", 5, "did you mean 'ridge'?"),
    ),
    swap(
        "revision is not a setting",
        "learner",
        "learner: {kind: kernel_ridge, revision: 2}",
        ("learner.revision", 5, "unknown word 'revision'"),
    ),
    swap(
        "unknown choice",
        "learner",
        "learner: {kind: kernel_ridge, kernel: rfb}",
        ("learner.kernel", 5, "did you mean 'rbf'?"),
    ),
    swap(
        "unknown search",
        "search",
        "search: {kind: treshold}",
        ("search.kind", 11, "did you mean 'threshold'?"),
    ),
    swap(
        "unknown measure",
        "success",
        "success: {measure: accuracy, above: 0.5}",
        ("success.measure", 10, "known measures: r_squared, test_accuracy, test_error"),
    ),
    swap(
        "measure of another learner",
        "success",
        "success: {measure: identified, above: 0.5}",
        ("success.measure", 10, "kernel_ridge on sparse_parity: unknown measure 'identified'"),
    ),
]

TYPES = [
    swap("seed is text", "seed", 'seed: "3"', ("seed", 12, "write 3 without quotes")),
    swap("seed is a fraction", "seed", "seed: 1.5", ("seed", 12, "whole number, found 1.5")),
    swap("seed has a point", "seed", "seed: 3.0", ("seed", 12, "write 3")),
    swap("seed is true", "seed", "seed: true", ("seed", 12, "whole number, found true")),
    swap("seed is below zero", "seed", "seed: -1", ("seed", 12, "at least 0, found -1")),
    swap("seed is nothing", "seed", "seed:", ("seed", 12, "found nothing")),
    swap("seed is a list", "seed", "seed: [1]", ("seed", 12, "found a list")),
    swap("seed is no", "seed", "seed: no", ("seed", 12, "found the text 'no'")),
    swap("seed is sexagesimal", "seed", "seed: 1:30", ("seed", 12, "found the text '1:30'")),
    swap("seed is octal", "seed", "seed: 010", ("seed", 12, "starts with a zero")),
    swap("seed is hexadecimal", "seed", "seed: 0x10", ("seed", 12, "found the text '0x10'")),
    swap("seed is grouped", "seed", "seed: 1_000", ("seed", 12, "found the text '1_000'")),
    swap("seed is a date", "seed", "seed: 2024-01-01", ("seed", 12, "the text '2024-01-01'")),
    swap("seed is huge", "seed", "seed: 1" + "0" * 30, ("seed", 12, "more than 18 digits")),
    swap("seed is absurd", "seed", "seed: " + "9" * 9999, ("seed", 12, "more than 18 digits")),
    swap("repeats is zero", "repeats", "repeats: 0", ("repeats", 13, "at least 1, found 0")),
    swap("repeats is huge", "repeats", "repeats: 10000000", ("repeats", 13, "of at most 1000000")),
    swap(
        "nan", "success", "success: {measure: r_squared, above: .nan}", ("success.above", 10, "nan")
    ),
    swap(
        "infinity",
        "success",
        "success: {measure: r_squared, above: .inf}",
        ("success.above", 10, ".inf is not a finite number"),
    ),
    swap(
        "nan as a word",
        "success",
        "success: {measure: r_squared, above: nan}",
        ("success.above", 10, "expected a number, found the text 'nan'"),
    ),
    swap(
        "overflow",
        "success",
        "success: {measure: r_squared, above: 1e999}",
        ("success.above", 10, "too large a number"),
    ),
    swap(
        "quoted bound",
        "success",
        'success: {measure: r_squared, above: "0.5"}',
        ("success.above", 10, "write 0.5 without quotes"),
    ),
    swap("unknown format", "format", "format: 2", ("format", 2, "expected 1, found 2")),
    swap("quoted format", "format", 'format: "1"', ("format", 2, "expected 1, found the text '1'")),
    swap(
        "axes is text",
        "axes",
        "axes: all\n_:",
        ("axes", 6, "expected a mapping"),
        ("_", 7, "unknown"),
    ),
    swap("target is a word", "target", "target: sparse_parity", ("target", 4, "write {kind: spa")),
    swap("target is a number", "target", "target: 3", ("target", 4, "found 3")),
    swap("target without kind", "target", "target: {}", ("target.kind", 4, "missing; known kinds")),
    swap("kind is a number", "target", "target: {kind: 3}", ("target.kind", 4, "found 3")),
    swap(
        "setting out of bounds",
        "target",
        "target: {kind: sparse_parity, flip_rate: 0.7}",
        ("target.flip_rate", 4, "below 0.5, found 0.7"),
    ),
    swap(
        "setting of another type",
        "learner",
        "learner: {kind: kernel_ridge, ridge: small}",
        ("learner.ridge", 5, "expected a number, found the text 'small'"),
    ),
    swap(
        "one setting of a list",
        "learner",
        "learner: {kind: kernel_ridge, ridge: [0.1, -1]}",
        ("learner.ridge.1", 5, "at least 0, found -1"),
    ),
    swap("search is text", "search", "search: grid", ("search", 11, "expected a mapping")),
    swap("tolerance is 0", "search", "search: {tolerance: 0}", ("search.tolerance", 11, "0.001")),
    swap("level is 1", "search", "search: {level: 1}", ("search.level", 11, "at most 0.99")),
    swap(
        "confidence is percent",
        "search",
        "search: {confidence: 95}",
        ("search.confidence", 11, "at most 0.999, found 95"),
    ),
    swap("round is 0", "search", "search: {round: 0}", ("search.round", 11, "at least 2")),
    swap(
        "max_trials is 0",
        "search",
        "search: {max_trials: 0}",
        ("search.max_trials", 11, "at least 1, found 0"),
    ),
    swap(
        "max_hours is negative",
        "search",
        "search: {max_hours: -1}",
        ("search.max_hours", 11, "above 0, found -1"),
    ),
    swap("gpus below zero", "resources", "resources: {gpus: -1}", ("resources.gpus", 14, "-1")),
    swap(
        "no minutes",
        "resources",
        "resources: {minutes_per_trial: 0}",
        ("resources.minutes_per_trial", 14, "above 0, found 0"),
    ),
    swap("success is text", "success", "success: high", ("success", 10, "expected a mapping")),
    swap(
        "both bounds",
        "success",
        "success: {measure: r_squared, above: 0, below: 1}",
        ("success", 10, "give one of below and above"),
    ),
    swap(
        "no bound", "success", "success: {measure: r_squared}", ("success", 10, "give one of below")
    ),
    swap("no measure", "success", "success: {above: 1}", ("success.measure", 10, "missing")),
    add("question is a number", "question: 3", ("question", 15, "expected text, found 3")),
]

MISSING = [
    drop("no name", "name", ("name", None, "missing")),
    drop("no target", "target", ("target", None, "missing: a target")),
    drop("no learner", "learner", ("learner", None, "missing: a learner")),
    drop("no success", "success", ("success", None, "missing: what counts as success")),
    drop("no d", "  d", ("axes.d", 6, "missing: the dimensions")),
    drop("no n", "  n", ("axes.n", 6, "missing: the range of n")),
    whole(
        "all at once",
        "name: a b\nseed: x\nsearch: {level: 2}\n",
        ("name", 1, "letters"),
        ("seed", 2, "found the text 'x'"),
        ("search.level", 3, "found 2"),
        ("axes", None, "missing"),
        ("success", None, "missing"),
        ("target", None, "missing"),
        ("learner", None, "missing"),
    ),
]

NAMES = [
    swap(f"name {name!r}", "name", f"name: {name}", ("name", 3, "letters, digits"))
    for name in (
        '"../up"',
        '"/root"',
        '"."',
        '".."',
        '"ok\\n"',
        '"-rf"',
        '"~"',
        '"$HOME"',
        '"%2e%2e"',
        '"a b"',
        '"a/b"',
        '""',
        "a" * 65,
        "p\u0430rity",
        '"\'; drop"',
        '"<script>"',
    )
] + [
    swap("name with an escape", "name", 'name: "\\e[31m"', ("name", 3, "control characters")),
    swap("name with a NUL", "name", 'name: "\\0"', ("name", 3, "control characters")),
    swap("name with a joiner", "name", 'name: "a\\u200db"', ("name", 3, "invisible")),
    swap("name is a number", "name", "name: 7", ("name", 3, "put it in quotes")),
    swap("name is true", "name", "name: true", ("name", 3, "expected text, found true")),
    swap("name is octal", "name", "name: 007", ("name", 3, "quote it if it is text")),
]

AXES = [
    swap("empty axis", "  d", "  d: []", ("axes.d", 7, "an empty axis")),
    swap("axis of nothing", "  d", "  d:", ("axes.d", 7, "found nothing")),
    swap("quoted number", "  d", '  d: ["10", 20]', ("axes.d.0", 7, "write it without quotes")),
    swap("d is zero", "  d", "  d: [0, 10]", ("axes.d.0", 7, "at least 1")),
    swap("d is negative", "  d", "  d: -4", ("axes.d", 7, "at least 1")),
    swap("d is huge", "  d", "  d: 1e12", ("axes.d", 7, "at most 1,000,000,000")),
    swap(
        "d is fractional",
        "  d",
        "  d: [10.5]",
        ("axes.d", 7, "expected a whole number, found 10.5"),
    ),
    swap("d stands twice", "  d", "  d: [10, 20, 10]", ("axes.d.2", 7, "10 stands twice")),
    swap("k is fractional", "  k", '  k: "d/4"', ("axes.k", 8, "d / 4 is 2.5 at d = 10, which")),
    swap("k exceeds d", "  k", "  k: [2, 12]", ("axes.k", 8, "k = 12")),
    swap("unknown letter", "  k", '  k: "x/2"', ("axes.k", 8, "unknown name 'x'")),
    swap("unknown function", "  k", '  k: "exp(d)"', ("axes.k", 8, "unknown function 'exp'")),
    swap("caret", "  k", '  k: "d^2"', ("axes.k", 8, "write ** for a power")),
    swap("floor division", "  k", '  k: "d//2"', ("axes.k", 8, "write floor(a / b)")),
    swap("attribute", "  k", '  k: "d.real"', ("axes.k", 8, "cannot read")),
    swap("import", "  k", "  k: \"__import__('os')\"", ("axes.k", 8, "cannot read")),
    swap("lambda", "  k", '  k: "lambda: d"', ("axes.k", 8, "cannot read")),
    swap("comparison as a value", "  k", '  k: "d == 2"', ("axes.k", 8, "is not arithmetic")),
    swap("unfinished", "  k", '  k: "(d"', ("axes.k", 8, "as an expression")),
    swap("empty text", "  k", '  k: ""', ("axes.k", 8, "empty text")),
    swap("long expression", "  k", f'  k: "{"d+" * 200}d"', ("axes.k", 8, "401 characters")),
    swap("power tower", "  k", '  k: "9**9**9**9"', ("axes.k", 8, "exceeds 1e18")),
    swap("division by zero", "  k", '  k: "2/(d-10)"', ("axes.k", 8, "division by zero")),
    swap("log of zero", "  k", '  k: "floor(log(d-10))"', ("axes.k", 8, "log of 0")),
    swap("k depends on n", "  k", '  k: "n/2"', ("axes.k", 8, "k cannot depend on n")),
    swap("k depends on itself", "  k", '  k: "k+1"', ("axes.k", 8, "depends on itself")),
    swap("d depends on n", "  d", '  d: "n"', ("axes.d", 7, "d cannot depend on n")),
    swap("full-width letter", "  k", '  k: "\uff44/5"', ("axes.k", 8, "cannot read")),
    swap("true as k", "  k", "  k: true", ("axes.k", 8, "found true")),
    swap("empty range", "  n", "  n: {low: 9, high: 3}", ("axes.n", 9, "no whole number")),
    swap("range from zero", "  n", "  n: {low: 0, high: 9}", ("axes.n.low", 9, "found 0")),
    swap("range without high", "  n", "  n: {low: 1}", ("axes.n.high", 9, "missing")),
    swap("count of 1", "  n", "  n: {low: 1, high: 9, count: 1}", ("axes.n.count", 9, "least 2")),
    swap("spacing", "  n", "  n: {low: 1, high: 9, spacing: lgo}", ("axes.n.spacing", 9, "log")),
    swap("d range without count", "  d", "  d: {low: 5, high: 9}", ("axes.d.count", 7, "missing")),
    swap("single n", "  n", "  n: 50", ("axes.n", 9, "a threshold is sought in a range")),
    swap(
        "points with k",
        "  d",
        "  points: [[10, 2]]",
        ("axes.k", 8, "k is given by points already"),
    ),
    swap(
        "points and d",
        "  k",
        "  points: [[10, 2]]",
        ("axes", 6, "d and points both say where d stands"),
    ),
    swap(
        "bad points",
        "  d",
        "  points: [[10]]",
        ("axes.points.0", 7, "a pair [d, k]"),
        ("axes.k", 8, ""),
    ),
    swap(
        "unequal zip",
        "  k",
        "  zip: {d: [1, 2], k: [1]}",
        ("axes.zip", 8, "d has 2, k has 1"),
        ("axes", 6, "both say"),
    ),
    swap(
        "zip with its k again",
        "  d",
        "  zip: {d: [10, 20], k: [1, 2]}",
        ("axes.k", 8, "k is given by zip already"),
    ),
    swap(
        "zip without d",
        "  d",
        "  zip: {k: [1, 2], n: [10, 20]}",
        ("axes.d", 6, "missing: the dimensions"),
        ("axes.k", 8, "k is given by zip already"),
        ("axes.n", 9, "n is given by zip already"),
    ),
    whole(
        "a fault beside a zip",
        GOOD.replace("  d: [10, 20]", "  zip: {d: [10, 0.5], n: [10, 0]}")
        .replace("k: 2", 'k: "d/20"')
        .replace('  n: {low: d, high: "4*d"}\n', "")
        .replace("kind: threshold, tolerance: 0.1", "kind: grid"),
        ("axes.k", 8, "d / 20 is 0.5 at d = 10"),
        ("axes.zip.d.1", 7, "expected a whole number, found 0.5"),
        ("axes.zip.n.1", 7, "expected at least 1"),
    ),
    whole(
        "a list of n to search adaptively",
        GOOD.replace('{low: d, high: "4*d"}', '[10, 20, "4*d"]'),
        ("axes.n", 9, "belong to kinds grid, sobol and optuna"),
    ),
    whole(
        "a count of n to search adaptively",
        GOOD.replace('high: "4*d"', 'high: "4*d", count: 5'),
        ("axes.n.count", 9, "belong to kinds grid, sobol and optuna"),
    ),
    whole(
        "a zipped n to search adaptively",
        GOOD.replace("  d: [10, 20]", "  zip: {d: [10, 10], n: [10, 20]}").replace(
            '  n: {low: d, high: "4*d"}\n', ""
        ),
        ("axes.zip.n", 7, "belong to kinds grid, sobol and optuna"),
    ),
    swap(
        "a grid without a point",
        "search",
        "search: {kind: grid, max_trials: 3}",
        ("search.max_trials", 11, "at least 4, for 4 repeats of one point, found 3"),
    ),
    whole(
        "a sobol design without a point",
        GOOD.replace("{kind: kernel_ridge}", "{kind: kernel_ridge, ridge: [0.1, 1]}").replace(
            "kind: threshold, tolerance: 0.1", "kind: sobol, max_trials: 7"
        ),
        ("search.max_trials", 11, "at least 8, for 4 repeats of one point for each of 2 arms and"),
    ),
    swap(
        "exponents of too few thresholds",
        "search",
        "search: {aim: exponents}",
        ("search.aim", 11, "2 (d, k) show no law; exponents need at least 3"),
    ),
    swap(
        "exponents from a grid",
        "search",
        "search: {kind: grid, aim: exponents}",
        ("search", 11, "aim: exponents belongs to kind threshold"),
    ),
    swap(
        "an unknown aim",
        "search",
        "search: {aim: exponent}",
        ("search.aim", 11, "exponent"),
    ),
    swap(
        "a tuning without a setting",
        "search",
        "search: {kind: optuna, max_trials: 1, fields: {ridge: [0.1, 1]}}",
        ("search.max_trials", 11, "at least 4"),
    ),
    swap(
        "a sampler misspelt",
        "search",
        "search: {kind: optuna, sampler: TPSampler, fields: {ridge: [0.1, 1]}}",
        ("search.sampler", 11, "did you mean 'TPESampler'?"),
    ),
    swap(
        "a setting of another sampler",
        "search",
        "search: {kind: optuna, sampler: qmc, settings: {popsize: 4}, axes: [d, n]}",
        ("search.settings.popsize", 11, "known settings: qmc_type, scramble"),
    ),
    swap(
        "settings that do not fit",
        "search",
        "search: {kind: optuna, settings: {n_startup_trials: 1.5, group: 1}, axes: [n]}",
        ("search.settings.n_startup_trials", 11, "expected a whole number, found 1.5"),
        ("search.settings.group", 11, "expected true or false, found 1"),
    ),
    swap(
        "a design in d alone",
        "search",
        "search: {kind: optuna, axes: [d]}",
        ("search.axes", 11, "name n beside them"),
    ),
    swap(
        "a sampler for a grid",
        "search",
        "search: {kind: grid, sampler: tpe}",
        ("search", 11, "sampler, settings, fields, axes, objective belong to kind optuna"),
    ),
    add(
        "tuned fields that do not exist",
        "tune: {rigde: [0.1, 1], target.flip_rate: [0.1, 0.2]}",
        ("tune.rigde", 15, "kernel_ridge: unknown field 'rigde'; did you mean 'ridge'?"),
        ("tune.'target.flip_rate'", 15, "the target is the question"),
    ),
    add(
        "values that a learner refuses",
        "tune: {ridge: [0.1, -1], kernel: [rbf, rfb]}",
        ("tune.ridge", 15, "kernel_ridge: expected a number of at least 0, found -1"),
        ("tune.kernel", 15, "did you mean 'rbf'?"),
    ),
    add(
        "a tuned range without an end",
        "tune: {ridge: {low: 0.1}}",
        ("tune.ridge", 15, "low and high"),
    ),
    add(
        "too many settings to race",
        "tune: {ridge: {low: 1.0e-9, high: 1, spacing: log}, degree: [1, 2, 3, 4]}",
        ("tune", 15, "76 settings of kernel_ridge; at most 64"),
    ),
    whole(
        "arms that tuning makes one",
        GOOD.replace("{kind: kernel_ridge}", "{kind: kernel_ridge, ridge: [0.1, 1]}")
        + "tune: {ridge: [0.1, 1]}\n",
        ("tune", 15, "differ in tuned fields only"),
    ),
    whole(
        "two words for tuning",
        GOOD.replace("kind: threshold, tolerance: 0.1", "kind: optuna, fields: {ridge: [0.1, 1]}")
        + "tune: {ridge: [0.1, 1]}\n",
        ("tune", 15, "keep one of the two"),
    ),
    add(
        "theory of a ridge in letters",
        "theory: {kind: exact, n_star: 3, learner: {kind: kernel_ridge, ridge: abc}}",
        ("theory.learner.ridge", 15, "kernel_ridge: expected a number, found the text 'abc'"),
    ),
    add(
        "theory of a setting out of bounds",
        "theory: {kind: exact, n_star: 3, target: {flip_rate: 2}}",
        ("theory.target.flip_rate", 15, "sparse_parity: expected a number"),
    ),
    add(
        "table with two thresholds at one point",
        "theory: {kind: exact, table: [{d: 9, k: 2, n_star: 3}, {d: 9, k: 2, n_star: 3.5}]}",
        ("theory.table.1", 15, "n_star is 3.5 at d = 9, k = 2, where an earlier row says 3"),
    ),
    swap(
        "too many points",
        "  d",
        "  d: {low: 1, high: 1e9, count: 10001}",
        ("axes.d.count", 7, "at most 10000"),
    ),
    whole(
        "huge product",
        GOOD.replace("d: [10, 20]", "d: {low: 1000, high: 1e6, count: 9000}").replace(
            "k: 2", "k: {low: 1, high: 900, count: 900}"
        ),
        ("axes", 6, "8,100,000 points (d, k)"),
    ),
    whole(
        "huge grid",
        GOOD.replace("d: [10, 20]", "d: {low: 10, high: 1e6, count: 9000}")
        .replace('{low: d, high: "4*d"}', "{low: 1, high: 1e6, count: 10000}")
        .replace("kind: threshold", "kind: grid"),
        ("axes", 6, "90,000,000 points (d, n, k)"),
    ),
    swap(
        "too many thresholds",
        "  d",
        "  d: {low: 1000, high: 1e6, count: 2000}",
        ("axes", 6, "2,000 thresholds"),
    ),
    swap(
        "labels that cannot be read",
        "learner",
        "learner: {kind: gaussian_elimination}",
        ("learner", 5, "reads bit labels, and sparse_parity has sign labels"),
    ),
]

FORTY = list(range(1, 41))
ARMS = [
    swap("no targets", "target", "target: []", ("target", 4, "an empty list")),
    swap(
        "no values",
        "learner",
        "learner: {kind: kernel_ridge, ridge: []}",
        ("learner.ridge", 5, "an empty list makes no arms"),
    ),
    swap(
        "arm twice",
        "learner",
        "learner: [{kind: kernel_ridge}, {kind: kernel_ridge, ridge: 1e-6}]",
        ("learner", 5, "stands twice"),
    ),
    swap(
        "too many arms",
        "learner",
        f"learner: {{kind: kernel_ridge, degree: {FORTY}, depth: {FORTY}}}",
        ("learner", 5, "1,600 arms"),
    ),
    add(
        "pairs beside target",
        "pairs: [{target: {kind: sparse_parity}, learner: {kind: kernel_ridge}}]",
        ("target", 4, "keep one"),
        ("learner", 5, "keep one"),
    ),
    add(
        "second of a list",
        "theory: [{n_star: 5, kind: exact}, {n_star: 5, kind: exat}]",
        ("theory.1.kind", 15, "did you mean 'exact'?"),
    ),
]

THEORY = [
    add("theory is text", "theory: 2*d", ("theory", 15, "expected an entry or a list")),
    add("theory without kind", "theory: {n_star: 3}", ("theory.kind", 15, "missing")),
    add("theory without value", "theory: {kind: exact}", ("theory", 15, "one of n_star, table")),
    add("empty table", "theory: {kind: exact, table: []}", ("theory", 15, "an empty table")),
    add(
        "theory in n",
        'theory: {kind: exact, n_star: "2*n"}',
        ("theory.n_star", 15, "n has no value"),
    ),
    add(
        "negative theory",
        'theory: {kind: exact, n_star: "10 - d"}',
        ("theory.0", 15, "must be above 0"),
    ),
    add(
        "where is arithmetic",
        'theory: {kind: exact, n_star: 3, where: "k"}',
        ("theory.where", 15, "is not a comparison"),
    ),
    add(
        "where with or",
        'theory: {kind: exact, n_star: 3, where: "k == 1 or k == 2"}',
        ("theory.where", 15, "only 'and' joins"),
    ),
    add(
        "where with one equals",
        'theory: {kind: exact, n_star: 3, where: "k = 1"}',
        ("theory.where", 15, "write == to compare"),
    ),
    add(
        "filter on an unknown kind",
        "theory: {kind: exact, n_star: 3, learner: two_layr}",
        ("theory.learner", 15, "did you mean 'two_layer'?"),
    ),
    add(
        "filter on an unknown setting",
        "theory: {kind: exact, n_star: 3, learner: {kind: kernel_ridge, rdge: 1}}",
        ("theory.learner.rdge", 15, "did you mean 'ridge'?"),
    ),
    add(
        "row without d",
        "theory: {kind: exact, table: [{n_star: 3}]}",
        ("theory.table.0.d", 15, "missing"),
    ),
]

DEEP = "[" * 2000 + "]" * 2000
YAML = [
    swap("python tag", "seed", "seed: !!python/name:os.system x", ("seed", 12, "tags are off")),
    swap("plain tag", "seed", "seed: !!int 3", ("seed", 12, "tags are off")),
    swap("custom tag", "axes", "axes: !axes", ("axes", 6, "tags are off")),
    add(
        "apply tag",
        "theory: !!python/object/apply:os.system ['id']",
        ("theory", 15, "tags are off"),
    ),
    add("anchor", "theory: &a []", ("theory", 15, "anchors and aliases are off")),
    add(
        "alias",
        "theory: &a [*a]",
        ("theory", 15, "anchors and aliases"),
        ("theory.0", 15, "alias *a"),
    ),
    add("duplicate key", "seed: 3", ("seed", 15, "stands twice, on lines 12 and 15")),
    swap(
        "duplicate key inside",
        "search",
        "search: {kind: grid, kind: sobol}",
        ("search.kind", 11, "stands twice, on lines 11 and 11"),
    ),
    add("number as a word", "3: x", ("3", 15, "3 stands where a word belongs")),
    add("list as a word", "? [a]\n: x", ("'a list or mapping'", 15, "stands where a word belongs")),
    add("merge key", "<<: {seed: 3}", ("'<<'", 15, "unknown word '<<'")),
    add(
        "alias bomb",
        "a: &a [x, x]\nb: &b [*a, *a]",
        ("a", 15, "anchors"),
        ("b", 16, "anchors"),
        ("b.0", 16, "alias"),
        ("b.1", 16, "alias"),
    ),
    whole("deep list", f"a: {DEEP}\n", ("", 1, "more than 32 deep")),
    whole("many values", "a:\n" + "- 1\n" * 30_000, ("", 19999, "more than 20000 values")),
    whole("second document", f"{GOOD}---\na: 1\n", ("", 15, "a second document starts here")),
    whole("empty", "", ("", None, "the file is empty")),
    whole("spaces", " \n\n", ("", None, "the file is empty")),
    whole("comment only", "# hello\n", ("", None, "the file is empty")),
    whole("scalar", "hello\n", ("", None, "holds a single value")),
    whole("list", "- a\n", ("", None, "holds a list")),
    whole("tab", "axes:\n\td: 1\n", ("", 2, "indented with a tab")),
    whole("unclosed", "a: [1\nb: 2\n", ("", 2, "not readable as YAML")),
    whole("colon in text", "a: b: c\n", ("", 1, "quote text that contains ': '")),
    whole("control character", "a: \x07\n", ("", None, "not readable as YAML")),
    whole("tag directive", f"%TAG ! tag:x,2024:\n---\n{GOOD}", ("", 1, "tags are off")),
    whole("yaml directive twice", "%YAML 1.1\n%YAML 1.1\n---\na: 1\n", ("", 2, "not readable")),
]

TOML = [
    whole("toml duplicate", "seed = 1\nseed = 2\n", ("", 2, "stands twice"), suffix=".toml"),
    whole("toml syntax", "seed = \n", ("", 1, "not readable as TOML"), suffix=".toml"),
    whole("toml deep", f"a = {DEEP}\n", ("", None, "32 deep"), suffix=".toml"),
    whole("toml dotted", f"{'a.' * 90_000}a = 1\n", ("", 1, "32 deep"), suffix=".toml"),
    whole(
        "toml empty",
        "# nothing\n",
        ("name", None, "missing"),
        ("axes", None, "missing"),
        ("success", None, ""),
        ("target", None, ""),
        ("learner", None, ""),
        suffix=".toml",
    ),
]

GOOD_TOML = """\
# A good file.
name = "good"
seed = 0
[target]
kind = "sparse_parity"
[learner]
kind = "kernel_ridge"
[axes]
d = [10, 20]
k = 2
n = {low = "d", high = "4*d"}
[success]
measure = "r_squared"
above = 0.5
[[theory]]
n_star = 5
kind = "exact"
"""
TOML += [
    whole(
        "toml nan",
        GOOD_TOML.replace("0.5", "nan"),
        ("success.above", 14, "nan is not a finite"),
        suffix=".toml",
    ),
    whole(
        "toml huge",
        GOOD_TOML.replace("seed = 0", "seed = 1" + "0" * 5000),
        ("", None, "digits"),
        suffix=".toml",
    ),
    whole(
        "toml date",
        GOOD_TOML.replace("seed = 0", "seed = 2024-01-01"),
        ("seed", 3, "put it in quotes"),
        suffix=".toml",
    ),
    whole(
        "toml kind",
        GOOD_TOML.replace("sparse_p", "sparse_q"),
        ("target.kind", 5, "did you mean 'sparse_parity'?"),
        suffix=".toml",
    ),
    whole(
        "toml axis", GOOD_TOML.replace("k = 2", "k = 11"), ("axes.k", 10, "k = 11"), suffix=".toml"
    ),
    whole(
        "toml theory",
        GOOD_TOML.replace('"exact"', '"exat"'),
        ("theory.0.kind", 17, "'exact'"),
        suffix=".toml",
    ),
]

GOOD_JSON = """\
{
  "name": "good",
  "target": {"kind": "sparse_parity"},
  "learner": {"kind": "kernel_ridge"},
  "axes": {"d": [10, 20], "k": 2, "n": {"low": "d", "high": "4*d"}},
  "success": {"measure": "r_squared", "above": 0.5},
  "seed": 0
}
"""
JSON = [
    whole(
        "json duplicate",
        GOOD_JSON.replace('"seed": 0', '"seed": 0,\n\t"seed": 1'),
        ("seed", 8, "stands twice, on lines 7 and 8"),
        suffix=".json",
    ),
    whole(
        "json nan",
        GOOD_JSON.replace("0.5", "NaN"),
        ("success.above", 6, "nan is not a finite"),
        suffix=".json",
    ),
    whole(
        "json huge",
        GOOD_JSON.replace('"seed": 0', '"seed": 1' + "0" * 5000),
        ("seed", 7, "more than 18 digits"),
        suffix=".json",
    ),
    whole(
        "json overflow",
        GOOD_JSON.replace("0.5", "1e999"),
        ("success.above", 6, "not a finite"),
        suffix=".json",
    ),
    whole("json syntax", "{,}", ("", 1, "not readable as JSON"), suffix=".json"),
    whole("json comment", "# no\n{}", ("", 1, "not readable as JSON"), suffix=".json"),
    whole("json deep", DEEP * 30, ("", None, "32 deep"), suffix=".json"),
    whole("json wide", "[" + "0," * 30_000 + "0]", ("", None, "holds a list"), suffix=".json"),
    whole(
        "json many", '{"a": [' + "0," * 30_000 + "0]}", ("", 1, "more than 20000"), suffix=".json"
    ),
    whole(
        "json kind",
        GOOD_JSON.replace("sparse_p", "sparse_q"),
        ("target.kind", 3, "did you mean 'sparse_parity'?"),
        suffix=".json",
    ),
    whole(
        "json axis", GOOD_JSON.replace('"k": 2', '"k": 11'), ("axes.k", 5, "k = 11"), suffix=".json"
    ),
]

CASES: list[Case] = [
    *UNKNOWN,
    *TYPES,
    *MISSING,
    *NAMES,
    *AXES,
    *ARMS,
    *THEORY,
    *YAML,
    *TOML,
    *JSON,
]
