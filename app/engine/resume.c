/* SPDX-License-Identifier: MIT */
#include "engine/resume.h"

#include <sysexits.h>

#include "spec/meaning.h"

static int compare(const struct broker_past *past, const char *meaning, int *ret_exit, struct weir_error *err)
{
	const char *advice =
		past->done
			? "that run is complete; --fresh starts over, --adopt processes only what is new in the source"
			: "change it back, or process the remaining items with the new one: --adopt";
	struct buf change = {0};
	int code = spec_meaning_compare(past->plan.data, meaning, &change, err);
	*ret_exit = code == WEIR_ENOMEM ? EX_UNAVAILABLE : EX_IOERR;
	if (!code && change.len) {
		*ret_exit = EX_CONFIG;
		code = weir_error_set(err, WEIR_EINVAL, "the pipeline has changed since the run began: %s; %s",
				      change.data, advice);
	}
	buf_fini(&change);
	return code;
}

static int decide_fresh(const struct broker_past *past, enum engine_wish wish, int *ret_exit, struct weir_error *err)
{
	bool loses_nothing = !past->letters && (past->done || !past->accounts.read);
	if (wish == WISH_DISCARD || loses_nothing)
		return 0;
	*ret_exit = EX_USAGE;
	return weir_error_set(err, WEIR_EINVAL,
			      "--fresh would discard a run with %llu unfinished items and %llu dead letters%s; finish "
			      "it without --fresh, or use --fresh=discard",
			      (unsigned long long)past->unfinished, (unsigned long long)past->letters,
			      past->sealed ? "" : ", whose source is not read to the end");
}

bool resume_is_barren(const struct broker_past *past)
{
	return past->done && past->accounts.dead && !past->accounts.succeeded;
}

int resume_decide(const struct broker_past *past, const char *meaning, enum engine_wish wish, bool has_rows,
		  bool *ret_begin, int *ret_exit, struct weir_error *err)
{
	bool is_repeat = wish == WISH_RESUME && has_rows && resume_is_barren(past);
	*ret_begin = !past->begun || is_repeat || wish == WISH_FRESH || wish == WISH_DISCARD;
	if (!past->begun || is_repeat)
		return 0;
	if (*ret_begin)
		return decide_fresh(past, wish, ret_exit, err);
	return wish == WISH_ADOPT ? 0 : compare(past, meaning, ret_exit, err);
}
