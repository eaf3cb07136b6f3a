/*
 * Remote write 1.0 and 2.0: taking and making the requests that senders post to /api/v1/write. A
 * request is a protobuf message compressed with snappy's block format. Of 1.0 (WriteRequest) all is
 * stored or nothing; of 2.0 (Request) what is good. A sender that gets a 4xx will not send it
 * again. Sources: "Prometheus Remote-Write 1.0 specification"; prompb/remote.proto and types.proto
 * for the field numbers.
 *
 * Senders repeat the same series in each request, so the receiver remembers which SeriesRef the
 * bytes of a label list stand for (RemoteRefs): labels are only decoded for series not seen yet.
 */
#pragma once

#include "storage/storage.h"

/* Largest request, before and after decompression. */
#define REMOTE_WRITE_BYTES_MAX ((size_t)32 << 20)
/* Samples may be this far ahead of our clock. */
#define REMOTE_WRITE_AHEAD_MS (10 * 60 * INT64_C(1000))

/* ---- receiving */

/* Any thread; requests run side by side. */
typedef struct RemoteReceiver RemoteReceiver;

typedef struct RemoteReceiverOptions {
    Storage *storage;   /* borrowed */
    bool start_as_zero; /* a sample 0 at each start timestamp: created-timestamp-zero-ingestion */
} RemoteReceiverOptions;
RemoteReceiver *remote_receiver_new(const RemoteReceiverOptions *o);
void remote_receiver_free(RemoteReceiver *r);

typedef enum RemoteWriteVersion { REMOTE_WRITE_1, REMOTE_WRITE_2 } RemoteWriteVersion;

typedef struct RemoteWriteResult {
    int status; /* of HTTP: 204, 400, 413, 500 */
    uint64_t samples, histograms, exemplars;
    uint64_t exemplars_dropped;
    uint64_t series_invalid; /* skipped for their labels */
    char text[1024];         /* the answer's body when status is not 204 */
} RemoteWriteResult;
/*
 * Stores a request body as it came. Series whose labels are not valid are skipped and counted;
 * exemplars that are refused are counted; the first sample that is refused ends a request of 1.0
 * and undoes all of it, with status 400. Of 2.0 the rest is stored, and a 400 tells what was not.
 * Blocks while the journal is written.
 */
void remote_receiver_write(RemoteReceiver *r, RemoteWriteVersion version, Str body,
                           RemoteWriteResult *ret);

/* ---- making requests */

/* The fields of a WriteRequest, one after the other, into a Buf; remote_write_finish() compresses
 * it. Labels must be sorted. */
size_t remote_write_series_begin(Buf *b, Labels labels);
void remote_write_add_sample(Buf *b, int64_t t, double v);
void remote_write_add_exemplar(Buf *b, const Exemplar *e);
/* h or fh, the other NULL. */
void remote_write_add_histogram(Buf *b, int64_t t, const Histogram *h, const FloatHistogram *fh);
void remote_write_series_end(Buf *b, size_t mark);
void remote_write_add_metadata(Buf *b, Str family, const Metadata *m);
/* The body to post, behind what out holds; -EFBIG at out's ceiling. */
int remote_write_finish(const Buf *b, Buf *out);
