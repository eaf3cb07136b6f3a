/* The reader of journal segments and the decoders behind it, as replay calls them. */
#include "base/mem.h"
#include "tsdb/journal/journal_histogram.h"
#include "tsdb/journal/journal_notes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_series_1(Str payload) {
    JournalSeries1 it = {0};
    uint32_t slot;
    Labels labels;
    size_t bytes = 0;
    journal_series_1_init(&it, payload);
    while (journal_series_1_next(&it, &slot, &labels) > 0) {
        for (size_t i = 0; i < labels.n; i++) {
            bytes += labels.v[i].name.n + labels.v[i].value.n;
        }
    }
    journal_series_1_deinit(&it);
    (void)bytes;
}

static void decode_samples_1(uint8_t type, Str payload) {
    JournalSamples1 it;
    JournalSample sample;
    if (journal_samples_1_init(&it, type, payload) == 0) {
        while (journal_samples_1_next(&it, &sample) > 0) {
        }
    }
}

static void decode_series(Str payload) {
    JournalSeries it = {0};
    Label pair;
    uint32_t slot, sum = 0;
    const uint32_t *numbers;
    size_t n;
    int r = journal_series_init(&it, payload);
    while (r == 0 && (r = journal_series_next_pair(&it, &pair)) > 0) {
        r = 0;
    }
    while (r == 0 && (r = journal_series_next(&it, &slot, &numbers, &n)) > 0) {
        for (size_t i = 0; i < n; i++) {
            sum += numbers[i];
        }
        r = 0;
    }
    journal_series_deinit(&it);
    (void)sum;
}

/* Every other value is somebody else's. */
static void decode_samples(Str payload) {
    JournalSamples it;
    JournalPredictor p = {0};
    uint32_t slot, min, max;
    int64_t t;
    double v;
    if (journal_samples_slots(payload, &min, &max) < 0 || journal_samples_init(&it, payload) < 0) {
        return;
    }
    while (journal_samples_next(&it, &slot, &t) > 0) {
        if (!(slot & 1 ? journal_value_skip(&it.values, it.values_end)
                       : journal_value_get(&it.values, it.values_end, &p, &v))) {
            return;
        }
    }
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

static void decode_notes(uint8_t type, Str payload) {
    JournalNotes it = JOURNAL_NOTES(payload);
    JournalExemplar x;
    JournalFamily f;
    while (type == JOURNAL_EXEMPLARS ? journal_exemplars_next(&it, &x) > 0
                                     : journal_families_next(&it, &f) > 0) {
    }
    journal_notes_deinit(&it);
}

static void decode(uint8_t type, Str payload) {
    int64_t mint;
    switch (type) {
    case JOURNAL_SERIES_1: decode_series_1(payload); break;
    case JOURNAL_BASE_1: (void)journal_base_decode(payload, &mint); break;
    case JOURNAL_SAMPLES_1:
    case JOURNAL_SAMPLES_TIMED_1: decode_samples_1(type, payload); break;
    case JOURNAL_SAMPLES: decode_samples(payload); break;
    case JOURNAL_SERIES: decode_series(payload); break;
    case JOURNAL_HISTOGRAMS: decode_histograms(payload); break;
    case JOURNAL_EXEMPLARS:
    case JOURNAL_FAMILIES: decode_notes(type, payload); break;
    default: break;
    }
}

static const uint8_t kinds[16] = {
    JOURNAL_SERIES_1,   JOURNAL_SAMPLES_1, JOURNAL_SAMPLES_TIMED_1,
    JOURNAL_BASE_1,     JOURNAL_SAMPLES,   JOURNAL_SERIES,
    JOURNAL_HISTOGRAMS, JOURNAL_EXEMPLARS, JOURNAL_FAMILIES,
};

/* First as a segment; then, since checksums stop nearly all changes, as the payload of each kind.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    JournalReader r;
    SegmentHeader h;
    JournalRecord rec;
    Buf scratch = {0};
    Str payload;
    ZstdCodec *zstd = zstd_codec_new(1);
    if (journal_reader_init(&r, data, size, &h) == JOURNAL_RECORD) {
        while (journal_reader_next(&r, &rec) == JOURNAL_RECORD) {
            if (journal_record_payload(&rec, zstd, &scratch, &payload) == 0) {
                decode(rec.type, payload);
            }
        }
    }
    if (size > 0) {
        rec = (JournalRecord){.type = kinds[(data[0] & 7) | (data[0] >> 2 & 8)],
                              .compression = (data[0] >> 3 & 3) % 3,
                              .payload = str_n((const char *)data + 1, size - 1)};
        if (journal_record_payload(&rec, zstd, &scratch, &payload) == 0) {
            decode(rec.type, payload);
        }
    }
    zstd_codec_free(zstd);
    buf_deinit(&scratch);
    return 0;
}
