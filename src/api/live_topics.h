/*
 * What the event stream tells, topic by topic. One tick has two halves: live_look() on the loop
 * thread takes what only that thread may read (cheap: counted snapshots, copies of the targets that
 * changed), live_apply() on a worker makes rows of it and finds out what changed. Between the two
 * nobody else touches the LiveTopics.
 */
#pragma once

#include "api/api.h"
#include "api/live_rows.h"

typedef enum LiveTopic {
#define TOPIC(id, name) LIVE_##id,
#include "api/live_topics.def"
#undef TOPIC
    LIVE_TOPICS
} LiveTopic;

#define LIVE_TOPICS_ALL ((1u << LIVE_TOPICS) - 1)

const char *live_topic_name(LiveTopic t);
/* "alerts,summary" to bits; false and the name that is none of them. */
bool live_topics_parse(Str list, unsigned *ret, Str *ret_unknown);

typedef struct LiveTopics {
    LiveRows rows[LIVE_TOPICS];
    Buf summary; /* the last one, without its time */
} LiveTopics;

void live_topics_init(LiveTopics *t);
void live_topics_deinit(LiveTopics *t);

typedef struct LiveTarget {
    Str key;
    TargetView view;
} LiveTarget;

typedef struct LiveLook {
    unsigned topics; /* that could be looked at */
    Arena arena;
    RulesSnapshot *rules;
    NotifyStatuses delivery;
    bool nowhere;            /* alerts cannot be sent */
    VEC(LiveTarget) targets; /* that changed; the others are marked already */
    PromqlQueryInfo *queries;
    size_t n_queries;
    Buf summary, summary_now;
} LiveLook;

void live_look(Api *api, LiveTopics *t, unsigned topics, LiveLook *ret);
/* Whether any topic changed; rows that did carry this tick. Frees the look. */
bool live_apply(LiveTopics *t, LiveLook *look, uint64_t tick);
