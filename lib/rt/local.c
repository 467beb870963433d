/* SPDX-License-Identifier: MIT */
/*
 * Fiber-local values: a small table, shared until somebody writes.
 *
 *     fiber --.
 *     fiber ---+-> weir_locals: refs, (key, box) …  -> box: refs, value
 *     capture -'
 *
 * Spawning, capturing and adopting only count a table's holders.  A set makes a table of its own where there are other
 * holders; the boxes count the tables they are in, so that a value ends with the last of them.  Tables are searched
 * from the start: they have a handful of entries.
 */
#include "rt/local.h"

#include "rt/fiber.h"

#include <stdlib.h>

struct box {
	size_t refs;
	void *value;
};

struct entry {
	const struct weir_local_key *key;
	struct box *box;
};

struct weir_locals {
	size_t refs, n;
	struct entry entries[];
};

static void unref_box(struct entry entry)
{
	if (--entry.box->refs)
		return;
	if (entry.key->destroy)
		entry.key->destroy(entry.box->value);
	free(entry.box);
}

struct weir_locals *weir__locals_ref(struct weir_locals *locals)
{
	if (locals)
		locals->refs++;
	return locals;
}

void weir__locals_unref(struct weir_locals *locals)
{
	if (!locals || --locals->refs)
		return;
	for (size_t i = 0; i < locals->n; i++)
		unref_box(locals->entries[i]);
	free(locals);
}

/* Where the key is, or where it would be added. */
static size_t place_of(const struct weir_locals *locals, const struct weir_local_key *key)
{
	size_t i = 0;
	while (locals && i < locals->n && locals->entries[i].key != key)
		i++;
	return i;
}

void *weir_local_get(const struct weir_local_key *key)
{
	const struct weir_locals *locals = weir__self->locals;
	size_t at = place_of(locals, key);
	return locals && at < locals->n ? locals->entries[at].box->value : NULL;
}

/* A table with room for one more entry, which holds what `locals` does and nobody else. */
static struct weir_locals *copy_of(const struct weir_locals *locals)
{
	size_t n = locals ? locals->n : 0;
	struct weir_locals *copy = malloc(sizeof *copy + (n + 1) * sizeof copy->entries[0]);
	if (!copy)
		return NULL;
	copy->refs = 1;
	copy->n = n;
	for (size_t i = 0; i < n; i++) {
		copy->entries[i] = locals->entries[i];
		copy->entries[i].box->refs++;
	}
	return copy;
}

/* The entry's box is in place before the old one goes: its destroy() may look at the fiber's values. */
static int put_box(struct weir_fiber *self, size_t at, struct entry entry)
{
	struct weir_locals *locals = self->locals;
	bool known = locals && at < locals->n;
	if (!known || locals->refs > 1) {
		struct weir_locals *copy = copy_of(locals);
		if (!copy)
			return WEIR_ENOMEM;
		weir__locals_unref(locals);
		self->locals = locals = copy;
	}
	struct entry old = locals->entries[at];
	locals->entries[at] = entry;
	if (known)
		unref_box(old);
	else
		locals->n++;
	return 0;
}

static int remove_entry(struct weir_fiber *self, const struct weir_local_key *key)
{
	struct weir_locals *locals = self->locals;
	size_t at = place_of(locals, key);
	if (!locals || at == locals->n)
		return 0;
	if (locals->refs == 1) {
		struct entry old = locals->entries[at];
		locals->entries[at] = locals->entries[--locals->n];
		unref_box(old);
		return 0;
	}
	struct weir_locals *copy = copy_of(locals);
	if (!copy)
		return WEIR_ENOMEM;
	weir__locals_unref(locals);
	self->locals = copy;
	return remove_entry(self, key);
}

int weir_local_set(const struct weir_local_key *key, void *value)
{
	struct weir_fiber *self = weir__self;
	weir__require(self->fn, "weir_local_set() belongs on a fiber");
	if (!value)
		return remove_entry(self, key);
	struct box *box = malloc(sizeof *box);
	if (!box)
		return WEIR_ENOMEM;
	*box = (struct box){.refs = 1, .value = value};
	int code = put_box(self, place_of(self->locals, key), (struct entry){key, box});
	if (code)
		free(box);
	return code;
}

struct weir_locals *weir_local_capture(void)
{
	return weir__locals_ref(weir__self->locals);
}

void weir_local_adopt(struct weir_locals *locals)
{
	struct weir_fiber *self = weir__self;
	weir__require(self->fn, "weir_local_adopt() belongs on a fiber");
	struct weir_locals *old = self->locals;
	self->locals = weir__locals_ref(locals);
	weir__locals_unref(old);
}

void weir_local_release(struct weir_locals *locals)
{
	weir__locals_unref(locals);
}
