/* What http_tls.c (making a context) and http_tls_session.c (using it) share. */
#pragma once

#include <openssl/ssl.h>

#include "net/http_tls.h"

SSL_CTX *http_tls_context(HttpTls *t);
