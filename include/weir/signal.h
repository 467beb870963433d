/* SPDX-License-Identifier: MIT */
/*
 * Signals as something to wait for, such as Ctrl-C:
 *
 *     int signal = weir_signal_wait((const int[]){SIGINT, SIGTERM, 0}, WEIR_FOREVER);
 *
 * A fiber that does only this is a `.background` part of its group (group.h): it does not keep the program running.
 * The usual one is there:
 *
 *     {.fn = weir_signal_stop, .background = true}
 */
#ifndef WEIR_SIGNAL_H
#define WEIR_SIGNAL_H

#include <weir/run.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Suspends until one of these signals (their numbers, then 0) comes, and returns its number.  While it waits the loop's
 * thread blocks them, so they have no other effect; before and after, they have the effect they always had: a second
 * Ctrl-C ends the program.  Each signal is waited for by one fiber at a time.  Threads of your own block them all the
 * time.  WEIR_EINVAL (no such signal), WEIR_EMFILE, WEIR_ENOMEM, WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED. */
WEIR_API int weir_signal_wait(const int *signals, weir_nsec deadline);

/* A fiber that waits for SIGINT (Ctrl-C) or SIGTERM and fails then, with WEIR_EINTR: its group cancels the others. */
WEIR_API int weir_signal_stop(void *unused);

#ifdef __cplusplus
}
#endif
#endif
