#include "base/compiler.h"
#include "model/duration.h"
#include "model/sample.h"
#include "support/test.h"

static void check_duration(Str text, int64_t want_ms, Str want_text) {
    int64_t ms = -1;
    CHECK_INT(duration_parse(text, &ms, NULL), 0);
    CHECK_INT(ms, want_ms);
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    duration_format(&b, ms);
    CHECK_STR(buf_str(&b), want_text);
}

TEST (durations_round_trip_in_their_shortest_form) {
    check_duration(STR("0"), 0, STR("0s"));
    check_duration(STR("0s"), 0, STR("0s"));
    check_duration(STR("324ms"), 324, STR("324ms"));
    check_duration(STR("1m0s"), 60000, STR("1m"));
    check_duration(STR("1h30m"), 5400000, STR("1h30m"));
    check_duration(STR("24h"), 86400000, STR("1d"));
    check_duration(STR("4w"), INT64_C(28) * 86400000, STR("4w"));
    check_duration(STR("90d"), INT64_C(90) * 86400000, STR("90d"));
    check_duration(STR("1y"), INT64_C(365) * 86400000, STR("1y"));
    check_duration(STR("1y1d"), INT64_C(366) * 86400000, STR("366d"));
    check_duration(STR("1y2w3d4h5m6s7ms"), INT64_C(382) * 86400000 + 4 * 3600000 + 5 * 60000 + 6007,
                   STR("382d4h5m6s7ms"));
}

TEST (bad_durations_are_refused) {
    const Str bad[] = {STR(""),
                       STR("1"),
                       STR("1y1m1d"),
                       STR("-1w"),
                       STR("1.5d"),
                       STR("d"),
                       STR("1x"),
                       STR("1s1s"),
                       STR("1 s"),
                       STR("294y"),
                       STR("10000000000000000000000y")};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t ms;
        Problem p = {0};
        CHECK_INT(duration_parse(bad[i], &ms, &p), -EINVAL);
        CHECK(p.text[0]);
    }
}

TEST (sizes_are_powers_of_1024) {
    const struct {
        Str text;
        uint64_t bytes;
        Str back;
    } cases[] = {
        {STR("0"), 0, STR("0B")},
        {STR("512B"), 512, STR("512B")},
        {STR("512MB"), UINT64_C(512) << 20, STR("512MiB")},
        {STR("1GiB"), UINT64_C(1) << 30, STR("1GiB")},
        {STR("1.5KB"), 1536, STR("1KiB512B")},
        {STR("1GB512MB"), UINT64_C(1536) << 20, STR("1GiB512MiB")},
        {STR("1EB"), UINT64_C(1) << 60, STR("1EiB")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t n = 1;
        CHECK_INT(size_parse(cases[i].text, &n, NULL), 0);
        CHECK(n == cases[i].bytes);
        CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
        size_format(&b, n);
        CHECK_STR(buf_str(&b), cases[i].back);
    }
    const Str bad[] = {STR(""),    STR("1"),    STR("MB"), STR("1kB"),
                       STR("1XB"), STR("-1MB"), STR("9EB")};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint64_t n;
        CHECK_INT(size_parse(bad[i], &n, NULL), -EINVAL);
    }
}

static void check_time(Str text, int64_t want_ms) {
    int64_t ms = -1;
    CHECK_INT(time_parse(text, &ms, NULL), 0);
    CHECK_INT(ms, want_ms);
}

TEST (times_are_seconds_or_rfc3339) {
    check_time(STR("0"), 0);
    check_time(STR("1700000000.1234"), INT64_C(1700000000123));
    check_time(STR("-1.5"), -1500);
    check_time(STR("1.7e9"), INT64_C(1700000000000));
    check_time(STR("2023-11-14T22:13:20Z"), INT64_C(1700000000000));
    check_time(STR("2023-11-14T23:13:20.678+01:00"), INT64_C(1700000000678));
    check_time(STR("1969-12-31T23:59:59.5Z"), -500);
    check_time(STR("2024-02-29T00:00:00Z"), INT64_C(1709164800000));
    check_time(STR("-292273086-05-16T16:47:06Z"), TIME_MIN_MS);
    check_time(STR("+292277025-08-18T07:12:54.999999999Z"), TIME_MAX_MS);
    const Str bad[] = {STR(""),
                       STR("now"),
                       STR("2023-02-29T00:00:00Z"),
                       STR("NaN"),
                       STR("Inf"),
                       STR("1e300"),
                       STR("2023-11-14T22:13:20"),
                       STR("2023-11-14T22:13:60Z"),
                       STR("2023-11-14T22:13:20.Z")};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t ms;
        CHECK_INT(time_parse(bad[i], &ms, NULL), -EINVAL);
    }
}

TEST (times_are_written_without_trailing_zeros) {
    const struct {
        int64_t ms;
        Str text;
    } cases[] = {
        {0, STR("1970-01-01T00:00:00Z")},
        {INT64_C(1700000000678), STR("2023-11-14T22:13:20.678Z")},
        {INT64_C(1700000000500), STR("2023-11-14T22:13:20.5Z")},
        {INT64_C(1700000000050), STR("2023-11-14T22:13:20.05Z")},
        {-1, STR("1969-12-31T23:59:59.999Z")},
        {INT64_C(-62135596800000), STR("0001-01-01T00:00:00Z")},
        {INT64_C(951782400000), STR("2000-02-29T00:00:00Z")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
        time_format_rfc3339(&b, cases[i].ms);
        CHECK_STR(buf_str(&b), cases[i].text);
    }
}
