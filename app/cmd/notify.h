/* SPDX-License-Identifier: MIT */
/* Tells the service manager how this process stands, as sd_notify(3) does: for systemd's Type=notify. */
#ifndef CMD_NOTIFY_H
#define CMD_NOTIFY_H

/* state: "READY=1", "STOPPING=1".  Does nothing unless NOTIFY_SOCKET names a socket. */
void notify_service(const char *state);

#endif
