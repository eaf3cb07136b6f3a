/* Which Narthex this is, and which Prometheus it presents itself as to clients that ask. */
#pragma once

#define VERSION_NARTHEX "0.1.0"
#define VERSION_PROMETHEUS "3.5.0"
#define VERSION_USER_AGENT "Prometheus/" VERSION_PROMETHEUS " Narthex/" VERSION_NARTHEX
