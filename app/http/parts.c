/* SPDX-License-Identifier: MIT */
/*
 * The parts that an item makes of the key `multipart`.
 *
 * The boundary between them comes from the name of the run, which nobody else knows, and the item: so it is the same in
 * each attempt, and nobody can write it into a value or a file.  A value that has it all the same gets another one.
 */
#include "http/exchange.h"

#include "data/units.h"
#include "http/digest.h"
#include "http/multipart.h"
#include "http/place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What an item has made of the templates of a part; unset ones are empty. */
struct filled {
	struct buf value, path, filename, type;
};

static void filled_fini(struct filled *filled)
{
	buf_fini(&filled->value);
	buf_fini(&filled->path);
	buf_fini(&filled->filename);
	buf_fini(&filled->type);
}

static int render(const struct template *template, const struct template_input *input, struct buf *out,
		  struct weir_error *err)
{
	return template ? template_render(template, input, out, err) : 0;
}

/* A header of its part: a line end would end it. */
static int check_type(const struct step_http_part *part, const struct buf *type, struct weir_error *err)
{
	for (size_t i = 0; i < type->len; i++)
		if ((unsigned char)type->data[i] < ' ' || type->data[i] == 0x7f)
			return weir_error_set(err, WEIR_EDATA, "the type of part \"%.80s\" has a control character",
					      part->name);
	return 0;
}

static int fill(const struct step_http_part *part, const struct template_input *input, struct filled *filled,
		struct weir_error *err)
{
	int error = render(part->value, input, &filled->value, err);
	if (error == 0)
		error = render(part->file.template, input, &filled->path, err);
	if (error == 0)
		error = render(part->filename, input, &filled->filename, err);
	if (error == 0 && filled->filename.len && strlen(filled->filename.data) != filled->filename.len)
		error = weir_error_set(err, WEIR_EDATA, "the filename of part \"%.80s\" has a NUL character",
				       part->name);
	if (error == 0)
		error = render(part->type, input, &filled->type, err);
	return error ? error : check_type(part, &filled->type, err);
}

static int add_part(struct http_multipart *parts, const struct step_http_part *part, const struct template_input *input,
		    const char *boundary, bool *ret_clash, struct weir_error *err)
{
	struct filled filled = {0};
	int error = fill(part, input, &filled, err);
	const char *type = filled.type.len ? filled.type.data : NULL;
	if (error == 0 && part->file.template)
		http_multipart_add_file(parts, part->name, type, part->filename ? filled.filename.data : NULL,
					filled.path.data, http_place_folder(part->file.template));
	else if (error == 0)
		http_multipart_add_text(parts, part->name, type, filled.value.data, filled.value.len);
	*ret_clash = *ret_clash ||
		     (filled.value.len && memmem(filled.value.data, filled.value.len, boundary, strlen(boundary)));
	filled_fini(&filled);
	return error;
}

static int make_boundary(const struct http_step *step, const struct step_call *call, unsigned number,
			 char boundary[HTTP_BOUNDARY_BYTES])
{
	char hash[HTTP_DIGEST_BYTES];
	struct buf text = {0};
	buf_addf(&text, "%s %zu %u ", call->run ? call->run : "", step->key_number, number);
	step_put_key(call, &text);
	int error = text.failed ? WEIR_ENOMEM : http_digest(text.data, text.len, hash);
	buf_fini(&text);
	snprintf(boundary, HTTP_BOUNDARY_BYTES, "weir-%.32s", error ? "" : hash);
	return error;
}

static int make_parts(const struct http_step *step, const struct step_call *call, const struct template_input *input,
		      struct exchange *x, struct weir_error *err)
{
	const struct key_list *list = &step->config->multipart;
	const struct step_http_part *all = list->elements;
	char boundary[HTTP_BOUNDARY_BYTES];
	bool clashes = true;
	int error = 0;
	for (unsigned number = 0; clashes && error == 0; number++) {
		clashes = false;
		http_multipart_free(x->parts);
		x->parts = NULL;
		error = make_boundary(step, call, number, boundary);
		if (error == 0)
			error = http_multipart_new(boundary, &x->parts);
		for (size_t i = 0; i < list->n && error == 0; i++)
			error = add_part(x->parts, &all[i], input, boundary, &clashes, err);
	}
	if (error == 0)
		error = http_multipart_end(x->parts, err);
	char *line = NULL;
	if (error == 0 && asprintf(&line, "Content-Type: multipart/form-data; boundary=%s", boundary) < 0)
		error = WEIR_ENOMEM;
	if (error == 0)
		x->lines[x->line_count++] = line;
	return error;
}

/* What a failure to read a file means. */
static enum step_verdict say_failed(struct step_call *call, int error, const char *why)
{
	switch (error) {
	case WEIR_ENOMEM:
		return step_say(call, STEP_RETRY, "memory: %s", weir_strerror(error));
	case WEIR_ECANCELED:
		return STEP_CANCELED;
	case WEIR_ETIMEDOUT:
		return step_say(call, STEP_RETRY, "timeout: the attempt took too long (flow.timeout.attempt)");
	case WEIR_EMFILE:
	case -ENFILE:
	case WEIR_EIO:
		return step_say(call, STEP_RETRY, "multipart: %s", why);
	default:
		return step_say(call, STEP_DEAD, "multipart: %s", why);
	}
}

enum step_verdict step_http_parts_make(const struct http_step *step, struct step_call *call,
				       const struct template_input *input, struct exchange *x)
{
	const struct step_http_config *config = step->config;
	struct weir_error err = {0};
	char size[32];
	if (!config->multipart.n)
		return STEP_OK;
	int error = make_parts(step, call, input, x, &err);
	if (error < 0)
		return say_failed(call, error, err.text);
	uint64_t bytes = http_multipart_source(x->parts)->bytes;
	if (bytes <= config->max_upload)
		return STEP_OK;
	units_size_text(config->max_upload, size);
	return step_say(call, STEP_DEAD, "multipart: the body has %llu bytes, over %s (max_upload)",
			(unsigned long long)bytes, size);
}

enum step_verdict step_http_parts_check(struct step_call *call, const struct exchange *x, int error)
{
	const char *wrong = x->parts ? http_multipart_wrong(x->parts) : "";
	return error < 0 && wrong[0] ? step_say(call, STEP_RETRY, "multipart: %s", wrong) : STEP_OK;
}
