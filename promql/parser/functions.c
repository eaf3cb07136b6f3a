#include "promql/parser/ast.h"

static const PromqlFunction functions[] = {
#define FUNCTION(fn, text, ret, var, exp, types)                                                   \
    {.id = FN_##fn, .name = (text), .returns = (ret), .variadic = (var), .experimental = (exp),    \
     .args = (types)},
#include "promql/functions.def"
#undef FUNCTION
};

/* A perfect hash is not worth it: names differ early, and a query calls few functions. */
const PromqlFunction *promql_function_find(Str name) {
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        const char *f = functions[i].name;
        if (name.n && f[0] == name.p[0] && strncmp(f, name.p, name.n) == 0 && f[name.n] == 0)
            return &functions[i];
    }
    return NULL;
}
