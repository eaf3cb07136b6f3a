/*
 * Which server a command asks and with what credentials: a context of
 * $XDG_CONFIG_HOME/nartool/config.yml (~/.config), NARTOOL_URL, --http.config.file, --header.
 * Credentials of a context are for its own URL only: a server named on the command line gets them
 * when --context says so.
 *
 *     current: prod
 *     contexts:
 *       - name: prod
 *         url: https://metrics.example.org
 *         user: me                        # or basic_auth, authorization, tls_config, ... as in
 *         password_file: /etc/nartool/pw # prometheus.yml
 *       - name: lab
 *         url: http://lab:9090
 *         token_file: /etc/nartool/token
 */
#pragma once

#include "nartool/nartool.h"
#include "net/http_client.h"

/* Takes the flags of connections; an exit code. Once, before the command runs. */
int server_context_setup(Args *a);
/* The server to ask when none is named; false when there is none. */
bool server_context_url(Str *ret);
/* Options and extra headers of requests to this server. */
const HttpClientConfig *server_context_client(Str url);
const HttpHeader *server_context_headers(size_t *ret_n);
