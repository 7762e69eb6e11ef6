/* notify.h -- tells a service manager how far we are (sd_notify(3)). */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

/* Sends `state` ("READY=1", "STOPPING=1") to the socket that NOTIFY_SOCKET names; without one,
 * or on any failure, does nothing: a service manager that does not listen is no reason not to
 * serve. */
void notify(const char *state);

#endif
