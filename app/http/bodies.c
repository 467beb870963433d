/* SPDX-License-Identifier: MIT */
/*
 * What the keys say of bodies: what is sent (body, json, form, multipart), and where an answer goes (save).
 *
 * A body counts as JSON unless the header Content-Type says otherwise.  Then values are put in as JSON has them, so a
 * body with holes that would be no JSON is refused: it is meant as something else.
 */
#include "http/config.h"
#include "http/place.h"

#define BODY_MOST ((uint64_t)1 << 30)

const struct template *step_http_json(const struct step_http_config *config)
{
	return config->json.template ? config->json.template : config->form.template;
}

const struct template *step_http_body(const struct step_http_config *config)
{
	return step_http_json(config) ? step_http_json(config) : config->body;
}

const char *step_http_program(const struct step_http_config *config)
{
	return config->json.program ? config->json.program : config->form.program;
}

bool step_http_has_body(const struct step_http_config *config)
{
	return step_http_body(config) || step_http_program(config) || config->multipart.n;
}

bool step_http_some_template(const struct step_http_config *config, bool (*is_so)(const struct template *template))
{
	const struct step_http_part *parts = config->multipart.elements;
	const struct template *const some[] = {config->url, step_http_body(config), config->save.path.template};
	bool found = false;
	for (size_t i = 0; i < sizeof some / sizeof *some; i++)
		found = found || (some[i] && is_so(some[i]));
	for (size_t i = 0; i < config->headers.n; i++)
		found = found || is_so(config->headers.headers[i].value);
	for (size_t i = 0; i < config->multipart.n; i++) {
		const struct template *const its[] = {parts[i].value, parts[i].file.template, parts[i].filename,
						      parts[i].type};
		for (size_t k = 0; k < sizeof its / sizeof *its; k++)
			found = found || (its[k] && is_so(its[k]));
	}
	return found;
}

/* There is one body. */
static int check_one_body(const struct step_http_config *config, const char **ret_key, struct weir_error *err)
{
	const struct {
		const char *key;
		bool is_set;
	} bodies[] = {{"body", config->body},
		      {"json", config->json.template || config->json.program},
		      {"form", step_http_has_form(config)},
		      {"multipart", config->multipart.n}};
	const char *first = NULL;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		*ret_key = bodies[i].key;
		if (bodies[i].is_set && first)
			return weir_error_set(err, WEIR_EINVAL, "%s beside %s; expected one of them", bodies[i].key,
					      first);
		first = bodies[i].is_set ? bodies[i].key : first;
	}
	return 0;
}

static int check_part(const struct step_http_part *part, size_t number, struct weir_error *err)
{
	struct weir_error why = {0};
	if (!part->value == !part->file.template)
		return weir_error_set(err, WEIR_EINVAL, "multipart: part %zu has %s; expected one of value and file",
				      number, part->file.template ? "value and file" : "neither value nor file");
	if (part->filename && !part->file.template)
		return weir_error_set(err, WEIR_EINVAL, "multipart: part %zu has a filename and no file", number);
	if (part->file.template && http_place_check(part->file.template, &why) < 0)
		return weir_error_set(err, WEIR_EINVAL, "multipart: part %zu: %s", number, why.text);
	return 0;
}

/* A form is sent by a method that has a body; and what does not go together with parts. */
static int check_form(const struct step_http_config *config, const char **ret_key, struct weir_error *err)
{
	const struct step_http_part *parts = config->multipart.elements;
	*ret_key = config->multipart.n ? "multipart" : "form";
	if (!config->multipart.n && !step_http_has_form(config))
		return 0;
	if (config->method == STEP_HTTP_GET || config->method == STEP_HTTP_HEAD)
		return weir_error_set(err, WEIR_EINVAL, "%s needs a method with a body; set method: POST", *ret_key);
	for (size_t i = 0; i < config->multipart.n; i++)
		if (check_part(&parts[i], i + 1, err) < 0)
			return WEIR_EINVAL;
	if (config->multipart.n && step_http_content_type(config))
		return weir_error_set(
			err, WEIR_EINVAL,
			"multipart sets the header Content-Type itself, for it has the boundary; remove it");
	if (config->multipart.n && config->compress_body)
		return weir_error_set(err, WEIR_EINVAL,
				      "compress_body beside multipart, whose files are sent as they are; remove "
				      "compress_body");
	if (config->multipart.n && config->aws.service)
		return weir_error_set(
			err, WEIR_EINVAL,
			"multipart beside auth.aws, which signs a body that is in memory; expected one of "
			"them");
	return 0;
}

static int check_body(const struct step_http_config *config, const char **ret_key, struct weir_error *err)
{
	struct weir_error why = {0};
	struct buf sample = {0};
	struct json *json = NULL;
	if (check_one_body(config, ret_key, err) < 0)
		return WEIR_EINVAL;
	*ret_key = "form";
	if (config->form.template && template_text(config->form.template)[0] != '{')
		return weir_error_set(err, WEIR_EINVAL, "form is a list, expected a map of names to values");
	if (!config->body || template_is_constant(config->body) || step_http_content_type(config))
		return 0;
	int error = template_sample_json(config->body, &sample);
	if (error == 0)
		error = json_parse(sample.data, sample.len, &json, &why);
	json_free(json);
	buf_fini(&sample);
	if (error == WEIR_ENOMEM)
		return weir_error_set(err, error, "out of memory");
	*ret_key = "body";
	return error ? weir_error_set(err, WEIR_EINVAL,
				      "body is not JSON once its ${...} are filled in (%s); correct it, or set the "
				      "header Content-Type, such as text/plain",
				      why.text)
		     : 0;
}

static int check_save(const struct step_http_config *config, const char **ret_key, struct weir_error *err)
{
	struct weir_error why = {0};
	*ret_key = "max_body";
	if (!config->save.path.template)
		return config->max_body > BODY_MOST
			       ? weir_error_set(err, WEIR_EINVAL,
						"max_body is over 1GiB, and the answer is kept in memory; set save, "
						"which writes it to a file")
			       : 0;
	*ret_key = "save";
	if (config->method == STEP_HTTP_HEAD)
		return weir_error_set(err, WEIR_EINVAL, "save beside method: HEAD; its answer has no body to save");
	if (config->poll_every)
		return weir_error_set(err, WEIR_EINVAL,
				      "save beside poll; save in a further http step, with the URL that the job gives");
	if (config->expect != STEP_HTTP_JSON) /* the default */
		return weir_error_set(err, WEIR_EINVAL,
				      "expect beside save, which saves bodies of any type; remove expect");
	int error = http_place_check(config->save.path.template, &why);
	return error ? weir_error_set(err, error, "cannot save to %.100s: %s",
				      template_text(config->save.path.template), why.text)
		     : 0;
}

int step_http_check_bodies(const struct step_http_config *config, const char **ret_key, struct weir_error *err)
{
	int error = check_body(config, ret_key, err);
	if (error == 0)
		error = check_form(config, ret_key, err);
	return error ? error : check_save(config, ret_key, err);
}
