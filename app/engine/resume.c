/* SPDX-License-Identifier: MIT */
#include "engine/resume.h"

#include <string.h>
#include <sysexits.h>

/* The first line in which the texts differ, without indentation; *ret_was and *ret_is may both end up at the end. */
static void find_change(const char *was, const char *is, const char **ret_was, const char **ret_is)
{
	for (;;) {
		size_t n = strcspn(was, "\n"), m = strcspn(is, "\n");
		if (n != m || memcmp(was, is, n) != 0 || !was[n] || !is[m])
			break;
		was += n + 1;
		is += m + 1;
	}
	*ret_was = was + strspn(was, " ");
	*ret_is = is + strspn(is, " ");
}

static int refuse_change(const struct broker_past *past, const char *meaning, const char *advice,
			 struct weir_error *err)
{
	const char *was, *is;
	find_change(past->plan.data, meaning, &was, &is);
	return weir_error_set(
		err, WEIR_EINVAL,
		"the pipeline has changed since its run was begun: it said \"%.*s\", now it says \"%.*s\"; %s",
		(int)strcspn(was, "\n"), was, (int)strcspn(is, "\n"), is, advice);
}

static int decide_fresh(const struct broker_past *past, enum engine_wish wish, int *ret_exit, struct weir_error *err)
{
	bool loses_nothing = !past->letters && (past->done || !past->accounts.read);
	if (wish == WISH_DISCARD || loses_nothing)
		return 0;
	*ret_exit = EX_USAGE;
	return weir_error_set(err, WEIR_EINVAL,
			      "--fresh would throw away a run with %llu unfinished items and %llu dead letters%s; "
			      "finish it without --fresh, or say --fresh=discard",
			      (unsigned long long)past->unfinished, (unsigned long long)past->letters,
			      past->sealed ? "" : ", its source not read to the end");
}

int resume_decide(const struct broker_past *past, const char *meaning, enum engine_wish wish, enum resume *ret_resume,
		  int *ret_exit, struct weir_error *err)
{
	bool same = past->begun && strcmp(past->plan.data, meaning) == 0;
	*ret_resume = RESUME_BEGIN;
	if (!past->begun)
		return 0;
	if (wish == WISH_FRESH || wish == WISH_DISCARD)
		return decide_fresh(past, wish, ret_exit, err);
	*ret_exit = EX_CONFIG;
	if (past->done && !same)
		return refuse_change(past, meaning, "that run is done; --fresh runs the pipeline as it is now", err);
	if (!same && wish != WISH_ADOPT)
		return refuse_change(past, meaning,
				     "put that back, or say --adopt to run what is left with the new one", err);
	*ret_resume = past->done ? RESUME_NOTHING : RESUME_GO_ON;
	return 0;
}
