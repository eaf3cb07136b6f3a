/* What is known of the terminal that standard output may be: its size, whether it shows colours
 * (--color, NO_COLOR) and UTF-8 (the locale). Set up once by screen_setup(). */
#pragma once

#include <stdio.h>

#include "nartool/nartool.h"

typedef struct Screen {
    unsigned width, height; /* of the terminal, or COLUMNS and LINES, or 80 by 24 */
    bool color, utf8;
} Screen;

/* Takes --color. */
void screen_setup(Args *a);
const Screen *screen(void);

typedef enum ScreenStyle {
    STYLE_BOLD,
    STYLE_DIM,
    STYLE_RED,
    STYLE_GREEN,
    STYLE_YELLOW
} ScreenStyle;
/* Escape sequences, or nothing without colours. */
const char *screen_style(ScreenStyle s);
const char *screen_plain(void);
/* Eight colours that are told apart on dark and light ground. */
const char *screen_series(size_t i);
#define SCREEN_SERIES 8
