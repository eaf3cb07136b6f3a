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
    WorkPool *pool; /* for reading and parsing */
    HttpClient *client;
    HttpCall *(*call)(HttpClient *client, const HttpCallRequest *request,
                      void (*fn)(void *arg, HttpCallResult *r), void *arg);
    void (*cancel)(HttpCall *call);
    /* Replaces the group of this source; takes the reference. A group without targets ends it. */
    void (*update)(void *arg, TargetGroup *group);
    void *arg;
} SdEnv;

typedef struct SdProvider {
    /* config is one entry of the mechanism's list, only for the call; index is its place there. */
    SdRun *(*start)(const SdEnv *env, const void *config, size_t index);
    void (*stop)(SdRun *run);
} SdProvider;

extern const SdProvider sd_static_provider, sd_file_provider, sd_http_provider;

const SdProvider *sd_mechanism_provider(SdMechanism m);
const Schema *sd_mechanism_schema(SdMechanism m);
