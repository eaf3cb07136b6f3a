/*
 * The messages inside a WriteRequest, decoded. Fields not known are skipped, a known field of
 * another wire type is refused, as the generated decoders of the senders' language do. All return 0
 * or -EBADMSG. Strings point into the message; arrays belong to the scratch and last until its next
 * use.
 */
#pragma once

#include "format/protowire.h"
#include "storage/storage.h"

typedef struct RemoteSample {
    int64_t t, st; /* st: only version 2 */
    double v;
} RemoteSample;

typedef struct RemoteHistogram {
    bool is_float;
    int64_t t, st;
    Histogram h;       /* or */
    FloatHistogram fh; /* if is_float */
} RemoteHistogram;

typedef struct RemoteScratch {
    VEC(Label) labels;
    VEC(BucketSpan) positive_spans;
    VEC(BucketSpan) negative_spans;
    VEC(int64_t) positive;
    VEC(int64_t) negative;
    VEC(double) positive_counts;
    VEC(double) negative_counts;
    VEC(double) custom_values;
} RemoteScratch;

void remote_scratch_deinit(RemoteScratch *s);
/* A Label message. */
int remote_decode_label(Str message, Label *ret);
int remote_decode_sample(Str message, RemoteSample *ret);
int remote_decode_histogram(Str message, RemoteScratch *s, RemoteHistogram *ret);
/* The labels are those of the scratch, as sent. */
int remote_decode_exemplar(Str message, RemoteScratch *s, Exemplar *ret);
int remote_decode_metadata(Str message, Str *ret_family, Metadata *ret);
