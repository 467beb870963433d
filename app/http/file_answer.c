/* SPDX-License-Identifier: MIT */
/* What is said of an answer that was saved to a file. */
#include "http/exchange.h"

#include "data/json_writer.h"
#include "http/encoding.h"

#include <string.h>
#include <strings.h>

bool step_http_is_saved(const struct exchange *x)
{
	return x->saving.file && http_saved_sha256(x->saving.file);
}

/* The value of the header, to the end of its line; NULL: there is none. */
static const char *find_type(const struct http_response *response)
{
	static const char name[] = "content-type:";
	const char *line = response->headers;
	while (line && strncasecmp(line, name, strlen(name)) != 0)
		line = (line = strchr(line, '\n')) && line[1] ? line + 1 : NULL;
	return line ? line + strlen(name) + strspn(line + strlen(name), " \t") : NULL;
}

void step_http_put_saved(const struct exchange *x, struct buf *out)
{
	const struct http_response *response = &x->response;
	enum codec codec;
	const struct http_saved *file = x->saving.file;
	const char *type = find_type(response), *path = http_saved_path(file) + x->saving.step->config->save.path.added;
	json_put_bytes(out, "path", path, strlen(path));
	json_put_uint(out, "bytes", http_saved_bytes(file));
	json_put_text(out, "sha256", http_saved_sha256(file));
	json_put_bytes(out, "content_type", type, type ? strcspn(type, "\r\n") : 0);
	if (response->encoding[0] && http_codec(response->encoding, &codec) && codec == CODEC_NONE)
		json_put_text(out, "content_encoding", response->encoding);
}
