#include "nartool/table.h"

#include "base/utf8.h"
#include "nartool/screen.h"

void table_deinit(Table *t) {
    vec_free(&t->columns);
    vec_free(&t->rows);
}

Str *table_row(Table *t) {
    Str *row = ARENA_ARRAY(t->arena, Str, TABLE_COLUMNS_MAX);
    vec_push(&t->rows, row);
    return row;
}

size_t table_column(Table *t, Str name) {
    for (size_t i = 0; i < t->columns.n; i++) {
        if (str_eq(t->columns.v[i], name)) {
            return i;
        }
    }
    if (t->columns.n < TABLE_COLUMNS_MAX) {
        vec_push(&t->columns, arena_str(t->arena, name));
    }
    return t->columns.n - 1;
}

void table_add_label_columns(Table *t, const Json *labels) {
    Str key;
    for (void *at = NULL; json_next_member(labels, &at, &key);) {
        table_column(t, key);
    }
}

void table_set_labels(Table *t, Str *row, const Json *labels) {
    void *at = NULL;
    Str key;
    const Json *value;
    while ((value = json_next_member(labels, &at, &key))) {
        row[table_column(t, key)] = json_to_str(value);
    }
}

static bool same_everywhere(const Table *t, size_t column) {
    for (size_t i = 1; i < t->rows.n; i++) {
        if (!str_eq(t->rows.v[i][column], t->rows.v[0][column])) {
            return false;
        }
    }
    return t->rows.n > 1;
}

/* Control characters of label values must not reach the terminal. */
static void print_cell(FILE *out, Str s) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\t') {
            fputs("\\t", out);
        } else if (c == '\n') {
            fputs("\\n", out);
        } else if (c < 0x20 || c == 0x7f) {
            fprintf(out, "\\x%02x", c);
        } else {
            fputc(c, out);
        }
    }
}

/* RFC 4180. */
static void print_csv_cell(FILE *out, Str s) {
    bool quote = false;
    for (size_t i = 0; i < s.n; i++) {
        quote |= strchr(",\"\r\n", s.p[i]) != NULL;
    }
    if (!quote) {
        fprintf(out, "%.*s", SA(s));
        return;
    }
    fputc('"', out);
    for (size_t i = 0; i < s.n; i++) {
        fprintf(out, s.p[i] == '"' ? "\"\"" : "%c", s.p[i]);
    }
    fputc('"', out);
}

static void print_csv_row(const Table *t, const Str *cells, FILE *out) {
    for (size_t c = 0; c < t->columns.n; c++) {
        print_csv_cell(out, cells[c]);
        fputs(c + 1 < t->columns.n ? "," : "\r\n", out);
    }
}

static void print_csv(const Table *t, FILE *out) {
    print_csv_row(t, t->columns.v, out);
    for (size_t i = 0; i < t->rows.n; i++) {
        print_csv_row(t, t->rows.v[i], out);
    }
}

static void print_tsv(const Table *t, FILE *out) {
    for (size_t c = 0; c < t->columns.n; c++) {
        print_cell(out, t->columns.v[c]);
        fputc(c + 1 < t->columns.n ? '\t' : '\n', out);
    }
    for (size_t i = 0; i < t->rows.n; i++) {
        for (size_t c = 0; c < t->columns.n; c++) {
            print_cell(out, t->rows.v[i][c]);
            fputc(c + 1 < t->columns.n ? '\t' : '\n', out);
        }
    }
}

static size_t column_width(const Table *t, size_t c) {
    size_t width = utf8_count(t->columns.v[c]);
    for (size_t i = 0; i < t->rows.n; i++) {
        width = MAX(width, utf8_count(t->rows.v[i][c]));
    }
    return width;
}

static void print_padded(FILE *out, Str s, size_t width, bool right, bool last) {
    int pad = (int)(width - MIN(width, utf8_count(s)));
    if (right) {
        fprintf(out, "%*s", pad, "");
    }
    print_cell(out, s);
    if (!right && !last) {
        fprintf(out, "%*s", pad, "");
    }
    fputs(last ? "\n" : "  ", out);
}

static void print_table(const Table *t, FILE *out) {
    bool folded[TABLE_COLUMNS_MAX] = {0}, any = false;
    size_t width[TABLE_COLUMNS_MAX], last = t->columns.n - 1;
    size_t labels = t->columns.n - t->value_columns;
    for (size_t c = 0; c < t->columns.n; c++) {
        width[c] = column_width(t, c);
        folded[c] = c < labels && same_everywhere(t, c);
        if (folded[c] && t->rows.v[0][c].n) {
            fprintf(out, "%s", any ? ", " : screen_style(STYLE_DIM));
            print_cell(out, t->columns.v[c]);
            fputs("=\"", out);
            print_cell(out, t->rows.v[0][c]);
            fputc('"', out);
            any = true;
        }
    }
    if (any) {
        fprintf(out, "%s\n", screen_plain());
    }
    fprintf(out, "%s", screen_style(STYLE_BOLD));
    for (size_t c = 0; c < t->columns.n; c++) {
        if (!folded[c]) {
            print_padded(out, t->columns.v[c], width[c], c >= labels, c == last);
        }
    }
    fprintf(out, "%s", screen_plain());
    for (size_t i = 0; i < t->rows.n; i++) {
        for (size_t c = 0; c < t->columns.n; c++) {
            if (!folded[c]) {
                print_padded(out, t->rows.v[i][c], width[c], c >= labels, c == last);
            }
        }
    }
}

void table_print(const Table *t, TableForm form, FILE *out) {
    if (t->columns.n == 0 || t->rows.n == 0) {
        return;
    }
    if (form == TABLE_TSV) {
        print_tsv(t, out);
    } else if (form == TABLE_CSV) {
        print_csv(t, out);
    } else {
        print_table(t, out);
    }
}
