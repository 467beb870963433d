/* SPDX-License-Identifier: MIT */
/* Outputs are parsed until each column was filled once: most often that is the first one. */
#include "engine/parts.h"

#include "data/json.h"
#include "data/units.h"

#include <stdlib.h>

int engine_columns_open(struct engine_columns *columns, const struct key_strings *names)
{
	if (!names || !names->n)
		return 0;
	*columns = (struct engine_columns){.names = names, .filled = calloc(names->n, sizeof(bool)), .empty = names->n};
	return columns->filled ? 0 : WEIR_ENOMEM;
}

void engine_columns_free(struct engine_columns *columns)
{
	free(columns->filled);
}

static void look_at(struct engine_columns *columns, const struct value *output)
{
	const struct json *json;
	bool is_parsed = output->json;
	if (value_json(output, &json, NULL) == 0 && json_type(json) == JSON_OBJECT)
		for (size_t i = 0; i < columns->names->n; i++) {
			const struct json *field = json_member(json, columns->names->values[i]);
			if (columns->filled[i] || !field || json_type(field) == JSON_NULL)
				continue;
			columns->filled[i] = true;
			columns->empty--;
		}
	if (!is_parsed)
		value_forget(output);
}

void engine_columns_look(struct engine_columns *columns, const struct item *item)
{
	for (size_t i = 0; i < item->outputs.n && columns->empty; i++, columns->rows++)
		look_at(columns, &item->outputs.values[i]);
}

void engine_columns_tell(const struct engine_columns *columns, const struct engine_life *life)
{
	struct buf names = {0};
	char rows[32];
	if (!columns->empty || !columns->rows)
		return;
	for (size_t i = 0; i < columns->names->n; i++)
		if (!columns->filled[i])
			buf_addf(&names, "%s%s", names.len ? ", " : "", columns->names->values[i]);
	bool is_one = columns->empty == 1;
	if (!names.failed)
		engine_note(life, "column%s %.200s %s empty in all %s rows", is_one ? "" : "s", names.data,
			    is_one ? "was" : "were", units_number_text(columns->rows, rows));
	buf_fini(&names);
}
