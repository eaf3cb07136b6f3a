#include "base/clock.h"
#include "base/numtext.h"
#include "support/test.h"

static double parsed(const char *s) {
    double v = 12345;
    CHECK(number_parse(str_of(s), &v));
    return v;
}

static bool refused(const char *s) {
    double v;
    return !number_parse(str_of(s), &v);
}

TEST (decimals_are_parsed_as_strtod_does) {
    static const char *texts[] = {"0",
                                  "-0",
                                  "+1",
                                  "1.",
                                  ".5",
                                  "1e5",
                                  "1E+5",
                                  "1e-5",
                                  "123456789.125",
                                  "9007199254740993",
                                  "9007199254740992",
                                  "18446744073709551616",
                                  "1e22",
                                  "1e23",
                                  "8.5e-324",
                                  "4.9e-324",
                                  "2.4e-324",
                                  "2.5e-324",
                                  "1.7976931348623157e308",
                                  "0.1",
                                  "0.30000000000000004",
                                  "1e-400",
                                  "2.2250738585072011e-308",
                                  "123456789012345678901234567890",
                                  "0.000000000000000000000000000001234567890123456789",
                                  "1234567890123456789012345678901234567890e-30",
                                  "00000000000000000000001",
                                  "0.00000000000000000000000000000000",
                                  "6.02214076e23",
                                  "1e0000000005",
                                  "1777777777777777777.5",
                                  "0e999999999999"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        CHECK_DOUBLE(parsed(texts[i]), strtod(texts[i], NULL));
    }
}

TEST (many_random_decimals_agree_with_strtod) {
    unsigned seed = 7;
    for (int i = 0; i < 20000; i++) {
        char t[64];
        int digits = 1 + rand_r(&seed) % 24, point = rand_r(&seed) % 26, n = 0;
        for (int k = 0; k < digits; k++) {
            if (k == point) {
                t[n++] = '.';
            }
            t[n++] = (char)('0' + rand_r(&seed) % 10);
        }
        if (rand_r(&seed) % 2) {
            snprintf(t + n, sizeof(t) - (size_t)n, "e%d", rand_r(&seed) % 640 - 320);
        } else {
            t[n] = '\0';
        }
        double want = strtod(t, NULL), v = 0;
        bool ok = number_parse(str_of(t), &v);
        CHECK(ok == !isinf(want));
        CHECK_DOUBLE(v, want);
    }
}

TEST (infinities_and_nan_in_any_case) {
    CHECK(isinf(parsed("Inf")) && isinf(parsed("+iNf")) && isinf(parsed("infinity")));
    CHECK(parsed("-INFINITY") < 0);
    uint64_t bits;
    double v = parsed("nan");
    memcpy(&bits, &v, 8);
    CHECK(bits == 0x7ff8000000000001u);
    CHECK(refused("+NaN") && refused("infin") && refused("in") && refused("nane"));
}

TEST (what_is_no_number_is_refused) {
    static const char *texts[] = {"",      "+",   "-",     ".",    "e5",       "1e",  "1e+",
                                  "1 ",    " 1",  "1x",    "--1",  "0x1p3",    "1_0", "1..2",
                                  "1.2.3", "+-1", "1e5.0", "NaN1", "inf inity"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!refused(texts[i])) {
            test_fail(__FILE__, __LINE__, "taken: '%s'", texts[i]);
        }
    }
}

TEST (magnitudes_out_of_range_give_infinity_and_false) {
    double v = 0;
    CHECK(!number_parse(STR("1e309"), &v) && isinf(v) && v > 0);
    CHECK(!number_parse(STR("-1e999999999999999999999"), &v) && isinf(v) && v < 0);
    CHECK(number_parse(STR("-1e-999999999999999999999"), &v));
    CHECK_DOUBLE(v, -0.0);
}

TEST (go_syntax_adds_hex_floats_and_underscores) {
    double v = 0;
    CHECK(number_parse_go(STR("0x1.8p3"), &v) && v == 12);
    CHECK(number_parse_go(STR("-0X_1p-1"), &v) && v == -0.5);
    CHECK(number_parse_go(STR("1_000.5"), &v) && v == 1000.5);
    CHECK(!number_parse_go(STR("0x1"), &v) && !number_parse_go(STR("0xp1"), &v));
    CHECK(!number_parse_go(STR("1__0"), &v) && !number_parse_go(STR("_1"), &v) &&
          !number_parse_go(STR("1_"), &v) && !number_parse_go(STR("1_.5"), &v));
    CHECK(!number_parse_go(STR("0x1p"), &v) && !number_parse_go(STR("0x1.1.1p1"), &v));
}

TEST (integers_at_their_ends) {
    int64_t i;
    uint64_t u;
    CHECK(int_parse(STR("-9223372036854775808"), &i) && i == INT64_MIN);
    CHECK(int_parse(STR("+9223372036854775807"), &i) && i == INT64_MAX);
    CHECK(!int_parse(STR("9223372036854775808"), &i) && !int_parse(STR(""), &i) &&
          !int_parse(STR("+-1"), &i) && !int_parse(STR("1.0"), &i) && !int_parse(STR("+"), &i));
    CHECK(uint_parse(STR("18446744073709551615"), &u) && u == UINT64_MAX);
    CHECK(!uint_parse(STR("18446744073709551616"), &u) && !uint_parse(STR("-1"), &u));
}

static void check_formats(double v, const char *plain, const char *json, const char *g,
                          const char *e) {
    void (*fn[])(Buf *, double) = {number_format_plain, number_format_json, number_format_g,
                                   number_format_e};
    const char *want[] = {plain, json, g, e};
    for (int i = 0; i < 4; i++) {
        Buf b = BUF_INIT(0);
        fn[i](&b, v);
        CHECK_STR(buf_str(&b), str_of(want[i]));
        buf_deinit(&b);
    }
}

TEST (formats_are_those_of_go) {
    check_formats(0, "0", "0", "0", "0e+00");
    check_formats(-0.0, "-0", "-0", "-0", "-0e+00");
    check_formats(1, "1", "1", "1", "1e+00");
    check_formats(-1.5, "-1.5", "-1.5", "-1.5", "-1.5e+00");
    check_formats(123456, "123456", "123456", "123456", "1.23456e+05");
    check_formats(12345678, "12345678", "12345678", "1.2345678e+07", "1.2345678e+07");
    check_formats(1e6, "1000000", "1000000", "1e+06", "1e+06");
    check_formats(1e20, "100000000000000000000", "100000000000000000000", "1e+20", "1e+20");
    check_formats(1e21, "1000000000000000000000", "1e+21", "1e+21", "1e+21");
    check_formats(1e23, "100000000000000000000000", "1e+23", "1e+23", "1e+23");
    check_formats(0.0001, "0.0001", "0.0001", "0.0001", "1e-04");
    check_formats(0.00001, "0.00001", "0.00001", "1e-05", "1e-05");
    check_formats(1.5e-7, "0.00000015", "1.5e-07", "1.5e-07", "1.5e-07");
    check_formats(9007199254740993.0, "9007199254740992", "9007199254740992",
                  "9.007199254740992e+15", "9.007199254740992e+15");
    check_formats(INFINITY, "+Inf", "+Inf", "+Inf", "+Inf");
    check_formats(-INFINITY, "-Inf", "-Inf", "-Inf", "-Inf");
    check_formats(NAN, "NaN", "NaN", "NaN", "NaN");
}

TEST (every_printed_number_parses_back_to_its_bits) {
    uint64_t x = 88172645463325252u;
    void (*fn[])(Buf *, double) = {number_format_plain, number_format_json, number_format_g,
                                   number_format_e};
    Buf b = BUF_INIT(0);
    for (int i = 0; i < 20000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        double v, back = 0;
        memcpy(&v, &x, 8);
        if (!isfinite(v)) {
            continue;
        }
        buf_reset(&b);
        fn[i % 4](&b, v);
        CHECK(number_parse(buf_str(&b), &back));
        CHECK_DOUBLE(back, v);
    }
    buf_deinit(&b);
}

TEST (precision_and_seconds) {
    Buf b = BUF_INIT(0);
    number_format_precision(&b, 1234.5678, 4);
    buf_add_char(&b, ' ');
    number_format_precision(&b, 100, 4);
    buf_add_char(&b, ' ');
    number_format_precision(&b, 123456, 4);
    for (int64_t ms = -1; ms < 2; ms++) {
        buf_add_char(&b, ' ');
        time_format_seconds(&b, ms);
    }
    buf_add_char(&b, ' ');
    time_format_seconds(&b, 1435781451781);
    buf_add_char(&b, ' ');
    time_format_seconds(&b, INT64_MIN);
    CHECK_STR(buf_str(&b),
              STR("1235 100 1.235e+05 -0.001 0 0.001 1435781451.781 -9223372036854775.808"));
    buf_deinit(&b);
}
