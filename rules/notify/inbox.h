/*
 * Where alerts from other threads come in: a batch is posted to the loop thread and taken there.
 * The inbox is counted and outlives its owner until the last posted batch has come through, so a
 * batch that arrives after the owner has gone is dropped.
 */
#pragma once

#include "loop/loop.h"
#include "rules/alert.h"

typedef struct AlertInbox AlertInbox;

AlertInbox *alert_inbox_new(Loop *l, void (*take)(void *arg, AlertBatch *batch), void *arg);
/* Borrows the batch. Any thread; before alert_inbox_free(). */
void alert_inbox_send(AlertInbox *i, AlertBatch *batch);
/* Loop thread: from now on batches are dropped, also those already posted. */
void alert_inbox_close(AlertInbox *i);
/* Closes it, and gives up the owner's reference. */
void alert_inbox_free(AlertInbox *i);
