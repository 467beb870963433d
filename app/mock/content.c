/* SPDX-License-Identifier: MIT */
/*
 * Orders are the answer that benchmarks ask for by the hundred thousand, so they are put together from pieces without
 * printf.  Their numbers come from a hash of the id.
 */
#include "content.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <weir/random.h>
#include <weir/table.h>

#include "data/json_writer.h"
#include "data/units.h"

enum { SHOWN_HEADERS = 100, LONGEST_ID = 128 };

static void add_sku(struct buf *out, uint64_t number)
{
	char sku[] = "SKU-00000";
	for (size_t i = sizeof sku - 2; number; number /= 10)
		sku[i--] = (char)('0' + number % 10);
	json_put_text(out, "sku", sku);
}

static void add_price(struct buf *out, const char *name, uint64_t quarters)
{
	static const char cents[4][4] = {".00", ".25", ".50", ".75"};
	json_put_uint(out, name, quarters / 4);
	buf_add(out, cents[quarters % 4], 3);
}

static struct mock_span unescape_id(struct mock_span id, char *room)
{
	if (id.n > LONGEST_ID)
		id.n = LONGEST_ID;
	int n = memchr(id.at, '%', id.n) ? mock_text_unescape(id.at, id.n, room, LONGEST_ID) : -1;
	return n < 0 ? id : (struct mock_span){room, (size_t)n};
}

static void add_id(struct buf *out, struct mock_span id)
{
	int64_t number;
	if (units_count(id.at, id.n, 0, INT64_MAX, &number) && (id.n == 1 || id.at[0] != '0'))
		json_put_int(out, "id", number);
	else
		json_put_bytes(out, "id", id.at, id.n);
}

void mock_content_order(struct buf *out, struct mock_span id)
{
	static const char *const names[] = {"Ada Byron",       "Alan Turing",  "Barbara Liskov", "Dennis Ritchie",
					    "Edsger Dijkstra", "Grace Hopper", "Ken Thompson",   "Leslie Lamport"};
	char room[LONGEST_ID];
	id = unescape_id(id, room);
	uint64_t dice = weir_hash(WEIR_HASH, id.at, id.n), total = 0;
	size_t items = 3 + weir_random_below(&dice, 3);
	json_open(out, NULL, '{');
	add_id(out, id);
	json_open(out, "customer", '{');
	json_put_uint(out, "id", 1000 + weir_random_below(&dice, 9000));
	json_put_text(out, "name", names[weir_random_below(&dice, 8)]);
	json_close(out, '}');
	json_put_text(out, "status", "paid");
	json_put_text(out, "currency", "EUR");
	char created[] = "2025-00-10T09:26:53Z";
	created[6] = (char)('1' + weir_random_below(&dice, 9));
	created[9] = (char)('0' + weir_random_below(&dice, 10));
	json_put_text(out, "created", created);
	json_open(out, "items", '[');
	for (size_t i = 0; i < items; i++) {
		uint64_t quantity = 1 + weir_random_below(&dice, 5), quarters = 4 + weir_random_below(&dice, 796);
		total += quantity * quarters;
		json_open(out, NULL, '{');
		add_sku(out, 10000 + weir_random_below(&dice, 90000));
		json_put_uint(out, "qty", quantity);
		add_price(out, "price", quarters);
		json_close(out, '}');
	}
	json_close(out, ']');
	add_price(out, "total", total);
	buf_add_str(out, "}\n");
}

static void add_html(struct buf *out, struct mock_span text)
{
	for (size_t i = 0; i < text.n; i++) {
		switch (text.at[i]) {
		case '<':
			buf_add_str(out, "&lt;");
			break;
		case '&':
			buf_add_str(out, "&amp;");
			break;
		case '"':
			buf_add_str(out, "&quot;");
			break;
		default:
			buf_add_char(out, text.at[i]);
		}
	}
}

void mock_content_page(struct buf *out, struct mock_span id)
{
	char room[LONGEST_ID];
	id = unescape_id(id, room);
	buf_add_str(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Page ");
	add_html(out, id);
	buf_add_str(out, "</title>\n</head>\n<body>\n<h1>Page ");
	add_html(out, id);
	buf_add_str(out, "</h1>\n");
	for (int i = 1; i <= 9; i++)
		buf_addf(out,
			 "<p id=\"p%d\">A weir is a low dam across a river. It lets the water through at the rate the "
			 "bed below can take, and what comes faster waits above it — nothing is lost, and the "
			 "field below is not flooded.</p>\n",
			 i);
	buf_add_str(out, "</body>\n</html>\n");
}

static bool same_name(struct mock_span a, struct mock_span b)
{
	return a.n == b.n && !strncasecmp(a.at, b.at, a.n);
}

/* Whether one of the headers before `end` has that name. */
static bool seen_before(const struct mock_request *request, const char *text, struct mock_span name)
{
	struct mock_span other, value;
	for (uint32_t pos = 0; mock_request_header(request, text, &pos, &other, &value);) {
		if (other.at == name.at)
			return false;
		if (same_name(other, name))
			return true;
	}
	return false;
}

static void add_header(struct buf *out, const struct mock_request *request, const char *text, uint32_t pos,
		       struct mock_span name, struct mock_span value)
{
	char lower[64];
	size_t n = name.n < sizeof lower - 1 ? name.n : sizeof lower - 1;
	struct buf joined = {0};
	struct mock_span other;
	int more = SHOWN_HEADERS;
	for (size_t i = 0; i < n; i++)
		lower[i] = (char)tolower((unsigned char)name.at[i]);
	lower[n] = 0;
	buf_add(&joined, value.at, value.n);
	while (more-- && mock_request_header(request, text, &pos, &other, &value))
		if (same_name(other, name)) {
			buf_add_str(&joined, ", ");
			buf_add(&joined, value.at, value.n);
		}
	json_put_bytes(out, lower, joined.data ? joined.data : "", joined.len);
	buf_fini(&joined);
}

void mock_content_echo(struct buf *out, const struct mock_request *request, const char *text, const struct buf *body)
{
	struct mock_span method = mock_request_text(&request->method, text), name, value;
	struct mock_span target = mock_request_text(&request->target, text);
	uint32_t pos = 0;
	json_open(out, NULL, '{');
	json_put_bytes(out, "method", method.at, method.n);
	json_put_bytes(out, "path", target.at, target.n);
	json_open(out, "headers", '{');
	for (int i = 0; i < SHOWN_HEADERS && mock_request_header(request, text, &pos, &name, &value); i++) {
		if (!seen_before(request, text, name))
			add_header(out, request, text, pos, name, value);
	}
	json_close(out, '}');
	json_put_uint(out, "body_bytes", request->content_length);
	json_put_bytes(out, "body", body && body->data ? body->data : "", body ? body->len : 0);
	buf_add_str(out, "}\n");
}
