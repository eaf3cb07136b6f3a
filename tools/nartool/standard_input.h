/* Standard input as a whole. */
#pragma once

#include "base/buf.h"
#include "nartool/nartool.h"

/* An exit code; what is wrong is told. */
int read_standard_input(Buf *ret);
