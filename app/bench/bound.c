/* SPDX-License-Identifier: MIT */
/*
 * With a limit of N, n jobs of mean m take n * m / N and then a tail: while the last jobs run, permits lie idle.  When
 * the last job begins the other N - 1 are somewhere in theirs, and what is left of a job that is met at a random moment
 * follows the equilibrium distribution of renewal theory, P(R > r) = E[max(X - r, 0)] / m.  The run ends with the
 * largest of N such rests; on average a permit is idle for that less E[R] = E[X^2] / 2m.  For 100,000 jobs, 500 at
 * once, 0.1 to 0.2 s, the sum is 30.115 s, and a simulation of the same says 30.115.
 *
 * With a rate the run ends with the largest of the last starts' ends: P(max <= x) is the product of F(x + j / rate).
 *
 * Integrals are sums by the midpoint rule over STEPS pieces: the integrands are smooth but for a corner.
 */
#include "bench/bound.h"

#include <math.h>
#include <stdio.h>

#include "bench/text.h"

enum { STEPS = 4000, RATE_TAIL_MOST = 100000 };

static double seconds_of(weir_nsec time)
{
	return (double)time / (double)WEIR_SEC;
}

struct uniform {
	double low, high, mean;
};

static struct uniform uniform_of(const struct bench_load *load)
{
	struct uniform u = {.low = seconds_of(load->low), .high = seconds_of(load->high)};
	u.mean = (u.low + u.high) / 2;
	return u;
}

double bench_slowest_of(const struct bench_load *load, uint64_t n)
{
	struct uniform u = uniform_of(load);
	return n ? u.high - (u.high - u.low) / (double)(n + 1) : 0;
}

/* P(R > r) of what is left of a job under way. */
static double rest_over(const struct uniform *u, double r)
{
	if (r >= u->high)
		return 0;
	if (r < u->low)
		return (u->mean - r) / u->mean;
	return (u->high - r) * (u->high - r) / (2 * (u->high - u->low) * u->mean);
}

static double slowest_rest(const struct uniform *u, double n)
{
	double sum = 0, step = u->high / STEPS;
	for (int i = 0; i < STEPS; i++)
		sum += 1 - pow(1 - rest_over(u, (i + 0.5) * step), n);
	return sum * step;
}

static double limit_seconds(const struct bench_load *load, double concurrency)
{
	struct uniform u = uniform_of(load);
	if ((double)load->jobs <= concurrency || u.mean <= 0)
		return bench_slowest_of(load, load->jobs);
	if (load->low == load->high) /* in step */
		return ceil((double)load->jobs / concurrency) * u.mean;
	double square = (u.low * u.low + u.low * u.high + u.high * u.high) / 3;
	return (double)load->jobs * u.mean / concurrency + slowest_rest(&u, concurrency) - square / (2 * u.mean);
}

static double chance_below(const struct uniform *u, double x)
{
	if (x >= u->high)
		return 1;
	return x <= u->low ? 0 : (x - u->low) / (u->high - u->low);
}

/* How long after the last start the last end comes. */
static double rate_tail(const struct bench_load *load, double per_sec)
{
	struct uniform u = uniform_of(load);
	double sum = 0, step = u.high / STEPS;
	uint64_t starts = load->jobs < RATE_TAIL_MOST ? load->jobs : RATE_TAIL_MOST;
	for (int i = 0; i < STEPS; i++) {
		double x = (i + 0.5) * step, all = 1;
		for (uint64_t j = 0; j < starts && all > 1e-12; j++) {
			double at = x + (double)j / per_sec;
			if (at >= u.high)
				break;
			all *= chance_below(&u, at);
		}
		sum += 1 - all;
	}
	return sum * step;
}

static double batches_seconds(const struct bench_load *load, size_t concurrency)
{
	uint64_t full = load->jobs / concurrency;
	return (double)full * bench_slowest_of(load, concurrency) + bench_slowest_of(load, load->jobs % concurrency);
}

static double per_second(double n, double seconds)
{
	return seconds > 0 ? n / seconds : (double)INFINITY;
}

void bench_bound(const struct bench_shape *shape, const struct bench_load *load, struct bench_bound *ret_bound)
{
	struct bench_bound bound = {0};
	double n = (double)load->jobs, concurrency = (double)shape->concurrency;
	struct uniform u = uniform_of(load);
	switch (shape->law) {
	case BENCH_LAW_LIMIT:
		concurrency = concurrency < n ? concurrency : n;
		bound.steady = per_second(concurrency, u.mean);
		bound.seconds = limit_seconds(load, concurrency);
		break;
	case BENCH_LAW_BATCHES:
		concurrency = concurrency < n ? concurrency : n;
		bound.steady = per_second(concurrency, bench_slowest_of(load, (uint64_t)concurrency));
		bound.seconds = batches_seconds(load, shape->concurrency);
		break;
	case BENCH_LAW_RATE:
		bound.steady = fmin(shape->per_sec, per_second(concurrency, u.mean));
		bound.seconds = bound.steady < shape->per_sec
					? limit_seconds(load, concurrency)
					: (n - 1) / shape->per_sec + rate_tail(load, shape->per_sec);
		break;
	case BENCH_LAW_ONCE:
		concurrency = n;
		bound.seconds = bench_slowest_of(load, load->jobs);
		bound.steady = per_second(n, bound.seconds);
		break;
	}
	bound.minimum = per_second(concurrency, u.low);
	if (shape->law == BENCH_LAW_RATE)
		bound.minimum = fmin(bound.minimum, shape->per_sec);
	bound.whole = per_second(n, bound.seconds);
	*ret_bound = bound;
}

const char *bench_verdict_name(enum bench_verdict verdict)
{
	static const char *const names[] = {
		[BENCH_NOT_PUBLISHED] = "-",
		[BENCH_CONSISTENT] = "consistent",
		[BENCH_IMPOSSIBLE_IN_RANGE] = "impossible in the stated range",
		[BENCH_IMPOSSIBLE] = "impossible under any distribution",
	};
	return names[verdict];
}

/* A batch waits for its slowest, and in all but a few batches one of them is at the p95 or beyond it. */
static double batches_by_p95(const struct bench_shape *shape, const struct bench_load *load, weir_nsec p95)
{
	double none = pow(0.95, (double)shape->concurrency);
	return per_second((double)shape->concurrency, (1 - none) * seconds_of(p95) + none * seconds_of(load->low));
}

static void say_impossible(const struct bench_shape *shape, const struct bench_load *load, weir_nsec p95,
			   struct bench_judgement *judgement)
{
	char *text = judgement->because, low[32], slow[32], many[32], limit[32];
	size_t room = sizeof judgement->because;
	bench_text_time(load->low, low);
	bench_text_count(shape->law == BENCH_LAW_ONCE ? (double)load->jobs : (double)shape->concurrency, many);
	bench_text_count(judgement->limit, limit);
	if (shape->law == BENCH_LAW_RATE && judgement->limit >= shape->per_sec)
		snprintf(text, room, "its own setting allows %s starts a second", limit);
	else if (p95)
		snprintf(text, room, "a batch of %s waits for its slowest, and its own p95 is %s: at most %s/s", many,
			 bench_text_time(p95, slow), limit);
	else
		snprintf(text, room, "%s in flight, none done in less than %s: at most %s/s", many, low, limit);
}

static void say_range(const struct bench_load *load, struct bench_judgement *judgement)
{
	char range[64], limit[32];
	snprintf(judgement->because, sizeof judgement->because, "latency %s%s: at most %s/s",
		 load->low < load->high ? "uniform from " : "", bench_text_range(load->low, load->high, range),
		 bench_text_count(judgement->limit, limit));
}

void bench_judge(const struct bench_shape *shape, const struct bench_load *load, double per_sec, weir_nsec p95,
		 struct bench_judgement *ret_judgement)
{
	struct bench_judgement judgement = {0};
	struct bench_bound bound;
	bench_bound(shape, load, &bound);
	bool by_p95 = shape->law == BENCH_LAW_BATCHES && p95 &&
		      batches_by_p95(shape, load, p95) < fmin(bound.minimum, per_sec);
	judgement.limit = by_p95 ? batches_by_p95(shape, load, p95) : bound.minimum;
	if (per_sec <= 0) {
		judgement.limit = bound.steady;
	} else if (per_sec > judgement.limit) {
		judgement.verdict = BENCH_IMPOSSIBLE;
		say_impossible(shape, load, by_p95 ? p95 : 0, &judgement);
	} else {
		judgement.limit = bound.steady;
		judgement.verdict = per_sec > bound.steady ? BENCH_IMPOSSIBLE_IN_RANGE : BENCH_CONSISTENT;
		say_range(load, &judgement);
	}
	*ret_judgement = judgement;
}
