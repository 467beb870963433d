/* SPDX-License-Identifier: MIT */
#include "redis/broker/state.h"

#include <stdarg.h>
#include <stdio.h>

void redis_fail(struct redis_broker *broker, int code, const char *format, ...)
{
	va_list args;
	char text[sizeof broker->failed.text];
	if (broker->failed.code)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	weir_error_set(&broker->failed, code, "%s", text);
	redis_look_all(broker);
}

int redis_answer_failed(const struct redis_broker *broker, struct weir_error *err)
{
	if (broker->failed.code)
		weir_error_set(err, broker->failed.code, "%s", broker->failed.text);
	return broker->failed.code;
}

void redis_look_all(struct redis_broker *broker)
{
	redis_pulse(broker->changed);
	redis_pulse(broker->room);
	weir_event_set(broker->hungry);
	weir_event_set(broker->meet_now);
}

void redis_key_name(const struct redis_broker *broker, size_t key, struct buf *out)
{
	if (key < REDIS_FRESH_KEY)
		buf_addf(out, "%s%s", broker->prefix, redis_key_names[key]);
	else
		buf_addf(out, "%sfresh:%zu", broker->prefix, key - REDIS_FRESH_KEY);
}

void redis_add_keys(const struct redis_broker *broker, struct redis_command *rest)
{
	buf_add(&rest->words, broker->all_keys.data, broker->all_keys.len);
	rest->n += broker->key_words;
}
