/* SPDX-License-Identifier: MIT */
/*
 * Mistakes that are good YAML and good values: the template of another language, which would be sent as it is, and a
 * secret that is written into the file.
 *
 *     {{.id}}  $id  {id}   in a URL          ${.id}
 *     {{.id}}              in other texts    ${.id}
 *     .id                  in JSON           ${.id}
 *     $TOKEN  ${TOKEN}     for a secret      ${env:TOKEN}
 */
#include <string.h>
#include <strings.h>

#include "data/json.h"
#include "data/secret.h"
#include "spec/spec.h"

#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789abcdefghijklmnopqrstuvwxyz"

/* Of a proxy, and of a database, where a user alone is no secret. */
static bool has_password(const char *url, const char *user)
{
	size_t n = strcspn(user, "@/");
	bool is_database = strncmp(url, "postgres", strlen("postgres")) == 0;
	if (is_database)
		return (user[n] == '@' && memchr(user, ':', n)) || strstr(user, "password=");
	return user[n] == '@';
}

static bool is_secret(const struct key *key, const struct spec_node *node)
{
	const char *address = key->type == KEY_STRING ? strstr(node->text, "://") : NULL;
	return (key->flags & KEY_SECRET) || (address && has_password(node->text, address + 3)) ||
	       (key->type == KEY_HEADERS && secret_is_name(node->key));
}

bool spec_is_literal_secret(const struct key *key, const struct spec_node *node)
{
	return is_secret(key, node) && !spec_is_external(node->text) && !strstr(node->text, "${.");
}

bool spec_is_hidden(const struct key *key, const struct spec_node *node)
{
	bool any_text = key->type == KEY_STRING || key->type == KEY_TEMPLATE || key->type == KEY_STRINGS ||
			key->type == KEY_COLUMNS || key->type == KEY_HEADERS || key->type == KEY_JSON;
	return (key->flags & KEY_SECRET) || spec_is_literal_secret(key, node) ||
	       (any_text && spec_is_external(node->text));
}

/* A hole as another language writes it. */
struct foreign {
	const char *text, *name; /* all of it, and the name in it */
	size_t text_n, name_n;
};

/* The name between two marks, of which the first is at `at`; a dot before it is no part of it. */
static bool find_between(const char *at, const char *open, const char *close, struct foreign *ret_foreign)
{
	const char *name = at + strlen(open);
	if (strncmp(at, open, strlen(open)) != 0)
		return false;
	name += *open == '{' ? strspn(name, " .") : 0;
	size_t n = strspn(name, NAME_BYTES);
	const char *end = name + n + strspn(name + n, " ");
	if (!n || strncmp(end, close, strlen(close)) != 0)
		return false;
	*ret_foreign = (struct foreign){at, name, (size_t)(end - at) + strlen(close), n};
	return true;
}

/* $id; "$top=10" is a parameter of OData. */
static bool find_dollar(const char *at, struct foreign *ret_foreign)
{
	size_t n = at[0] == '$' ? strspn(at + 1, NAME_BYTES) : 0;
	if (!n || (at[1] >= '0' && at[1] <= '9') || at[1 + n] == '=')
		return false;
	*ret_foreign = (struct foreign){at, at + 1, n + 1, n};
	return true;
}

/* A jq program has .id where a map or a list has ${.id}. */
static bool find_path(const char *text, struct foreign *ret_foreign)
{
	size_t n = strlen(text);
	if (text[0] != '.' || n < 2 || (text[1] >= '0' && text[1] <= '9') || json_path_length(text) != n)
		return false;
	*ret_foreign = (struct foreign){text, text + 1, n, n - 1};
	return true;
}

static bool find_foreign(const struct key *key, const char *text, bool secret, struct foreign *ret_foreign)
{
	bool is_url = key->type == KEY_URL;
	if (key->type == KEY_JSON && find_path(text, ret_foreign))
		return true;
	for (const char *at = text; *at; at++) {
		if (find_between(at, "{{", "}}", ret_foreign))
			return true;
		if (secret && find_between(at, "${", "}", ret_foreign))
			return true;
		if ((is_url || secret) && find_dollar(at, ret_foreign))
			return true;
		if (strncmp(at, "${", 2) == 0 && strchr(at, '}'))
			at = strchr(at, '}');
		else if (is_url && find_between(at, "{", "}", ret_foreign))
			return true;
	}
	return false;
}

void spec_doubt(struct spec_load *load, const struct key *key, const struct spec_node *node)
{
	const char *name = key->type == KEY_HEADERS ? node->key : key->name;
	bool secret = is_secret(key, node);
	bool is_template = key->type == KEY_URL || key->type == KEY_TEMPLATE || key->type == KEY_HEADERS ||
			   key->type == KEY_JSON || key->type == KEY_PATH;
	struct foreign found;
	if ((is_template || secret) && find_foreign(key, node->text, secret, &found))
		spec_warn(load, node->line, node->column,
			  "%s has \"%.*s\", which is %s as it stands; did you mean ${%s%.*s}?", name, (int)found.text_n,
			  found.text, key->type == KEY_PATH ? "used" : "sent", secret ? "env:" : ".", (int)found.name_n,
			  found.name);
	else if (spec_is_literal_secret(key, node))
		spec_warn(load, node->line, node->column,
			  "%s is a secret in plain text; take it from ${env:NAME} or ${file:PATH}", name);
}
