/* SPDX-License-Identifier: MIT */
#include "redis/broker/broker.h"

int redis_letters(struct broker *handle, const struct letters_request *request, struct buf *out, uint64_t *ret_n,
		  struct weir_error *err, weir_nsec deadline)
{
	(void)handle, (void)request, (void)out, (void)ret_n, (void)deadline;
	return weir_error_set(err, WEIR_EINVAL, "not yet");
}
