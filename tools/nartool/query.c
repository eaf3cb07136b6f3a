#include "nartool/query.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/numtext.h"
#include "model/duration.h"
#include "nartool/api_client.h"

static int64_t the_now;

int64_t query_now_ms(void) {
    the_now = the_now ? the_now : clock_wall_ms();
    return the_now;
}

void query_set_now(int64_t ms) { the_now = ms; }

bool query_parse_time(const char *name, Str text, int64_t fallback_ms, int64_t *ret_ms) {
    Problem p = {0};
    double seconds;
    *ret_ms = fallback_ms;
    if (!text.p || str_eqc(text, "now")) {
        *ret_ms = text.p ? query_now_ms() : fallback_ms;
        return true;
    }
    if (text.n > 1 && text.p[0] == '-' && duration_parse(str_from(text, 1), ret_ms, &p) == 0) {
        *ret_ms = query_now_ms() - *ret_ms;
        return true;
    }
    if (number_parse(text, &seconds)) {
        *ret_ms = (int64_t)(seconds * 1000);
        return true;
    }
    if (time_parse(text, ret_ms, &p) == 0) {
        return true;
    }
    fail("%s: expected unix seconds, RFC3339 or a relative time such as -1h, got \"%.*s\"", name,
         SA(text));
    return false;
}

bool query_take_time(Args *a, const char *name, int64_t fallback_ms, int64_t *ret_ms) {
    return query_parse_time(name, args_flag(a, name), fallback_ms, ret_ms);
}

bool query_take_step(Args *a, const char *name, int64_t *ret_ms) {
    Str text = args_flag(a, name);
    double seconds;
    Problem p = {0};
    *ret_ms = 0;
    if (!text.p) {
        return true;
    }
    if (number_parse(text, &seconds)) {
        *ret_ms = seconds > 0 && seconds < 1e12 ? (int64_t)(seconds * 1000) : 0;
    } else if (duration_parse(text, ret_ms, &p) < 0) {
        *ret_ms = 0;
    }
    if (*ret_ms <= 0) {
        fail("%s: expected seconds or a duration such as 15s, got \"%.*s\"", name, SA(text));
    }
    return *ret_ms > 0;
}

int query_try(const Query *q, Json **ret_root, const Json **ret_data, Problem *problem) {
    CLEANUP(buf_deinit) Buf form = BUF_INIT(0);
    form_add(&form, "query", q->expr);
    if (q->range) {
        form_add_time(&form, "start", q->start_ms);
        form_add_time(&form, "end", q->end_ms);
        form_add_time(&form, "step", q->step_ms);
    } else {
        form_add_time(&form, "time", q->end_ms);
    }
    return api_call(q->server, q->range ? "/api/v1/query_range" : "/api/v1/query", buf_str(&form),
                    ret_root, ret_data, problem);
}

int query_ask(const Query *q, Json **ret_root, const Json **ret_data) {
    Problem p = {0};
    return query_try(q, ret_root, ret_data, &p) < 0 ? query_tell_error(q->expr, p.text) : EXIT_OK;
}
