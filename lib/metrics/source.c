/* SPDX-License-Identifier: MIT */
/*
 * Objects that report themselves: a family for each kind, with the sources of that kind in the order they came.
 *
 * Registering allocates only for the first of a kind, and never copies a name.  Two objects of one name would be one
 * series twice, which no reader takes: the later is a twin and gets a number behind its name.  A family whose limit is
 * reached pools further sources in one series "other".
 */
#include "metrics/metrics.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local struct weir_metrics *in_use;

void weir_metrics_use(struct weir_metrics *metrics)
{
	in_use = metrics;
}

/* A row as it is exposed. */
static int check_row(const struct weir_metrics *metrics, const struct weir_metrics_kind *kind, size_t at)
{
	struct weir_metric_def def = kind->defs[at];
	if (def.labels[0])
		return WEIR_EINVAL;
	def.labels[0] = "name";
	def.labels[1] = kind->part_label;
	return weir__metric_def_check(metrics, &def);
}

/* 0 and *ret_family, or why the kind cannot be here. */
static int family_of(struct weir_metrics *metrics, const struct weir_metrics_kind *kind,
		     struct source_family **ret_family)
{
	for (struct source_family *family = metrics->families; family; family = family->next)
		if (family->kind == kind) {
			*ret_family = family;
			return 0;
		}
	if (kind->n == 0 || kind->n > WEIR_KIND_METRICS_MOST)
		return WEIR_EINVAL;
	for (size_t i = 0; i < kind->n; i++) {
		int code = check_row(metrics, kind, i);
		if (code)
			return code;
	}
	struct source_family *family = calloc(1, sizeof *family);
	if (!family)
		return WEIR_ENOMEM;
	family->kind = kind;
	if (metrics->last_family)
		metrics->last_family->next = family;
	else
		metrics->families = family;
	metrics->last_family = family;
	*ret_family = family;
	return 0;
}

/* Whether it ends like the name of a twin. */
static bool looks_like_twin(const char *name)
{
	const char *mark = strrchr(name, '#');
	return mark && strspn(mark + 1, "0123456789") == strlen(mark + 1);
}

/* 0, or the number behind the name: one more than the highest of this name.  "other" and names that look like a twin's
 * always get one, so that no two are exposed alike. */
static unsigned twin_of(const struct source_family *family, const char *name)
{
	unsigned highest = !strcmp(name, "other") || looks_like_twin(name);
	for (const struct weir_metrics_source *source = family->first; source; source = source->next)
		if (!source->pooled && !strcmp(source->name, name))
			highest = source->twin > highest ? source->twin : highest ? highest : 1;
	return highest ? highest + 1 : 0;
}

int weir_metrics_register(struct weir_metrics *metrics, struct weir_metrics_source *source,
			  const struct weir_metrics_kind *kind, const char *name)
{
	struct source_family *family;
	if (!metrics)
		metrics = in_use;
	if (!metrics)
		return 0;
	int code = family_of(metrics, kind, &family);
	if (code)
		return code;
	unsigned limit = kind->defs[0].limit ? kind->defs[0].limit : WEIR_SERIES_LIMIT;
	bool pooled = family->own >= limit || strnlen(name, WEIR_LABEL_BYTES + 1) > WEIR_LABEL_BYTES;
	*source = (struct weir_metrics_source){
		.kind = kind, .name = name, .metrics = metrics, .prev = family->last, .pooled = pooled};
	if (pooled) {
		family->overflow++;
	} else {
		source->twin = twin_of(family, name);
		family->own++;
	}
	if (family->last)
		family->last->next = source;
	else
		family->first = source;
	family->last = source;
	return 0;
}

void weir_metrics_unregister(struct weir_metrics_source *source)
{
	struct source_family *family;
	if (!source->metrics || family_of(source->metrics, source->kind, &family))
		return;
	if (source->prev)
		source->prev->next = source->next;
	else
		family->first = source->next;
	if (source->next)
		source->next->prev = source->prev;
	else
		family->last = source->prev;
	if (!source->pooled)
		family->own--;
	source->metrics = NULL;
}

void weir__sources_fini(struct weir_metrics *metrics)
{
	struct source_family *family;
	while ((family = metrics->families)) {
		while (family->first)
			weir_metrics_unregister(family->first);
		metrics->families = family->next;
		free(family);
	}
	if (in_use == metrics)
		in_use = NULL;
}
