/* SPDX-License-Identifier: MIT */
#include "port/cause.h"

#include <string.h>
#include <weir/table.h>

#include "data/buf.h"
#include "data/json.h"
#include "data/json_writer.h"

/* ---- the text */

static bool is_word_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("_-@.+", c));
}

/* Of the word at text, without the full stops at its end. */
static size_t word_length(const char *text, size_t n)
{
	size_t len = 0;
	while (len < n && is_word_byte(text[len]))
		len++;
	while (len > 1 && text[len - 1] == '.')
		len--;
	return len;
}

static bool differs_from_item_to_item(const char *word, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((word[i] >= '0' && word[i] <= '9') || word[i] == '@')
			return true;
	return false;
}

/* To the parenthesis that closes the one at text, or to the end. */
static size_t parenthesis_length(const char *text, size_t n)
{
	size_t depth = 0;
	for (size_t i = 0; i < n; i++) {
		depth += text[i] == '(';
		if (text[i] == ')' && --depth == 0)
			return i + 1;
	}
	return n;
}

void cause_normalize(const char *text, size_t n, bool in_parentheses, struct buf *out)
{
	for (size_t at = 0; at < n && out->len < CAUSE_TEXT_BYTES;) {
		size_t word = word_length(text + at, n - at);
		if (word && differs_from_item_to_item(text + at, word)) {
			buf_add_char(out, '#');
			at += word;
		} else if (word) {
			buf_add(out, text + at, word);
			at += word;
		} else if (in_parentheses && text[at] == '(') {
			buf_add_str(out, "(#)");
			at += parenthesis_length(text + at, n - at);
		} else {
			buf_add_char(out, text[at++]);
		}
	}
	if (out->len > CAUSE_TEXT_BYTES) {
		out->len = CAUSE_TEXT_BYTES;
		out->data[out->len] = 0;
	}
}

/* ---- the group */

/* 0xff, which is in no UTF-8 text, ends the part. */
static uint64_t hash_part(uint64_t sum, const struct buf *part)
{
	return weir_hash(weir_hash(sum, part->data, part->len), "\xff", 1);
}

static uint64_t hash_member(uint64_t sum, const struct json *evidence, const char *name)
{
	const struct json *member = evidence ? json_member(evidence, name) : NULL;
	struct buf text = {0};
	if (member)
		json_write(member, &text);
	sum = hash_part(sum, &text);
	buf_fini(&text);
	return sum;
}

static struct json *parse(const char *evidence, size_t n)
{
	struct json *json = NULL;
	if (evidence && json_parse(evidence, n, &json, NULL) == 0 && json_type(json) == JSON_OBJECT)
		return json;
	json_free(json);
	return NULL;
}

uint32_t cause_of(const char *reason, const char *evidence, size_t evidence_bytes)
{
	struct json *json = parse(evidence, evidence_bytes);
	const char *error = json ? json_member_text(json, "error") : "", *said = *error ? error : reason;
	bool quotes_values =
		!strncmp(said, "not json: ", 10) || (json && !strcmp(json_member_text(json, "kind"), "jq"));
	struct buf text = {0};
	uint64_t sum = WEIR_HASH;
	cause_normalize(said, strlen(said), quotes_values, &text);
	sum = hash_member(sum, json, "step");
	sum = hash_member(sum, json, "kind");
	sum = hash_member(sum, json, "status");
	sum = hash_part(sum, &text);
	buf_fini(&text);
	json_free(json);
	uint32_t id = (uint32_t)(sum ^ sum >> 32);
	return id ? id : 1;
}

void cause_describe(const char *evidence, size_t evidence_bytes, struct buf *out)
{
	static const char *const names[] = {"step", "kind", "status", "error"};
	struct json *json = parse(evidence, evidence_bytes);
	for (size_t i = 0; i < sizeof names / sizeof names[0] && json; i++) {
		const struct json *member = json_member(json, names[i]);
		if (member)
			json_put_value(out, names[i], member);
	}
	json_free(json);
}

/* A step is a number, "source" or "sink". */
static void say_where(const struct json *evidence, struct buf *out)
{
	const struct json *step = json_member(evidence, "step");
	const char *kind = json_member_text(evidence, "kind");
	if (!step || !*kind)
		return;
	if (json_type(step) == JSON_TEXT)
		buf_addf(out, "%s (%s): ", json_member_text(evidence, "step"), kind);
	else
		buf_addf(out, "step %lld (%s): ", (long long)json_int(step), kind);
}

void cause_say(const char *reason, const char *evidence, size_t evidence_bytes, struct buf *out)
{
	struct json *json = parse(evidence, evidence_bytes);
	const char *error = json ? json_member_text(json, "error") : "";
	if (json)
		say_where(json, out);
	buf_add_str(out, reason);
	if (*error && !strstr(reason, error)) /* it may quote that already */
		buf_addf(out, ": %s", error);
	json_free(json);
}
