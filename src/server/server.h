/*
 * The whole process put together: start order, reload, shutdown. One a process; loop thread only.
 * What the flags say has been parsed before; the first configuration is loaded and checked before
 * anything starts.
 */
#pragma once

#include "base/err.h"

typedef struct Server Server;

/* Loads and checks all files. -EINVAL and a Problem for a mistake in one of them (exit code 2),
 * other errors likewise. */
int server_new(Server **ret, Problem *problem);
/* Listens, opens the database, scrapes, evaluates; returns when asked to stop. The process's exit
 * code. */
int server_run(Server *s);
void server_free(Server *s);
