/* SPDX-License-Identifier: MIT */
#include "sql/pages.h"

#include "data/array.h"
#include "data/crc.h"
#include "data/units.h"
#include "sql/name.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/event.h>

#define ITEM_BYTES_MAX ((size_t)1 << 20)
#define FIRST_ROWS     ((size_t)100)

/* ---- the config */

/* Past what is quoted or a comment at text; text itself if it is none. */
static const char *skip_quoted(const char *text)
{
	const char *end = text;
	if (*text == '\'' || *text == '"' || *text == '`')
		end = strchr(text + 1, *text);
	else if (strncmp(text, "--", 2) == 0)
		end = strchr(text, '\n');
	else if (strncmp(text, "/*", 2) == 0)
		end = strstr(text + 2, "*/");
	else
		return text;
	return end ? end + (*end == '*' ? 2 : 1) : text + strlen(text);
}

/* What must not be in a piece of SQL that goes into another one; NULL if nothing is wrong. */
static const char *find_wrong(const char *sql)
{
	while (*sql) {
		const char *end = skip_quoted(sql);
		if (end != sql) {
			sql = end;
			continue;
		}
		if (*sql == ';')
			return "contains a ';'; write one statement, without one";
		if (*sql == '$' && sql[1] >= '0' && sql[1] <= '9')
			return "has a parameter ($1), and there are no values for it; write the value";
		sql++;
	}
	return NULL;
}

static int check_sql(const char *name, const char *sql, const char **ret_key, struct weir_error *err)
{
	const char *wrong = sql ? find_wrong(sql) : NULL;
	*ret_key = name;
	return wrong ? weir_error_set(err, WEIR_EINVAL, "the %s %s", name, wrong) : 0;
}

int sql_source_check(const struct sql_source_config *config, const char **ret_key, struct weir_error *err)
{
	*ret_key = config->query ? "query" : "table";
	if (!config->table == !config->query)
		return weir_error_set(err, WEIR_EINVAL, "name a table or a query, %s",
				      config->table ? "not both" : "from which rows are read");
	*ret_key = "table";
	if (config->table && sql_name_check("table", config->table, err))
		return WEIR_EINVAL;
	*ret_key = "key";
	if (sql_name_check("column", config->key, err))
		return WEIR_EINVAL;
	int code = check_sql("query", config->query, ret_key, err);
	return code ? code : check_sql("where", config->where, ret_key, err);
}

/* A line end ends a comment that the config may end with. */
void sql_pages_put(const struct sql_source_config *config, const char *what, const char *from, struct buf *sql)
{
	buf_addf(sql, "SELECT %s FROM ", what);
	if (config->table)
		sql_put_name(sql, config->table);
	else
		buf_addf(sql, "(%s\n) AS weir_rows", config->query);
	if (config->where)
		buf_addf(sql, " WHERE (%s\n)", config->where);
	if (!from)
		return;
	buf_addf(sql, " %s ", config->where ? "AND" : "WHERE");
	sql_put_name(sql, config->key);
	buf_addf(sql, " %s", from);
}

/* ---- pages */

void sql_pages_init(struct sql_pages *pages, const struct sql_source_config *config, const struct sql_pages_ops *ops,
		    void *db)
{
	size_t most = (size_t)config->page;
	*pages = (struct sql_pages){
		.config = config, .ops = ops, .db = db, .ask = most < FIRST_ROWS ? most : FIRST_ROWS, .total = -1};
}

static void free_page(struct sql_page *page)
{
	buf_fini(&page->text);
	free(page->rows);
}

static void stop_reading(struct sql_pages *pages)
{
	if (!pages->reader)
		return;
	weir_group_cancel(pages->reader);
	weir_shield_enter();
	weir_group_wait(pages->reader, WEIR_FOREVER);
	weir_shield_leave();
	weir_group_free(pages->reader);
	pages->reader = NULL;
}

void sql_pages_fini(struct sql_pages *pages)
{
	stop_reading(pages);
	weir_event_free(pages->changed);
	free_page(&pages->all[0]);
	free_page(&pages->all[1]);
	*pages = (struct sql_pages){0};
}

int sql_page_add(struct sql_page *page, const char *key, size_t json_at, const char *why)
{
	struct sql_row row = {.text = json_at, .end = page->text.len, .why = why};
	buf_add(&page->text, "", 1);
	row.key = page->text.len;
	buf_add(&page->text, key, strlen(key) + 1);
	buf_add_char(&page->text, '\n'); /* who writes JSON behind it begins anew */
	if (page->text.failed || array_reserve(&page->rows, &page->room, page->n + 1, sizeof row))
		return WEIR_ENOMEM;
	page->rows[page->n++] = row;
	return 0;
}

void sql_page_clear(struct sql_page *page)
{
	if (page->text.room > 2 * SQL_PAGE_BYTES)
		buf_fini(&page->text);
	buf_clear(&page->text);
	page->n = page->at = 0;
}

/* By the page that was read last. */
static void choose_size(struct sql_pages *pages, const struct sql_page *page)
{
	size_t most = (size_t)pages->config->page;
	if (page->text.len > SQL_PAGE_BYTES && pages->ask > 1)
		pages->ask /= 2;
	else if (page->text.len < SQL_PAGE_BYTES / 2)
		pages->ask = 2 * pages->ask < most ? 2 * pages->ask : most;
}

static const char *key_at(const struct sql_page *page, size_t row)
{
	return page->text.data + page->rows[row].key;
}

int sql_pages_refuse_key(const struct sql_pages *pages, bool has_nulls, struct weir_error *err)
{
	return weir_error_set(err, WEIR_EINVAL,
			      "the key %s is %s; name another column, or leave those rows out with `where`",
			      pages->config->key, has_nulls ? "null in some rows" : "not unique: a value occurs twice");
}

static int fail_twice(const struct sql_pages *pages, const char *key, struct weir_error *err)
{
	return weir_error_set(
		err, WEIR_EINVAL,
		"the key %s is not unique: %.100s occurs twice; name another column, or select distinct rows",
		pages->config->key, key);
}

/* The row that was the last one is left out, if it is still there. */
static int check_keys(const struct sql_pages *pages, struct sql_page *page)
{
	const char *before = pages->read ? pages->last_read : NULL;
	page->at = page->n && before && strcmp(key_at(page, 0), before) == 0;
	for (size_t i = page->at; i < page->n; before = key_at(page, i++)) {
		const char *key = key_at(page, i);
		if (before && strcmp(key, before) == 0)
			return fail_twice(pages, key, &page->err);
		if (strlen(key) >= sizeof pages->last)
			return weir_error_set(
				&page->err, WEIR_EINVAL,
				"the key %s has a value of more than %zu bytes (%.60s...), which is too long for a "
				"position; name another column",
				pages->config->key, sizeof pages->last - 1, key);
	}
	return 0;
}

static void note_read(struct sql_pages *pages, const struct sql_page *page)
{
	if (page->at == page->n)
		return;
	/* check_keys() has seen that it fits. */
	snprintf(pages->last_read, sizeof pages->last_read, "%s", key_at(page, page->n - 1));
	pages->read += page->n - page->at;
}

/* Once. */
static void count_rows(struct sql_pages *pages)
{
	if (pages->counted)
		return;
	int64_t rows = pages->ops->count(pages->db, pages->read ? pages->last_read : NULL, &pages->exact);
	pages->total = rows < 0 ? rows : rows + (int64_t)pages->read;
	pages->counted = true;
}

/* A page must hold one row beside the last one of the page before. */
static void read_page(struct sql_pages *pages, struct sql_page *page)
{
	sql_page_clear(page);
	page->err = (struct weir_error){0};
	page->code =
		pages->ops->read(pages->db, pages->read ? pages->last_read : NULL, pages->ask + 1, page, &page->err);
	int code = page->code < 0 ? page->code : check_keys(pages, page);
	if (code < 0) {
		page->code = code;
		page->n = page->at = 0;
		return;
	}
	note_read(pages, page);
	choose_size(pages, page);
}

static void change_ready(struct sql_pages *pages, size_t ready)
{
	pages->ready = ready;
	weir_event_set(pages->changed);
	weir_event_clear(pages->changed);
}

/* The fiber.  Ends with the last page, or with one that could not be read. */
static int read_pages(void *arg)
{
	struct sql_pages *pages = arg;
	int code;
	count_rows(pages);
	do {
		while (pages->ready == 2)
			if (weir_event_wait(pages->changed, WEIR_FOREVER))
				return 0;
		struct sql_page *page = &pages->all[(pages->first + pages->ready) % 2];
		read_page(pages, page);
		code = page->code;
		change_ready(pages, pages->ready + 1);
	} while (code > 0);
	return 0;
}

static int start_reading(struct sql_pages *pages)
{
	static const struct weir_spawn_options opts = {.name = "pages"};
	int code = pages->changed ? 0 : weir_event_new(&pages->changed);
	if (!code)
		code = weir_group_new(NULL, &pages->reader);
	if (!code)
		code = weir_group_spawn_with(pages->reader, &opts, read_pages, pages, WEIR_FOREVER);
	if (code)
		stop_reading(pages);
	return code;
}

/* The first page is over: its room is for another one. */
static void leave_page(struct sql_pages *pages)
{
	pages->first = (pages->first + 1) % 2;
	change_ready(pages, pages->ready - 1);
}

/* The page with the next row, or the last one; NULL with *ret_code and err.  What could not be read is tried again by
 * the next call. */
static struct sql_page *find_page(struct sql_pages *pages, int *ret_code, struct weir_error *err, weir_nsec deadline)
{
	int code = pages->reader ? 0 : start_reading(pages);
	while (!code && !pages->ready)
		code = weir_event_wait(pages->changed, deadline);
	*ret_code = code;
	if (code) {
		weir_error_set(err, code, "%s", weir_strerror(code));
		return NULL;
	}
	struct sql_page *page = &pages->all[pages->first];
	if (page->code >= 0)
		return page;
	*ret_code = weir_error_set(err, page->code, "%s", page->err.text);
	stop_reading(pages);
	leave_page(pages);
	return NULL;
}

static int give(struct sql_pages *pages, struct sql_page *page, struct item *item)
{
	const struct sql_row *row = &page->rows[page->at];
	const char *text = page->text.data + row->text, *why = row->why;
	size_t n = row->end - row->text;
	bool is_long = !why && n > ITEM_BYTES_MAX;
	if (value_copy(&item->source, text, is_long || why ? (n > 512 ? 512 : n) : n))
		return WEIR_ENOMEM;
	const char *key = key_at(page, page->at);
	memcpy(pages->last, key, strlen(key) + 1); /* check_keys() has seen that it fits */
	page->at++;
	item->position = ++pages->position;
	if (is_long)
		item_set_why(item, "the row has more than 1 MiB");
	else if (why)
		item_set_why(item, "%s", why);
	return is_long || why ? SOURCE_BAD : SOURCE_ITEM;
}

/* ---- the port */

int sql_source_probe(struct source *source, struct buf *out, struct weir_error *err)
{
	struct sql_pages *pages = (struct sql_pages *)source;
	const char *table = pages->config->table;
	char text[32];
	(void)err;
	count_rows(pages);
	if (pages->total >= 0)
		buf_addf(out, "%s%s ", pages->exact ? "" : "about ", units_number_text((uint64_t)pages->total, text));
	buf_addf(out, "row%s of %s%s, in the order of %s", pages->total == 1 ? "" : "s", table ? "table " : "the query",
		 table ? table : "", pages->config->key);
	return 0;
}

int sql_source_next(struct source *source, struct item *item, struct weir_error *err, weir_nsec deadline)
{
	struct sql_pages *pages = (struct sql_pages *)source;
	struct sql_page *page;
	int code;
	while ((page = find_page(pages, &code, err, deadline)) && page->at == page->n) {
		if (!page->code)
			return SOURCE_END;
		leave_page(pages);
	}
	if (!page)
		return code;
	int verdict = give(pages, page, item);
	if (page->at == page->n && page->code) /* before the next row is wanted: the reader goes on */
		leave_page(pages);
	return verdict < 0 ? weir_error_set(err, verdict, "out of memory") : verdict;
}

int64_t sql_source_total(const struct source *source, bool *ret_exact)
{
	const struct sql_pages *pages = (const struct sql_pages *)source;
	*ret_exact = pages->exact;
	return pages->total;
}

void sql_source_cursor(const struct source *source, struct source_cursor *ret_cursor)
{
	const struct sql_pages *pages = (const struct sql_pages *)source;
	snprintf(ret_cursor->text, sizeof ret_cursor->text, "row=%" PRIu64 " key=%s", pages->position, pages->last);
}

bool sql_source_identify(const struct source *source, struct buf *identity)
{
	const struct sql_pages *pages = (const struct sql_pages *)source;
	const struct sql_source_config *config = pages->config;
	struct buf text = {0};
	pages->ops->put_name(pages->db, identity);
	buf_addf(&text, "%s\n%s\n%s\n%s", config->table ? config->table : "", config->query ? config->query : "",
		 config->key, config->where ? config->where : "");
	buf_addf(identity, " rows=%08x", text.failed ? 0 : crc_add(0, text.data, text.len));
	identity->failed = identity->failed || text.failed;
	buf_fini(&text);
	return true;
}

static int go_to(struct sql_pages *pages, const char *was, const char *now, const struct source_cursor *cursor,
		 bool adopt, struct weir_error *err)
{
	const char *key = strstr(cursor->text, " key=");
	if (strcmp(was, now) != 0 && !adopt)
		return weir_error_set(
			err, WEIR_EINVAL,
			"the source is not the one that this run began with (it was \"%.100s\", now it is "
			"\"%.100s\"); restore that, resume with --adopt, or start over with --fresh",
			was, now);
	if (!*cursor->text)
		return 0;
	if (!key || sscanf(cursor->text, "row=%" SCNu64, &pages->position) != 1 ||
	    strlen(key + 5) >= sizeof pages->last)
		return weir_error_set(err, WEIR_EINVAL, "invalid position in rows: %s", cursor->text);
	snprintf(pages->last, sizeof pages->last, "%s", key + 5);
	snprintf(pages->last_read, sizeof pages->last_read, "%s", key + 5);
	pages->read = pages->position;
	return 0;
}

int sql_source_resume(struct source *source, const char *identity, const struct source_cursor *cursor, bool adopt,
		      struct weir_error *err)
{
	struct buf now = {0};
	sql_source_identify(source, &now);
	int code = now.failed ? weir_error_set(err, WEIR_ENOMEM, "out of memory")
			      : go_to((struct sql_pages *)source, identity, now.data, cursor, adopt, err);
	buf_fini(&now);
	return code;
}
