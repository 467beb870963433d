/* SPDX-License-Identifier: MIT */
/*
 * The list holds each form of each value, longest first: where one secret begins with another, the longer one is hidden
 * whole.  `first` says which bytes a form may begin with, so that most of a text is passed over byte by byte; what is
 * forgotten stays in there, which costs a look at the list.  Two values may share a form, so each counts its values.
 */
#include "data/secret.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <weir/base.h>

#include "data/array.h"
#include "data/buf.h"

struct form {
	char *text;
	size_t n;
	unsigned values; /* that have this form */
	char *reference; /* what stands for it in a config; NULL: nothing */
};

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER; /* of the following */

static struct {
	struct form *forms;
	size_t n, room;
	bool first[256];
} secrets;

static void drop_form(size_t at)
{
	explicit_bzero(secrets.forms[at].text, secrets.forms[at].n);
	free(secrets.forms[at].text);
	free(secrets.forms[at].reference);
	secrets.n--;
	memmove(secrets.forms + at, secrets.forms + at + 1, (secrets.n - at) * sizeof *secrets.forms);
}

bool secret_is_name(const char *name)
{
	static const char *const parts[] = {"authorization", "cookie",  "token", "secret",
					    "password",      "api-key", "apikey"};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (strcasestr(name, parts[i]))
			return true;
	return false;
}

void secret_clear(void)
{
	pthread_rwlock_wrlock(&lock);
	while (secrets.n)
		drop_form(secrets.n - 1);
	free(secrets.forms);
	memset(&secrets, 0, sizeof secrets);
	pthread_rwlock_unlock(&lock);
}

/* ---- adding, and taking away again */

typedef int (*form_fn)(const char *text, size_t n);

static struct form *find_form(const char *text, size_t n)
{
	for (size_t i = 0; i < secrets.n; i++)
		if (secrets.forms[i].n == n && memcmp(secrets.forms[i].text, text, n) == 0)
			return &secrets.forms[i];
	return NULL;
}

static int take_form(const char *text, size_t n)
{
	struct form *form = find_form(text, n);
	if (form && --form->values == 0)
		drop_form((size_t)(form - secrets.forms));
	return 0;
}

static int add_form(const char *text, size_t n)
{
	if (n < SECRET_BYTES_MIN)
		return 0;
	struct form *known = find_form(text, n);
	if (known) {
		known->values++;
		return 0;
	}
	char *copy =
		array_reserve(&secrets.forms, &secrets.room, secrets.n + 1, sizeof *secrets.forms) ? NULL : malloc(n);
	if (!copy)
		return WEIR_ENOMEM;
	memcpy(copy, text, n);
	size_t at = secrets.n++;
	for (; at && secrets.forms[at - 1].n < n; at--)
		secrets.forms[at] = secrets.forms[at - 1];
	secrets.forms[at] = (struct form){.text = copy, .n = n, .values = 1};
	secrets.first[(unsigned char)*text] = true;
	return 0;
}

/* Takes the buffer over; `skip` bytes at both of its ends do not belong to the form.  One that is written as the value
 * itself is no other form. */
static int use_written(form_fn use, const char *value, size_t n, struct buf *form, size_t skip)
{
	int code = form->failed ? WEIR_ENOMEM : 0;
	size_t len = form->len > 2 * skip ? form->len - 2 * skip : 0;
	bool same = len == n && memcmp(form->data + skip, value, n) == 0;
	if (!code && len >= SECRET_BYTES_MIN && !same)
		code = use(form->data + skip, len);
	buf_fini(form);
	return code;
}

static int use_json_forms(form_fn use, const char *value, size_t n)
{
	struct buf form = {0}, slashed = {0};
	buf_add_json_str(&form, value, n);
	/* Some write a slash in a JSON string as \/. */
	for (size_t i = 0; i < form.len; i++) {
		if (form.data[i] == '/')
			buf_add_char(&slashed, '\\');
		buf_add_char(&slashed, form.data[i]);
	}
	int code = use_written(use, value, n, &form, 1), slashed_code = use_written(use, value, n, &slashed, 1);
	return code ? code : slashed_code;
}

static int use_percent_form(form_fn use, const char *value, size_t n, bool upper)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
	struct buf form = {0};
	for (size_t i = 0; i < n; i++)
		if (value[i] && strchr(plain, value[i]))
			buf_add_char(&form, value[i]);
		else
			buf_addf(&form, upper ? "%%%02X" : "%%%02x", (unsigned char)value[i]);
	return use_written(use, value, n, &form, 0);
}

static int use_base64_form(form_fn use, const char *value, size_t n)
{
	struct buf form = {0};
	buf_add_base64(&form, value, n);
	while (form.len && form.data[form.len - 1] == '=')
		form.len--;
	return use_written(use, value, n, &form, 0);
}

/* An origin alone says where a server is, and reasons without it would say nothing. */
static bool is_origin(const char *value, size_t n)
{
	size_t scheme = n > 7 && !memcmp(value, "http://", 7) ? 7 : n > 8 && !memcmp(value, "https://", 8) ? 8 : 0;
	if (n && value[n - 1] == '/')
		n--;
	for (size_t i = scheme; i < n; i++)
		if (strchr("/?#@\\", value[i]))
			return false;
	return scheme && n > scheme;
}

static bool is_blank(const char *value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strchr(" \t\r\n", value[i]) || !value[i])
			return false;
	return true;
}

/* Of those that are kept. */
static int use_forms(form_fn use, const char *value, size_t n)
{
	if (n < SECRET_BYTES_MIN || is_blank(value, n) || is_origin(value, n))
		return 0;
	int code = use(value, n);
	if (!code)
		code = use_json_forms(use, value, n);
	if (!code)
		code = use_percent_form(use, value, n, true);
	if (!code)
		code = use_percent_form(use, value, n, false);
	if (!code && memchr(value, ':', n)) /* user:password */
		code = use_base64_form(use, value, n);
	return code;
}

int secret_add(const char *value, size_t n)
{
	pthread_rwlock_wrlock(&lock);
	int code = use_forms(add_form, value, n);
	pthread_rwlock_unlock(&lock);
	return code;
}

int secret_add_reference(const char *value, size_t n, const char *reference)
{
	pthread_rwlock_wrlock(&lock);
	int code = use_forms(add_form, value, n);
	struct form *form = code ? NULL : find_form(value, n);
	if (form && !form->reference && !(form->reference = strdup(reference)))
		code = WEIR_ENOMEM;
	pthread_rwlock_unlock(&lock);
	return code;
}

void secret_forget(const char *value, size_t n)
{
	pthread_rwlock_wrlock(&lock);
	use_forms(take_form, value, n);
	pthread_rwlock_unlock(&lock);
}

/* ---- hiding */

/* Of which secret, or at the end of the text the beginning of which, the bytes at text are, *ret_n of them; or NULL. */
static const struct form *match(const char *text, size_t left, size_t *ret_n)
{
	if (left < SECRET_BYTES_MIN || !secrets.first[(unsigned char)*text])
		return NULL;
	for (size_t i = 0; i < secrets.n; i++) {
		const struct form *form = &secrets.forms[i];
		*ret_n = form->n < left ? form->n : left;
		if (memcmp(text, form->text, *ret_n) == 0)
			return form;
	}
	return NULL;
}

size_t secret_find(const char *text, size_t n, size_t *ret_bytes, const char **ret_reference)
{
	const struct form *form = NULL;
	size_t at = 0;
	pthread_rwlock_rdlock(&lock);
	while (at < n && !(form = match(text + at, n - at, ret_bytes)))
		at++;
	*ret_reference = form && *ret_bytes == form->n ? form->reference : NULL;
	pthread_rwlock_unlock(&lock);
	return at;
}

/* Where the text may have been cut: at its end, or before the dots that say so. */
static size_t find_cut(const char *text, size_t n)
{
	return n > 3 && !memcmp(text + n - 3, "...", 3) ? n - 3 : n;
}

size_t secret_hide(char *text, size_t n)
{
	size_t to = 0, cut = find_cut(text, n);
	pthread_rwlock_rdlock(&lock);
	for (size_t at = 0; at < n;) {
		size_t found;
		if (match(text + at, at < cut ? cut - at : n - at, &found)) {
			memcpy(text + to, "***", 3);
			to += 3;
			at += found;
		} else {
			text[to++] = text[at++];
		}
	}
	pthread_rwlock_unlock(&lock);
	return to;
}

void secret_hide_text(char *text)
{
	text[secret_hide(text, strlen(text))] = 0;
}
