/* SPDX-License-Identifier: MIT */
/*
 * A test of one's own, without any framework: transfer() sends some texts to a consumer.  Each of its puts fails once,
 * then each get, spawn and allocation, the library's too; it must say so, leave no text behind, and not hang.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <weir/testing.h>
#include <weir/weir.h>

static int texts; /* that exist now */

static void text_free(char *text)
{
	texts -= text != NULL;
	free(text);
}

static int receive(void *arg)
{
	char *text;
	int code;
	while ((code = weir_queue_get(arg, &text, WEIR_FOREVER)) == 0) {
		text_free(text); /* who gets a pointer owns it */
		weir_queue_task_done(arg);
	}
	return code == WEIR_ECLOSED ? 0 : code;
}

static int send_texts(void *arg)
{
	int code = 0;
	for (int i = 0; i < 3 && code == 0; i++) {
		char *text = malloc(10);
		texts += text != NULL;
		if ((code = text ? weir_queue_put(arg, &text, WEIR_FOREVER) : WEIR_ENOMEM) < 0)
			text_free(text); /* it was not taken: still ours */
	}
	weir_queue_close(arg, 0);
	return code;
}

static int transfer(void *arg)
{
	(void)arg;
	struct weir_queue *queue;
	int code = weir_queue_new(sizeof(char *), 1, &queue); /* of one item, so that all waits happen */
	if (code < 0)
		return code;
	struct weir_group_part both[] = {{.fn = send_texts, .arg = queue}, {.fn = receive, .arg = queue}};
	code = weir_group_run(both, 2, WEIR_FOREVER);
	for (char *left; !weir_queue_empty(queue) && weir_queue_get(queue, &left, WEIR_TRY) == 0;)
		text_free(left); /* nobody got it */
	weir_queue_free(queue);
	return code;
}

static void sweep(const char *what, enum weir_testing_call call, int failure)
{
	bool failed = true;
	for (unsigned n = 1; failed; n++) {
		weir_testing_fail(call, n, failure);
		int code = weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK, .seed = n % 4}, transfer, NULL);
		failed = weir_testing_failed(call);
		weir_testing_fail(call, 0, 0);
		assert(code == (failed ? failure : 0) && texts == 0);
	}
	printf("every %s failed in turn, and it said so\n", what);
}

int main(void)
{
	sweep("put", WEIR_TESTING_PUT, WEIR_ETIMEDOUT);
	sweep("get", WEIR_TESTING_GET, WEIR_EIO);
	sweep("spawn", WEIR_TESTING_SPAWN, WEIR_ENOMEM);
	sweep("allocation", WEIR_TESTING_ALLOCATE, WEIR_ENOMEM);
	return 0;
}
