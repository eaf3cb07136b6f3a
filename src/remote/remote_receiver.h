/*
 * What the receivers of both versions of remote write share: one request on its way into the
 * storage. Inside of src/remote.
 */
#pragma once

#include "base/metrics.h"
#include "remote/remote_message.h"
#include "remote/remote_refs.h"
#include "remote/remote_write.h"

struct RemoteReceiver {
    Storage *storage;
    RemoteReceiverOptions options;
    RemoteRefs *refs;
    Metric *invalid_labels, *without_metadata;
};

typedef struct RemoteRequest {
    RemoteReceiver *receiver;
    Appender *appender;
    RemoteWriteResult *result;
    RemoteScratch scratch;
    int64_t t_max; /* later samples are refused */
} RemoteRequest;

/* A sample of any kind: v, h or fh. */
typedef struct RemoteItem {
    int64_t t, st;
    double v;
    const Histogram *h;
    const FloatHistogram *fh;
} RemoteItem;

/* Sets the answer; what it returns ends the request. */
int PRINTF_LIKE(3, 4) remote_answer(RemoteWriteResult *result, int status, const char *fmt, ...);

void remote_sort_labels(Label *v, size_t n);
/* v is sorted. What Prometheus takes: a name, everything UTF-8, no label twice. */
bool remote_labels_valid(const Label *v, size_t n);
/* Without those whose value is empty, which are no labels; how many stay. */
size_t remote_drop_empty(Label *v, size_t n);

/* Once, with *ref (0: with the labels, and *ret_ref set). An AppendOutcome or a negative errno. */
int remote_append(RemoteRequest *q, SeriesRef *ref, Labels labels, const RemoteItem *item);
/* Why, in Prometheus' words. */
const char *remote_refusal(int outcome, const RemoteItem *item, Problem *scratch);
/* The labels are the scratch's, in any order. */
bool remote_append_exemplar(RemoteRequest *q, SeriesRef ref, Exemplar *e);
/* A histogram's family has no _bucket. */
void remote_keep_metadata(RemoteRequest *q, Str metric, const Metadata *m);

/* The content of a request of version 2 into the appender: 0 with the result filled (also when
 * parts were refused), or a negative errno of the storage. */
int remote_store_v2(RemoteRequest *q, Str request);
