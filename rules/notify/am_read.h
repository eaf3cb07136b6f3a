/*
 * The parts of reading alertmanager.yml: am_config.c has the file as a whole, am_route.c routes and
 * their matchers, am_receiver.c receivers. Private to them; one thread, while it is read.
 */
#pragma once

#include "base/vec.h"
#include "net/http_client_config.h"
#include "rules/am_config.h"
#include "rules/notify/matcher_text.h"
#include "schema/schema.h"

/* What is read before it is checked as a whole. */
typedef struct RouteYaml {
    Str receiver;
    SchemaStrs group_by;
    int64_t group_wait, group_interval, repeat_interval;
    bool has_wait, has_interval, has_repeat, continue_matching;
    MatcherList matchers;
    SchemaStrs mute, active;
    Labels labels;
    SchemaList routes;
    const YamlNode *node;
} RouteYaml;

typedef VEC(Str) Strs;

typedef struct FileYaml {
    const YamlNode *global, *receivers;
    int64_t resolve_timeout;
    HttpClientOptions *http;
    RouteYaml *route;
    SchemaStrs templates;
    bool inhibits;
} FileYaml;

typedef struct LoadedConfig {
    AmConfig config; /* first */
    Arena arena;
    Strs unsupported, intervals;
    VEC(AmReceiver) receivers;
    VEC(Regex *) regexes; /* of all matchers */
    FileYaml yaml;
} LoadedConfig;

static inline LoadedConfig *loaded(SchemaContext *cx) { return cx->user; }

/* am_route.c: values of the keys matchers, match and match_re into a MatcherList. */
int am_read_matchers(SchemaContext *cx, const YamlNode *n, void *field);
int am_read_match_eq(SchemaContext *cx, const YamlNode *n, void *field);
int am_read_match_re(SchemaContext *cx, const YamlNode *n, void *field);
extern const Schema am_route_schema; /* RouteYaml */
/* Builds the tree with what is inherited, and checks it as a whole. */
int am_routes_build(SchemaContext *cx, const RouteYaml *root);

/* am_receiver.c: the list under `receivers`, NULL if there is none. */
int am_receivers_read(SchemaContext *cx, const YamlNode *list);
