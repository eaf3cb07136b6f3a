/* Any bytes as a discovery file, in both formats. The first byte chooses. */
#include "discovery/sd_group_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = ARENA_INIT(32 << 20);
    Problem p = {0};
    SchemaList list;
    if (size) {
        Str path = data[0] == '[' ? STR("f.json") : STR("f.yml");
        (void)sd_group_file_parse(path, (Str){(const char *)data, size}, &a, &list, &p);
    }
    arena_deinit(&a);
    return 0;
}
