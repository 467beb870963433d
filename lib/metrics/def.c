/* SPDX-License-Identifier: MIT */
/* What a declaration of a metric must be like: well formed, and no two alike once they are exposed. */
#include "metrics/metrics.h"

#include <string.h>

static bool is_name(const char *name, bool colons)
{
	for (const char *at = name; *at; at++) {
		bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_';
		if (!letter && !(colons && *at == ':') && !(at > name && *at >= '0' && *at <= '9'))
			return false;
	}
	return *name;
}

static bool ends_in(const char *name, size_t n, const char *end)
{
	size_t m = strlen(end);
	return n > m && !memcmp(name + n - m, end, m);
}

/* Without the ending that says what kind it is. */
static size_t base_length(const struct weir_metric_def *def)
{
	size_t n = strlen(def->name);
	return def->kind == WEIR_COUNTER ? n - strlen("_total") : n;
}

unsigned weir__metric_labels(const struct weir_metric_def *def)
{
	unsigned n = 0;
	while (n < WEIR_LABELS_MOST && def->labels[n])
		n++;
	return n;
}

static bool is_well_formed(const struct weir_metric_def *def)
{
	if (!def->name || !def->help || !is_name(def->name, true) || (unsigned)def->kind > WEIR_HISTOGRAM)
		return false;
	if (def->kind == WEIR_COUNTER && !ends_in(def->name, strlen(def->name), "_total"))
		return false;
	for (unsigned i = 0; i < weir__metric_labels(def); i++) {
		const char *label = def->labels[i];
		if (!is_name(label, false) || !strncmp(label, "__", 2) || !strcmp(label, "le"))
			return false;
		for (unsigned j = 0; j < i; j++)
			if (!strcmp(label, def->labels[j]))
				return false;
	}
	return true;
}

/* Whether `name` is one of the names that a histogram has beside its own. */
static bool is_part_of(const char *name, size_t n, const struct weir_metric_def *histogram)
{
	static const char *const parts[] = {"_bucket", "_count", "_sum"};
	size_t m = strlen(histogram->name);
	if (histogram->kind != WEIR_HISTOGRAM || n <= m || memcmp(name, histogram->name, m) != 0)
		return false;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if (n - m == strlen(parts[i]) && !memcmp(name + m, parts[i], n - m))
			return true;
	return false;
}

static bool clash(const struct weir_metric_def *a, const struct weir_metric_def *b)
{
	size_t n = base_length(a), m = base_length(b);
	return (n == m && !memcmp(a->name, b->name, n)) || is_part_of(a->name, n, b) || is_part_of(b->name, m, a);
}

int weir__metric_def_check(const struct weir_metrics *metrics, const struct weir_metric_def *def)
{
	if (!is_well_formed(def))
		return WEIR_EINVAL;
	if (clash(def, &weir__overflow_def))
		return WEIR_EBUSY;
	for (const struct weir_metric *other = TAILQ_FIRST(&metrics->metrics); other; other = TAILQ_NEXT(other, others))
		if (clash(def, other->def))
			return WEIR_EBUSY;
	return 0;
}
