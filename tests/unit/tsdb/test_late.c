/* Records of late samples come back, and every prefix is judged. */
#include <errno.h>

#include "base/mem.h"
#include "support/test.h"
#include "tsdb/journal/journal_late.h"

static const JournalSample SAMPLES[] = {
    {7, 1000, 1.5}, {3, -5000, -0.0}, {4000000000u, INT64_C(1) << 60, 3}, {7, 999, 5e-324}};

static int count(Str payload) {
    JournalLate it;
    JournalSample s;
    int n = 0, r = journal_late_init(&it, payload);
    while (r == 0 && (r = journal_late_next(&it, &s)) > 0) {
        CHECK_INT(s.slot, SAMPLES[n].slot);
        CHECK_INT(s.t, SAMPLES[n].t);
        CHECK_DOUBLE(s.v, SAMPLES[n].v);
        n++;
        r = 0;
    }
    return r < 0 ? r : n;
}

TEST (late_samples_come_back_and_a_cut_sample_is_refused) {
    JournalEncoder e;
    Buf out = BUF_INIT(0);
    JournalReader r = {0};
    JournalRecord rec;
    journal_encoder_init(&e);
    journal_put_late(&e, &out, SAMPLES, 4);
    journal_seal(&out, 0);
    r = (JournalReader){.p = (const uint8_t *)out.p, .n = out.n};
    CHECK_INT(journal_reader_next(&r, &rec), JOURNAL_RECORD);
    CHECK_INT(rec.type, JOURNAL_LATE);
    Str payload;
    Buf scratch = BUF_INIT(0);
    ZstdCodec *zstd = zstd_codec_new(0);
    CHECK_INT(journal_record_payload(&rec, zstd, &scratch, &payload), 0);
    CHECK_INT(count(payload), 4);
    JournalLate it;
    CHECK_INT(journal_late_init(&it, payload), 0);
    CHECK_INT(it.max_time, INT64_C(1) << 60);
    for (size_t n = 0; n < payload.n; n++) {
        char *cut = mem_dup(payload.p, n);
        int found = count((Str){cut, n});
        CHECK(found == -EBADMSG || (found >= 0 && found < 4));
        mem_free(cut);
    }
    zstd_codec_free(zstd);
    buf_deinit(&scratch);
    buf_deinit(&out);
    journal_encoder_deinit(&e);
}
