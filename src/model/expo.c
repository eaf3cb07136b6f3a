#include "model/expo.h"

#include "model/expo_scan.h"

void expo_init(ExpoParser *p, ExpoFormat format, Str body) {
    memset(p, 0, sizeof(*p));
    p->format = format;
    p->body = p->at = p->lead = body.p ? body.p : "";
    p->end = p->at + body.n;
    if (format == EXPO_PROTO) {
        expo_proto_begin(p);
    }
}

void expo_deinit(ExpoParser *p) { expo_proto_end(p); }

static int sample_done(ExpoParser *p) {
    int r = p->format == EXPO_TEXT ? expo_text_rest(p) : expo_om_rest(p);
    if (r < 0) {
        return r;
    }
    p->lead = p->at;
    return EXPO_SAMPLE;
}

int expo_next(ExpoParser *p) {
    if (UNLIKELY(p->problem.text[0])) {
        return -EBADMSG;
    }
    if (p->format == EXPO_PROTO) {
        return expo_proto_entry(p);
    }
    int r = p->format == EXPO_TEXT ? expo_text_entry(p) : expo_om_entry(p);
    return r == EXPO_SAMPLE ? sample_done(p) : r;
}

int expo_next_expect(ExpoParser *p, const ExpoExpected *expected, bool *ret_hit) {
    Str text = expected->text;
    const char *lead = p->lead;
    if (p->format == EXPO_PROTO) {
        int r = expo_next(p);
        *ret_hit = r == EXPO_SAMPLE && p->type == expected->type && str_eq(p->text, text);
        return r;
    }
    *ret_hit = p->at == lead && (size_t)(p->end - lead) > text.n && lead[text.n] == ' ' &&
               memcmp(lead, text.p, text.n) == 0;
    if (UNLIKELY(!*ret_hit)) {
        return expo_next(p);
    }
    p->text = (Str){lead, text.n};
    p->series = (Str){lead + expected->lead, text.n - expected->lead};
    p->type = expected->type;
    p->typed = expected->typed;
    p->at = lead + text.n;
    return sample_done(p);
}
