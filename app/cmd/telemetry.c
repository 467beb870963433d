/* SPDX-License-Identifier: MIT */
#include "cmd/telemetry.h"

#include "data/template.h"
#include "data/units.h"
#include "spec/meaning.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <weir/weir.h>

struct telemetry {
	const struct plan_otlp *config;
	struct otlp_settings settings;
	struct tracer *tracer;
	struct exporter *exporter;
	char *table;   /* of the sink; NULL: it has none */
	weir_nsec due; /* when the metrics are sent next */
};

static int make_instance(char text[33], uint64_t *ret_seed)
{
	uint64_t random[3];
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return WEIR_EIO;
	snprintf(text, 33, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
	*ret_seed = random[2];
	return 0;
}

/* Each is to be freed; the texts of templates without a hole. */
static char **header_lines(const struct key_headers *headers)
{
	char **lines = calloc(headers->n + 1, sizeof *lines);
	for (size_t i = 0; lines && i < headers->n; i++)
		if (asprintf(&lines[i], "%s: %s", headers->headers[i].name, template_text(headers->headers[i].value)) <
		    0)
			lines[i] = NULL;
	return lines;
}

static int read_settings(struct telemetry *telemetry, const struct plan *plan, const char *instance,
			 struct weir_error *err)
{
	const struct plan_otlp *config = telemetry->config;
	char host[256] = "";
	char **lines = header_lines(&config->headers);
	if (!lines)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	gethostname(host, sizeof host - 1);
	const struct otlp_wish wish = {
		.url = config->url,
		.headers = (const char *const *)lines,
		.header_count = config->headers.n,
		.pipeline = plan->settings.name,
		.instance = instance,
		.host = host[0] ? host : NULL,
		.endpoint = getenv("OTEL_EXPORTER_OTLP_ENDPOINT"),
		.header_list = getenv("OTEL_EXPORTER_OTLP_HEADERS"),
		.service = getenv("OTEL_SERVICE_NAME"),
		.attributes = getenv("OTEL_RESOURCE_ATTRIBUTES"),
	};
	int code = otlp_settings_init(&telemetry->settings, &wish, err);
	for (size_t i = 0; i < config->headers.n; i++)
		free(lines[i]);
	free(lines);
	return code;
}

static int make_parts(struct telemetry *telemetry, const struct plan *plan, uint64_t seed, struct weir_error *err)
{
	telemetry->table = spec_meaning_value(plan->meaning, "sink.table");
	const struct exporter_options opts = {
		.settings = &telemetry->settings,
		.is_packed = telemetry->config->compression == COMPRESSION_GZIP,
		.ca_file = getenv("SSL_CERT_FILE"),
		.names = {.resource = telemetry->settings.resource.data,
			  .pipeline = plan->settings.name,
			  .broker = plan->broker.adapter->name,
			  .table = telemetry->table},
	};
	int code = exporter_new(&opts, &telemetry->exporter);
	if (!code)
		code = tracer_new(&(struct tracer_options){.ratio = telemetry->config->traces,
							   .seed = seed,
							   .take = exporter_put_trace,
							   .arg = telemetry->exporter},
				  &telemetry->tracer);
	return code ? weir_error_set(err, code, "%s", weir_strerror(code)) : 0;
}

int telemetry_new(const struct plan *plan, struct telemetry **ret_telemetry, struct weir_error *err)
{
	char instance[33];
	uint64_t seed;
	*ret_telemetry = NULL;
	if (plan->settings.observe_off || plan->settings.otlp.off)
		return 0;
	struct telemetry *telemetry = calloc(1, sizeof *telemetry);
	int code = telemetry ? make_instance(instance, &seed) : WEIR_ENOMEM;
	if (code) {
		free(telemetry);
		return weir_error_set(err, code, "%s", weir_strerror(code));
	}
	telemetry->config = &plan->settings.otlp;
	code = read_settings(telemetry, plan, instance, err);
	if (!code && telemetry->settings.url)
		code = make_parts(telemetry, plan, seed, err);
	if (code || !telemetry->settings.url) {
		telemetry_free(telemetry);
		return code;
	}
	*ret_telemetry = telemetry;
	return 0;
}

void telemetry_free(struct telemetry *telemetry)
{
	if (!telemetry)
		return;
	tracer_free(telemetry->tracer);
	exporter_free(telemetry->exporter);
	otlp_settings_fini(&telemetry->settings);
	free(telemetry->table);
	free(telemetry);
}

struct tracer *telemetry_tracer(struct telemetry *telemetry)
{
	return telemetry ? telemetry->tracer : NULL;
}

int telemetry_start(struct telemetry *telemetry, const char *run, struct weir_error *err)
{
	int code = telemetry ? exporter_start(telemetry->exporter, run) : 0;
	return code ? weir_error_set(err, code, "%s", weir_strerror(code)) : 0;
}

void telemetry_look(struct telemetry *telemetry, const struct weir_metrics *metrics, bool is_last)
{
	if (!telemetry || !telemetry->config->metrics || (weir_now() < telemetry->due && !is_last))
		return;
	telemetry->due = weir_now() + telemetry->config->metrics;
	exporter_put_metrics(telemetry->exporter, metrics);
}

static int stop(void *exporter)
{
	exporter_stop(exporter);
	return 0;
}

void telemetry_stop(struct telemetry *telemetry)
{
	if (!telemetry)
		return;
	weir_shield_enter();
	if (weir_offload(stop, telemetry->exporter, WEIR_FOREVER))
		exporter_stop(telemetry->exporter);
	weir_shield_leave();
}

uint64_t telemetry_sent(const struct telemetry *telemetry, enum otlp_signal signal)
{
	return telemetry ? exporter_sent(telemetry->exporter, signal) : 0;
}

/* What was not recorded for want of room was lost, too: an item is a span at least. */
uint64_t telemetry_lost(const struct telemetry *telemetry, enum otlp_signal signal, enum otlp_loss loss)
{
	if (!telemetry)
		return 0;
	uint64_t lost = exporter_lost(telemetry->exporter, signal, loss);
	if (signal != OTLP_TRACES || loss != OTLP_LOST_MEMORY)
		return lost;
	struct tracer_losses unrecorded = tracer_losses(telemetry->tracer);
	return lost + unrecorded.items + unrecorded.spans;
}

void telemetry_say(const struct telemetry *telemetry, struct buf *out)
{
	uint64_t all = 0, most = 0;
	const char *reason = "";
	char number[32];
	for (int loss = 0; loss < OTLP_LOSS_KINDS; loss++) {
		uint64_t n = 0;
		for (int signal = 0; signal < OTLP_SIGNALS; signal++)
			n += telemetry_lost(telemetry, (enum otlp_signal)signal, (enum otlp_loss)loss);
		reason = n > most ? otlp_loss_name((enum otlp_loss)loss) : reason;
		most = n > most ? n : most;
		all += n;
	}
	if (all)
		buf_addf(out, "OpenTelemetry: %s spans and points were dropped, most of them: %s",
			 units_number_text(all, number), reason);
}
