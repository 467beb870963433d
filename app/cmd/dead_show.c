/* SPDX-License-Identifier: MIT */
/*
 * Dead letters for people: rows, groups, and one of them with all that is known of it.
 * Texts come from upstreams and sources, so all of them pass terminal.h.
 */
#include "cmd/dead_show.h"

#include "data/json_writer.h"
#include "data/terminal.h"
#include "data/units.h"
#include "data/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_ERROR_BYTES = 60, EXAMPLE_BYTES = 100, GROUP_MARGIN = 10 };

/* --- texts --- */

static void print_text(const char *text, size_t n)
{
	terminal_put_bytes(stdout, text, n);
}

/* No more than `most` bytes of it, and no half a character. */
static void print_cut(const char *text, size_t most)
{
	size_t n = strlen(text), keep = n;
	if (n > most)
		for (keep = most; keep && utf8_is_tail((unsigned char)text[keep]); keep--)
			;
	print_text(text, keep);
	if (keep < n)
		fputs("...", stdout);
}

static void print_lines(const char *text, size_t n)
{
	for (const char *end = text + n; text < end;) {
		const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;
		fputs("  ", stdout);
		print_text(text, (size_t)(stop - text) - (stop > text && stop[-1] == '\r'));
		putchar('\n');
		text = newline ? newline + 1 : end;
	}
}

/* As JSON if it is JSON, else as it is. */
static void print_body(const char *text, size_t n)
{
	struct json *json = NULL;
	struct buf out = {0};
	if (n && json_parse(text, n, &json, NULL) == 0)
		json_indent(&out, text, n);
	print_lines(out.len && !out.failed ? out.data : text, out.len && !out.failed ? out.len : n);
	json_free(json);
	buf_fini(&out);
}

/* "2026-05-01T12:00:00Z" as "2026-05-01 12:00:00". */
static void print_time(const char *at)
{
	char text[20];
	snprintf(text, sizeof text, "%.19s", at);
	if (strlen(text) == 19)
		text[10] = ' ';
	printf("%-19s", text);
}

/* --- rows --- */

void dead_print_heading(void)
{
	printf("%-10s %-10s %-8s %-19s %s\n", "ID", "POSITION", "ATTEMPTS", "DIED (UTC)", "REASON");
}

void dead_print_row(const struct json *letter)
{
	const struct json *evidence = json_member(letter, "evidence");
	const char *error = evidence ? json_member_text(evidence, "error") : "",
		   *reason = json_member_text(letter, "reason");
	printf("%-10" PRId64 " %-10" PRId64 " %-8" PRId64 " ", json_member_int(letter, "id"),
	       json_member_int(letter, "position"), json_member_int(letter, "attempts"));
	print_time(json_member_text(letter, "at"));
	putchar(' ');
	print_text(reason, strlen(reason));
	if (*error) {
		fputs(": ", stdout);
		print_cut(error, ROW_ERROR_BYTES);
	}
	putchar('\n');
}

void dead_print_replayed(uint64_t n, bool live)
{
	printf("%" PRIu64 " item%s will be replayed by the %s\n", n, n == 1 ? "" : "s",
	       live ? "running pipeline" : "next `weir run`");
}

/* --- groups --- */

/* "step 2 (http), status: 422: no such customer"; a step may be "source" or "sink". */
static void print_where(const struct json *evidence)
{
	const struct json *step = json_member(evidence, "step");
	const char *kind = json_member_text(evidence, "kind");
	size_t n;
	if (!step)
		return;
	if (json_type(step) == JSON_TEXT)
		print_cut(json_text(step, &n), EXAMPLE_BYTES);
	else
		printf("step %" PRId64, json_int(step));
	if (*kind) {
		fputs(" (", stdout);
		print_cut(kind, EXAMPLE_BYTES);
		putchar(')');
	}
}

void dead_print_groups_heading(void)
{
	printf("%-8s %11s %6s  %-19s %-19s %s\n", "GROUP", "LETTERS", "SHARE", "FIRST SEEN (UTC)", "LAST SEEN (UTC)",
	       "EXAMPLE");
}

void dead_print_group(const struct json *group, int64_t letters)
{
	int64_t n = json_member_int(group, "letters");
	double share = letters ? 100.0 * (double)n / (double)letters : 0;
	const char *error = json_member_text(group, "error"), *reason = json_member_text(group, "reason");
	char text[32];
	printf("%-8.8s %11s %4.*f %%  ", json_member_text(group, "group"), units_number_text((uint64_t)n, text),
	       share < 9.95 ? 1 : 0, share);
	print_time(json_member_text(group, "first"));
	putchar(' ');
	print_time(json_member_text(group, "last"));
	printf(" %" PRId64 "\n%*s", json_member_int(group, "example"), GROUP_MARGIN, "");
	if (json_member(group, "step")) {
		print_where(group);
		fputs(": ", stdout);
	}
	print_cut(reason, EXAMPLE_BYTES);
	if (*error) {
		fputs(": ", stdout);
		print_cut(error, EXAMPLE_BYTES);
	}
	putchar('\n');
}

/* --- one letter --- */

static void print_field(const char *name, const char *text)
{
	printf("  %-9s ", name);
	print_text(text, strlen(text));
	putchar('\n');
}

static void print_head(const struct json *letter, const struct json *evidence)
{
	int64_t attempts = json_member_int(letter, "attempts");
	printf("dead letter %" PRId64 "\n", json_member_int(letter, "id"));
	printf("  %-9s ", "died");
	print_time(json_member_text(letter, "at"));
	printf(" UTC, after %" PRId64 " attempt%s\n", attempts, attempts == 1 ? "" : "s");
	printf("  %-9s %" PRId64 " in the source\n", "position", json_member_int(letter, "position"));
	print_field("group", json_member_text(letter, "group"));
	if (evidence && json_member(evidence, "step")) {
		printf("  %-9s ", "where");
		print_where(evidence);
		putchar('\n');
	}
	print_field("reason", json_member_text(letter, "reason"));
	if (evidence && *json_member_text(evidence, "error"))
		print_field("error", json_member_text(evidence, "error"));
}

/* A text of the evidence, under its heading. */
static void print_part(const struct json *evidence, const char *heading, const char *name)
{
	const struct json *part = json_member(evidence, name);
	char bytes[40], number[32];
	size_t n;
	if (!part || json_type(part) != JSON_TEXT)
		return;
	const char *text = json_text(part, &n);
	snprintf(bytes, sizeof bytes, "%s_bytes", name);
	if (heading)
		printf("\n%s\n", heading);
	print_body(text, n);
	if (json_member(evidence, bytes))
		printf("  ... of %s bytes\n", units_number_text((uint64_t)json_member_int(evidence, bytes), number));
}

static void print_request(const struct json *evidence)
{
	if (!*json_member_text(evidence, "method"))
		return;
	fputs("\nrequest\n  ", stdout);
	print_text(json_member_text(evidence, "method"), strlen(json_member_text(evidence, "method")));
	if (*json_member_text(evidence, "url")) {
		putchar(' ');
		print_text(json_member_text(evidence, "url"), strlen(json_member_text(evidence, "url")));
	}
	putchar('\n');
	const char *key = json_member_text(evidence, "key");
	if (*key) {
		fputs("  Idempotency-Key: ", stdout);
		print_text(key, strlen(key));
		putchar('\n');
	}
	print_part(evidence, NULL, "sent");
	const char *curl = json_member_text(evidence, "curl");
	if (!*curl)
		return;
	puts("\nto send it again");
	print_lines(curl, strlen(curl));
}

static void print_answer(const struct json *evidence)
{
	const struct json *headers = json_member(evidence, "headers"), *name, *value;
	bool has_status = json_member(evidence, "status");
	size_t pos = 0, n;
	if (!has_status && !json_member(evidence, "answer"))
		return;
	puts("\nanswer");
	if (has_status)
		printf("  status %" PRId64 "\n", json_member_int(evidence, "status"));
	while (headers && (value = json_next(headers, &pos, &name))) {
		const char *text = json_text(name, &n);
		fputs("  ", stdout);
		print_text(text, n);
		fputs(": ", stdout);
		if (json_type(value) == JSON_TEXT) {
			text = json_text(value, &n);
			print_text(text, n);
		}
		putchar('\n');
	}
	print_part(evidence, NULL, "answer");
}

static void print_history(const struct json *letter)
{
	const struct json *history = json_member(letter, "history"), *death;
	size_t pos = 0;
	if (!history || json_type(history) != JSON_ARRAY)
		return;
	puts("\nearlier deaths");
	while ((death = json_next(history, &pos, NULL))) {
		int64_t attempts = json_member_int(death, "attempts");
		fputs("  ", stdout);
		print_time(json_member_text(death, "at"));
		printf(" UTC, after %" PRId64 " attempt%s: ", attempts, attempts == 1 ? "" : "s");
		print_text(json_member_text(death, "reason"), strlen(json_member_text(death, "reason")));
		putchar('\n');
	}
}

void dead_print_letter(const struct json *letter)
{
	const struct json *evidence = json_member(letter, "evidence");
	print_head(letter, evidence);
	if (evidence) {
		print_request(evidence);
		print_answer(evidence);
		print_part(evidence, "value that the step was given", "input");
		print_part(evidence, "row that the sink was given", "row");
	}
	size_t n;
	char *item = json_dump(json_member(letter, "item"), &n);
	puts("\nitem");
	if (item)
		print_body(item, n);
	free(item);
	print_history(letter);
}
