/* SPDX-License-Identifier: MIT */
/*
 * A test of one's own, without any framework: send() hands copies of some texts to a consumer.  Each of its puts fails
 * once, then each of its gets, its spawns, and each allocation, the library's too; every time it must say so, leave no
 * text behind, and not hang.  Linked with libweir-testing.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <weir/testing.h>
#include <weir/weir.h>

static int texts; /* that exist now */

static char *text_new(void)
{
	char *text = malloc(10);
	texts += text != NULL;
	return text;
}

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
		char *text = text_new();
		code = text ? weir_queue_put(arg, &text, WEIR_FOREVER) : WEIR_ENOMEM;
		if (code < 0)
			text_free(text); /* it was not taken: still ours */
	}
	weir_queue_close(arg, 0);
	return code;
}

/* The code under test.  Its queue holds one item, so that all its waits happen. */
static int transfer(void *arg)
{
	(void)arg;
	struct weir_queue *queue = NULL;
	struct weir_group *group = NULL;
	char *left;
	int code = weir_queue_new(sizeof left, 1, &queue);
	if (code == 0 && (code = weir_group_new(NULL, &group)) == 0) {
		code = weir_group_spawn(group, send_texts, queue, WEIR_FOREVER);
		if (code < 0 || (code = weir_group_spawn(group, receive, queue, WEIR_FOREVER)) < 0)
			weir_group_cancel(group);
		int result = weir_group_wait(group, WEIR_FOREVER);
		code = code < 0 ? code : result;
		while (!weir_queue_empty(queue) && weir_queue_get(queue, &left, WEIR_TRY) == 0) /* nobody got it */
			text_free(left);
	}
	weir_group_free(group);
	weir_queue_free(queue);
	return code;
}

static void sweep(const char *what, enum weir_testing_call call, int failure)
{
	for (unsigned n = 1;; n++) {
		struct weir_options options = {.flags = WEIR_VIRTUAL_CLOCK, .seed = n % 4};
		weir_testing_fail(call, n, failure);
		int code = weir_run(&options, transfer, NULL);
		bool failed = weir_testing_failed(call);
		weir_testing_fail(call, 0, 0);
		assert(code == (failed ? failure : 0));
		assert(texts == 0);
		if (!failed)
			break;
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
