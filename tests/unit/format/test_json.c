#include "base/mem.h"
#include "format/json.h"
#include "support/test.h"

TEST (writer_sets_commas_and_escapes_two_ways) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    JsonWriter w = JSON_WRITER(&b);
    json_begin_object(&w);
    json_key(&w, STR("a"));
    json_begin_array(&w);
    json_add_int(&w, -1);
    json_add_uint(&w, UINT64_MAX);
    json_add_bool(&w, true);
    json_add_null(&w);
    json_begin_object(&w);
    json_end_object(&w);
    json_begin_array(&w);
    json_end_array(&w);
    json_end_array(&w);
    json_label_key(&w, STR("<&>"));
    json_add_label(&w, STR("<\"\\\n\r\t\x01\x7f\xff\u2028>"));
    json_key(&w, STR("<&>"));
    json_add_str(&w, STR("<\"\\\n\r\t\x01\x7f\xff\u2028é>"));
    json_end_object(&w);
    CHECK_STR(buf_str(&b), STR("{\"a\":[-1,18446744073709551615,true,null,{},[]],"
                               "\"<&>\":\"<\\\"\\\\\\n\\r\\t\\u0001\x7f\xff\u2028>\","
                               "\"\\u003c\\u0026\\u003e\":"
                               "\"\\u003c\\\"\\\\\\n\\r\\t\\u0001\x7f\\ufffd\\u2028é\\u003e\"}"));
}

TEST (numbers_and_times) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    JsonWriter w = JSON_WRITER(&b);
    json_begin_array(&w);
    json_add_double(&w, 1e-7);
    json_add_double(&w, 1e21);
    json_add_double(&w, 1e-10);
    json_add_double(&w, NAN);
    json_add_sample_value(&w, INFINITY);
    json_add_sample_value(&w, 1e-7);
    json_add_time(&w, 1500);
    json_add_time(&w, 2000);
    json_end_array(&w);
    CHECK_STR(buf_str(&b), STR("[1e-7,1e+21,1e-10,null,\"+Inf\",\"1e-07\",1.500,2]"));
}

TEST (parsed_values_are_reached_and_written_again) {
    Problem p = {0};
    CLEANUP(json_freep)
    Json *v =
        json_parse(STR("{\"z\":1,\"a\":{\"b\":[1.5,\"x\\u0000y\",true,null,3.0]},\"z\":2}"), &p);
    CHECK(v);
    CHECK_INT(json_to_int(json_member(v, "z"), 0), 2);
    const Json *list = json_path(v, "a.b");
    CHECK_INT(json_count(list), 5);
    CHECK_DOUBLE(json_to_double(json_item(list, 0), 0), 1.5);
    CHECK_INT(json_to_int(json_item(list, 0), 7), 7);
    CHECK_STR(json_to_str(json_item(list, 1)), STR("x\0y"));
    CHECK(json_to_bool(json_item(list, 2), false));
    CHECK_INT(json_kind(json_item(list, 3)), JSON_KIND_NULL);
    CHECK_INT(json_to_int(json_item(list, 4), 7), 3);
    CHECK(!json_item(list, 5) && !json_path(v, "a.c.d") && !json_member(list, "x"));
    CHECK(json_to_str(list).p == NULL && json_count(NULL) == 0);
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    json_write(&b, v);
    CHECK_STR(buf_str(&b), STR("{\"z\":2,\"a\":{\"b\":[1.5,\"x\\u0000y\",true,null,3]}}"));
}

TEST (bad_text_is_refused_with_its_place) {
    Problem p = {0};
    CHECK(!json_parse(STR("{\n \"a\": }"), &p));
    CHECK_INT(p.line, 2);
    CHECK(p.text[0]);
    const char good[] = "{\"a\":[1,2.5e3,\"x\\n\",true,false,null,{\"b\":{}}]}";
    for (size_t n = 0; n < sizeof(good) - 1; n++) {
        Json *v = json_parse(str_n(good, n), &p);
        CHECK(!v);
    }
    CHECK(!json_parse(STR("1 2"), &p) && !json_parse(STR("\"\xff\""), &p));
    CLEANUP(buf_deinit) Buf deep = BUF_INIT(0);
    for (int i = 0; i < 100000; i++) {
        buf_add_char(&deep, '[');
    }
    CHECK(!json_parse(buf_str(&deep), &p));
}
