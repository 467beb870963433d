/* SPDX-License-Identifier: MIT */
/* After "*N\r\n" comes a "$LENGTH\r\nBYTES\r\n" for each word. */
#include "redis/command.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

void redis_add(struct redis_command *command, const void *bytes, size_t n)
{
	buf_add_char(&command->words, '$');
	buf_add_uint(&command->words, n);
	buf_add(&command->words, "\r\n", 2);
	buf_add(&command->words, bytes, n);
	buf_add(&command->words, "\r\n", 2);
	command->n++;
}

void redis_add_text(struct redis_command *command, const char *text)
{
	redis_add(command, text, strlen(text));
}

void redis_add_number(struct redis_command *command, int64_t number)
{
	char text[24];
	redis_add(command, text, (size_t)snprintf(text, sizeof text, "%" PRId64, number));
}

void redis_command_clear(struct redis_command *command)
{
	buf_clear(&command->words);
	command->n = 0;
}

void redis_command_fini(struct redis_command *command)
{
	buf_fini(&command->words);
	command->n = 0;
}

void redis_script_init(struct redis_script *script, const char *text)
{
	unsigned char digest[EVP_MAX_MD_SIZE] = {0};
	size_t n = 0;
	script->text = text;
	EVP_Q_digest(NULL, "SHA1", NULL, text, strlen(text), digest, &n);
	for (size_t i = 0; i < 20; i++)
		snprintf(script->sha + 2 * i, 3, "%02x", digest[i]);
}
