#include "promql/parser/ast.h"

static const PromqlFunction functions[] = {
#define FUNCTION(fn, text, ret, var, exp, types)                                                   \
    {.id = FN_##fn,                                                                                \
     .name = (text),                                                                               \
     .returns = (ret),                                                                             \
     .variadic = (var),                                                                            \
     .experimental = (exp),                                                                        \
     .args = (types)},
#include "promql/functions.def"
#undef FUNCTION
};

const PromqlFunction *promql_function_find(Str name) {
    size_t low = 0, high = ARRAY_LEN(functions);
    while (low < high) {
        size_t mid = (low + high) / 2;
        int r = str_cmp(name, str_of(functions[mid].name));
        if (r == 0)
            return &functions[mid];
        if (r < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

const char *promql_type_text(PromqlType t) {
    static const char *const texts[] = {"none", "scalar", "instant vector", "range vector",
                                        "string"};
    return texts[t];
}
