/* SPDX-License-Identifier: MIT */
/*
 * See report.h.  The rate is an average that forgets with a time constant of RATE_TIME, over items and seconds alike,
 * so that the line neither jumps nor lags, and the first look is not taken for more than it is.
 */
#include "cmd/report.h"

#include "spec/units.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <weir/weir.h>

#define RATE_TIME 2.0 /* seconds */

static uint64_t settled(const struct engine_stats *stats)
{
	return stats->succeeded + stats->dead + stats->dropped;
}

void report_look(struct report *report)
{
	weir_nsec now = weir_now();
	double seconds = (double)(now - report->looked_at) / (double)WEIR_SEC;
	engine_stats(report->engine, &report->now);
	engine_flow(report->engine, &report->flow);
	if (!report->looked_at)
		report->settled = report->now.settled_before;
	if (report->looked_at && seconds > 0) {
		double keep = exp(-seconds / RATE_TIME);
		report->decayed_items =
			report->decayed_items * keep + (double)(settled(&report->now) - report->settled);
		report->decayed_seconds = report->decayed_seconds * keep + seconds;
		report->rate = report->decayed_items / report->decayed_seconds;
	}
	report->looked_at = now;
	report->settled = settled(&report->now);
}

double report_wall_seconds(void)
{
	char text[1024];
	unsigned long long ticks = 0;
	struct timespec now;
	FILE *file = fopen("/proc/self/stat", "re");
	size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
	if (file)
		fclose(file);
	text[n] = 0;
	/* The 20th field after the name, which is in parentheses and may hold anything. */
	const char *at = strrchr(text, ')');
	if (!at || sscanf(at + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
			  &ticks) != 1)
		return 0;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9 - (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

const char *report_number(uint64_t n, char text[32])
{
	char digits[24];
	int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), out = 0;
	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			text[out++] = ',';
		text[out++] = digits[i];
	}
	text[out] = 0;
	return text;
}

const char *report_seconds(double seconds, char text[32])
{
	long long whole = (long long)(seconds + 0.5);
	if (seconds < 9.95)
		snprintf(text, 32, "%.1f s", seconds);
	else if (whole < 60)
		snprintf(text, 32, "%lld s", whole);
	else if (whole < 3600)
		snprintf(text, 32, "%lld m %02lld s", whole / 60, whole % 60);
	else
		snprintf(text, 32, "%lld h %02lld m", whole / 3600, whole / 60 % 60);
	return text;
}

static double in_seconds(weir_nsec ns)
{
	return (double)ns / (double)WEIR_SEC;
}

static bool stands_still(const struct engine_flow *flow)
{
	return flow->why == WHY_PAUSED || flow->why == WHY_BREAKER || flow->why == WHY_SHUT;
}

/* -1: nobody knows. */
static double eta_seconds(const struct report *report)
{
	const struct engine_stats *now = &report->now;
	int64_t left = now->total - (int64_t)settled(now);
	if (now->total < 0 || report->rate <= 0 || left < 0)
		return -1;
	if (now->state == ENGINE_RUNNING && stands_still(&report->flow))
		return -1;
	return (double)left / report->rate;
}

/* What to do about dead letters, and about what is unfinished. */
static void add_advice(const struct report *report, struct buf *out)
{
	const struct engine_stats *now = &report->now;
	bool is_one = now->letters == 1;
	char a[32];
	if (now->letters)
		buf_addf(out,
			 "  %s dead letter%s: weir dead ls %s shows %s, weir dead replay %s sends %s round again\n",
			 report_number(now->letters, a), is_one ? "" : "s", report->where, is_one ? "it" : "them",
			 report->where, is_one ? "it" : "them");
	else if (now->dead && report->dead_letters)
		buf_addf(out, "  dead letters are in %s\n", report->dead_letters);
	if (now->reason)
		buf_addf(out, "  ended early: %s\n", now->reason);
	if (now->durable && now->state != ENGINE_DONE)
		buf_add_str(out, "  the same command goes on from here\n");
}

static const char *const rates_from[] = {"", "yours", "told by the server", "found"};

/* Where nothing holds them back the number is only what the system allows. */
static const char *how_many(const struct engine_flow *flow, char text[32])
{
	bool all =
		flow->pattern == WEIR_PATTERN_NAIVE || (flow->adaptive && flow->choice_pattern == WEIR_PATTERN_NAIVE);
	return all ? "all" : report_number(flow->concurrency, text);
}

/* "at most 500/s (yours)", "34 at once (auto)", and what holds it back. */
static int add_flow_parts(const struct report *report, char parts[][64])
{
	const struct engine_flow *flow = &report->flow;
	int n = 0;
	char a[32];
	if (report->now.state != ENGINE_RUNNING)
		return 0;
	snprintf(parts[n++], 64, "%s at once%s", how_many(flow, a), flow->adaptive ? " (auto)" : "");
	/* One that was found and does not matter now is only being felt for. */
	if (flow->rate_from != RATE_NONE && (flow->rate_from != RATE_FOUND || flow->why == WHY_RATE_FOUND))
		snprintf(parts[n++], 64, "at most %.*f/s (%s)", flow->per_sec < 10 ? 1 : 0, flow->per_sec,
			 rates_from[flow->rate_from]);
	if (flow->throttled)
		snprintf(parts[n++], 64, "%s x 429", report_number(flow->throttled, a));
	return n;
}

/* In the place of the time that is left, which nobody knows then. */
static void add_still(const struct engine_flow *flow, char part[64])
{
	char a[32];
	if (flow->why == WHY_SHUT && flow->shut_until > weir_now())
		snprintf(part, 64, "told to come back in %s",
			 report_seconds(in_seconds(flow->shut_until - weir_now()), a));
	else
		snprintf(part, 64, "%s", engine_why_name(flow->why));
}

/* Parts in order of importance; what does not fit the terminal is left out. */
void report_line(const struct report *report, size_t columns, struct buf *out)
{
	const struct engine_stats *now = &report->now;
	char parts[12][64], a[32], b[32];
	int n = 0;
	double eta = eta_seconds(report);
	if (now->total >= 0)
		snprintf(parts[n++], 64, "%s/%s%s", report_number(settled(now), a), now->total_exact ? "" : "~",
			 report_number((uint64_t)now->total, b));
	else
		snprintf(parts[n++], 64, "%s done", report_number(settled(now), a));
	snprintf(parts[n++], 64, "%s/s", report_number((uint64_t)(report->rate + 0.5), a));
	if (now->state == ENGINE_DRAINING)
		snprintf(parts[n++], 64, "stopping");
	else if (now->degraded)
		snprintf(parts[n++], 64, "disk full, waiting for room");
	else if (now->state == ENGINE_RUNNING && stands_still(&report->flow))
		add_still(&report->flow, parts[n++]);
	else if (eta >= 0)
		snprintf(parts[n++], 64, "ETA %s", report_seconds(eta, a));
	snprintf(parts[n++], 64, "%s failed", report_number(now->dead, a));
	snprintf(parts[n++], 64, "%s retries", report_number(now->retries, a));
	snprintf(parts[n++], 64, "%s in flight", report_number(now->in_flight, a));
	if (now->waiting + now->in_line)
		snprintf(parts[n++], 64, "%s waiting", report_number(now->waiting + now->in_line, a));
	n += add_flow_parts(report, parts + n);
	size_t begin = out->len;
	buf_addf(out, "%.24s", report->name);
	for (int i = 0; i < n; i++)
		if (out->len - begin + 2 + strlen(parts[i]) < columns)
			buf_addf(out, "  %s", parts[i]);
}

static void add_counts(const struct engine_stats *now, struct buf *out)
{
	buf_addf(out, "\"read\":%llu,\"succeeded\":%llu,\"dead\":%llu,\"dropped\":%llu,\"unfinished\":%llu,",
		 (unsigned long long)now->read, (unsigned long long)now->succeeded, (unsigned long long)now->dead,
		 (unsigned long long)now->dropped, (unsigned long long)now->unfinished);
	buf_addf(out, "\"retries\":%llu,\"attempts\":%llu,\"refused\":%llu", (unsigned long long)now->retries,
		 (unsigned long long)now->attempts, (unsigned long long)now->refused);
}

/* So many in a time, as it is written in a config. */
static void add_rate(const struct key_rate *rate, struct buf *out)
{
	char period[32];
	spec_duration_write(rate->period, period);
	bool is_one = period[0] == '1' && (period[1] < '0' || period[1] > '9') && period[1] != '.';
	buf_addf(out, "\"%llu/%s\"", (unsigned long long)rate->count, period + is_one);
}

static double ms(int64_t ns)
{
	return (double)ns / (double)WEIR_MSEC;
}

/* Those that are to begin in time. */
static void add_classes(const struct engine_stats *now, struct buf *out)
{
	for (size_t i = 0; i < now->class_count; i++) {
		const struct engine_class *class = &now->classes[i];
		buf_addf(out, "%s{\"class\":%lld,\"sla_s\":%.3f,\"begun\":%llu,\"late\":%llu",
			 i ? "," : ",\"classes\":[", (long long)class->number, in_seconds(class->sla),
			 (unsigned long long)weir_histogram_count(class->waits), (unsigned long long)class->late);
		buf_addf(out, ",\"wait_p50_ms\":%.3f,\"wait_p99_ms\":%.3f,\"wait_max_ms\":%.3f}%s",
			 ms(weir_histogram_quantile(class->waits, 0.5)),
			 ms(weir_histogram_quantile(class->waits, 0.99)), ms(weir_histogram_max(class->waits)),
			 i + 1 == now->class_count ? "]" : "");
	}
}

/* A JSON object: how fast it goes, and why. */
static void add_flow(const struct report *report, struct buf *out)
{
	static const char *const from[] = {"none", "yours", "told", "found"};
	const struct engine_flow *flow = &report->flow;
	buf_addf(out, "{\"pattern\":\"%s\",\"concurrency\":%zu,\"auto\":%s,\"paused\":%s",
		 weir_pattern_name((enum weir_pattern)flow->pattern), flow->concurrency,
		 flow->adaptive ? "true" : "false", flow->paused ? "true" : "false");
	buf_addf(out, ",\"rate\":%.3f,\"rate_from\":\"%s\",\"own_rate\":", flow->per_sec, from[flow->rate_from]);
	if (flow->own_rate.count)
		add_rate(&flow->own_rate, out);
	else
		buf_add_str(out, "null");
	buf_addf(out, ",\"throttled\":%llu,\"breaker\":\"%s\",\"breaker_opened\":%llu,\"breakers_open\":%zu",
		 (unsigned long long)flow->throttled, weir_breaker_state_name(flow->breaker),
		 (unsigned long long)flow->breaker_opened, flow->breakers_open);
	buf_addf(out, ",\"why\":\"%s\",\"mostly\":\"%s\",\"upstreams\":%zu,\"upstream\":", engine_why_name(flow->why),
		 engine_why_name(flow->mostly), flow->gates);
	buf_add_json_str(out, flow->upstream, strlen(flow->upstream));
	if (flow->shut_until > weir_now())
		buf_addf(out, ",\"shut_s\":%.1f", in_seconds(flow->shut_until - weir_now()));
	if (flow->last_failure[0]) {
		buf_add_str(out, ",\"last_failure\":");
		buf_add_json_str(out, flow->last_failure, strlen(flow->last_failure));
	}
	if (flow->floor)
		buf_addf(out, ",\"floor_ms\":%.3f", (double)flow->floor / (double)WEIR_MSEC);
	if (flow->memory_bytes)
		buf_addf(out, ",\"memory_bytes\":%llu", (unsigned long long)flow->memory_bytes);
	buf_add_str(out, ",\"choice\":");
	if (flow->chosen)
		buf_add_json_str(out, flow->choice, strlen(flow->choice));
	else
		buf_add_str(out, "null");
	add_classes(&report->now, out);
	buf_add_char(out, '}');
}

void report_json(const struct report *report, const char *event, struct buf *out)
{
	const struct engine_stats *now = &report->now;
	double eta = eta_seconds(report);
	buf_addf(out, "{\"event\":\"%s\",\"name\":", event);
	buf_add_json_str(out, report->name, strlen(report->name));
	buf_addf(out, ",\"pid\":%ld,\"state\":\"%s\",", (long)getpid(), engine_state_name(now->state));
	add_counts(now, out);
	buf_addf(out, ",\"in_flight\":%llu,\"in_line\":%llu,\"waiting\":%llu,\"concurrency\":%zu",
		 (unsigned long long)now->in_flight, (unsigned long long)now->in_line, (unsigned long long)now->waiting,
		 now->concurrency);
	buf_addf(out, ",\"per_s\":%.1f,\"wall_s\":%.2f", report->rate, report_wall_seconds());
	buf_addf(out, ",\"source_stalled_s\":%.3f,\"workers_stalled_s\":%.3f", in_seconds(now->source_stalled),
		 in_seconds(now->workers_stalled));
	if (now->durable)
		buf_addf(out, ",\"letters\":%llu,\"stored_bytes\":%llu,\"degraded\":%s,\"resumed\":%s",
			 (unsigned long long)now->letters, (unsigned long long)now->stored_bytes,
			 now->degraded ? "true" : "false", now->resumed ? "true" : "false");
	if (now->total >= 0)
		buf_addf(out, ",\"total\":%lld,\"total_exact\":%s", (long long)now->total,
			 now->total_exact ? "true" : "false");
	if (eta >= 0)
		buf_addf(out, ",\"eta_s\":%.1f", eta);
	buf_add_str(out, ",\"flow\":");
	add_flow(report, out);
	struct buf figures = {0};
	engine_figures(report->engine, &figures);
	if (figures.len && !figures.failed)
		buf_addf(out, ",%s", figures.data);
	buf_fini(&figures);
	if (now->reason) {
		buf_add_str(out, ",\"reason\":");
		buf_add_json_str(out, now->reason, strlen(now->reason));
	}
	if (now->letters && report->where)
		buf_addf(out, ",\"hint\":\"weir dead ls %s\"", report->where);
	buf_add_char(out, '}');
}

static void add_class_words(const struct engine_stats *now, struct buf *out)
{
	char a[32], b[32], sla[32], wait[32];
	for (size_t i = 0; i < now->class_count; i++) {
		const struct engine_class *class = &now->classes[i];
		spec_duration_write(class->sla, sla);
		buf_addf(out, "  class %lld: %s of %s began later than %s; the longest wait was %s\n",
			 (long long)class->number, report_number(class->late, a),
			 report_number(weir_histogram_count(class->waits), b), sla,
			 report_seconds(in_seconds(weir_histogram_max(class->waits)), wait));
	}
}

/* How fast it went, and what kept it from going faster. */
static void add_flow_words(const struct report *report, struct buf *out)
{
	const struct engine_flow *flow = &report->flow;
	char a[32];
	buf_addf(out, "  %s at once%s", how_many(flow, a), flow->adaptive ? " (found)" : "");
	if (flow->rate_from != RATE_NONE && (flow->rate_from != RATE_FOUND || flow->mostly == WHY_RATE_FOUND))
		buf_addf(out, ", at most %.*f/s (%s)", flow->per_sec < 10 ? 1 : 0, flow->per_sec,
			 rates_from[flow->rate_from]);
	if (flow->throttled)
		buf_addf(out, ", %s times told to come later (429)", report_number(flow->throttled, a));
	if (flow->breaker_opened)
		buf_addf(out, ", the breaker opened %s time%s", report_number(flow->breaker_opened, a),
			 flow->breaker_opened == 1 ? "" : "s");
	if (flow->mostly != WHY_END)
		buf_addf(out, "\n  most of the time held back by: %s", engine_why_name(flow->mostly));
	buf_add_char(out, '\n');
	if (flow->chosen)
		buf_addf(out, "  auto: %s\n", flow->choice);
}

void report_closing(const struct report *report, struct buf *out)
{
	const struct engine_stats *now = &report->now;
	char a[32], b[32], c[32], d[32];
	double wall = report_wall_seconds();
	uint64_t here = settled(now) - now->settled_before;
	if (now->was_done) {
		buf_addf(out, "%.24s: was done already, nothing was run; --fresh begins anew\n", report->name);
	} else {
		buf_addf(out, "%.24s: %s in %s, %s items, %s/s\n", report->name, engine_state_name(now->state),
			 report_seconds(wall, a), report_number(here, b),
			 report_number((uint64_t)(wall > 0 ? (double)here / wall : 0), c));
	}
	buf_addf(out, "  %s%s succeeded, %s dead, %s dropped, %s unfinished\n", now->resumed ? "in all " : "",
		 report_number(now->succeeded, a), report_number(now->dead, b), report_number(now->dropped, c),
		 report_number(now->unfinished, d));
	if (now->was_done)
		return;
	buf_addf(out, "  %s attempts, %s retries", report_number(now->attempts, a), report_number(now->retries, b));
	if (weir_histogram_count(now->attempt_ns))
		buf_addf(out, "; an attempt took %.1f ms (p50), %.1f (p99)",
			 ms(weir_histogram_quantile(now->attempt_ns, 0.5)),
			 ms(weir_histogram_quantile(now->attempt_ns, 0.99)));
	buf_add_char(out, '\n');
	add_flow_words(report, out);
	add_class_words(now, out);
	add_advice(report, out);
}

static void add_quantiles(struct buf *out, const char *name, const struct weir_histogram *histogram)
{
	buf_addf(out, "  \"%s\": { \"p50\": %.3f, \"p95\": %.3f, \"p99\": %.3f, \"max\": %.3f },\n", name,
		 ms(weir_histogram_quantile(histogram, 0.5)), ms(weir_histogram_quantile(histogram, 0.95)),
		 ms(weir_histogram_quantile(histogram, 0.99)), ms(weir_histogram_max(histogram)));
}

static double cpu_seconds(const struct rusage *usage)
{
	return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
	       (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1e-6;
}

void report_summary(const struct report *report, int exit_code, struct buf *out)
{
	const struct engine_stats *now = &report->now;
	struct rusage self, children;
	double wall = report_wall_seconds();
	getrusage(RUSAGE_SELF, &self);
	getrusage(RUSAGE_CHILDREN, &children);
	buf_addf(out, "{\n  \"schema\": 1,\n  \"name\": ");
	buf_add_json_str(out, report->name, strlen(report->name));
	buf_addf(out, ",\n  \"state\": \"%s\",\n  \"exit_code\": %d,\n", engine_state_name(now->state), exit_code);
	buf_add_str(out, "  \"reason\": ");
	if (now->reason)
		buf_add_json_str(out, now->reason, strlen(now->reason));
	else
		buf_add_str(out, "null");
	buf_addf(out, ",\n  \"read\": %llu,\n  \"succeeded\": %llu,\n  \"dead\": %llu,\n  \"dropped\": %llu,\n",
		 (unsigned long long)now->read, (unsigned long long)now->succeeded, (unsigned long long)now->dead,
		 (unsigned long long)now->dropped);
	buf_addf(out, "  \"unfinished\": %llu,\n  \"retries\": %llu,\n  \"attempts\": %llu,\n  \"refused\": %llu,\n",
		 (unsigned long long)now->unfinished, (unsigned long long)now->retries,
		 (unsigned long long)now->attempts, (unsigned long long)now->refused);
	buf_addf(out, "  \"wall_s\": %.3f,\n  \"items_per_s\": %.1f,\n", wall,
		 wall > 0 ? (double)(settled(now) - now->settled_before) / wall : 0.0);
	buf_addf(out, "  \"resumed\": %s,\n  \"was_done\": %s,\n  \"settled_before\": %llu,\n",
		 now->resumed ? "true" : "false", now->was_done ? "true" : "false",
		 (unsigned long long)now->settled_before);
	buf_addf(out, "  \"letters\": %llu,\n  \"flow\": ", (unsigned long long)now->letters);
	add_flow(report, out);
	buf_add_str(out, ",\n");
	buf_addf(out, "  \"source_stalled_s\": %.3f,\n  \"workers_stalled_s\": %.3f,\n",
		 in_seconds(now->source_stalled), in_seconds(now->workers_stalled));
	add_quantiles(out, "attempt_ms", now->attempt_ns);
	add_quantiles(out, "item_ms", now->item_ns);
	/* Of the children the largest one's peak: the system keeps no more of those that have ended. */
	buf_addf(out, "  \"peak_rss_bytes\": %lld,\n  \"cpu_s\": %.3f\n}\n",
		 ((long long)self.ru_maxrss + children.ru_maxrss) * 1024, cpu_seconds(&self) + cpu_seconds(&children));
}
