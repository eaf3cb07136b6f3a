/* The reader of journal segments and the decoders behind it, as replay calls them. */
#include "base/mem.h"
#include "tsdb/journal/journal_histogram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_series(Str payload) {
    JournalSeries it = {0};
    uint32_t slot;
    Labels labels;
    size_t bytes = 0;
    journal_series_init(&it, payload);
    while (journal_series_next(&it, &slot, &labels) > 0) {
        for (size_t i = 0; i < labels.n; i++) {
            bytes += labels.v[i].name.n + labels.v[i].value.n;
        }
    }
    journal_series_deinit(&it);
    (void)bytes;
}

static void decode_histograms(Str payload) {
    Arena arena = ARENA_INIT((size_t)1 << 28);
    JournalHistograms it;
    JournalHistogram h;
    int r = journal_histograms_init(&it, payload, &arena);
    while (r == 0 && journal_histograms_next(&it, &h) > 0) {
    }
    arena_deinit(&arena);
}

static void decode(uint8_t type, Str payload) {
    JournalSamples it;
    JournalSample sample;
    int64_t mint;
    if (type == JOURNAL_SERIES) {
        decode_series(payload);
    } else if (type == JOURNAL_HISTOGRAMS) {
        decode_histograms(payload);
    } else if (type == JOURNAL_BASE) {
        (void)journal_base_decode(payload, &mint);
    } else if (journal_samples_init(&it, type, payload) == 0) {
        while (journal_samples_next(&it, &sample) > 0) {
        }
    }
}

/* First as a segment; then, since checksums stop nearly all changes, as the payload of each kind.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    JournalReader r;
    SegmentHeader h;
    JournalRecord rec;
    Buf scratch = {0};
    Str payload;
    if (journal_reader_init(&r, data, size, &h) == JOURNAL_RECORD) {
        while (journal_reader_next(&r, &rec) == JOURNAL_RECORD) {
            if (journal_record_payload(&rec, &scratch, &payload) == 0) {
                decode(rec.type, payload);
            }
        }
    }
    if (size > 0) {
        payload = str_n((const char *)data + 1, size - 1);
        rec = (JournalRecord){.type = data[0] & 3, .compressed = data[0] & 4, .payload = payload};
        if (journal_record_payload(&rec, &scratch, &payload) == 0) {
            decode(data[0] & 8 ? JOURNAL_HISTOGRAMS : (uint8_t)(rec.type + 1), payload);
        }
    }
    buf_deinit(&scratch);
    return 0;
}
