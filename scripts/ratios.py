# SPDX-License-Identifier: MIT
"""The statistics of scripts/compare: from pairs of measurements to a ratio, its interval and a verdict.

    ratios.py --header
    ratios.py --limit PERCENT --seed SEED FIGURE MEASURE ... <SAMPLES
    ratios.py --self-test

SAMPLES has a line "PAIR SIDE MEASURE VALUE" for each value, SIDE being old or new; of several values of one measure in
one run the median counts.  Prints a row a measure.  Ends with 3 if a measure is worse, that is: if its whole interval
is beyond the limit.

The ratio is new / old, its estimate the median over the pairs, its interval the percentile bootstrap of the median of
the log ratios, over pairs.  More is worse: a measure "per_s" counts as the time that one takes.  One pair has no
interval; it is judged by itself, with a limit of at least ONE_PAIR_LIMIT.
"""
import argparse
import collections
import math
import random
import re
import statistics
import sys

RESAMPLES = 10000
CONFIDENCE = 0.95
ONE_PAIR_LIMIT = 1.10
UNITS = re.compile(r"_(per_s|bytes|ms|ns|s)(?=_|$)")

Result = collections.namedtuple("Result", "ratio low high limit verdict")


def bootstrap(values, rng, resamples=RESAMPLES):
    """The interval of the median of values."""
    medians = sorted(statistics.median(rng.choices(values, k=len(values))) for _ in range(resamples))
    outside = (1 - CONFIDENCE) / 2
    return medians[int(outside * resamples)], medians[math.ceil((1 - outside) * resamples) - 1]


def judge(olds, news, limit, rng, resamples=RESAMPLES):
    logs = [math.log(new / old) for old, new in zip(olds, news)]
    if len(logs) == 1:
        limit = max(limit, ONE_PAIR_LIMIT)
    low, high = map(math.exp, bootstrap(logs, rng, resamples))
    verdict = "WORSE" if low > limit else "ok" if high <= limit else "unsure"
    return Result(math.exp(statistics.median(logs)), low, high, limit, verdict)


def read_samples(lines):
    """{measure: {side: [a value a pair]}}"""
    values = collections.defaultdict(list)
    for line in lines:
        pair, side, measure, value = line.split()
        value = float(value)
        values[measure, side, int(pair)].append(1 / value if measure.endswith("per_s") else value)
    samples = collections.defaultdict(lambda: {"old": [], "new": []})
    for measure, side, pair in sorted(values):
        samples[measure][side].append(statistics.median(values[measure, side, pair]))
    return samples


def shown(value, measure):
    """Three significant digits and a unit."""
    unit = UNITS.search(measure).group(1)
    if unit == "bytes":
        value, unit = (value / 1e6, "MB") if value >= 1e5 else (value, "B")
    elif unit == "per_s":
        value, unit = value * 1e9, "ns"
    digits = 2 - int(f"{value:.2e}".split("e")[1])
    return f"{value:.{min(max(digits, 0), 3)}f} {unit}"


HEADER = "figure        measure      old      new      ratio  95 % interval   limit"


def row(figure, measure, olds, news, result):
    label = UNITS.sub("", measure)
    # A long label begins further to the left.
    name = f"{figure:<{min(13, 25 - len(label))}} {label}"
    interval = f"{result.low:.3f} .. {result.high:.3f}" if len(olds) > 1 else "one pair"
    old, new = shown(statistics.median(olds), measure), shown(statistics.median(news), measure)
    return (f"{name:<26} {old:<8} {new:<8} {result.ratio:5.3f}  {interval:<15} "
            f"{f'{result.limit:.3f}'.removesuffix('0'):<5} {result.verdict}")


def compare(options):
    samples, worse = read_samples(sys.stdin), False
    for measure in options.measures:
        olds, news = samples[measure]["old"], samples[measure]["new"]
        if not olds or len(olds) != len(news):
            print(f"ratios.py: {options.figure}: not every run measured {measure}", file=sys.stderr)
            return 2
        rng = random.Random(f"{options.seed} {options.figure} {measure}")
        result = judge(olds, news, 1 + options.limit / 100, rng)
        worse = worse or result.verdict == "WORSE"
        print(row(options.figure, measure, olds, news, result), flush=True)
    return 3 if worse else 0


# ---- the self-test

def synthetic(seed, shift, noise, resamples=1000, pairs=15):
    """A verdict on pairs whose runs vary by up to the noise, evenly distributed, and whose new side is shifted."""
    rng = random.Random(seed)
    olds = [rng.uniform(1 - noise, 1 + noise) for _ in range(pairs)]
    news = [shift * rng.uniform(1 - noise, 1 + noise) for _ in range(pairs)]
    return judge(olds, news, 1.02, rng, resamples).verdict


def known_interval(values):
    """Which of the sorted values the bootstrap of an odd number of them ends at, without drawing: the median of a
    resample is at most the k-th value if more than half of the draws are."""
    n = len(values)
    half = (n + 1) // 2
    at_most = [sum(math.comb(n, j) * (k / n) ** j * (1 - k / n) ** (n - j) for j in range(half, n + 1))
               for k in range(n + 1)]
    low = next(k for k in range(n + 1) if at_most[k] > 0.025)
    high = next(k for k in range(n + 1) if at_most[k] >= 0.975)
    return sorted(values)[low - 1], sorted(values)[high - 1]


def rows_of(text, figure, measure):
    samples = read_samples(text.splitlines())[measure]
    result = judge(samples["old"], samples["new"], 1.02, random.Random(1))
    return row(figure, measure, samples["old"], samples["new"], result)


def test_interval_of_known_samples():
    for n in (5, 7, 13):
        values = [((7 * i) % n - 2) / 100 for i in range(n)] if n != 7 else [0.3, -0.1, 0, 0.2, 0.1, -0.2, 0.5]
        assert bootstrap(values, random.Random(n)) == known_interval(values), n
    # By hand: of seven values the ends are the second and the sixth.
    assert known_interval([1, 2, 3, 4, 5, 6, 7]) == (2, 6)


def test_median_ratio_is_of_pairs():
    result = judge([1, 10, 100], [2, 10, 50], 1.02, random.Random(1))
    assert math.isclose(result.ratio, 1) and math.isclose(result.low, 0.5) and math.isclose(result.high, 2)


def test_equal_pairs_pass():
    result = judge([3.1, 2.9, 3.0] * 5, [3.1, 2.9, 3.0] * 5, 1.02, random.Random(1))
    assert result == Result(1, 1, 1, 1.02, "ok"), result


def test_five_percent_slower_fails():
    assert {synthetic(seed, 1.05, 0.01) for seed in range(50)} == {"WORSE"}


def test_five_percent_faster_passes():
    assert {synthetic(seed, 0.95, 0.01) for seed in range(50)} == {"ok"}


def test_one_percent_slower_passes_a_limit_of_two():
    assert "WORSE" not in {synthetic(seed, 1.01, 0.01) for seed in range(50)}


def test_noise_without_a_shift_passes():
    verdicts = collections.Counter(synthetic(seed, 1, 0.10) for seed in range(100))
    assert verdicts["WORSE"] <= 5, verdicts


def test_noise_that_hides_the_limit_is_unsure():
    assert judge([1] * 5, [0.9, 1.1, 1, 0.95, 1.05], 1.02, random.Random(1)).verdict == "unsure"


def test_one_pair_has_a_limit_of_ten_percent():
    assert judge([100], [109], 1.02, random.Random(1)).verdict == "ok"
    assert judge([100], [111], 1.02, random.Random(1)).verdict == "WORSE"
    assert judge([100], [111], 1.20, random.Random(1)).verdict == "ok"


def test_lower_rate_is_a_longer_time():
    text = "\n".join(f"{pair} old x_per_s 100e6\n{pair} new x_per_s 90e6" for pair in range(5))
    line = rows_of(text, "core", "x_per_s")
    assert "10.0 ns" in line and "11.1 ns" in line and "1.111" in line and line.endswith("WORSE"), line


def test_median_of_a_run_counts():
    text = "\n".join(f"{pair} {side} request_ms {ms}"
                     for pair in range(5) for side in ("old", "new") for ms in (20, 900, 21))
    assert " 21.0 ms  21.0 ms  1.000 " in rows_of(text, "start", "request_ms")


def test_rows_fit_80_columns():
    for figure, measure, value in (("start-million", "request_ms", 999.9), ("orders-10000", "memory_bytes", 987e6),
                                   ("core", "flow_breaker_calls_ns", 9.2), ("core", "sleeper_bytes_100k", 4243),
                                   ("durable", "sqlite_wall_s", 123.4), ("rate", "wall_s", 0.000123)):
        for values in ([value], [value * 0.9, value, value * 1.1]):
            result = judge(values, values[::-1], 1.025, random.Random(1))
            line = row(figure, measure, values, values[::-1], result)
            assert len(line) <= 80 and line[26] == " " and line[27] != " ", line
            assert line.index(f"{result.ratio:.3f}") == HEADER.index("ratio"), line


def self_test():
    passed = failed = 0
    for name, test in sorted(globals().items()):
        if name.startswith("test_"):
            try:
                test()
                passed += 1
            except AssertionError as error:
                print(f"FAILED: {name[5:]}: {error}")
                failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--header", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--limit", type=float, default=2)
    parser.add_argument("--seed", default="0")
    parser.add_argument("figure", nargs="?")
    parser.add_argument("measures", nargs="*")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    if options.header:
        print(HEADER, flush=True)
        return 0
    return compare(options)


if __name__ == "__main__":
    sys.exit(main())
