/*
 * One running discovery of one SdConfigs entry. The provider tells the manager the groups it knows;
 * a group that shrinks to nothing replaces what its source had before. Loop thread only.
 */
#pragma once

#include "discovery/discovery.h"
#include "discovery/sd_config.h"
#include "loop/loop.h"

typedef struct SdRun SdRun;

typedef struct SdEnv {
    Loop *loop;
    WorkPool *pool; /* for reading files */
    const char *set;
    /* Replaces the group of this source. The sink takes one reference; groups without targets end
     * the source. */
    void (*update)(void *arg, TargetGroup *group);
    /* A first (maybe empty) answer was given: nothing more is expected at once. */
    void *arg;
} SdEnv;

typedef struct SdProvider {
    /* config stays valid until stop(). index is the entry's place among its kind. */
    SdRun *(*start)(const SdEnv *env, const void *config, size_t index);
    void (*stop)(SdRun *run);
} SdProvider;

extern const SdProvider sd_static_provider, sd_file_provider;

const SdProvider *sd_mechanism_provider(SdMechanism m);
const Schema *sd_mechanism_schema(SdMechanism m);
