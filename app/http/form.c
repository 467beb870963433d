/* SPDX-License-Identifier: MIT */
/*
 * The fields of a form as a body, as browsers encode it (the URL standard): names and values in UTF-8, a space as "+",
 * and all but letters, digits and *-._ percent-encoded.  Nothing is done to line ends: a value arrives as it is.
 *
 *     {"q": "a b", "tag": [1, "x&y"], "none": null}   ->   q=a+b&tag=1&tag=x%26y
 */
#include "http/exchange.h"

#include "data/json.h"

#include <string.h>

static void add_encoded(struct buf *out, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = text[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			     (c && strchr("*-._", c));
		if (plain || c == ' ')
			buf_add_char(out, plain ? c : '+');
		else
			buf_addf(out, "%%%02X", (unsigned)(unsigned char)c);
	}
}

/* false: it is none. */
static bool add_field(struct buf *out, const struct json *name, const struct json *value)
{
	enum json_type type = json_type(value);
	struct buf plain = {0};
	size_t n;
	if (type == JSON_NULL || type == JSON_ARRAY || type == JSON_OBJECT)
		return type == JSON_NULL;
	if (out->len)
		buf_add_char(out, '&');
	const char *text = json_text(name, &n);
	add_encoded(out, text, n);
	buf_add_char(out, '=');
	if (type != JSON_TEXT) {
		out->failed = json_write(value, &plain) < 0 || out->failed;
		add_encoded(out, plain.data ? plain.data : "", plain.len);
		buf_fini(&plain);
		return true;
	}
	text = json_text(value, &n);
	add_encoded(out, text, n);
	return true;
}

static bool add_member(struct buf *out, const struct json *name, const struct json *value)
{
	const struct json *element;
	bool good = true;
	size_t pos = 0;
	if (json_type(value) != JSON_ARRAY)
		return add_field(out, name, value);
	while (good && (element = json_next(value, &pos, NULL)))
		good = add_field(out, name, element);
	return good;
}

enum step_verdict step_http_form_encode(struct step_call *call, struct exchange *x)
{
	struct json *fields = NULL;
	const struct json *name = NULL, *value;
	struct buf out = {0};
	size_t pos = 0, n;
	bool good = true;
	int error = json_parse(x->body.data ? x->body.data : "", x->body.len, &fields, NULL);
	if (error == WEIR_ENOMEM)
		return step_say(call, STEP_RETRY, "memory: %s", weir_strerror(error));
	if (error < 0 || json_type(fields) != JSON_OBJECT) {
		json_free(fields);
		return step_say(call, STEP_DEAD, "form: the program gives no object; expected names and values");
	}
	while (good && (value = json_next(fields, &pos, &name)))
		good = add_member(&out, name, value);
	enum step_verdict verdict = STEP_OK;
	if (!good)
		verdict = step_say(call, STEP_DEAD,
				   "form: the value of \"%.80s\" is an object or a list in a list; expected a text, a "
				   "number, true, false, null or a list of them",
				   json_text(name, &n));
	else if (out.failed)
		verdict = step_say(call, STEP_RETRY, "memory: %s", weir_strerror(WEIR_ENOMEM));
	json_free(fields);
	buf_fini(&x->body);
	x->body = out;
	return verdict;
}
